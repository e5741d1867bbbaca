"""Taps: callables that are told of each event as it arrives, such as a recording."""

from collections.abc import Callable
from typing import TypeAlias

from typestream.errors import StreamTruncated
from typestream.events import Event

__all__ = ("Tap", "both", "of_a_part")

Tap: TypeAlias = Callable[[Event | Exception | None, float], None]
"""Called with each event and its arrival time; at the end, with the error or None."""


def both(one: Tap, other: Tap) -> Tap:
    """One tap that calls both."""

    def tap(event: Event | Exception | None, now: float) -> None:
        try:
            one(event, now)
        finally:
            other(event, now)

    return tap


def of_a_part(whole: Tap) -> Tap:
    """A tap that passes everything on to `whole`, but reports even a normal end as a truncated answer."""

    def tap(event: Event | Exception | None, now: float) -> None:
        whole(StreamTruncated("What came first is not known any more.") if event is None else event, now)

    return tap
