"""Gemini's `generateContent`: REST in camelCase, the SDK's objects in snake_case; also as one JSON array.

Rules: every candidate is a choice; a part with `thought` is reasoning; a function call comes whole, or is put together
of its `partialArgs` and said when it is; a blocked prompt finishes with the reason of the block. Counts are the
source's: `output` is without the thoughts.
Wire format: Google's `GenerateContentResponse`.
"""

import re
from itertools import pairwise
from typing import Any, Final

from typestream.decode._base import Decoded, get
from typestream.decode._fields import arguments, dump, fields, is_record, items, number, real, string
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


_NEW: Final = object()
_DEPTH = 64
_STEP = re.compile(r"""\.([^.*\[\]]+)|\[(\d+)\]|\['([^']*)'\]|\["([^"]*)"\]""")


def _steps(path: Any) -> list[str | int]:
    """The names and places of a JSONPath.

    Raises:
        ValueError: it is none, or of those that can match more than one value.
    """
    steps: list[str | int] = []
    at = 1
    while isinstance(path, str) and path.startswith("$") and at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            break
        name, place, *quoted = step.groups()
        steps.append(int(place) if place else next(filter(None, (name, *quoted)), ""))
        at = step.end()
    if not steps or at < len(path) or len(steps) > _DEPTH:
        raise ValueError(path)
    return steps


def _value(partial: Any) -> Any:
    for name in ("string_value", "number_value", "bool_value"):
        found = either(partial, name)
        if found is not None:
            return found
    return None


class _OpenCall:
    """A call whose arguments come in parts, each with its place."""

    def __init__(self, number: int, args: Any) -> None:
        self.number = number
        self.args: Any = {**fields(args)}
        self.whole = True  # every part had a place that could be made out

    def put(self, partial: Any) -> None:
        """Put a part in its place.

        Raises:
            ValueError, TypeError: it has none in what came before.
        """
        steps = _steps(either(partial, "json_path"))
        into, last, value = self.args, steps[-1], _value(partial)
        for step, following in pairwise(steps):
            into = _into(into, step, {} if isinstance(following, str) else [])
        before = _into(into, last, _NEW)
        if isinstance(before, str) and isinstance(value, str):
            into[last] = before + value
        elif value is not None or before is _NEW:
            into[last] = value


def _into(record: Any, step: str | int, new: Any) -> Any:
    """What is there, or `new` once it is put there."""
    if isinstance(step, str) and isinstance(record, dict):
        return record.setdefault(step, new)
    if isinstance(step, int) and isinstance(record, list) and step <= len(record):
        record += [new] if step == len(record) else []
        return record[step]
    raise ValueError(step)


class GeminiDecoder(Base):
    """Complete when every candidate that was seen has its finish reason, or the prompt was blocked."""

    def __init__(self) -> None:
        super().__init__()
        self._reasons: dict[int, str | None] = {}
        self._calls: dict[int, int] = {}
        self._open: dict[int, _OpenCall] = {}
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
        elif self.completion == "complete":
            self.reopen()
        self.fail(item, out)
        self.opening.open(either(item, "response_id"), either(item, "model_version"), out, raw)

    def _candidate(self, candidate: Any, index: int, raw: Any, out: Decoded) -> None:
        self._reasons.setdefault(index, None)
        for part in items(get(get(candidate, "content"), "parts")):
            self._part(part, index, raw, out)
        self._citations(candidate, index, raw, out)
        reason = real(either(candidate, "finish_reason"))
        if reason:
            self._close(index, raw, out)
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
            self._call(call, index, raw, out)
        for name, value in fields(part).items():
            if name not in _QUIET_PARTS and value is not None and value != "":
                out.append(Other(name, index, raw=raw))

    def _call(self, call: Any, index: int, raw: Any, out: Decoded) -> None:
        id, name, args = string(get(call, "id")), string(get(call, "name")), get(call, "args")
        partial, more = items(either(call, "partial_args")), either(call, "will_continue") is True
        if name or index not in self._open:
            if not (id or name or args or partial):
                out.append(Other("functionCall", index, raw=raw))
                return
            self._close(index, raw, out)
            number = self._calls[index] = self._calls.get(index, -1) + 1
            text = "" if partial or more else arguments({} if args is None else args)
            out.append(ToolCallDelta(number, id, name, text, index, raw=raw))
            if text:
                return
            self._open[index] = _OpenCall(number, args)
        for one in partial:
            try:
                self._open[index].put(one)
            except (ValueError, TypeError):
                self._open[index].whole = False
                out.append(Other("partialArgs", index, raw=raw))
        if not more:
            self._close(index, raw, out)

    def _close(self, index: int, raw: Any, out: Decoded) -> None:
        """Say the arguments that were put together; none where a part of them is missing."""
        call = self._open.pop(index, None)
        if call is not None and call.whole:
            out.append(ToolCallDelta(call.number, arguments=dump(call.args), index=index, raw=raw))

    def end(self) -> Decoded:
        """The arguments of calls that nothing closed."""
        out: Decoded = []
        for index in list(self._open):
            self._close(index, None, out)
        return out

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
