"""The metrics of pacing, and the bound: what somebody who knows the future could reach.

Times are seconds, quantities graphemes; an emission is `(seconds, units)`.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import ceil, inf, sqrt
from statistics import median

__all__ = ("Metrics", "bound", "measure", "variation")

BIN = 0.1
"""Seconds over which units are counted for the variation of the rate."""

_GRID = 0.02  # seconds, of the bound's string
_NO_FREEZE = 0.2  # seconds between emissions that nobody minds


@dataclass(frozen=True)
class Metrics:
    """One pacer on one trace; times in seconds.

    Attributes:
        conserved: M0, whether all units came out.
        first: M1, first emission minus first arrival.
        lag_max: M2, the greatest lag of a unit; `lag_p95` and `lag_least` likewise.
        growth: M3, slope of the lag, seconds per 1,000 units.
        variation: M4, standard deviation over mean of the units per 100 ms.
        freeze: M7, time beyond 200 ms between emissions while something waits.
        jump: M8, units of the largest emission; `jump_median` of the middle one.
        tail: M9, last emission minus end of the source.
    """

    conserved: bool
    first: float
    lag_max: float
    lag_p95: float
    lag_least: float
    growth: float
    variation: float
    freeze: float
    jump: int
    jump_median: float
    tail: float


def measure(arrivals: Sequence[tuple[float, str]], shown: Sequence[tuple[float, str]], end: float) -> Metrics:
    """What a pacer made of a trace whose source ended at `end`; every character is one unit."""
    came = [at for at, text in arrivals for _ in text]
    went = [at for at, text in shown for _ in text]
    lags = [out - at for at, out in zip(came, went, strict=False)]
    sizes = [len(text) for _, text in shown]
    return Metrics(
        conserved="".join(text for _, text in shown) == "".join(text for _, text in arrivals),
        first=went[0] - came[0],
        lag_max=max(lags),
        lag_p95=sorted(lags)[min(len(lags) - 1, int(len(lags) * 0.95))],
        lag_least=min(lags),
        growth=_slope(lags) * 1000,
        variation=variation([(at, len(text)) for at, text in shown]),
        freeze=_freeze(came, shown),
        jump=max(sizes),
        jump_median=median(sizes),
        tail=went[-1] - end,
    )


def variation(shown: Sequence[tuple[float, float]]) -> float:
    """Standard deviation over mean of the units per 100 ms, from the first to the last emission."""
    start = shown[0][0]
    # a millionth of a bin: sums of floats are not exact
    bins = [0.0] * (int((shown[-1][0] - start) / BIN + 1e-6) + 1)
    for at, units in shown:
        bins[int((at - start) / BIN + 1e-6)] += units
    return _variation(bins)


def _variation(bins: Sequence[float]) -> float:
    mean = sum(bins) / len(bins)
    return sqrt(sum((units - mean) ** 2 for units in bins) / len(bins)) / mean


def _slope(values: Sequence[float]) -> float:
    if len(values) < 2:
        return 0.0
    middle, mean = (len(values) - 1) / 2, sum(values) / len(values)
    above = sum((i - middle) * (value - mean) for i, value in enumerate(values))
    return above / sum((i - middle) ** 2 for i in range(len(values)))


def _freeze(came: Sequence[float], shown: Sequence[tuple[float, str]]) -> float:
    total, out = 0.0, 0
    for (before, text), (after, _) in pairwise(shown):
        out += len(text)
        # the wait counts from when something was there to be shown
        total += max(0.0, after - max(before, came[out]) - _NO_FREEZE - 1e-9)
    return total


def bound(arrivals: Sequence[tuple[float, str]], max_lag: float, tail: float | None = None) -> float:
    """The least variation of the rate that any pacer can have with that lag, were it to know the future.

    The shortest path ("taut string") between all that has arrived and all that arrived `max_lag` before minimises
    every convex function of the rate. It is computed on a grid of 20 ms, and the best of several beginnings (up to
    `max_lag` after the first arrival) and ends (up to `max_lag` after the last) counts. Where `tail` is given, only
    those pacers count that begin at once and end so many seconds after the last arrival at most.
    """
    times = [at for at, _ in arrivals]
    sums = [0, *accumulate(len(text) for _, text in arrivals)]
    best = inf
    for begin in range(5 if tail is None else 1):
        for finish in range(9):
            start = times[0] + max_lag * begin / 4
            end = times[-1] + max(_GRID, min(max_lag, tail or inf) * finish / 8)
            best = min(best, _bound_between(times, sums, max_lag, start, end))
    return best


def _bound_between(times: list[float], sums: list[int], max_lag: float, start: float, end: float) -> float:
    steps = max(1, ceil((end - start) / _GRID - 1e-6))
    grid = [start + _GRID * i + 1e-9 for i in range(steps + 1)]
    high = [sums[bisect_right(times, at)] for at in grid]
    low = [sums[bisect_right(times, at - max_lag)] for at in grid]
    high[0] = low[0] = 0
    high[-1] = low[-1] = sums[-1]
    rates = _taut(low, high)
    while len(rates) > 1 and rates[0] < 1e-9:
        rates.pop(0)
    while len(rates) > 1 and rates[-1] < 1e-9:
        rates.pop()
    width = round(BIN / _GRID)
    bins = [sum(rates[i : i + width]) for i in range(0, len(rates) - width + 1, width)]
    return _variation(bins) if bins else 0.0


def _taut(low: Sequence[float], high: Sequence[float]) -> list[float]:
    """The increments of the shortest path from `low[0]` to `low[-1]` that stays between the two."""
    last = len(low) - 1
    at, level = 0, low[0]
    rates: list[float] = []
    while at < last:
        step, to = _straight(low, high, at, level)
        rates += [(to - level) / (step - at)] * (step - at)
        at, level = step, to
    return rates


def _straight(low: Sequence[float], high: Sequence[float], at: int, level: float) -> tuple[int, float]:
    """Where the straight line from there must bend first."""
    steepest, flattest = inf, -inf
    upper = lower = (at, level)
    for i in range(at + 1, len(low)):
        down, up = (low[i] - level) / (i - at), (high[i] - level) / (i - at)
        if up < flattest:
            return lower
        if down > steepest:
            return upper
        if up <= steepest:
            steepest, upper = up, (i, high[i])
        if down >= flattest:
            flattest, lower = down, (i, low[i])
    return len(low) - 1, low[-1]
