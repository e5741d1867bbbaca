"""The stall clocks of a stream: how long it has waited for its source, and what counts as progress. Pure."""

from dataclasses import dataclass
from math import inf, isfinite
from typing import ClassVar, Literal

from typestream.errors import StallTimeout
from typestream.events import Event, ReasoningDelta, RefusalDelta, Start, TextDelta, ToolCallDelta, Usage

__all__ = ("Stall", "Timeout", "progress")


@dataclass(frozen=True, slots=True)
class Timeout:
    """How long a stream waits for its source, in seconds; None is no limit.

    Args:
        first: until the first piece.
        between: between two pieces.
        total: all waits together.

    `Timeout.INTERACTIVE` suits a person who is waiting, `Timeout.PATIENT` a job that reasons for minutes.
    """

    first: float | None = None
    between: float | None = None
    total: float | None = None

    INTERACTIVE: ClassVar["Timeout"]
    PATIENT: ClassVar["Timeout"]

    def __post_init__(self) -> None:
        for name in ("first", "between", "total"):
            limit = getattr(self, name)
            good = limit is None or (isinstance(limit, (int, float)) and isfinite(limit) and limit > 0)
            if not good:
                raise ValueError(f"timeout({name}) must be a positive number of seconds, not {limit!r}.")

    @classmethod
    def of(cls, given: "float | Timeout | None") -> "Timeout | None":
        """A `Timeout` as it is given; a number becomes the limit for the first piece and between two."""
        return given if given is None or isinstance(given, Timeout) else cls(first=given, between=given)


Timeout.INTERACTIVE = Timeout(first=30.0, between=15.0)
Timeout.PATIENT = Timeout(first=600.0, between=120.0)


class Stall:
    """The stall clocks; they run only while the stream waits for its source.

    Attributes:
        armed: whether there is a limit at all; where there is none, callers need not report events.
        grace: seconds to wait for what may follow the end of the answer; None until that end was seen.
    """

    __slots__ = (
        "_alive",
        "_first_seen",
        "_graced",
        "_heard",
        "_since",
        "_total",
        "_waited",
        "armed",
        "grace",
        "limits",
    )

    def __init__(self) -> None:
        self.limits = Timeout()
        self.armed = False
        self.grace: float | None = None
        self._since: float | None = None
        self._heard: float | None = None  # when the last wait ended, until it is known whether it brought progress
        self._waited = 0.0
        self._total = 0.0
        self._graced = 0.0
        self._first_seen = False
        self._alive = False

    def limit(self, limits: Timeout, *, begun: bool) -> None:
        """Set the limits; `begun` says whether the first piece has come already."""
        self.limits, self.armed, self._first_seen = limits, True, begun

    def spent(self, seconds: float) -> None:
        """Count the seconds for which the first piece was waited for before there was a stream."""
        self._waited += seconds
        self._total += seconds

    def heard(self, now: float) -> None:
        """The source gave something: the wait is over, whether or not it brought progress."""
        if self._since is None:
            self._since = self._heard
        if self._since is not None:
            self._spend(now)
            self._heard = now
            self._alive = True

    def held(self, now: float) -> None:
        """The stream does not wait for its source, for now."""
        self._heard = None
        if self._since is not None:
            self._spend(now)

    def _spend(self, now: float) -> None:
        spent = max(0.0, now - (self._since or 0.0))
        self._since = None
        self._waited += spent
        self._total += spent
        if self.grace is not None:
            self._graced += spent

    def progress(self, characters: int) -> None:
        """The wait brought progress; with any `characters`, the answer goes on. Before the first piece, only they
        count."""
        if not (characters or self._first_seen):
            return
        self._waited = 0.0
        if characters:
            self._graced = 0.0
        self._first_seen = True
        self._alive = False

    def go_on(self) -> None:
        """The answer had not ended after all: the limits apply again."""
        self.grace, self._graced = None, 0.0

    def waiting(self, now: float) -> float:
        """The stream waits for its source. Returns the time at which the wait has to end."""
        if self._since is None:
            # without progress the wait counts on from when something was heard: looking at it took time
            self._since, self._heard = now if self._heard is None else self._heard, None
        if self.grace is not None:
            return self._since + self.grace - self._graced
        return self._since + min(self._left())

    def _left(self) -> tuple[float, float]:
        limits = self.limits
        limit = limits.between if self._first_seen else limits.first
        return (
            inf if limit is None else limit - self._waited,
            inf if limits.total is None else limits.total - self._total,
        )

    def timeout(self) -> StallTimeout:
        """The error to raise once a limit was reached."""
        gap, total = self._left()
        kind: Literal["first", "between", "total"] = (
            "total" if total < gap else "between" if self._first_seen else "first"
        )
        limit = getattr(self.limits, kind)
        what = {"first": "nothing came", "between": "nothing new came", "total": "the answer did not end"}[kind]
        alive = ", though the source still sent signs of life" if self._alive else ""
        return StallTimeout(f"Waited {limit:g} s and {what}{alive}.", kind=kind, alive=self._alive)


def progress(event: Event) -> int | None:
    """How many characters an event brings; None if it is no progress at all."""
    if isinstance(event, (TextDelta, ReasoningDelta, RefusalDelta)):
        return len(event.text)
    if isinstance(event, ToolCallDelta):
        return len(event.arguments) + len(event.name or "") or None
    return None if isinstance(event, (Start, Usage)) else 0
