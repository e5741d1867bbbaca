"""When the pieces of an answer came, and when they were shown; arrival and display are kept apart, so that pacing
never makes the first token look late. All times are seconds."""

from collections import deque
from copy import copy
from operator import mul
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typestream.pacing._run import Run
    from typestream.result import Result

__all__ = ("Timing",)


class Timing:
    """The timing of one stream, counted from when it was first read.

    A piece has arrived when it was taken from the source. A pace that does not read ahead (`Steady`, `Typist`) takes
    the next only when nothing waits any more: `first_token` is the source's then, too, but `duration`, the gaps and the
    speeds are those of the slower of the two.

    Attributes:
        first_token: until the first piece of text, reasoning, refusal or tool call arrived; None until then.
        duration: until the last such piece arrived.
        deltas: how many such pieces arrived.
        longest_gap: the longest wait between two of them.
        first_shown: until the first text was delivered; None until then.
        shown_duration: until the last text was delivered.
        lag_mean: how long after its arrival a character was delivered, on average.
        lag_max: and at most.
        mean_gap: the mean wait between two arrivals.
        tokens_per_second, characters_per_second: how fast it arrived, after the first piece.
    """

    __slots__ = (
        "_accounted",
        "_characters",
        "_first",
        "_first_shown",
        "_lag_max",
        "_lag_sum",
        "_last",
        "_last_shown",
        "_opened",
        "_queued",
        "_result",
        "_run",
        "_shown",
        "deltas",
        "longest_gap",
    )

    def __init__(self, result: "Result") -> None:
        self._result = result
        self._opened: float | None = None
        self._first: float | None = None
        self._last = 0.0
        self._characters = 0  # of all but the first piece
        self._shown = 0
        self._first_shown: float | None = None
        self._last_shown = 0.0
        self._lag_sum = 0.0
        self._queued: deque[tuple[int, float]] | None = None  # characters that wait, and since when
        self.deltas = 0
        self.longest_gap = 0.0
        self._lag_max = 0.0
        self._run: Run | None = None
        self._accounted = 0  # of what the run has shown

    def opened(self, now: float) -> None:
        """The stream was first read."""
        if self._opened is None:
            self._opened = now

    def arrived(self, characters: int, now: float) -> None:
        """A piece of so many characters arrived."""
        if self._first is None:
            self._first = self._last = now
            characters = 0
        if now - self._last > self.longest_gap:
            self.longest_gap = now - self._last
        self._last = now
        self.deltas += 1
        self._characters += characters

    def paced(self, whether: bool) -> None:
        """From now on text waits between its arrival and its display, or not."""
        self._account()
        self._queued = deque() if whether else None

    def queued(self, characters: int, now: float) -> None:
        """So many characters wait to be shown, if text does wait."""
        if self._queued is not None and characters:
            self._queued.append((characters, now))

    def shown(self, characters: int, now: float) -> None:
        """The next so many characters were delivered."""
        if self._run is not None:
            self._account()
        if self._first_shown is None:
            self._first_shown = now
        self._last_shown = now
        self._shown += characters
        queued = self._queued
        while queued and characters:
            waiting, since = queued[0]
            lag = now - since
            if lag > 0:
                if lag > self._lag_max:
                    self._lag_max = lag
                self._lag_sum += lag * (characters if characters < waiting else waiting)
            if characters < waiting:
                queued[0] = (waiting - characters, since)
                return
            characters -= waiting
            queued.popleft()

    def follow(self, run: "Run") -> None:
        """What is shown next, and when, stands in there."""
        self._account()
        self._run, self._accounted = run, 0

    def _account(self) -> None:
        run, self._run = self._run, None
        if run is None:
            return
        begin, end = self._accounted, run.shown
        sizes, times = list(map(len, run.texts[begin:end])), run.times[begin:end]
        characters = sum(sizes)
        if self._queued and 0 < characters < self._queued[0][0]:  # all of one delta, as mostly
            waiting, since = self._queued[0]
            self._queued[0] = (waiting - characters, since)
            single = characters == len(times)
            shown_at = sum(times) if single else sum(map(mul, times, sizes))  # each character
            # in this order the mean is never more than the greatest, for who looks from another thread meanwhile
            self._lag_max = max(self._lag_max, times[-1] - since)
            self._shown += characters
            self._lag_sum += shown_at - since * characters
            self._last_shown = times[-1]
        else:
            for size, now in zip(sizes, times, strict=True):
                self.shown(size, now)
        self._accounted = end
        self._run = None if run.over else run

    def _seen(self) -> "Timing":
        """A copy that includes what the run has shown; this object stays as it is, since another thread may ask."""
        if self._run is None:
            return self
        twin = copy(self)
        twin._queued = deque(self._queued or ())
        twin._account()
        return twin

    def passed(self, characters: int, now: float) -> None:
        """So many characters arrived and were delivered at once."""
        if self._first_shown is None:
            self.arrived(characters, now)
            self.shown(characters, now)
            return
        if now - self._last > self.longest_gap:
            self.longest_gap = now - self._last
        self._last = self._last_shown = now
        self.deltas += 1
        self._characters += characters
        self._shown += characters

    @property
    def first_token(self) -> float | None:
        if self._first is None or self._opened is None:
            return None
        return self._first - self._opened

    @property
    def duration(self) -> float:
        return self._last - self._opened if self._first is not None and self._opened is not None else 0.0

    @property
    def first_shown(self) -> float | None:
        if self._first_shown is None:
            return None
        return self._first_shown - self._opened if self._opened is not None else 0.0

    @property
    def shown_duration(self) -> float:
        last = self._seen()._last_shown
        return last - self._opened if self._first_shown is not None and self._opened is not None else 0.0

    @property
    def mean_gap(self) -> float:
        """The mean wait between two arrivals."""
        return (self._last - self._first) / (self.deltas - 1) if self._first is not None and self.deltas > 1 else 0.0

    @property
    def lag_max(self) -> float:
        return self._seen()._lag_max

    @property
    def lag_mean(self) -> float:
        seen = self._seen()
        return seen._lag_sum / seen._shown if seen._shown else 0.0

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens arriving per second after the first: by the usage the source reported, else one token a delta."""
        usage = self._result.usage
        tokens = usage.output if usage is not None and usage.output else self.deltas
        return self._rate(tokens - 1)

    @property
    def characters_per_second(self) -> float | None:
        """Characters of text, reasoning and tool calls arriving per second after the first piece; None where it took no
        time."""
        return self._rate(self._characters)

    def _rate(self, count: int) -> float | None:
        span = self._last - self._first if self._first is not None else 0.0
        return count / span if span > 0 and count > 0 else None

    def __repr__(self) -> str:
        first = self.first_token
        return (
            f"Timing(first_token={first if first is None else round(first, 3)}, duration={self.duration:.3f},"
            f" lag_mean={self.lag_mean:.3f}, lag_max={self.lag_max:.3f})"
        )
