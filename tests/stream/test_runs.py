"""Texts whose times are known beforehand are shown without asking about each (on asyncio); nobody can tell."""

import asyncio
import threading
from itertools import count, pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import typestream
from tests.stream.runtimes import RUNTIMES, each_loop, each_runtime, play
from tests.stream.test_traces import merged
from typestream import pacing
from typestream.pacing import Moment, Pacing, Schedule, Steady
from typestream.pacing._run import Run
from typestream.pacing._schedule import AHEAD

LONG = "A text that is long enough to be shown in more than one run, whatever the length of a run may be. " * 2


PACES = [
    Steady(37.3),
    Steady(250.1),
    Steady(9.7, per="word"),
    pacing.Typist(937, seed=3),
    Steady(20) + pacing.Pause(),
]
ADAPTIVE = [pacing.Smooth(), pacing.Smooth(0.9, tail=0.05), pacing.Smooth(0.25, per="word")]
ALL = [*PACES, *ADAPTIVE, pacing.Typist(600, seed=1, catch_up=True)]


def chunk(*choices):
    return {"id": "1", "object": "chat.completion.chunk", "model": "m", "choices": list(choices)}


def choice(text, index=0, logprobs=None):
    return {"index": index, "delta": {"content": text}, "logprobs": logprobs}


LAST = chunk({"index": 0, "delta": {}, "finish_reason": "stop"})

texts = st.one_of(st.text("ab 🇩🇪é", min_size=1, max_size=12), st.just(LONG))
logprobs = st.one_of(st.none(), st.none(), st.just({"content": [{"token": "t"}]}))
choices = st.builds(choice, texts, st.sampled_from([0, 0, 0, 1]), logprobs)
usage = {**chunk(), "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}}
chunks = st.one_of(st.lists(choices, min_size=1, max_size=3).map(lambda choices: chunk(*choices)), st.just(usage))
steps = st.one_of(
    st.tuples(st.sampled_from(["next", "next", "event", "look", "skip", "pause"]), st.just(0)),
    st.tuples(st.just("sleep"), st.sampled_from([0.0213, 0.3117])),
    st.tuples(st.just("pace"), st.sampled_from(PACES)),
)
scripts = st.lists(st.tuples(st.sampled_from([0, 0.0371, 0.7013]), chunks), min_size=1, max_size=4)


async def follow(kit, items, policy, order, plan):
    """Do as the plan says after each piece, then read on to the end; everything that could be seen, and when."""
    at, script = 0.0, []
    for gap, item in items:
        at += gap
        script.append((at, item))
    stream = kit.open([*script, (at, LAST)], require=None).paced(policy, order=order)
    seen, looks, pauses = [], [], 0
    for what, argument in [*plan, *[("next", 0)] * 4000]:
        if what == "sleep":
            await kit.sleep(argument)
        elif what == "pace":
            stream.paced(argument)
        elif what == "skip":
            stream.skip()
        elif what == "pause":
            stream.pause()
            kit.at(0.1531 + pauses / 900, stream.resume)  # never two at one time: which is first is nobody's promise
            pauses += 1
        elif what == "look":
            timing = stream.result.timing
            looks.append((kit.time, timing.lag_max, timing.lag_mean, timing.shown_duration))
        else:
            text = await kit.next(stream) if what == "next" else getattr(await kit.event(stream), "text", None)
            if text is None and what == "next":
                break
            seen.append((kit.time, text or ""))
        assert "".join(text for _, text in seen).startswith(stream.result.text) or any(w == "event" for w, _ in plan)
    timing = stream.result.timing
    looks.append((kit.time, timing.lag_max, timing.lag_mean, timing.shown_duration))
    return merged(seen), looks, stream.result


BESIDES = [(0, usage), (0.0371, chunk(choice("a"))), (0, chunk(choice("bc"))), (0, chunk(choice("d")))]
SKIPPED = [(0, chunk(choice(LONG))), (0, chunk(choice("a")))]

PAUSED = [(0, chunk(choice("a"))), (0.0371, chunk(choice(LONG))), (0.7013, chunk(choice(LONG)))]


@example(PAUSED, pacing.Smooth(), "barrier", [("next", 0), ("pause", 0), ("pace", Steady(37.3))])
@example(SKIPPED, Steady(37.3), "barrier", [("next", 0), ("skip", 0), ("next", 0), ("pace", Steady(37.3))])
@example(BESIDES, pacing.Smooth(), "barrier", [("event", 0), ("pace", Steady(37.3))])
@given(scripts, st.sampled_from(ALL), st.sampled_from(["barrier", "flush"]), st.lists(steps, max_size=30))
@settings(deadline=None, max_examples=60)
def test_a_reader_sees_the_same_everywhere_whatever_happens_in_between(items, policy, order, plan):
    expected, *others = (play(runtime, lambda kit: follow(kit, items, policy, order, plan)) for runtime in RUNTIMES)
    for seen, looks, result in others:
        assert [text for _, text in seen] == [text for _, text in expected[0]]
        assert [at for at, _ in seen] == pytest.approx([at for at, _ in expected[0]], abs=2e-6)
        assert [value for look in looks for value in look] == pytest.approx(
            [value for look in expected[1] for value in look], abs=1e-5
        )
        assert result == expected[2]


@given(scripts, st.sampled_from(PACES + ADAPTIVE), st.lists(steps, max_size=30), st.integers(0, 70))
@settings(deadline=None, max_examples=60)
def test_a_reader_sees_the_same_whether_pieces_are_planned_or_not(items, policy, plan, turn):
    def seen():
        return play("asyncio", lambda kit: follow(kit, items, policy, "barrier", plan))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typestream.pacing._schedule._turns", count(turn))
        planned, looks, result = seen()
        patch.setattr(Schedule, "run", lambda schedule: None)
        expected, others, whole = seen()
    assert [text for _, text in planned] == [text for _, text in expected]
    assert [at for at, _ in planned] == pytest.approx([at for at, _ in expected], abs=2e-6)
    assert [value for look in looks for value in look] == pytest.approx(
        [value for look in others for value in look], abs=1e-5
    )
    assert result == whole


@each_loop
def test_a_cancelled_wait_loses_nothing_of_what_comes_after_it(loop):
    async def scenario(kit):
        import anyio

        stream = typestream.replay(LONG).as_async().paced(Steady(100))
        seen, cancelled = [], 0
        while True:
            with anyio.move_on_after(0.0037 if len(seen) % 3 else 1) as scope:
                text = await kit.next(stream)
            if scope.cancelled_caught:
                cancelled += 1
                continue
            if text is None:
                return seen, cancelled, kit.time
            seen.append(text)

    seen, cancelled, ended = play(loop, scenario)
    assert "".join(seen) == LONG
    assert cancelled > len(seen)
    assert ended == pytest.approx(len(LONG) / 100, abs=0.02)


@each_runtime
@pytest.mark.parametrize("before", [5, 17, 40, len(LONG) - 12])
def test_what_is_late_together_is_shown_together(runtime, before):
    async def scenario(kit):
        stream = kit.open([(0, LONG)]).paced(Steady(100))
        seen = [await kit.next(stream) for _ in range(before)]
        await kit.sleep(0.1051)
        seen += [await kit.next(stream), await kit.next(stream)]
        stream.stop()
        assert await kit.next(stream) is None
        return seen, stream.result.timing.lag_max

    seen, lag = play(runtime, scenario)
    assert [len(text) for text in seen] == [1] * before + [10, 1]
    assert lag == pytest.approx(before / 100 + 0.1, abs=0.011)


def test_what_is_late_together_is_shown_together_wherever_a_run_ends():
    for _ in range(AHEAD):  # the first run of each stream has another length
        test_what_is_late_together_is_shown_together("asyncio", 12)


@each_runtime
def test_what_is_late_together_is_shown_together_with_what_no_run_can_have(runtime):
    async def scenario(kit):
        likely = choice("l", logprobs={"content": [{"token": "l"}]})
        whole = chunk(choice("Not so "), likely, choice("ong."))
        stream = kit.open([(0, whole), (0, LAST)], require=None).paced(Steady(10))
        seen = [await kit.next(stream) for _ in range(3)]
        await kit.sleep(0.701)
        seen += [await kit.next(stream), await kit.next(stream)]
        await kit.read(stream)
        return seen

    assert play(runtime, scenario) == ["N", "o", "t", " so lon", "g"]


@each_runtime
def test_the_source_is_read_meanwhile_from_where_a_policy_asks_for_that(runtime):
    async def scenario(kit):
        stream = kit.open([(0, LONG[:28]), (0.3513, "And more of it.")]).paced(Steady(20))
        seen = [await kit.next(stream) for _ in range(3)]
        await kit.sleep(0.2)  # so that something is due at once
        stream.paced(pacing.Smooth(3.0))
        trace = await kit.read(stream)
        return seen, trace, stream.result.timing.duration

    seen, trace, duration = play(runtime, scenario)
    assert "".join([*seen, *(text for _, text in trace)]) == LONG[:28] + "And more of it."
    assert duration == pytest.approx(0.3513)  # seconds from the first arrival to the last, whenever they were shown


@each_runtime
def test_the_end_that_came_while_the_reader_was_away_is_known_when_that_reader_is_back(runtime, monkeypatch):
    async def scenario(kit):
        said = [(0, "So: "), (1, LONG[:100]), (1.5, "And more of it.")]
        stream = kit.open(said).paced(pacing.Smooth(3.0))
        seen = [await kit.next(stream) for _ in range(12)]
        assert kit.time < 1.5
        await kit.sleep(0.7)
        back = kit.time
        return seen, await kit.read(stream), kit.time - back

    monkeypatch.setattr("typestream.pacing._schedule._turns", count(AHEAD - 1))  # its first run is not shown by then
    seen, trace, after = play(runtime, scenario)
    assert "".join([*seen, *(text for _, text in trace)]) == f"So: {LONG[:100]}And more of it."
    assert after == pytest.approx(0, abs=0.004)  # it is to be shown 0.3 s after the end at the latest, and that is past


@each_runtime
def test_a_policy_may_stop_its_stream(runtime, monkeypatch):
    class Enough(Steady):
        timeless = True

        def delay(self, piece, moment):
            if moment.count == 30:
                streams[0].stop()
            return 0.1

    async def scenario(kit):
        streams.append(kit.open([(0, LONG)]).paced(Enough()))
        return await kit.read(streams[0])

    monkeypatch.setattr("typestream.pacing._schedule._turns", count(AHEAD - 1))  # so long is its first run
    streams = []
    shown = "".join(text for _, text in play(runtime, scenario))
    assert LONG.startswith(shown)
    assert len(shown) <= 30


@each_loop
def test_a_run_that_an_event_has_ended_is_not_waited_for(loop):
    async def scenario(kit):
        stream = kit.open([(0, LONG)]).paced(Steady(0.1))
        await kit.next(stream)
        stream.skip()
        await kit.event(stream)
        assert await kit.next(stream) is None
        return kit.time

    assert play(loop, scenario) == 0


@each_runtime
def test_the_time_that_a_run_takes_is_not_the_source_s(runtime):
    async def scenario(kit):
        stream = kit.open([(0, LONG[:61]), (60, "late")]).paced(Steady(10)).timeout(between=1)
        return await kit.outcome(stream)

    trace, error, ended = play(runtime, scenario)
    assert "".join(text for _, text in trace) == LONG[:61]
    assert type(error) is typestream.StallTimeout
    assert ended == pytest.approx(7, abs=0.11)


def test_a_stop_in_the_very_moment_in_which_a_text_is_due_comes_before_it():
    async def main():
        loop = asyncio.get_running_loop()
        stream = typestream.replay(LONG).as_async().paced(Steady(10))
        start = loop.time()
        seen = [await anext(stream) for _ in range(5)]
        loop.call_at(start + 0.5 - 1e-10, stream.stop)
        return seen, [text async for text in stream]

    seen, after = typestream.testing.VirtualClock().run(main)
    assert seen == list(LONG[:5])
    assert after == []


def test_a_stop_from_another_thread_while_the_reader_looks_whether_there_was_one(monkeypatch):
    class Looked(Run):
        @property
        def over(self):
            value = Run.over.__get__(self)
            if self.shown == 7 and not stopping:
                stopping.append(threading.Thread(target=streams[0].stop))
                stopping[0].start()
                stopping[0].join()
            return value

        @over.setter
        def over(self, value):
            Run.over.__set__(self, value)

    async def main():
        streams.append(typestream.replay(LONG).as_async().paced(Steady(0.1)))
        before = [await anext(streams[0]) for _ in range(2)]
        loop = asyncio.get_running_loop()
        after = [(loop.time(), text) async for text in streams[0]]
        return before, after, loop.time()

    streams, stopping = [], []
    monkeypatch.setattr("typestream.pacing._schedule.Run", Looked)
    monkeypatch.setattr("typestream.pacing._schedule._turns", count(AHEAD - 1))
    before, after, ended = typestream.testing.VirtualClock().run(main)
    assert "".join([*before, *(text for _, text in after)]) == LONG[:8]
    assert ended == after[-1][0]
    assert stopping


@each_runtime
def test_looking_changes_nothing(runtime):
    async def scenario(kit, looking):
        stream = kit.open([(0, LONG[:50]), (0.1, LONG[50:])]).paced(Steady(37.3))
        while await kit.next(stream) is not None:
            if looking:
                assert stream.result.timing.lag_mean <= stream.result.timing.lag_max
                assert stream.result.text
        timing = stream.result.timing
        return timing.lag_mean, timing.lag_max, timing.shown_duration, stream.result.text

    looked = play(runtime, lambda kit: scenario(kit, True))
    *times, text = play(runtime, lambda kit: scenario(kit, False))
    assert looked[-1] == text
    assert looked[:-1] == pytest.approx(times, abs=1e-12)  # a sum is rounded as it is cut
    assert looked[0] > 1


@each_runtime
@pytest.mark.parametrize("planned", [True, False])
def test_the_lag_is_each_character_s_own(runtime, planned, monkeypatch):
    async def scenario(kit):
        stream = kit.open([(0, "ab"), (0.5, "cd"), (0.9, "ef")]).paced(Ahead(1))
        seen = [await kit.next(stream)]
        await kit.sleep(4.5)
        seen += [text for _, text in await kit.read(stream)]
        return seen, stream.result.timing.lag_mean, stream.result.timing.lag_max

    class Ahead(Steady):
        read_ahead = True
        timeless = planned

        def delay(self, piece, moment):
            return 1.0

    seen, mean, most = play(runtime, scenario)
    assert seen == ["a", "bcde", "f"]
    assert mean == pytest.approx((0 + 4.5 + 2 * 4.0 + 3.6 + 4.1) / 6)
    assert most == pytest.approx(4.5)


@each_runtime
def test_the_text_of_another_choice_is_not_taken_for_the_first_s(runtime):
    async def scenario(kit):
        both = chunk(choice("The first says this.", 0), choice("The second, that.", 1))
        stream = kit.open([(0, both), (0.1, LAST)], require=None).paced(Steady(10))
        return await kit.read(stream), stream.result

    trace, result = play(runtime, scenario)
    assert "".join(text for _, text in trace) == result.text == "The first says this."
    assert result.choice(1).text == "The second, that."


@each_runtime
def test_what_is_due_within_a_tick_is_shown_together(runtime):
    async def scenario(kit):
        return await kit.read(kit.open([(0, LONG)]).paced(Steady(1000.3)))

    trace = play(runtime, scenario)
    assert all(later - sooner > 0.00299 for (sooner, _), (later, _) in pairwise(trace[:-1]))
    assert len(trace) < len(LONG) / 2


def test_of_runs_only_their_texts_are_kept():
    async def main():
        stream = typestream.replay(LONG * 2).as_async().paced(Steady(50))
        return await stream.collect()

    result = typestream.testing.VirtualClock().run(main)
    kept = result.choices[0]._text._pieces
    assert "".join(map(str, kept)) == LONG * 2
    assert sum(not isinstance(piece, str) for piece in kept) <= 1
    assert len(kept) < len(LONG) / 4


@each_runtime
@pytest.mark.parametrize("control", ["stop", "close"])
def test_nothing_is_shown_after_the_end_in_the_middle_of_a_run(runtime, control):
    async def scenario(kit):
        stream = kit.open([(0, LONG)]).paced(Steady(10))
        for _ in range(5):
            await kit.next(stream)
        if control == "stop":
            stream.stop()
            rest = await kit.next(stream)
        else:
            await kit.close(stream)
            with pytest.raises(typestream.StreamClosed):
                await kit.next(stream)
            rest = None
        return rest, stream.result, stream.result.timing.shown_duration

    rest, result, shown = play(runtime, scenario)
    assert rest is None
    assert result.text == LONG[:5]
    assert shown == pytest.approx(0.4)


@each_runtime
def test_a_twin_goes_on_where_a_run_was(runtime):
    async def scenario(kit):
        stream = kit.open([(0, LONG)]).paced(Steady(10))
        before = [await kit.next(stream) for _ in range(5)]
        first, _second = stream.tee()
        with pytest.raises(typestream.StreamClosed):
            await kit.next(stream)
        return before, "".join([text for _, text in await kit.read(first)]), first.result.text

    before, rest, whole = play(runtime, scenario)
    assert "".join(before) + rest == LONG
    assert whole in (LONG, rest)


def test_two_readers_of_a_run_are_told():
    async def main():
        stream = typestream.replay(LONG).as_async().paced(Steady(50))
        for _ in range(3):
            await anext(stream)
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        with pytest.raises(typestream.StreamBusy):
            await anext(stream)
        return await waiting

    assert typestream.testing.VirtualClock().run(main) == LONG[3]


def test_what_is_looked_at_from_another_thread_is_never_less_than_before():
    looks, done = [], threading.Event()

    async def main():
        stream = typestream.replay(LONG * 30).as_async().paced(Steady(300))

        def look():
            while not done.is_set():
                timing = stream.result.timing
                assert 0 <= timing.lag_mean <= timing.lag_max
                looks.append(len(stream.result.text))

        thread = threading.Thread(target=look)
        thread.start()
        try:
            return (await stream.collect()).text
        finally:
            done.set()
            thread.join()

    assert typestream.testing.VirtualClock().run(main) == LONG * 30
    assert looks == sorted(looks)


class Counting(Pacing):
    """Says that it is timeless, and notes what it was asked."""

    timeless = True

    def __init__(self, fails_at=None):
        self.asked, self.fails_at = [], fails_at

    def delay(self, piece: str, moment: Moment) -> float:
        self.asked.append((moment.previous, piece, moment.count))
        if moment.count == self.fails_at:
            self.fails_at = None
            raise RuntimeError("not now")
        return 0.01


def test_a_timeless_policy_is_asked_once_about_each_piece_in_order():
    policy = Counting()
    stream = typestream.replay(LONG).as_async().paced(policy)
    shown = typestream.testing.VirtualClock().run(stream.collect).text
    assert shown == LONG
    assert policy.asked == [(LONG[at - 1], LONG[at], at) for at in range(1, len(LONG))]


def test_what_a_policy_raises_about_a_piece_comes_when_it_is_that_piece_s_turn():
    stream = typestream.replay(LONG).as_async().paced(Counting(fails_at=20))
    assert typestream.testing.VirtualClock().run(stream.collect).text == LONG  # it is asked again, and answers


def test_a_policy_of_one_s_own_made_of_one_that_is_timeless_is_not():
    class Mine(Steady):
        def delay(self, piece, moment):
            return 0.01 * len(moment.arrivals)

    class Started(Steady):
        def start(self):
            return Mine(5).start()

    assert Steady().timeless and not Mine(5).timeless and not Started(5).timeless
    assert planned(Schedule(Steady(5)))
    assert not planned(Schedule(Mine(5)))


def test_what_an_event_may_flush_is_not_planned():
    assert not planned(Schedule(Steady(5), "flush"))


def test_every_stream_is_planned_in_whichever_turn_it_begins(monkeypatch):
    for turn in range(70):
        monkeypatch.setattr("typestream.pacing._schedule._turns", count(turn))
        assert planned(Schedule(Steady(5))), turn


def planned(schedule):
    schedule.feed(typestream.TextDelta("abcdef"), 0.0)
    assert schedule.poll(0.0).text == "a"
    return schedule.run()
