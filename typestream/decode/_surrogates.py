"""A character cut in two: some servers cut UTF-16, and each half of a surrogate pair comes in a delta of its own.

Rules: halves that belong together are joined, wherever the cut was; a half without its other half becomes U+FFFD;
a half is held back per channel (text, reasoning, refusal of a choice, arguments of a call) until its channel goes on,
its choice finishes or the stream ends, so no event overtakes another within a channel.
"""

import re
from collections.abc import Iterable
from typing import Any

from typestream.decode._base import Decoded
from typestream.events import Event, Finish, ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta

__all__ = ("JoinSurrogates", "mend")

_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_LONE = re.compile("[\ud800-\udfff]")
_TEXTUAL = (TextDelta, ReasoningDelta, RefusalDelta, ToolCallDelta)

_Key = tuple[type, int, int]


def _join(found: "re.Match[str]") -> str:
    return found[0].encode("utf-16", "surrogatepass").decode("utf-16")


def mend(text: str) -> str:
    """Text with its surrogate pairs joined and each lone surrogate replaced by U+FFFD."""
    if text.isascii():
        return text
    return _LONE.sub("�", _PAIR.sub(_join, text))


def mended(text: str) -> bool:
    """Whether there is nothing to mend."""
    return _LONE.search(text) is None


def _content(event: Any) -> str:
    return event.arguments if type(event) is ToolCallDelta else event.text


def _with(event: Any, content: str, logprobs: Any) -> Event:
    raw = event._raw
    if type(event) is ToolCallDelta:
        return ToolCallDelta(event.call, event.id, event.name, content, event.index, raw=raw)
    if type(event) is TextDelta:
        return TextDelta(content, event.index, logprobs, raw=raw)
    return type(event)(content, event.index, raw=raw)  # type: ignore[no-any-return]


class JoinSurrogates:
    """Stands behind a decoder: `feed` its events, `flush` at the end of the source."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        # The event a half came with, the half, and the log-probabilities that did not go out with the event.
        self._held: dict[_Key, tuple[Any, str, Any]] = {}

    @property
    def idle(self) -> bool:
        """Whether no half is held."""
        return not self._held

    def feed(self, events: Decoded) -> Decoded:
        """The same events, mended; the very same list where there is nothing to mend."""
        if not self._held:
            if len(events) == 1 and type(events[0]) is TextDelta and events[0].text.isascii():
                return events  # nearly always
            for event in events:
                if type(event) in _TEXTUAL and not _content(event).isascii():
                    break
            else:
                return events
        out: Decoded = []
        for event in events:
            if type(event) in _TEXTUAL:
                self._piece(event, out)
                continue
            if type(event) is Finish:
                self._release(out, (key for key in list(self._held) if key[1] == event.index))
            elif isinstance(event, Exception):
                out += self.flush()
            out.append(event)
        return out

    def flush(self) -> Decoded:
        """What was held back, each half as U+FFFD."""
        out: Decoded = []
        self._release(out, list(self._held))
        return out

    def _piece(self, event: Any, out: Decoded) -> None:
        key = (type(event), event.index, event.call if type(event) is ToolCallDelta else 0)
        content, logprobs = _content(event), getattr(event, "logprobs", None)
        held = self._held
        if content and key in held:
            _, half, before = held.pop(key)
            content = half + content
            logprobs = [*before, *(logprobs or ())] if before else logprobs
        half = content[-1:] if "\ud800" <= content[-1:] <= "\udbff" else ""
        mended = mend(content[:-1] if half else content)
        goes = bool(mended) or (type(event) is ToolCallDelta and not half) or bool(getattr(event, "name", None))
        goes = goes or bool(getattr(event, "id", None))
        if half:
            held[key] = (event, half, None if goes else logprobs)
        if goes:
            out.append(event if mended == _content(event) else _with(event, mended, logprobs))

    def _release(self, out: Decoded, keys: Iterable[_Key]) -> None:
        for key in keys:
            event, _, logprobs = self._held.pop(key)
            if key[0] is ToolCallDelta:  # its id and name went out with what came before the half
                event = ToolCallDelta(event.call, None, None, "", event.index, raw=event._raw)
            out.append(_with(event, "�", logprobs))
