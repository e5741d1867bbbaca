"""What a pacer made of an arrival trace, in figures. Times are seconds, quantities units of text."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import sqrt
from statistics import median
from typing import TypeAlias

__all__ = ("BIN", "Metrics", "Timed", "measure", "variation", "variation_of")

Timed: TypeAlias = Sequence[tuple[float, str]]
"""Texts, each with the time at which it arrived or was shown, in order."""

BIN = 0.1
"""Seconds over which units are counted for the variation of the rate."""

_NO_FREEZE = 0.2  # seconds between emissions that nobody minds


@dataclass(frozen=True)
class Metrics:
    """One pacer on one trace; times in seconds.

    Attributes:
        conserved: whether all units came out.
        first: first emission minus first arrival.
        lag_max: the greatest lag of a unit; `lag_p95` and `lag_least` likewise.
        growth: slope of the lag, seconds per 1,000 units.
        variation: standard deviation over mean of the units per 100 ms.
        freeze: time beyond 200 ms between emissions while something waits.
        jump: units of the largest emission; `jump_median` of the middle one.
        tail: last emission minus end of the source.
        total: last emission minus first arrival.
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
    total: float


def measure(arrivals: Timed, shown: Timed, end: float, split: Callable[[str], Sequence[str]] = list) -> Metrics:
    """What a pacer made of a trace whose source ended at `end`.

    Args:
        arrivals: what arrived, and when; not nothing.
        shown: what was shown, and when.
        end: when the source ended.
        split: cuts the whole text into units; into characters where nothing is said. A unit has arrived, and was
            shown, when its last character was.

    Raises:
        ValueError: nothing arrived, or nothing was shown.
    """
    text = "".join(piece for _, piece in arrivals)
    ends = list(accumulate(len(unit) for unit in split(text)))
    came, went = _units(arrivals, ends), _units(shown, ends)
    if not came or not went:
        raise ValueError("There is nothing to measure: no text arrived, or none was shown.")
    emitted = [(at, units) for at, units in _counted(shown, ends) if units]
    lags = [out - at for at, out in zip(came, went, strict=False)]
    sizes = [units for _, units in emitted]
    return Metrics(
        conserved="".join(piece for _, piece in shown) == text,
        first=went[0] - came[0],
        lag_max=max(lags),
        lag_p95=sorted(lags)[min(len(lags) - 1, int(len(lags) * 0.95))],
        lag_least=min(lags),
        growth=_slope(lags) * 1000,
        variation=variation(emitted),
        freeze=_freeze(came, emitted),
        jump=max(sizes),
        jump_median=median(sizes),
        tail=went[-1] - end,
        total=went[-1] - came[0],
    )


def _units(rows: Timed, ends: Sequence[int]) -> list[float]:
    """The time of each unit."""
    return [at for at, units in _counted(rows, ends) for _ in range(units)]


def _counted(rows: Timed, ends: Sequence[int]) -> list[tuple[float, int]]:
    """How many units end in each piece."""
    counted: list[tuple[float, int]] = []
    size = done = 0
    for at, piece in rows:
        size += len(piece)
        before = done
        while done < len(ends) and ends[done] <= size:
            done += 1
        counted.append((at, done - before))
    return counted


def variation(shown: Sequence[tuple[float, float]]) -> float:
    """Standard deviation over mean of the units per 100 ms, from the first to the last emission."""
    start = shown[0][0]
    # a millionth of a bin: sums of floats are not exact
    bins = [0.0] * (int((shown[-1][0] - start) / BIN + 1e-6) + 1)
    for at, units in shown:
        bins[int((at - start) / BIN + 1e-6)] += units
    return variation_of(bins)


def variation_of(bins: Sequence[float]) -> float:
    """Standard deviation over mean."""
    mean = sum(bins) / len(bins)
    return sqrt(sum((units - mean) ** 2 for units in bins) / len(bins)) / mean


def _slope(values: Sequence[float]) -> float:
    if len(values) < 2:
        return 0.0
    middle, mean = (len(values) - 1) / 2, sum(values) / len(values)
    above = sum((i - middle) * (value - mean) for i, value in enumerate(values))
    return above / sum((i - middle) ** 2 for i in range(len(values)))


def _freeze(came: Sequence[float], emitted: Sequence[tuple[float, int]]) -> float:
    total, out = 0.0, 0
    for (before, units), (after, _) in pairwise(emitted):
        out += units
        # the wait counts from when something was there to be shown
        total += max(0.0, after - max(before, came[out]) - _NO_FREEZE - 1e-9)
    return total
