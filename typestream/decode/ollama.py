"""Ollama's own API, chat and generate: one JSON object per line; `done` says that the answer is whole.

Wire format: Ollama's `ChatResponse` and `GenerateResponse`. Every tool call comes whole.
"""

from typing import Any

from typestream.decode._base import Decoded, get
from typestream.decode._fields import arguments, is_record, items, number, string
from typestream.decode._state import Base
from typestream.events import Other, ReasoningDelta, TextDelta, ToolCallDelta, Usage

__all__ = ("OllamaDecoder",)


class OllamaDecoder(Base):
    """Complete with `done`, which ends the stream."""

    def __init__(self) -> None:
        super().__init__()
        self._calls = 0

    def record(self, item: Any, raw: Any, out: Decoded) -> None:
        message = get(item, "message")
        chat = is_record(message)
        logprobs = get(item, "logprobs")
        thought = get(message if chat else item, "thinking")
        text = string(get(message, "content")) if chat else string(get(item, "response"))
        self.say(ReasoningDelta, thought, raw, out)
        if text:
            out.append(TextDelta(text, 0, logprobs if isinstance(logprobs, list) and logprobs else None, raw=raw))
        for call in items(get(message if chat else item, "tool_calls")):
            self._call(call, raw, out)
        for name in ("images", "image"):
            if get(message if chat else item, name):
                out.append(Other(name, raw=raw))
        if not self.fail(item, out) and get(item, "done") is True:
            self._done(item, raw, out)
        self.opening.open(None, get(item, "model"), out, raw)

    def _call(self, call: Any, raw: Any, out: Decoded) -> None:
        function = get(call, "function")
        if not is_record(function):
            return
        args = arguments(get(function, "arguments"))
        out.append(ToolCallDelta(self._calls, string(get(call, "id")), string(get(function, "name")), args, raw=raw))
        self._calls += 1

    def _done(self, item: Any, raw: Any, out: Decoded) -> None:
        given, output = number(get(item, "prompt_eval_count")), number(get(item, "eval_count"))
        if given is not None or output is not None:
            total = given + output if given is not None and output is not None else None
            self.count(Usage(given, output, total, raw=raw), out)
        self.finish(get(item, "done_reason"), raw, out)
        self.confirm()
        self.ended = True
