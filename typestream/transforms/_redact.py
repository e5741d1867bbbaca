"""Redaction that cannot be cut through."""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace

from typestream.events import Citation, Event, ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta
from typestream.transforms._lines import Lines, Piece
from typestream.transforms._prefix import Unknown, looks_back, unfinished

__all__ = ("Redact",)

_CONTEXT = 1024
"""How many characters before a match are kept at least, for what looks back."""


class Redact(Lines):
    """Replaces every match of a pattern in the texts of a stream: the answer, the reasoning, the refusal.

    Only what is the same for every continuation is ever passed on: what was shown at any time is the beginning of
    what is shown in the end, and that is the whole text with all matches replaced, as `re.sub` replaces them. So text
    is held back where a match may have begun, until it is decided: for `sk-\\w+` the few characters of a key, for a
    pattern with `.*` perhaps all that follows. When the stream breaks off, what is still held back is not shown.

    Each choice's text, reasoning and refusal is looked at by itself, as one text, whatever came between its pieces.
    `raw` and `logprobs` are dropped from all events, since they hold the text too.

    Args:
        pattern: a regular expression, compiled or not, or several strings that are taken as they are (each as long as
            possible). Matches of nothing are ignored.
        replacement: what stands in the place of a match, or a function that makes it of one.
        arguments: look into the arguments of tool calls as well.

    Raises:
        re.error: the pattern is no regular expression.
        ValueError: there is no string to look for, or an empty one.
        TypeError: the pattern is not one of text.
    """

    discards = True

    def __init__(
        self,
        pattern: "str | re.Pattern[str] | Iterable[str]",
        replacement: "str | Callable[[re.Match[str]], str]" = "█",
        *,
        arguments: bool = False,
    ) -> None:
        self._pattern = _compiled(pattern)
        self._replace = replacement if callable(replacement) else lambda _: replacement
        try:
            open_, context = unfinished(self._pattern), looks_back(self._pattern)
        except Unknown:
            context = 0
            open_ = re.compile(r"[\s\S]|\Z")  # nothing is known before the end
        kinds: tuple[type[Event], ...] = (TextDelta, ReasoningDelta, RefusalDelta)
        super().__init__(
            lambda: _Redactor(self._pattern, open_, self._replace, max(context, _CONTEXT)),
            kinds + ((ToolCallDelta,) if arguments else ()),
        )

    def passed(self, event: Event) -> list[Event]:
        if isinstance(event, TextDelta):
            return [TextDelta(event.text, event.index)]
        if isinstance(event, Citation):
            return [replace(event, title=self._sub(event.title), text=self._sub(event.text), raw=None)]
        return [replace(event, raw=None)]

    def _sub(self, text: str | None) -> str | None:
        return None if text is None else self._pattern.sub(lambda match: self._replace(match) if match[0] else "", text)


def _compiled(pattern: "str | re.Pattern[str] | Iterable[str]") -> "re.Pattern[str]":
    if isinstance(pattern, str):
        return re.compile(pattern)
    if not isinstance(pattern, re.Pattern):
        strings = sorted(pattern, key=len, reverse=True)
        if not strings or "" in strings:
            raise ValueError("Redact needs at least one string to look for, and none that is empty.")
        return re.compile("|".join(map(re.escape, strings)))
    if not isinstance(pattern.pattern, str):
        raise TypeError("Redact needs a pattern of text, not of bytes.")
    return pattern


class _Redactor:
    """One line. `text[:at]` is decided and kept as context only; `again` is how long the text must be for another
    look, which keeps a long wait linear."""

    def __init__(
        self,
        pattern: "re.Pattern[str]",
        open_: "re.Pattern[str]",
        replace: "Callable[[re.Match[str]], str]",
        context: int,
    ) -> None:
        self._pattern = pattern
        self._open = open_
        self._replace = replace
        self._context = context
        self._new: list[str] = []
        self._text = ""
        self._at = 0
        self._length = 0
        self._again = 0

    def feed(self, text: str) -> list[Piece]:
        self._new.append(text)
        self._length += len(text)
        return self._look(final=False) if self._length >= self._again else []

    def flush(self) -> list[Piece]:
        return self._look(final=True)

    def _look(self, final: bool) -> list[Piece]:
        self._text += "".join(self._new)
        self._new.clear()
        pieces: list[Piece] = []
        while True:
            match = self._match()
            open_ = len(self._text) if final else self._open_at()
            if match is None or match.start() >= open_:
                self._keep(open_, pieces)
                break
            self._keep(match.start(), pieces)
            pieces.append(Piece(match.end() - match.start(), self._replace(match)))
            self._at = match.end()
        self._forget()
        return pieces

    def _match(self) -> "re.Match[str] | None":
        """The next match that is not empty; where one is, another may begin at the same place."""
        return next((match for match in self._pattern.finditer(self._text, self._at) if match[0]), None)

    def _open_at(self) -> int:
        found = self._open.search(self._text, self._at)
        return len(self._text) if found is None else found.start()

    def _keep(self, end: int, pieces: list[Piece]) -> None:
        if end > self._at:
            pieces.append(Piece(end - self._at, self._text[self._at : end]))
            self._at = end

    def _forget(self) -> None:
        """Drop what is no longer needed, and say when it is worth while to look again."""
        if self._at > 4 * self._context:
            self._text = self._text[self._at - self._context :]
            self._at = self._context
        self._length = len(self._text)
        held = self._length - self._at
        self._again = self._length + held // 8
