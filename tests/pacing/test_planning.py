"""A schedule and its reader, without a stream, so that many scripts can be tried: pieces planned ahead are shown as if
each had been asked about when its turn came, and a reader who is late is the only reason why anything is."""

from collections import deque
from itertools import accumulate
from math import inf

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from typestream.events import TextDelta
from typestream.pacing import Pacing, Pause, Schedule, Smooth, Steady, Typist
from typestream.pacing._schedule import AHEAD, TICK

PACES = [
    Smooth(),
    Smooth(0.2),
    Smooth(0.8),
    Smooth(3.0, tail=0.05),
    Smooth(0.55, per="word"),
    Steady(40),
    Typist(700, seed=2),
    Steady(20) + Pause(),
]
TEXT = "Some words, and then more of them. So it goes on! " * 3

Steps = list[tuple[float, int]]
Shown = list[tuple[float, str]]

gaps = st.sampled_from([0.00113, 0.0213, 0.0517, 0.1171, 0.3019, 0.4519, 0.9041, 5.0377])
arriving = st.lists(st.tuples(gaps, st.integers(1, 60)), min_size=1, max_size=14)
away = st.lists(st.one_of(st.just(0.0), st.just(0.0), st.sampled_from([0.0041, 0.0703, 0.3127, 2.0119])), max_size=80)


def arrivals(steps: Steps) -> Shown:
    # what arrives in the very moment in which something is due comes before it or after it, as floats are rounded
    times = accumulate(gap + 0.00071 * (at * at % 17) for at, (gap, _) in enumerate(steps))
    return [(at, TEXT[:units]) for at, (_, units) in zip(times, steps, strict=True)]


def read(policy: Pacing, arriving: Shown, away: list[float], plan: int = 0) -> tuple[Shown, list[float]]:
    """What is shown, and when, to a reader who is away for so long after each piece; and when that reader came back.

    Args:
        plan: how many pieces are planned ahead at first; 0 for none ever.
    """
    schedule = Schedule(policy)
    schedule._length = plan
    script, pauses = deque(arriving), deque(away)
    shown: Shown = []
    back: list[float] = []
    now = 0.0

    def show(text: str) -> None:
        nonlocal now
        shown.append((now, text))
        if pauses and (pause := pauses.popleft()):
            now += pause
            back.append(now)

    while True:
        while script and script[0][0] <= now:
            at, text = script.popleft()
            schedule.feed(TextDelta(text), at)
            if not script:
                schedule.end(at)
        following = script[0][0] if script else inf
        answer = schedule.poll(now)
        if isinstance(answer, TextDelta):
            show(answer.text)
            run = schedule.run() if plan else None
            while run is not None and run.shown < len(run.times) and max(now, run.times[run.shown]) < following:
                now = max(now, run.times[run.shown])
                text = run.take(now)
                if run.shown == len(run.times) and schedule.goes_on(now):
                    more = schedule.poll(now)
                    assert isinstance(more, TextDelta)
                    text += more.text
                show(text)
        elif isinstance(answer, float):
            now = min(answer, following)
        elif script:
            now = following
        else:
            return shown, back


@given(st.sampled_from(PACES), arriving, away, st.integers(1, AHEAD))
@example(  # a deadline that had stopped mattering within a run matters no more after it, either
    Smooth(0.8),
    [(0.00113, 34), (5.0377, 52), (0.3019, 60), (0.3019, 34), (0.0517, 6), (0.3019, 2), (0.00113, 1)],
    [],
    1,
)
@settings(deadline=None, max_examples=300)
def test_what_is_planned_ahead_is_what_would_have_been_asked(
    policy: Pacing, steps: Steps, away: list[float], first: int
) -> None:
    planned, _ = read(policy, arrivals(steps), away, first)
    asked, _ = read(policy, arrivals(steps), away)
    assert [text for _, text in planned] == [text for _, text in asked]
    assert [at for at, _ in planned] == pytest.approx([at for at, _ in asked], abs=1e-6)


def not_late(max_lag: float, arriving: Shown, away: list[float], plan: int = 0) -> None:
    shown, back = read(Smooth(max_lag), arriving, away, plan)
    arrived = [at for at, text in arriving for _ in text]
    at_once = set(back)
    for now, text in shown:
        for came in arrived[: len(text)]:
            assert now <= came + max_lag + TICK + 1e-6 or now in at_once
        del arrived[: len(text)]
    assert not arrived


@given(arriving, away, st.sampled_from([0.2, 0.4, 0.8]), st.integers(0, AHEAD))
@settings(deadline=None, max_examples=300)
def test_a_reader_who_was_away_finds_nothing_else_late(
    steps: Steps, away: list[float], max_lag: float, plan: int
) -> None:
    not_late(max_lag, arrivals(steps), away, plan)


@pytest.mark.parametrize(
    ("arriving", "away"),
    [
        # everything had been shown when the reader went away
        ([(0.0, 39), (5.0, 100), (5.4, 20), (20.0, 1)], {38: 4.95}),
        # something was left, and overdue before the rest came
        ([(0.0, 1), (5.0, 10), (8.0, 100), (8.4, 25), (20.0, 1)], {1: 3.45}),
        ([(0.0, 1), (5.0, 10), (8.0, 100), (8.4, 25), (20.0, 1)], {0: 8.45}),
    ],
)
def test_what_came_while_the_reader_was_away_has_its_own_deadlines(
    arriving: list[tuple[float, int]], away: dict[int, float]
) -> None:
    pauses = [away.get(at, 0.0) for at in range(max(away) + 1)]
    not_late(0.8, [(at, "x" * units) for at, units in arriving], pauses)
