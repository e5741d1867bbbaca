"""Gemini's `generateContent`: REST in camelCase, the SDK's objects in snake_case; also as one JSON array.

Rules: every candidate is a choice; a part with `thought` is reasoning; a function call comes whole; a blocked prompt
finishes with the reason of the block. Counts are the source's: `output` is without the thoughts.
Wire format: Google's `GenerateContentResponse`.
"""

from typing import Any

from typestream.decode._base import Decoded, get
from typestream.decode._fields import arguments, fields, is_record, items, number, real, server_error, string
from typestream.decode._state import Base
from typestream.events import Citation, Finish, Other, ReasoningDelta, TextDelta, ToolCallDelta, Usage

__all__ = ("GeminiDecoder", "either")

_QUIET_PARTS = frozenset(("text", "thought", "functionCall", "function_call"))


def either(record: Any, snake: str) -> Any:
    """A field under its snake_case or its camelCase name."""
    found = get(record, snake)
    if found is not None:
        return found
    head, *tail = snake.split("_")
    return get(record, head + "".join(word.capitalize() for word in tail))


class GeminiDecoder(Base):
    """Complete when every candidate that was seen has its finish reason, or the prompt was blocked."""

    def __init__(self) -> None:
        super().__init__()
        self._reasons: dict[int, str | None] = {}
        self._calls: dict[int, int] = {}
        self._cited: set[Citation] = set()

    def record(self, item: Any, raw: Any, out: Decoded) -> None:
        inner = get(item, "response")  # Code Assist wraps the very same object
        if is_record(inner) and get(item, "candidates") is None:
            item = inner
        candidates = items(get(item, "candidates"))
        for place, candidate in enumerate(candidates):
            if is_record(candidate):
                index = number(get(candidate, "index"))
                self._candidate(candidate, place if index is None else index, raw, out)
        self._usage_metadata(either(item, "usage_metadata"), raw, out)
        blocked = real(either(either(item, "prompt_feedback"), "block_reason"))
        if blocked and not any(self._reasons.values()):
            self._reasons[0] = blocked
            out.append(Finish(blocked, raw=raw))
        if self._reasons and all(self._reasons.values()):
            self.confirm()
        error = server_error(item)
        if error is not None:
            out.append(error)
        self.opening.open(either(item, "response_id"), either(item, "model_version"), out, raw)

    def _candidate(self, candidate: Any, index: int, raw: Any, out: Decoded) -> None:
        self._reasons.setdefault(index, None)
        for part in items(get(get(candidate, "content"), "parts")):
            self._part(part, index, raw, out)
        self._citations(candidate, index, raw, out)
        reason = real(either(candidate, "finish_reason"))
        if reason and self._reasons[index] is None:
            self._reasons[index] = reason
            out.append(Finish(reason, index, raw=raw))

    def _part(self, part: Any, index: int, raw: Any, out: Decoded) -> None:
        text = string(get(part, "text"))
        if text:
            thought = get(part, "thought") is True
            out.append(ReasoningDelta(text, index, raw=raw) if thought else TextDelta(text, index, raw=raw))
        call = either(part, "function_call")
        if is_record(call):
            number = self._calls[index] = self._calls.get(index, -1) + 1
            id, name = string(get(call, "id")), string(get(call, "name"))
            args = get(call, "args")
            out.append(ToolCallDelta(number, id, name, arguments({} if args is None else args), index, raw=raw))
        for name, value in fields(part).items():
            if name not in _QUIET_PARTS and value is not None and value != "":
                out.append(Other(name, index, raw=raw))

    def _citations(self, candidate: Any, index: int, raw: Any, out: Decoded) -> None:
        metadata = either(candidate, "citation_metadata")
        cited = items(get(metadata, "citations")) or items(either(metadata, "citation_sources"))
        for one in cited:
            url, title = string(get(one, "uri")), string(get(one, "title"))
            start, end = number(either(one, "start_index")), number(either(one, "end_index"))
            self._cite(Citation(url, title, None, start, end, index, raw=raw), out)
        for chunk in items(either(either(candidate, "grounding_metadata"), "grounding_chunks")):
            for place in ("web", "retrieved_context", "maps"):
                found = either(chunk, place)
                if is_record(found):
                    url, title = string(get(found, "uri")), string(get(found, "title"))
                    self._cite(Citation(url, title, None, None, None, index, raw=raw), out)

    def _cite(self, found: Citation, out: Decoded) -> None:
        if (found.url or found.title) and found not in self._cited:
            self._cited.add(found)
            out.append(found)

    def _usage_metadata(self, counts: Any, raw: Any, out: Decoded) -> None:
        names = ("prompt", "candidates", "total", "cached_content", "thoughts")
        given, output, total, cached, thoughts = (number(either(counts, f"{name}_token_count")) for name in names)
        if given is not None or output is not None or total is not None:
            self.count(Usage(given, output, total, cached, thoughts, raw=raw), out)
