"""Taps: callables that are told of each event as it arrives, such as a recording."""

from collections.abc import Callable
from typing import TypeAlias

from typestream.decode._base import Completion
from typestream.errors import StreamTruncated
from typestream.events import Event

__all__ = ("Tap", "Told", "both", "of_a_part")

Told: TypeAlias = Event | Exception | Completion

Tap: TypeAlias = Callable[[Told, float], None]
"""Called with each event and its arrival time; at the end, with the error, or how complete the answer is."""


def both(one: Tap, other: Tap) -> Tap:
    """One tap that calls both."""

    def tap(event: Told, now: float) -> None:
        try:
            one(event, now)
        finally:
            other(event, now)

    return tap


def of_a_part(whole: Tap) -> Tap:
    """A tap that passes everything on to `whole`, but reports even a normal end as a truncated answer."""

    def tap(event: Told, now: float) -> None:
        whole(StreamTruncated("What came first is not known any more.") if isinstance(event, str) else event, now)

    return tap
