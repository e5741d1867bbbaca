"""Anthropic's Messages: its stream events, and a whole Message.

Rules: blocks are counted by `index`; input tokens come with `message_start`, output tokens with `message_delta`, each
number replacing the one before, but no zero that of the input; a tool's input without deltas is taken from the block,
an empty one when the block has ended; calls that the server makes itself are no tool calls of ours; the SDK's helper
events (`text`, `input_json`, …) repeat the deltas.
Wire format: Anthropic's `RawMessageStreamEvent`. `input` counts what Anthropic calls `input_tokens`, without the cache.
"""

from typing import Any

from typestream.decode._base import Decoded, get
from typestream.decode._fields import arguments, fields, is_record, items, number, server_error, string, usage_of
from typestream.decode._state import Base
from typestream.errors import StreamServerError
from typestream.events import Citation, Finish, Other, ReasoningDelta, TextDelta, ToolCallDelta, Usage

__all__ = ("AnthropicDecoder",)

_SILENT = frozenset(["ping", "text", "thinking", "citation", "signature", "input_json", "compaction"])


class _Tool:
    __slots__ = ("input", "number", "pieces")

    def __init__(self, number: int, input: Any) -> None:
        self.number, self.input, self.pieces = number, input, False


class AnthropicDecoder(Base):
    """Complete with the stop reason or `message_stop`; the latter ends the stream."""

    def __init__(self) -> None:
        super().__init__()
        self._tools: dict[int, _Tool] = {}  # open blocks
        self._calls = 0

    def record(self, item: Any, raw: Any, out: Decoded) -> None:
        kind = get(item, "type")
        message = item if kind == "message" else get(item, "message")
        error = server_error(item) if kind != "message" else None
        if error is not None:
            out.append(_typed(error, item))
        elif kind == "content_block_start":
            self._block(get(item, "content_block"), number(get(item, "index")) or 0, raw, out)
        elif kind == "content_block_delta" and self._finished:
            out.append(Other("after_finish", raw=raw))  # nothing of the answer can follow its stop reason
        elif kind == "content_block_delta":
            self._delta(get(item, "delta"), number(get(item, "index")) or 0, raw, out)
        elif kind == "content_block_stop":
            self._stop_block(number(get(item, "index")) or 0, raw, out)
        elif kind == "message_start":
            self._count(get(message, "usage"), raw, out)
            self._content(message, raw, out)
        elif kind in ("message_delta", "message_stop", "message"):
            self._message_event(kind, item, raw, out)
        elif isinstance(kind, str) and kind not in _SILENT:
            out.append(Other(kind, raw=raw))
        self.opening.open(get(message, "id"), get(message, "model"), out, raw)

    def end(self) -> Decoded:
        """The input of blocks that nothing closed."""
        out: Decoded = []
        for place, tool in list(self._tools.items()):
            if tool.input:  # an empty one may be one that had not begun to come
                self._stop_block(place, None, out)
        return out

    def _message_event(self, kind: str, item: Any, raw: Any, out: Decoded) -> None:
        whole = kind == "message"
        if whole:
            self._content(item, raw, out)
        self._count(get(item, "usage"), raw, out)
        reason = string(get(item if whole else get(item, "delta"), "stop_reason"))
        if reason or kind == "message_stop":
            for place in list(self._tools):
                self._stop_block(place, raw, out)
        if reason:
            self.confirm()
            out.append(Other("stop_reason", raw=raw) if self._finished else Finish(reason, raw=raw))
            self._finished = True
        if kind == "message_stop":
            self.confirm()
        self.ended = self.ended or whole or kind == "message_stop"

    # -- blocks ----------------------------------------------------------------------------------------------------

    def _content(self, message: Any, raw: Any, out: Decoded) -> None:
        content = get(message, "content")
        for place, block in enumerate(
            [{"type": "text", "text": content}] if isinstance(content, str) else items(content)
        ):
            self._block(block, place, raw, out)
            self._stop_block(place, raw, out)

    def _block(self, block: Any, place: int, raw: Any, out: Decoded) -> None:
        kind = get(block, "type")
        if kind == "text":
            self.say(TextDelta, get(block, "text"), raw, out)
            for one in items(get(block, "citations")):
                out.append(_citation(one, raw))
        elif kind == "thinking":
            self.say(ReasoningDelta, get(block, "thinking"), raw, out)
        elif kind == "tool_use":
            self._stop_block(place, raw, out)  # one that nothing closed
            input = get(block, "input")
            self._tools[place] = _Tool(self._calls, {} if is_record(input) and not fields(input) else input)
            id, name = string(get(block, "id")), string(get(block, "name"))
            out.append(ToolCallDelta(self._calls, id, name, raw=raw))
            self._calls += 1
        elif is_record(block):
            out.append(Other(string(kind) or "content_block", raw=raw))

    def _delta(self, delta: Any, place: int, raw: Any, out: Decoded) -> None:
        kind = get(delta, "type")
        if kind == "text_delta":
            self.say(TextDelta, get(delta, "text"), raw, out)
        elif kind == "thinking_delta":
            self.say(ReasoningDelta, string(get(delta, "thinking")) or get(delta, "text"), raw, out)
        elif kind == "input_json_delta" and place in self._tools:
            tool, piece = self._tools[place], arguments(get(delta, "partial_json"))
            if piece:
                tool.pieces = True
                out.append(ToolCallDelta(tool.number, arguments=piece, raw=raw))
        elif kind == "citations_delta":
            out.append(_citation(get(delta, "citation"), raw))
        elif is_record(delta):
            out.append(Other(string(kind) or "delta", raw=raw))

    def _stop_block(self, place: int, raw: Any, out: Decoded) -> None:
        tool = self._tools.pop(place, None)
        if tool is not None and not tool.pieces and tool.input is not None:
            out.append(ToolCallDelta(tool.number, arguments=arguments(tool.input), raw=raw))

    def _count(self, counts: Any, raw: Any, out: Decoded) -> None:
        """Each number that is given replaces the one before; those that are not stay."""
        new, old = usage_of(counts, raw), self._usage
        if new is None or old is None:
            self.count(new, out)
            return
        input, output = _read(new.input, old.input), _or(new.output, old.output)
        total = input + output if input is not None and output is not None else None
        cached, reasoning = _read(new.cached, old.cached), _or(new.reasoning, old.reasoning)
        self.count(Usage(input, output, total, cached, reasoning, raw=raw), out)


def _or(new: int | None, old: int | None) -> int | None:
    return old if new is None else new


def _read(new: int | None, old: int | None) -> int | None:
    return new or _or(old, new)


def _citation(cited: Any, raw: Any) -> Citation | Other:
    """Offsets of a citation are those in the document, not in the answer, and stay in `raw`."""
    url, text = string(get(cited, "url")) or string(get(cited, "source")), string(get(cited, "cited_text"))
    title = string(get(cited, "title")) or string(get(cited, "document_title"))
    if not (url or text or title):
        return Other("citation", raw=raw)
    return Citation(url, title, text, raw=raw)


def _typed(error: StreamServerError, item: Any) -> StreamServerError:
    """Anthropic's errors have a `type` for a code."""
    if error.code is None:
        error.code = string(get(get(item, "error"), "type"))
    return error
