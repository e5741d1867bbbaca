"""One timer for all streams of an asyncio loop: everybody wakes at their own time, and nothing is left behind."""

import asyncio
import gc
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import typestream
from typestream._timers import Alarm, timers
from typestream._virtual_loop import _VirtualLoop, run
from typestream.pacing import Steady


async def waited(alarm: Alarm, when: float) -> bool:
    return await alarm.wait(when)


def armed(loop: asyncio.AbstractEventLoop) -> int:
    """How many timers of ours the loop has."""
    return sum(handle._callback == timers(loop)._fire for handle in loop._scheduled)  # type: ignore[attr-defined]


waits = st.lists(
    st.tuples(st.floats(0, 2), st.one_of(st.none(), st.floats(0, 2)), st.booleans()), min_size=1, max_size=150
)


@given(waits)
@settings(deadline=None, max_examples=80)
def test_each_wait_ends_when_it_should_whatever_the_others_do(plan):
    """Of each: when it is due; when it is given up; whether then by a cancellation or by being woken."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        shared = timers(loop)

        async def wait(due, give_up, cancelled):
            alarm = Alarm(loop)
            if give_up is not None:
                loop.call_at(give_up, asyncio.current_task().cancel if cancelled else alarm.wake)
            try:
                came = await alarm.wait(due)
            except asyncio.CancelledError:
                came = None
            return came, loop.time()

        for (due, give_up, cancelled), (came, at) in zip(
            plan, await asyncio.gather(*(wait(*item) for item in plan)), strict=True
        ):
            early = give_up is not None and give_up < due - 1e-5
            if early:
                assert came is (None if cancelled else False)
                assert abs(at - give_up) < 1e-5
            elif give_up is None or give_up > due + 1e-5:
                assert came is True
                assert abs(at - due) < 1e-5
        assert armed(loop) == 0
        assert shared._due == {}

    run(main)


def test_no_timer_outlives_the_streams():
    async def main() -> None:
        loop = asyncio.get_running_loop()
        streams = [typestream.replay("abc").as_async().paced(Steady(0.001 * i)) for i in range(1, 201)]
        readers = [asyncio.ensure_future(stream.collect()) for stream in streams]
        await asyncio.sleep(0.1)
        assert armed(loop) == 1  # one for two hundred
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        assert armed(loop) == 0
        assert timers(loop)._due == {}
        for stream in streams:
            await stream.aclose()

    run(main)


def test_given_up_waits_do_not_pile_up():
    async def main() -> None:
        loop = asyncio.get_running_loop()
        kept = asyncio.ensure_future(waited(Alarm(loop), 1000.0))
        alarm = Alarm(loop)
        for at in range(5000):
            waiting = asyncio.ensure_future(waited(alarm, 500.0 + at / 100))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        assert len(timers(loop)._times) < 200
        assert len(timers(loop)._due) == 1
        assert await kept is True

    run(main)


def test_a_wait_that_is_cancelled_loses_nothing_and_keeps_its_time():
    async def main() -> list[tuple[float, str]]:
        loop = asyncio.get_running_loop()
        stream = typestream.replay("abcd").as_async().paced(Steady(1))
        shown: list[tuple[float, str]] = []
        while True:
            try:
                text = await asyncio.wait_for(anext(stream), 0.3)
            except asyncio.TimeoutError:
                continue
            except StopAsyncIteration:
                return shown
            shown.append((round(loop.time(), 6), text))

    assert run(main) == [(0, "a"), (1, "b"), (2, "c"), (3, "d")]


def test_a_loop_is_not_kept_alive():
    async def main() -> asyncio.AbstractEventLoop:
        await typestream.replay("ab").as_async().paced(Steady(1000)).collect()
        return asyncio.get_running_loop()

    loop = weakref.ref(run(main))
    gc.collect()
    assert loop() is None


def test_leaving_a_closed_loop_is_quiet():
    loop = asyncio.new_event_loop()
    alarm = Alarm(loop)
    waiting = alarm.wait(loop.time() + 100)
    assert waiting.send(None) is alarm
    loop.close()
    waiting.close()
    assert timers(loop)._due == {}


def test_of_many_waits_those_of_one_tick_end_together_and_none_too_soon():
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ended: list[tuple[float, float]] = []

        async def wait(first: float) -> None:
            alarm = Alarm(loop)
            for i in range(20):
                due = first + i * 0.1
                assert await alarm.wait(due)
                ended.append((due, loop.time()))

        await asyncio.gather(*(wait(i / 20000) for i in range(2000)))
        late = [at - due for due, at in ended]
        assert len(late) == 40000
        assert min(late) > -1e-5
        assert max(late) < 0.0081  # seconds
        assert len({at for _, at in ended[2000:]}) < 1000  # of 38,000 different times

    run(main)


def test_who_ends_the_program_keeps_nobody_else_waiting():
    ended: list[str] = []
    loop = _VirtualLoop()

    async def wait(name: str) -> None:
        await Alarm(asyncio.get_running_loop()).wait(1.0)
        ended.append(name)
        if name == "b":
            raise SystemExit

    tasks = [loop.create_task(wait(name)) for name in "abcd"]
    loop.call_at(2.0, loop.stop)
    with pytest.raises(SystemExit):
        loop.run_forever()
    loop.run_forever()
    loop.close()
    assert [type(task.exception()) for task in tasks] == [type(None), SystemExit, type(None), type(None)]
    assert ended == ["a", "b", "c", "d"]


def test_two_wakes_are_one():
    async def main() -> list[bool]:
        loop = asyncio.get_running_loop()
        alarm = Alarm(loop)
        loop.call_at(1.0, alarm.wake)
        loop.call_at(1.0, alarm.wake)
        came = [await alarm.wait(2.0), await alarm.wait(3.0)]
        assert loop.time() == pytest.approx(3.0)
        return came

    assert run(main) == [False, True]


def test_a_reader_is_cancelled_in_the_very_moment_in_which_its_text_is_due():
    async def main() -> str:
        loop = asyncio.get_running_loop()
        stream = typestream.replay("abc").as_async().paced(Steady(1))
        assert await anext(stream) == "a"
        reader = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        loop.call_at(1.0, reader.cancel)
        (came,) = await asyncio.gather(reader, return_exceptions=True)
        return (came if isinstance(came, str) else "") + "".join([text async for text in stream])

    assert run(main) == "bc"
