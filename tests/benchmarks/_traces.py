"""Arrival traces, recorded and generated: lists of `(milliseconds, units)`.

The kinds are those of the recorded set; of each, a seed gives another one. What a seed changes is drawn from
distributions fitted by eye to the recorded trace of that name.
"""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ("BURSTY", "KINDS", "LAWS", "Trace", "arrivals", "recorded", "shared", "trace")

Trace = list[tuple[float, int]]

BURSTY = ("burst450", "burst900", "mixed")

SHARED = Path(__file__).parents[3] / "shared" / "data"


def shared(name: str) -> Any:
    """A JSON file of the shared data, None where there is none."""
    path = SHARED / name
    return json.loads(path.read_text()) if path.exists() else None


def recorded() -> dict[str, Trace]:
    """The nine recorded traces, else generated ones of the same kinds."""
    data = shared("pacing_traces.json")
    if data is None:
        return {kind: trace(kind, 0) for kind in KINDS}
    return {name: [(float(at), int(units)) for at, units in rows] for name, rows in data.items()}


def arrivals(rows: Trace) -> list[tuple[float, str]]:
    """The same for `simulate`: seconds and text; every unit is one letter."""
    return [(at / 1000, "x" * units) for at, units in rows]


def trace(kind: str, seed: int) -> Trace:
    """A trace of that kind."""
    return KINDS[kind](random.Random(f"{kind} {seed}"))


def _regular(gap: float, units: int, count: int, start: float = 0.0) -> Trace:
    return [(start + gap * (i + 1), units) for i in range(count)]


def _steady(rng: random.Random) -> Trace:
    return _regular(rng.choice((10, 20, 25, 40)), rng.randint(2, 6), 600)


def _slow(rng: random.Random) -> Trace:
    return _regular(rng.choice((100, 120, 200)), rng.randint(1, 4), 150)


def _bursts(rng: random.Random, units: int, gap: Any, size: Any) -> Trace:
    rows: Trace = []
    at = 0.0
    while units:
        at += gap(rng)
        burst = max(1, min(units, size(rng)))
        rows.append((at, burst))
        units -= burst
    return rows


Law = tuple[Callable[[random.Random], float], Callable[[random.Random], int]]

LAWS: dict[str, Law] = {
    "burst450": (lambda r: r.randint(400, 500), lambda r: r.randint(60, 120)),
    "burst900": (lambda r: 150 + round(r.expovariate(1 / 450)), lambda r: max(5, round(r.gauss(75, 40)))),
    # a cluster of some 13 ms as one burst
    "mixed": (lambda r: 93 + r.expovariate(1 / 140), lambda r: sum(r.randint(1, 12) for _ in range(r.randint(3, 8)))),
}
"""How many milliseconds pass from burst to burst, and how many units each has."""


def _burst450(rng: random.Random) -> Trace:
    return _bursts(rng, 3000, *LAWS["burst450"])


def _burst900(rng: random.Random) -> Trace:
    return _bursts(rng, 2400, *LAWS["burst900"])


def _mixed(rng: random.Random) -> Trace:
    rows: Trace = []
    at, left = 0.0, 2400
    while left:
        at += 80 + round(rng.expovariate(1 / 140))
        for _ in range(rng.randint(3, 8)):
            units = min(left, rng.randint(1, 12))
            if units:
                rows.append((at, units))
            left -= units
            at += rng.randint(0, 5)
    return rows


def _fastbig(rng: random.Random) -> Trace:
    return _regular(20, rng.randint(80, 200), 90)


def _stall(rng: random.Random) -> Trace:
    before = _regular(20, 4, rng.randint(200, 500))
    return before + _regular(20, 4, 750 - len(before), before[-1][0] + rng.randint(2000, 4000))


def _ramp(rng: random.Random) -> Trace:
    rows: Trace = []
    for gap, count in ((80, 150), (20, 300), (8, 300)):
        rows += _regular(gap * rng.uniform(0.75, 1.25), 4, count, rows[-1][0] if rows else 0.0)
    return rows


def _oneshot(rng: random.Random) -> Trace:
    return [(0.0, rng.randint(1000, 3000))]


KINDS = {
    "steady": _steady,
    "slow": _slow,
    "burst450": _burst450,
    "burst900": _burst900,
    "fastbig": _fastbig,
    "stall": _stall,
    "ramp": _ramp,
    "mixed": _mixed,
    "oneshot": _oneshot,
}
