"""`Smooth`: text at the source's own speed, evenly, and never later than the budget allows.

Three rules give the rate at any moment. The *floor* is the slowest rate at which every waiting piece meets its
deadline: a contract. The *ceiling* is the rate at which what waits lasts until the next burst is expected. Between
the two, the source's own rate as estimated so far, a little more where more waits than is useful.

The best that could be done by somebody who knows the future is a string pulled taut between "all that has arrived" and
"all that is due"; this is the same string, pulled between what is due and what is expected.
"""

from collections import deque
from dataclasses import dataclass, field
from math import exp, inf, sqrt

from typestream.pacing._policies import check
from typestream.pacing._policy import HOLD, Moment, Pace, Pacing, Planning
from typestream.pacing._schedule import TICK
from typestream.pacing._segment import check_per

__all__ = ("Smooth",)

SLOWEST = 1 / 0.19
"""Pieces a second while any wait: a pause of more than 0.2 s is seen as a freeze."""

EXACT = 1e-9
"""Seconds; sums of floats are not more exact."""

FASTEST = 1e4
"""Pieces a second; what is faster counts no more than that towards the mean."""

# Chosen by random search over generated traces of several kinds and many seeds; `python -m tests.benchmarks.pacing`
# shows what they give. None is critical: a fifth more or less moves the figures by a few hundredths at most.
FIRST_GAP = 0.5  # seconds from the first burst to the second, while nothing is known
ONE_BURST = 0.0065  # seconds; closer arrivals are one burst; whole milliseconds are common, and never just that
WINDOW_GAPS, WINDOW_LEAST, WINDOW_MOST = 13.0, 0.7, 10.0  # memory of the rate: so many gaps, seconds, seconds
REMEMBERED = 30  # gaps, for their mean and spread
STALL_GAPS, STALL, FIRST_STALL = 8.0, 0.2, 1.0  # a longer silence is a stall, and says nothing about the rate: seconds
DOUBT = 0.1  # of max_lag: at first the rate is taken for less than it seems
LATE_SPREAD = 0.35  # the next burst is expected so many deviations after the mean gap
STILL = 0.05  # and when it is overdue, in so many gaps
USEFUL_GAPS, USEFUL_SHARE = 3.0, 0.66  # backlog worth having: so many gaps' worth, at most so much of max_lag
PATIENCE = 2.5  # seconds in which what is more than that is worked off


@dataclass(frozen=True, slots=True)
class Smooth(Pacing):
    """Adaptive: as even as the source allows within a lag budget, which is a contract.

    The first piece goes out at once. No piece is shown later than `max_lag` after its arrival, nor later than `tail`
    after the source has ended, but for the least time between two emissions (3 ms). Evenness costs lag: the more is
    allowed, the evener the text.

    Args:
        max_lag: seconds after its arrival at which a piece is shown at the latest.
        tail: seconds after the end of the source at which the last piece is shown at the latest.
        per: what a piece is.
    """

    max_lag: float = 0.4
    tail: float = 0.3
    per: object = "grapheme"
    hold: float = field(init=False, repr=False, compare=False)
    read_ahead = True
    adaptive = True

    def __post_init__(self) -> None:
        check("Smooth(max_lag)", self.max_lag)
        check("Smooth(tail)", self.tail, zero=True)
        check_per(self.per)
        object.__setattr__(self, "hold", min(HOLD, self.max_lag / 2))

    def start(self) -> Pace:
        return _SmoothPace(self.max_lag, max(0.0, self.tail - TICK))


class _SmoothPace(Planning):
    """The policy at work: deadlines on the one side, expectations on the other."""

    def __init__(self, max_lag: float, tail: float) -> None:
        self._max_lag = max_lag
        self._tail = tail
        self._due = _Deadlines()
        self._source = _Source(max_lag)
        self._ended = False
        self._shown = 0
        self._rates: list[float] = []  # last answered
        self._squares = 0.0  # of the rate, summed over time, until so many had been shown

    def arrived(self, pieces: int, at: float) -> None:
        self._due.add(pieces, at + self._max_lag)
        self._source.arrived(pieces, at)

    def ended(self, at: float) -> None:
        self._ended = True
        self._due.add(0, at + self._tail)

    def delay(self, piece: str, moment: Moment) -> float:
        return self.delays(1, moment)[0]

    def delays(self, pieces: int, moment: Moment) -> list[float]:
        # min() and max() are spelt out wherever this is asked for every piece: it is half the cost
        waiting, due, now = len(moment.arrivals), moment.due, moment.now
        shown = self._due.total - waiting
        rates = self._rates
        if shown > self._shown:  # at the rates last answered
            done = shown - self._shown
            more = done - len(rates)
            self._squares += sum(rates[:done]) + (more * rates[-1] if more > 0 and rates else 0.0)
            self._shown = shown
            self._due.forget(done)
        rates.clear()
        squares = self._squares
        self._due.begin(now, shown)
        delays: list[float] = []
        for at in range(pieces):
            rate = self._wanted(waiting - at, now, squares)
            floor = self._due.rate(now, shown + at)
            if rate < floor:
                rate = floor
            if rate < SLOWEST:
                rate = SLOWEST
            delay = 1 / rate
            delays.append(delay)
            if rate > FASTEST:
                rate = FASTEST
            rates.append(rate)
            squares += rate
            due += delay
            if due > now:
                now = due
        return delays

    def _wanted(self, waiting: int, now: float, squares: float) -> float:
        """The rate without any deadline, pieces a second."""
        if self._ended:
            # the root mean square: with it what is left neither stretches the whole nor stands out from it; as if there
            # had been nothing before, where there was not much: a whole answer may come in a few packets
            return sqrt(squares / (now if now > FIRST_GAP else FIRST_GAP))
        source = self._source
        gap = source.gap
        if not gap:
            return waiting / max(FIRST_GAP - now, FIRST_GAP / 5)
        rate = source.rate(now)
        # what has been shown since the last arrival would soon have arrived, had the source no bursts
        since = now - source.last
        backlog = waiting + rate * (since if since < gap else gap)
        most, useful = USEFUL_SHARE * self._max_lag, USEFUL_GAPS * gap
        over = backlog - rate * (useful if useful < most else most)
        wanted = rate + over / PATIENCE if over > 0 else rate
        ceiling = waiting / source.remaining(now)
        return ceiling if ceiling < wanted else wanted


class _Deadlines:
    """By when how many pieces must have been shown: the corners that can still matter, a concave chain.

    Every piece asked about costs O(1), amortised; no more corners are kept than different arrival times within
    `max_lag`.
    """

    __slots__ = ("_corners", "_mattered", "_new", "total")

    def __init__(self) -> None:
        self.total = 0
        self._corners: deque[tuple[float, int]] = deque()
        self._new: list[tuple[float, int]] = []  # since `begin`
        self._mattered: list[int] = []  # which corner did, for each piece asked about since `begin`

    def add(self, pieces: int, by: float) -> None:
        """So many more pieces; all pieces so far are due by then."""
        self.total += pieces
        self._new.append((by, self.total))

    def begin(self, now: float, shown: int) -> None:
        """So many have been shown, and `rate` is to be asked from now on."""
        corners = self._corners
        while corners and corners[0][1] <= shown:
            corners.popleft()
        overdue = 0
        while corners and corners[0][0] < now:
            overdue = corners.popleft()[1]
        if overdue:
            corners.appendleft((now, overdue))
        # only now is it known where the chain begins, and by that which corners are below it
        for by, total in self._new:
            self._append(by if by > now else now, total)
        self._new.clear()
        self._mattered.clear()

    def _append(self, by: float, total: int) -> None:
        corners = self._corners
        while corners and corners[-1][0] >= by:
            corners.pop()
        while len(corners) > 1:
            (t0, n0), (t1, n1) = corners[-2], corners[-1]
            if (n1 - n0) * (by - t1) > (total - n1) * (t1 - t0):
                break
            corners.pop()
        corners.append((by, total))

    def forget(self, shown: int) -> None:
        """So many of the pieces asked about since `begin` were shown: the corners before the one that mattered for the
        last of them will not again."""
        mattered = self._mattered[:shown]
        for _ in range(mattered[-1] if mattered else 0):
            self._corners.popleft()

    def rate(self, at: float, shown: int) -> float:
        """The least rate that meets every deadline, pieces a second, with so many shown at that time; never fewer
        than were asked about before."""
        corners, mattered = self._corners, self._mattered
        corner = mattered[-1] if mattered else 0
        by, total = corners[corner]
        while total <= shown:
            corner += 1
            by, total = corners[corner]
        while True:
            rate = (total - shown) / (by - at) if by > at + EXACT else inf
            # a later corner may ask for more; from then on this one matters no more
            following = corner + 1
            if rate == inf or following == len(corners):
                break
            later, all_by_then = corners[following]
            if rate * (later - at) >= all_by_then - shown:
                break
            corner, by, total = following, later, all_by_then
        mattered.append(corner)
        return rate


class _Source:
    """How fast the source is and how it bursts, estimated in constant space.

    The rate is a ratio of sums, finished bursts over the time from each one's beginning to the next's, the older ones
    counting less; means of per-arrival rates would be biased by the bursts.

    Attributes:
        gap: mean seconds from one burst to the next; 0 before the second.
        last: when something arrived last.
    """

    __slots__ = ("_began", "_burst", "_doubt", "_gaps", "_pieces", "_seconds", "_spread", "_window", "gap", "last")

    def __init__(self, max_lag: float) -> None:
        self.gap = 0.0
        self.last = -inf
        self._began = 0.0  # when the burst did that may still go on
        self._burst = 0  # its pieces
        self._gaps = 0
        self._spread = 0.0  # mean deviation of the gaps, seconds
        self._pieces = self._seconds = 0.0
        self._window = WINDOW_LEAST
        self._doubt = DOUBT * max_lag  # seconds

    def arrived(self, pieces: int, at: float) -> None:
        if at - self.last > ONE_BURST:
            if self._burst:
                self._finish(at - self._began)
            self._began = at
            self._burst = 0
        self._burst += pieces
        self.last = max(at, self.last)

    def _finish(self, gap: float) -> None:
        gap = min(gap, STALL_GAPS * self.gap + STALL if self.gap else FIRST_STALL)
        self._gaps = min(self._gaps + 1, REMEMBERED)
        off = gap - self.gap if self.gap else 0.0
        self.gap = self.gap + off / self._gaps if self.gap else gap
        self._spread += (abs(off) - self._spread) / self._gaps
        self._window = min(max(WINDOW_GAPS * self.gap, WINDOW_LEAST), WINDOW_MOST)
        fade = exp(-gap / self._window)
        self._pieces = self._pieces * fade + self._burst
        self._seconds = self._seconds * fade + gap
        self._doubt *= fade

    def rate(self, now: float) -> float:
        """Pieces a second."""
        pieces, seconds = self._pieces, self._seconds + self._doubt
        since = now - self._began
        if since > self.gap:  # a long burst or a long silence says something too
            weight = 1 - self.gap / since
            pieces += self._burst * weight
            seconds += since * weight
        return pieces / seconds

    def remaining(self, now: float) -> float:
        """Seconds until the next burst, by experience; never quite 0."""
        expected = self._began + self.gap + LATE_SPREAD * self._spread - now
        least = STILL * self.gap
        if expected < least:
            expected = least
        return expected if expected > 1e-6 else 1e-6
