"""A recording at its own pace: every event when it came, and not only text."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from typestream.events import Event
from typestream.pacing._policies import check
from typestream.pacing._policy import Moment, Pacing

__all__ = ("AsRecorded", "RecordedSchedule", "recorded_at")


@dataclass(frozen=True, slots=True)
class AsRecorded(Pacing):
    """The arrival times of a recording, scaled: for `replay(path)` and `replay(recording)`. What was not recorded is
    shown as it comes.

    Args:
        speed: 2.0 is twice as fast.
    """

    speed: float = 1.0
    per: object = field(default="delta", init=False, repr=False)

    def __post_init__(self) -> None:
        check("AsRecorded(speed)", self.speed)

    def delay(self, piece: str, moment: Moment) -> float:
        return 0.0


def recorded_at(event: Event) -> float | None:
    """When an event that was read from a recording had arrived, in seconds; None for other events."""
    line: Any = event.raw
    at = line.get("t") if type(line) is dict and "event" in line else None
    return float(at) if isinstance(at, (int, float)) else None


class RecordedSchedule:
    """What `Schedule` is for other policies, with its methods: each event is due when it came."""

    def __init__(self, policy: AsRecorded) -> None:
        self._speed = policy.speed
        self._queue: deque[tuple[float | None, Event]] = deque()
        self._start: float | None = None
        self._skipping = False

    @property
    def waiting(self) -> int:
        return len(self._queue)

    backlog = waiting

    def feed(self, event: Event, now: float) -> None:
        """An event has been read."""
        at = recorded_at(event)
        if self._start is None:  # of what was recorded before this one, nothing is waited for
            self._start = now - (at or 0.0) / self._speed
        self._queue.append((at, event))

    def end(self, now: float) -> None:
        """Nothing more will be read."""

    def follow(self, before: "RecordedSchedule", now: float) -> None:
        """Go on from where the recording was at another speed."""
        if before._start is not None and not before._skipping:
            self._start = now - (now - before._start) * before._speed / self._speed

    def skip(self) -> None:
        """Everything is due at once from now on."""
        self._skipping = True

    def resume(self, seconds: float, now: float) -> None:
        """So long was the stream paused, until now."""
        if self._start is not None:
            self._start = min(self._start + seconds, now)

    def poll(self, now: float) -> Event | float | None:
        """What is due now; or when the next event is; or None, when nothing waits."""
        if not self._queue:
            return None
        at, event = self._queue[0]
        if at is not None and self._start is not None and not self._skipping:
            due = self._start + at / self._speed
            if due > now:
                return due
        self._queue.popleft()
        return event
