"""The transforms that come with typestream, all but `Redact`."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from typestream.events import (
    Citation,
    Event,
    Finish,
    Other,
    ReasoningDelta,
    RefusalDelta,
    Start,
    TextDelta,
    ToolCallDelta,
)
from typestream.render._neutralise import Neutraliser, neutralise
from typestream.transforms._base import Transform
from typestream.transforms._lines import Lines, Piece

__all__ = ("Limit", "Moderate", "Sanitize", "SplitReasoning", "StopAt", "Uncumulate")


def _kept(text: str) -> list[Piece]:
    return [Piece(len(text), text)] if text else []


def _dropped(text: str) -> list[Piece]:
    return [Piece(len(text), "")] if text else []


def open_end(text: str, strings: Sequence[str]) -> int:
    """How many characters at the end of `text` may be the beginning of one of the strings."""
    longest = min(len(text), max(map(len, strings), default=1) - 1)
    for size in range(longest, 0, -1):
        tail = text[-size:]
        if any(len(each) > size and each.startswith(tail) for each in strings):
            return size
    return 0


class StopAt(Lines):
    """Ends the answer where one of the strings begins, which is never shown, with the finish reason `"stop"`.

    As with the `stop` of a request, the string that is complete first counts; of two that end together, the longer.
    The rest of the source is not read, so that usage that comes last is not known.

    Args:
        strings: what to stop at, none of them empty.
        choices: how many choices the source gives; the stream ends when that many were stopped, and none that has begun
            goes on.

    Raises:
        ValueError: there is no string, or an empty one.
    """

    def __init__(self, *strings: str, choices: int = 1) -> None:
        if not strings or "" in strings:
            raise ValueError("StopAt needs at least one string, and none that is empty.")
        super().__init__(lambda: _Stopper(strings), choices=choices)


class _Stopper:
    def __init__(self, strings: tuple[str, ...]) -> None:
        self._strings = strings
        self._held = ""
        self._done = False

    def feed(self, text: str) -> list[Piece]:
        if self._done:
            return _dropped(text)
        text = self._held + text
        found = [(at + len(each), at) for each in self._strings if (at := text.find(each)) >= 0]
        if found:
            self._done = True
            at = min(found)[1]
            return [*_kept(text[:at]), Piece(len(text) - at, "stop", Finish)]
        keep = len(text) - open_end(text, self._strings)
        self._held = text[keep:]
        return _kept(text[:keep])

    def flush(self) -> list[Piece]:
        return [] if self._done else _kept(self._held)


class Limit(Lines):
    """Ends each choice's answer after so many characters (code points), with the finish reason `"length"`.

    An answer that is exactly as long is not cut and keeps its own finish reason.

    Args:
        characters: how many to show.
        choices: how many choices the source gives; the stream ends when that many were cut, and none that has begun
            goes on.

    Raises:
        ValueError: `characters` is negative.
    """

    def __init__(self, characters: int, *, choices: int = 1) -> None:
        if characters < 0:
            raise ValueError("Limit needs a number of characters that is not negative.")
        super().__init__(lambda: _Limiter(characters), choices=choices)


class _Limiter:
    def __init__(self, left: int) -> None:
        self._left = left

    def feed(self, text: str) -> list[Piece]:
        shown, cut = text[: self._left], text[self._left :]
        self._left -= len(shown)
        return [*_kept(shown), *([Piece(len(cut), "length", Finish)] if cut else [])]

    def flush(self) -> list[Piece]:
        return []


class SplitReasoning(Lines):
    """Makes what stands between two tags in the text reasoning. For local models that write `<think>…</think>`.

    The tags and the white space after the closing one are dropped; a closing tag that nothing opened is dropped too.
    What a tag quotes, in code for example, cannot be told from a tag.

    Args:
        open: the opening tag.
        close: the closing tag.
        inside: the answer begins inside, as where the prompt ended in the opening tag.

    Raises:
        ValueError: a tag is empty.
    """

    def __init__(self, open: str = "<think>", close: str = "</think>", *, inside: bool = False) -> None:
        if not open or not close:
            raise ValueError("SplitReasoning needs two tags that are not empty.")
        super().__init__(lambda: _Splitter(open, close, inside))


class _Splitter:
    def __init__(self, open: str, close: str, inside: bool) -> None:
        self._open = open
        self._close = close
        self._inside = inside
        self._trim = False
        self._held = ""

    def feed(self, text: str) -> list[Piece]:
        text, self._held = self._held + text, ""
        pieces: list[Piece] = []
        while text:
            tags = (self._close,) if self._inside else (self._open, self._close)
            # The tag that is complete first counts, since a later end cannot be seen yet when it comes in pieces.
            end, at, tag = min(
                ((at + len(tag), at, tag) for tag in tags if (at := text.find(tag)) >= 0), default=(0, 0, "")
            )
            if not tag:
                keep = len(text) - open_end(text, tags)
                self._held = text[keep:]
                return pieces + self._piece(text[:keep])
            pieces += [*self._piece(text[:at]), Piece(len(tag), "")]
            self._inside, self._trim = tag == self._open, tag == self._close
            text = text[end:]
        return pieces

    def flush(self) -> list[Piece]:
        return self._piece(self._held)

    def _piece(self, text: str) -> list[Piece]:
        if self._inside:
            return [Piece(len(text), text, ReasoningDelta)] if text else []
        if not self._trim:
            return _kept(text)
        rest = text.lstrip()
        self._trim = not rest
        return [*_dropped(text[: len(text) - len(rest)]), *_kept(rest)]


class Sanitize(Lines):
    """Makes control characters, escape sequences and what reverses the reading direction visible, in all texts.

    For streams whose text goes somewhere that does not do so itself; the renderers do.
    """

    def __init__(self) -> None:
        super().__init__(_Sanitizer, (TextDelta, ReasoningDelta, RefusalDelta))

    def passed(self, event: Event) -> list[Event]:
        names = _NAMES.get(type(event), ())
        dirty = {name: safe for name in names if (safe := _safe(value := getattr(event, name))) != value}
        return [replace(event, **dirty, raw=None)] if dirty else [event]  # type: ignore[arg-type]


_NAMES: dict[type[Event], tuple[str, ...]] = {
    Start: ("id", "model"),
    ToolCallDelta: ("id", "name", "arguments"),
    Citation: ("url", "title", "text"),
    Finish: ("reason",),
    Other: ("kind",),
}


def _safe(text: str | None) -> str | None:
    return None if text is None else neutralise(text)


class _Sanitizer:
    def __init__(self) -> None:
        self._safe = Neutraliser()
        self._held = 0

    def feed(self, text: str) -> list[Piece]:
        pieces: list[Piece] = []
        # What was held back is settled by one character more, as a piece of its own, so that it keeps its place.
        parts = (text[:1], text[1:]) if self._held else (text,)
        for part in filter(None, parts):
            came, self._held = self._held + len(part), 0
            shown = self._safe.feed(part)
            self._held = self._safe.held
            if came > self._held:
                pieces.append(Piece(came - self._held, shown))
        return pieces

    def flush(self) -> list[Piece]:
        return [Piece(self._held, self._safe.flush())] if self._held else []


class Moderate(Lines):
    """Holds text back until a check has passed it; otherwise ends the stream with the finish reason `"content_filter"`.

    What has not been checked is never shown, not even when the stream breaks off. Only the answer's text is checked.

    Args:
        check: given the text of a choice so far, says whether it may be shown.
        every: how many characters more there must be for another check; there is one at the end in any case.

    Raises:
        ValueError: `every` is less than 1.
    """

    discards = True

    def __init__(self, check: Callable[[str], bool], every: int = 200) -> None:
        if every < 1:
            raise ValueError("Moderate needs to check every 1 character or more.")
        super().__init__(lambda: _Moderator(check, every))


class _Moderator:
    def __init__(self, check: Callable[[str], bool], every: int) -> None:
        self._check = check
        self._every = every
        self._passed = ""
        self._held = ""
        self._done = False

    def feed(self, text: str) -> list[Piece]:
        self._held += text
        pieces: list[Piece] = []
        while len(self._held) >= self._every and not self._done:
            pieces += self._pass(self._every)
        return pieces

    def flush(self) -> list[Piece]:
        return self._pass(len(self._held)) if self._held and not self._done else []

    def _pass(self, count: int) -> list[Piece]:
        piece, rest = self._held[:count], self._held[count:]
        self._passed += piece
        if not self._check(self._passed):
            self._done = True
            return [Piece(len(self._held), "content_filter", Finish)]
        self._held = rest
        return _kept(piece)


class Uncumulate(Transform):
    """For sources whose deltas repeat everything so far: passes on what is new in each.

    A delta that does not begin with all that came before it is new as a whole. This cannot be told from an answer that
    really repeats itself from its beginning, and is thus never done unasked.
    """

    def __init__(self) -> None:
        self._so_far: dict[tuple[type[Event], int], str] = {}

    def feed(self, event: Event) -> list[Event]:
        if not isinstance(event, (TextDelta, ReasoningDelta, RefusalDelta)):
            return [event]
        key = (type(event), event.index)
        before = self._so_far.get(key, "")
        if not before or not event.text.startswith(before):
            self._so_far[key] = before + event.text
            return [event]
        self._so_far[key] = event.text
        new = event.text[len(before) :]
        return [replace(event, text=new, raw=None)] if new else []
