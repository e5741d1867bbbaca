"""The bound of pacing: what somebody who knows the future could reach. Times are seconds, quantities graphemes."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from math import ceil, inf

from typestream.pacing._metrics import BIN, Metrics, measure, variation, variation_of

__all__ = ("Metrics", "bound", "first_rate", "measure", "variation")

_GRID = 0.02  # seconds, of the bound's string


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
    return variation_of(bins) if bins else 0.0


def first_rate(low: Sequence[float], high: Sequence[float], level: float) -> float:
    """The increment with which the shortest path from `level` to `low[-1]` begins, that stays between the two."""
    step, to = _straight(low, high, 0, level)
    return (to - level) / step


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
