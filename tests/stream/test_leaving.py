"""Every way to leave a stream, over real sockets and through the real SDK: nothing is left behind."""

import gc
import warnings
from contextlib import suppress

import pytest

import typestream
from tests.faultserver import FULL, PARTIAL, FaultServer
from tests.stream.leftovers import descriptors, eventually, threads
from tests.stream.runtimes import each_runtime, live
from typestream import StallTimeout, StreamClosed, StreamConnectionError, pacing

pytest.importorskip("openai")


@pytest.fixture(scope="module")
def server():
    with FaultServer() as server:
        yield server


# -- the ways: each gets a kit and a function that makes a call to a fault, and leaves


async def to_the_end(kit, call):
    stream = typestream.stream(call("ok"))
    assert "".join(text for _, text in await kit.read(stream)) == FULL


async def paced_to_the_end(kit, call):
    stream = typestream.stream(call("ok")).paced(pacing.Smooth(max_lag=0.02, tail=0.02))
    assert "".join(text for _, text in await kit.read(stream)) == FULL


async def collected(kit, call):
    stream = typestream.stream(call("ok"))
    result = await stream.collect() if kit.asynchronous else stream.collect()
    assert (result.text, result.completion) == (FULL, "complete")


async def closed_before_the_start(kit, call):
    stream = typestream.stream(call("stall-mid"))
    await kit.close(stream)


async def closed_after_one(kit, call):
    stream = typestream.stream(call("stall-mid"))
    await kit.next(stream)
    await kit.close(stream)


async def with_and_break(kit, call):
    if kit.asynchronous:
        async with typestream.stream(call("stall-mid")) as stream:
            async for _ in stream:
                break
    else:
        with typestream.stream(call("stall-mid")) as stream:
            for _ in stream:
                break
    with pytest.raises(StreamClosed):
        await kit.next(stream)


async def an_exception_in_the_body(kit, call):
    with pytest.raises(ZeroDivisionError):
        if kit.asynchronous:
            async with typestream.stream(call("stall-mid")) as stream:
                async for _ in stream:
                    raise ZeroDivisionError
        else:
            with typestream.stream(call("stall-mid")) as stream:
                for _ in stream:
                    raise ZeroDivisionError


async def closed_elsewhere_in_a_blocked_read(kit, call):
    stream = typestream.stream(call("stall-mid"))
    kit.at(0.05, lambda: kit.close(stream))
    trace, error, _ = await kit.outcome(stream)
    assert type(error) is StreamClosed
    assert "".join(text for _, text in trace) == error.result.text
    assert PARTIAL.startswith(error.result.text)  # a busy machine may have read less by then


async def stopped_elsewhere_in_a_blocked_read(kit, call):
    stream = typestream.stream(call("stall-mid"))
    kit.at(0.05, stream.stop)
    assert PARTIAL.startswith("".join(text for _, text in await kit.read(stream)))


async def stopped_elsewhere_while_read_ahead(kit, call):
    stream = typestream.stream(call("stall-mid")).paced(pacing.Smooth(max_lag=0.02, tail=0.02))
    kit.at(0.1, stream.stop)
    assert PARTIAL.startswith("".join(text for _, text in await kit.read(stream)))


async def closed_in_a_pacing_wait(kit, call):
    stream = typestream.stream(call("ok")).paced(pacing.Steady(0.1))
    await kit.next(stream)
    kit.at(0.05, lambda: kit.close(stream))
    _, error, _ = await kit.outcome(stream)
    assert type(error) is StreamClosed


async def stopped_and_read_on(kit, call):
    stream = typestream.stream(call("stall-mid"))
    await kit.next(stream)
    stream.stop()
    assert await kit.next(stream) is None


async def read_ahead_and_closed(kit, call):
    stream = typestream.stream(call("stall-mid")).paced(pacing.Smooth())
    await kit.next(stream)
    await kit.close(stream)


async def a_stall(kit, call):
    stream = typestream.stream(call("stall-mid"), timeout=0.05)
    _, error, _ = await kit.outcome(stream)
    assert type(error) is StallTimeout


async def a_stall_while_read_ahead(kit, call):
    stream = typestream.stream(call("stall-mid"), timeout=0.05).paced(pacing.Smooth(max_lag=0.02))
    _, error, _ = await kit.outcome(stream)
    assert type(error) is StallTimeout


async def a_reset(kit, call):
    _, error, _ = await kit.outcome(typestream.stream(call("rst-mid")))
    assert type(error) is StreamConnectionError


async def silence_after_the_end(kit, call):
    stream = typestream.stream(call("stall-after-done"))
    assert "".join(text for _, text in await kit.read(stream)) == FULL


async def a_transform_ends_it(kit, call):
    from typestream.transforms import StopAt

    stream = typestream.stream(call("stall-mid")).through(StopAt(PARTIAL[1]))
    assert "".join(text for _, text in await kit.read(stream)) == PARTIAL[0]


async def branches_left_one_by_one(kit, call):
    one, other, third = typestream.stream(call("stall-mid")).tee(3)
    await kit.next(one)
    await kit.close(other)
    await kit.next(third)
    await kit.close(one)
    await kit.close(third)


async def a_fallback_and_a_close(kit, call):
    first, second = call("rst-after-headers"), call("stall-mid")
    stream = typestream.first_of(first, second)
    assert await kit.next(stream)
    await kit.close(stream)


async def wrapped_and_closed(kit, call):
    """wrap() reads the SDK's own objects, some ahead: that read is woken, too."""
    made = typestream.wrap(call("stall-mid"))
    if kit.asynchronous:
        made = await made
        await anext(made)
    else:
        next(made)
    await kit.close(made)


async def a_helper_closed_elsewhere(kit, call):
    """The SDK's helper stream, over a stream of its own."""
    from openai.lib.streaming.chat import AsyncChatCompletionStream, ChatCompletionStream

    raw = await call("stall-mid")() if kit.asynchronous else call("stall-mid")()
    helper = AsyncChatCompletionStream if kit.asynchronous else ChatCompletionStream
    stream = typestream.stream(helper(raw_stream=raw, response_format=None, input_tools=[]))
    assert PARTIAL.startswith(await kit.next(stream))
    kit.at(0.05, lambda: kit.close(stream))
    _, error, _ = await kit.outcome(stream)
    assert type(error) is StreamClosed
    assert PARTIAL.startswith(error.result.text)


async def dropped(kit, call):
    stream = typestream.stream(call("stall-mid"))
    await kit.next(stream)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del stream
        gc.collect()
        await kit.sleep(0.02)
    assert [each.category for each in caught if "neither read" in str(each.message)] == [ResourceWarning]


async def dropped_while_read_ahead(kit, call):
    stream = typestream.stream(call("stall-mid")).paced(pacing.Smooth())
    await kit.next(stream)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del stream
        gc.collect()
        await kit.sleep(0.02)
    assert ResourceWarning in [each.category for each in caught]


async def cancelled_in_a_read(kit, call):
    stream = typestream.stream(call("stall-mid"))
    await kit.next(stream)
    if kit.asynchronous:
        import anyio

        with anyio.move_on_after(0.05) as scope:
            await kit.read(stream)
        assert scope.cancelled_caught
    else:

        def interrupt(*_):
            raise KeyboardInterrupt

        import signal

        before = signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        try:
            with pytest.raises(KeyboardInterrupt):
                await kit.read(stream)
        finally:
            signal.signal(signal.SIGALRM, before)
    with pytest.raises(StreamClosed):
        await kit.next(stream)


async def the_other_twin_closed(kit, call):
    if kit.asynchronous:
        return
    stream = typestream.stream(call("stall-mid"))
    next(stream)

    async def main():
        twin = stream.as_async()
        await anext(twin)
        await twin.aclose()

    import asyncio

    asyncio.run(main())


WAYS = [
    to_the_end,
    paced_to_the_end,
    collected,
    closed_before_the_start,
    closed_after_one,
    with_and_break,
    an_exception_in_the_body,
    closed_elsewhere_in_a_blocked_read,
    stopped_elsewhere_in_a_blocked_read,
    stopped_elsewhere_while_read_ahead,
    closed_in_a_pacing_wait,
    stopped_and_read_on,
    read_ahead_and_closed,
    a_stall,
    a_stall_while_read_ahead,
    a_reset,
    silence_after_the_end,
    a_transform_ends_it,
    branches_left_one_by_one,
    a_fallback_and_a_close,
    wrapped_and_closed,
    a_helper_closed_elsewhere,
    dropped,
    dropped_while_read_ahead,
    cancelled_in_a_read,
    the_other_twin_closed,
]


@each_runtime
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_nothing_is_left(runtime, way, server):
    import openai

    async def scenario(kit):
        client = (openai.AsyncOpenAI if kit.asynchronous else openai.OpenAI)(
            api_key="none", max_retries=0, base_url="x"
        )

        def call(fault):
            at = client.with_options(base_url=server.base_url(fault))
            return lambda: at.chat.completions.create(model="m", messages=[], stream=True)

        before = threads(), tasks()
        try:
            await way(kit, call)
            assert server.wait(lambda server: server.busy == 0, 0.5) or await settle(kit, lambda: server.busy == 0)
            assert await settle(kit, lambda: (threads(), tasks()) == before), (before, threads(), tasks())
        finally:
            await client.close() if kit.asynchronous else client.close()

    gc.collect()
    held = descriptors()
    live(runtime, scenario)
    assert eventually(lambda: server.open == 0)
    assert eventually(lambda: descriptors() <= held), (held, descriptors())
    gc.collect()  # what was left to the garbage collector would warn now


async def settle(kit, holds):
    for _ in range(100):
        if holds():
            return True
        await kit.sleep(0.005)
    return False


def tasks():
    """How many tasks of typestream's run."""
    with suppress(RuntimeError):
        import asyncio

        return sum("typestream" in repr(task) for task in asyncio.all_tasks())
    with suppress(RuntimeError, ImportError):
        import trio

        root = trio.lowlevel.current_root_task()
        names = [task.name for nursery in root.child_nurseries for task in nursery.child_tasks] if root else []
        return sum("typestream" in name for name in names)
    return 0


def test_the_connection_of_a_whole_answer_is_used_again(server):
    import openai

    with openai.OpenAI(api_key="none", max_retries=0, base_url=server.base_url("ok")) as client:
        for _ in range(3):
            stream = typestream.stream(client.chat.completions.create(model="m", messages=[], stream=True))
            assert stream.collect().text == FULL
            assert server.open == 1
            stream.close()  # must not touch a connection that may be another's by now
    assert eventually(lambda: server.open == 0)


def test_a_paced_tail_left_early_does_not_touch_the_pooled_connection(server):
    import openai

    with openai.OpenAI(api_key="none", max_retries=0, base_url=server.base_url("ok")) as client:

        def call():
            return client.chat.completions.create(model="m", messages=[], stream=True)

        paced = typestream.stream(call()).paced(pacing.Smooth(max_lag=5, tail=5))
        next(paced)
        assert eventually(lambda: server.busy == 0 and paced._pump.finished)
        again = typestream.stream(call())
        next(again)
        paced.close()
        again.collect()
        assert again.result.text == FULL
