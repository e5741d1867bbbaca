"""Small formats that say little more than a piece of text per item: a table, and one decoder for all of it."""

from dataclasses import dataclass
from typing import Any

from typestream.decode._base import Decoded, get
from typestream.decode._fields import arguments, is_record, items, number, real
from typestream.decode._state import Base
from typestream.decode.chat import tool_call
from typestream.events import Other, TextDelta, Usage

__all__ = ("SHAPES", "Shape", "TokenDecoder")


@dataclass(frozen=True)
class Shape:
    """Where a format keeps what: paths of field names and places, joined by dots; None where it has no such thing.

    Attributes:
        has: what the format is known by; one of the fields `any` must be there, too, if that is given.
        done: what is neither null nor false when the answer is whole; what it says of its end does not count before.
            Formats without it end with their source.
        running: finish reasons that mean there is none yet.
        quiet: fields that say nothing to a reader, or the same again; those of every format are in `_QUIET`.
        values: whether the text can be a JSON value (guided output).
    """

    name: str
    has: tuple[str, ...]
    text: str
    any: tuple[str, ...] = ()
    special: str | None = None
    reason: str | None = None
    done: str | None = None
    input: str | None = None
    output: str | None = None
    model: str | None = None
    running: tuple[str, ...] = ()
    calls: str | None = None
    quiet: tuple[str, ...] = ()
    values: bool = False

    def fits(self, item: Any) -> bool:
        if not all(_at(item, path) is not None for path in self.has):
            return False
        text = _at(item, self.text)
        if text is not None and not isinstance(text, str) and not self.values:
            return False
        return not self.any or any(get(item, name) is not None for name in self.any)

    def known(self) -> frozenset[str]:
        """The fields of an item that have an event, or need none."""
        paths = (self.text, self.special, self.reason, self.done, self.input, self.output, self.model, self.calls)
        names = (path.partition(".")[0] for path in (*self.has, *paths) if path)
        return _QUIET.union(names, self.any, self.quiet)


_QUIET = frozenset(
    ("id", "object", "created", "created_at", "index", "model", "type", "role", "p", "usage", "error", "message")
)
SHAPES = (
    Shape("Text Generation Inference", ("token.text",), "token.text", special="token.special",
          reason="details.finish_reason", done="generated_text", output="details.generated_tokens",
          quiet=("top_tokens",)),
    Shape("KoboldCpp", ("token",), "token", reason="finish_reason"),
    Shape("llama.cpp", ("content", "stop"), "content", reason="stop_type", done="stop",
          input="tokens_evaluated", output="tokens_predicted", model="model", running=("none",),
          quiet=("id_slot", "slot_id", "tokens", "multimodal")),
    Shape("LlamaIndex", ("delta",), "delta", any=("message", "text"), quiet=("raw",)),
    Shape("watsonx", ("results",), "results.0.generated_text", reason="results.0.stop_reason",
          done=None, model="model_id", running=("not_finished",)),
    Shape("Baidu", ("result", "is_end"), "result", reason="finish_reason", done="is_end",
          input="usage.prompt_tokens", output="usage.completion_tokens", quiet=("sentence_id",)),
    Shape("DashScope", ("output.text",), "output.text", reason="output.finish_reason",
          input="usage.input_tokens", output="usage.output_tokens", quiet=("request_id",)),
    Shape("Workers AI", ("response",), "response", input="usage.prompt_tokens", output="usage.completion_tokens",
          calls="tool_calls", values=True),
    Shape("Writer", ("value",), "value", values=True),
)  # fmt: skip


def _at(record: Any, path: str | None) -> Any:
    for step in path.split(".") if path else ():
        if step.isdigit():
            record = record[int(step)] if isinstance(record, list) and len(record) > int(step) else None
        else:
            record = get(record, step)
    return record if path else None


class TokenDecoder(Base):
    """One format of the table."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self._shape = shape
        self._known = shape.known()

    def record(self, item: Any, raw: Any, out: Decoded) -> None:
        shape = self._shape
        text = _at(item, shape.text)
        if _at(item, shape.special) is True:
            out.append(Other("special", raw=raw))
        elif isinstance(text, str):
            self.say(TextDelta, text, raw, out)
        elif text is not None:
            out.append(TextDelta(arguments(text), raw=raw) if shape.values else Other(shape.text, raw=raw))
        for call in items(_at(item, shape.calls)):
            tool_call(call, 0, self.calls, None, raw, out)
        done = _at(item, shape.done) if shape.done else True
        self._end(item, done is not None and done is not False, raw, out)
        if is_record(text) or not self.fail(item, out):
            self.extras(item, self._known, None, raw, out)
        self.opening.open(get(item, "id"), _at(item, shape.model), out, raw)

    def _end(self, item: Any, done: bool, raw: Any, out: Decoded) -> None:
        """The counts and the reason; a format without a mark of its end has them in any item."""
        shape = self._shape
        given, output = number(_at(item, shape.input)), number(_at(item, shape.output))
        reason = real(_at(item, shape.reason))
        if done and (given is not None or output is not None):
            total = given + output if given is not None and output is not None else None
            self.count(Usage(given, output, total, raw=raw), out)
        if done and reason and reason not in shape.running:
            self.confirm()
            self.finish(reason, raw, out)
        if done and shape.done:
            self.confirm()

    def end(self) -> Decoded:
        if self._shape.done is None and self._shape.reason is None:
            self.confirm()
        return []
