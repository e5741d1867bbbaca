"""What foresight is worth: a planner that knows how a source behaves, but not what it will do next.

Every 20 ms it draws futures, pulls the taut string of the bound through each, and takes the mean of their first rates
(hindsight planning). Where it is told the law of the source, hardly anybody who does not know the future can do
better; where it has to learn the law from what it has seen, it is what `Smooth` would be, had it all the time in the
world. Times are seconds, quantities graphemes.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from random import Random
from typing import Protocol

from tests.benchmarks._metrics import first_rate
from tests.benchmarks._traces import LAWS
from typestream.pacing._metrics import variation

__all__ = ("planned",)

STEP = 0.02
HORIZON = 100
"""Steps."""

BACKLOG = 0.4
"""Of `max_lag`, what is to wait at the horizon."""

FIRST_GAP = 0.5
"""From the first burst to the second, as long as nothing is known; the same as in `Smooth`."""


class _Law(Protocol):
    def gap(self, since: float) -> float:
        """Seconds until the next burst, so many after the last."""
        ...

    def size(self) -> float: ...

    def rate(self) -> float: ...


class _Told:
    """What the traces of that kind are made with."""

    def __init__(self, kind: str, rng: Random) -> None:
        self._gap, self._size = LAWS[kind]
        self._rng = rng
        draws = range(2000)
        self._rate = 1000 * sum(self._size(rng) for _ in draws) / sum(self._gap(rng) for _ in draws)

    def gap(self, since: float) -> float:
        drawn = (self._gap(self._rng) / 1000 - since for _ in range(50))
        return next((left for left in drawn if left > 0), 0.001)

    def size(self) -> float:
        return self._size(self._rng)

    def rate(self) -> float:
        return self._rate


@dataclass
class _Learnt:
    """What the bursts so far were like, the last of which may still go on."""

    rng: Random
    gaps: list[float] = field(default_factory=list)
    sizes: list[float] = field(default_factory=list)

    def gap(self, since: float) -> float:
        if not self.gaps:
            return max(FIRST_GAP - since, FIRST_GAP / 5)
        drawn = (self.rng.choice(self.gaps) - since for _ in range(8))
        longer = 0.3 * sum(self.gaps) / len(self.gaps)
        return next((left for left in drawn if left > 0), 0.0) or self.rng.expovariate(1 / longer)

    def size(self) -> float:
        return self.rng.choice(self.sizes)

    def rate(self) -> float:
        return sum(self.sizes[:-1]) / sum(self.gaps) if self.gaps else self.sizes[0] / FIRST_GAP


class _Plan:
    def __init__(self, came: Sequence[tuple[float, str]], max_lag: float, tail: float) -> None:
        self.times = [at for at, _ in came]
        self.sums = [0, *accumulate(len(text) for _, text in came)]
        self.max_lag, self.tail = max_lag, tail
        self.squares = 0.0

    def arrived(self, by: float) -> int:
        return self.sums[bisect_right(self.times, by + 1e-9)]

    def future(self, now: float, since: float, shown: float, law: _Law) -> float:
        """The rate with which the string begins in a future that might be."""
        late = round(self.max_lag / STEP)
        high, low = [0.0] * (HORIZON + 1), [0.0] * (HORIZON + 1)
        known = bisect_right(self.times, now + 1e-9)
        high[0] = self.sums[known]
        low[0] = self.arrived(now - self.max_lag)
        for at in range(bisect_right(self.times, now - self.max_lag + 1e-9), known):
            due = int((self.times[at] + self.max_lag - now) / STEP + 1 - 1e-6)
            if due <= HORIZON:
                low[due] += self.sums[at + 1] - self.sums[at]
        ahead = law.gap(since)
        while (step := int(ahead / STEP) + 1) <= HORIZON:
            size = law.size()
            high[step] += size
            if step + late <= HORIZON:
                low[step + late] += size
            ahead += law.gap(0.0)
        high, low = list(accumulate(high)), list(accumulate(low))
        high[-1] = low[-1] = max(low[-1], shown, high[-1] - BACKLOG * self.max_lag * law.rate())
        return first_rate(low, high, shown) / STEP

    def rest(self, now: float, shown: float) -> float:
        """The rate after the end: as in `Smooth`, the root mean square so far, or what the deadlines ask for."""
        left = max(self.times[-1] + self.tail - now, STEP)
        asked = [(self.sums[-1] - shown) / left]
        for at, total in zip(self.times, self.sums[1:], strict=True):
            if total > shown:
                asked.append((total - shown) / max(at + self.max_lag - now, STEP))
        return max(*asked, (self.squares / max(now - self.times[0], STEP)) ** 0.5)


def planned(
    came: Sequence[tuple[float, str]], max_lag: float, tail: float, kind: str | None = None, futures: int = 16
) -> float:
    """The variation of the rate that the planner reaches on a trace.

    Args:
        came: the arrivals.
        max_lag: no later than so long after its arrival is anything shown,
        tail: and so long after the last arrival all.
        kind: whose law it is told; without one it has to learn it.
        futures: how many it draws at a time.
    """
    plan, rng = _Plan(came, max_lag, tail), Random("planner")
    learnt = _Learnt(rng)
    law: _Law = _Told(kind, rng) if kind is not None else learnt
    now = began = last = plan.times[0]
    seen, shown = 0, 0.0
    rows: list[tuple[float, float]] = []
    while shown < plan.sums[-1] - 1e-6:
        while seen < len(came) and plan.times[seen] <= now + 1e-9:
            at, units = plan.times[seen], len(came[seen][1])
            if seen == 0 or at - last > 0.006:
                learnt.gaps += [at - began] if seen else []
                learnt.sizes.append(0)
                began = at
            learnt.sizes[-1] += units
            last = at
            seen += 1
        if seen == len(came):
            rate = plan.rest(now, shown)
        else:
            rate = sum(plan.future(now, now - began, shown, law) for _ in range(futures)) / futures
        least, most = plan.arrived(now + STEP - max_lag), plan.arrived(now)
        out = min(max(rate * STEP, least - shown, 0.0), most - shown)
        plan.squares += out * out / STEP
        rows.append((now, out))
        shown += out
        now += STEP
    return variation(rows)
