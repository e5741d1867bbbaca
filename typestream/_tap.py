"""Who is told what a source says, as it arrives: a recording."""

from collections.abc import Callable
from typing import TypeAlias

from typestream.errors import StreamTruncated
from typestream.events import Event

__all__ = ("Tap", "both", "of_a_part")

Tap: TypeAlias = Callable[[Event | Exception | None, float], None]
"""Told of each event and when it came; at the end of the error, or None."""


def both(one: Tap, other: Tap) -> Tap:
    """One tap of two."""

    def tap(event: Event | Exception | None, now: float) -> None:
        try:
            one(event, now)
        finally:
            other(event, now)

    return tap


def of_a_part(whole: Tap) -> Tap:
    """A tap that tells `tap` everything, but calls even the normal end an answer that is not whole."""

    def tap(event: Event | Exception | None, now: float) -> None:
        whole(StreamTruncated("What came first is not known any more.") if event is None else event, now)

    return tap
