"""Renders the answer and nothing else."""

from typestream.events import Event, RefusalDelta, TextDelta
from typestream.render._neutralise import Neutraliser
from typestream.result import Result

__all__ = ("Plain",)


class Plain:
    """The text of one choice, and its refusal if there is one.

    Args:
        raw: pass the text on as it is, including control sequences: for a file or a pipe, never for a terminal.
        index: the choice to show.
    """

    def __init__(self, raw: bool = False, *, index: int = 0) -> None:
        self._safe = None if raw else Neutraliser()
        self._index = index

    def feed(self, event: Event) -> str:
        if not isinstance(event, (TextDelta, RefusalDelta)) or event.index != self._index:
            return ""
        return event.text if self._safe is None else self._safe.feed(event.text)

    def finish(self, result: Result) -> str:
        return "" if self._safe is None else self._safe.flush()
