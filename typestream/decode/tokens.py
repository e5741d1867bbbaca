"""Small formats that say little more than a piece of text per item: a table, and one decoder for all of it."""

from dataclasses import dataclass
from typing import Any

from typestream.decode._base import Decoded, get
from typestream.decode._fields import arguments, is_record, number, real, server_error
from typestream.decode._state import Base
from typestream.events import Finish, Other, TextDelta, Usage

__all__ = ("SHAPES", "Shape", "TokenDecoder")


@dataclass(frozen=True)
class Shape:
    """Where a format keeps what: paths of field names and places, joined by dots; None where it has no such thing.

    Attributes:
        has: the fields by which the format is known; one of `any` must be there, too, if that is given.
        done: what is neither null nor false when the answer is whole. Formats without it end with their source.
        running: finish reasons that mean there is none yet.
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

    def fits(self, item: Any) -> bool:
        if not all(get(item, name) is not None for name in self.has):
            return False
        return not self.any or any(get(item, name) is not None for name in self.any)


SHAPES = (
    Shape("Text Generation Inference", ("token",), "token.text", special="token.special",
          reason="details.finish_reason", done="generated_text", output="details.generated_tokens"),
    Shape("llama.cpp", ("content", "stop"), "content", reason="stop_type", done="stop",
          input="tokens_evaluated", output="tokens_predicted", model="model", running=("none",)),
    Shape("LlamaIndex", ("delta",), "delta", any=("message", "text")),
    Shape("watsonx", ("results",), "results.0.generated_text", reason="results.0.stop_reason",
          done=None, model="model_id", running=("not_finished",)),
    Shape("Baidu", ("result", "is_end"), "result", done="is_end"),
    Shape("Workers AI", ("response",), "response"),
    Shape("Writer", ("value",), "value"),
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
        self._finished = False

    def record(self, item: Any, raw: Any, out: Decoded) -> None:
        shape = self._shape
        text = _at(item, shape.text)
        if _at(item, shape.special) is True:
            out.append(Other("special", raw=raw))
        elif isinstance(text, str):
            if text:
                out.append(TextDelta(text, raw=raw))
        elif text is not None:
            out.append(TextDelta(arguments(text), raw=raw))  # guided output comes as a JSON value
        given, output = number(_at(item, shape.input)), number(_at(item, shape.output))
        reason = real(_at(item, shape.reason))
        done = _at(item, shape.done)
        done = done is not None and done is not False
        if (done or not shape.done) and (given is not None or output is not None):
            total = given + output if given is not None and output is not None else None
            self.count(Usage(given, output, total, raw=raw), out)
        if reason and reason not in shape.running and not self._finished:
            self._finished = True
            self.confirm()
            out.append(Finish(reason, raw=raw))
        if done:
            self.confirm()
        error = server_error(item) if not is_record(text) else None
        if error is not None:
            out.append(error)
        self.opening.open(None, _at(item, shape.model), out, raw)

    def end(self) -> Decoded:
        if self._shape.done is None and self._shape.reason is None:
            self.confirm()
        return []
