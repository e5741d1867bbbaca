"""One timer for all streams of an asyncio loop: everybody wakes at their own time, and nothing is left behind."""

import asyncio
import gc
import weakref

from hypothesis import given, settings
from hypothesis import strategies as st

import typestream
from typestream._timers import timers
from typestream._virtual_loop import run
from typestream.pacing import Steady


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
            future = loop.create_future()
            shared.add(due, future)
            if give_up is not None:
                loop.call_at(
                    give_up, lambda: future.done() or (future.cancel() if cancelled else future.set_result(False))
                )
            try:
                came = await future
            except asyncio.CancelledError:
                came = None
            finally:
                shared.leave(future)
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
        assert shared._heap == []

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
        assert timers(loop)._heap == []
        for stream in streams:
            await stream.aclose()

    run(main)


def test_given_up_waits_do_not_pile_up():
    async def main() -> None:
        loop = asyncio.get_running_loop()
        shared = timers(loop)
        keep = loop.create_future()
        shared.add(1000.0, keep)
        for _ in range(5000):
            future = loop.create_future()
            shared.add(500.0, future)
            future.cancel()
            shared.leave(future)
        assert len(shared._heap) < 200
        assert await keep is True

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
    future = loop.create_future()
    future.add_done_callback(print)
    shared = timers(loop)
    shared.add(loop.time() + 100, future)
    loop.close()
    shared.leave(future)
