"""From one twin to the other: nothing lost, the same end, context variables kept, threads only where needed."""

import asyncio
import contextvars
import threading

import pytest

import typestream
from tests.stream.leftovers import eventually
from tests.stream.runtimes import each_loop
from typestream import SourceError, StreamClosed, TokenStream, pacing
from typestream._core import Core
from typestream.sources._pushed import Pushed, PushedSource

VARIABLE = contextvars.ContextVar("variable", default="unset")


def run(loop, main):
    import anyio

    return anyio.run(main, backend=loop)


def threads():
    return {thread for thread in threading.enumerate() if thread.name == "typestream"}


@each_loop
def test_async_for_over_a_sync_stream(loop):
    async def main():
        return [text async for text in typestream.stream(iter("abc"))]

    assert run(loop, main) == ["a", "b", "c"]
    assert not threads()


@each_loop
@pytest.mark.parametrize("policy", [None, pacing.Smooth(max_lag=0.05, tail=0.05), pacing.Steady(1000)], ids=repr)
def test_reading_goes_on_where_it_was(loop, policy):
    stream = typestream.stream(iter("abcdefgh"))
    if policy is not None:
        stream.paced(policy)
    read = next(stream)

    async def main():
        rest = read
        async for text in stream.as_async():
            rest += text
        return rest

    assert run(loop, main) == "abcdefgh"
    assert not threads()


@each_loop
def test_what_was_read_ahead_is_not_lost(loop):
    shown = threading.Event()

    def source():
        yield "a"
        shown.wait(5)
        yield from "bcdefgh"

    stream = typestream.stream(source()).paced(pacing.Smooth(max_lag=0.05, tail=0.05))
    next(stream)
    shown.set()
    assert eventually(lambda: stream._pump.finished)

    async def main():
        return (await stream.as_async().collect()).text

    assert run(loop, main) == "abcdefgh"


@each_loop
def test_the_old_twin_says_where_to_go_on(loop):
    stream = typestream.stream(iter("abc"))
    next(stream)

    async def main():
        twin = stream.as_async()
        with pytest.raises(StreamClosed, match="as_async"):
            next(stream)
        stream.stop()
        stream.close()
        assert twin.result is stream.result
        return (await twin.collect()).text

    assert run(loop, main) == "abc"


@each_loop
def test_in_memory_there_is_no_thread(loop):
    async def main():
        texts = []
        async for text in typestream.replay("abcd").paced(pacing.Steady(1000)).as_async():
            texts.append(text)
            assert not threads()
        return "".join(texts)

    assert run(loop, main) == "abcd"
    assert typestream.replay("abc").as_async().as_sync().collect().text == "abc"


@each_loop
def test_others_have_their_turn_while_memory_is_read(loop):
    import anyio
    import anyio.lowlevel

    async def main():
        turns = 0

        async def other():
            nonlocal turns
            while True:
                await anyio.lowlevel.checkpoint()
                turns += 1

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other)
            await typestream.stream(["a"] * 1000).as_async().collect()
            tasks.cancel_scope.cancel()
        return turns

    assert run(loop, main) >= 10


@each_loop
def test_a_sync_sources_error_is_the_same(loop):
    def source():
        yield "a"
        raise ZeroDivisionError("half")

    async def main():
        with pytest.raises(SourceError) as caught:
            await typestream.stream(source()).as_async().collect()
        return caught.value

    error = run(loop, main)
    assert type(error.__cause__) is ZeroDivisionError
    assert error.result.text == "a"


@each_loop
def test_a_stop_iteration_in_a_sync_source_is_no_end(loop):
    class Source:
        def __iter__(self):
            return self

        def __next__(self):
            raise StopAsyncIteration

    async def main():
        with pytest.raises(SourceError):
            await typestream.stream(Source()).as_async().collect()

    run(loop, main)


@each_loop
def test_context_variables_are_the_readers(loop):
    def source():
        yield VARIABLE.get()

    async def main():
        VARIABLE.set(loop)
        return (await typestream.stream(source()).as_async().collect()).text

    assert run(loop, main) == loop


def test_context_variables_are_the_sync_readers():
    async def source():
        yield VARIABLE.get()

    token = VARIABLE.set("mine")
    assert typestream.stream(source()).as_sync().collect().text == "mine"
    assert typestream.stream(iter([VARIABLE.get()])).paced(pacing.Smooth()).collect().text == "mine"
    VARIABLE.reset(token)


@each_loop
def test_a_thread_of_ours_is_in_no_event_loop(loop):
    """Although it has the context of its reader, who is in one."""
    import anyio.lowlevel

    async def nothing():
        await anyio.lowlevel.checkpoint()

    async def pieces():
        yield "b"

    def source():
        anyio.run(nothing)
        yield "a"
        yield from typestream.stream(pieces()).as_sync()

    async def main():
        assert list(typestream.stream(pieces()).as_sync()) == ["b"]
        return (await typestream.stream(source()).as_async().collect()).text

    assert run(loop, main) == "ab"


@each_loop
def test_cancelling_a_blocked_thread_is_prompt_and_it_closes_its_source_when_it_can(loop):
    import anyio

    go_on, left = threading.Event(), threading.Event()

    def source():
        try:
            yield "a"
            go_on.wait(10)
            yield "b"
        finally:
            left.set()

    async def main():
        stream = typestream.stream(source()).as_async()
        assert await anext(stream) == "a"
        start = anyio.current_time()
        with anyio.move_on_after(0.05):
            await anext(stream)
        took = anyio.current_time() - start
        with pytest.raises(StreamClosed):
            await anext(stream)
        assert not left.is_set()
        return took

    assert run(loop, main) < 5
    go_on.set()
    assert left.wait(5)


def test_as_sync_reads_an_async_source_in_a_loop_of_its_own():
    closed = []

    async def source():
        try:
            for text in "abc":
                await asyncio.sleep(0)
                yield text
        finally:
            closed.append(asyncio.get_running_loop())

    stream = typestream.stream(source()).as_sync()
    assert list(stream) == ["a", "b", "c"]
    assert len(closed) == 1
    assert not threads()


@pytest.mark.parametrize("policy", [None, pacing.Smooth()], ids=repr)
def test_as_sync_left_in_the_middle_closes_the_source(policy):
    closed = threading.Event()

    async def source():
        try:
            yield "a"
            await asyncio.sleep(30)
        finally:
            closed.set()

    stream = typestream.stream(source()).as_sync()
    if policy is not None:
        stream.paced(policy)
    next(stream)
    stream.close()
    assert closed.is_set()
    assert not threads()
    with pytest.raises(StreamClosed):
        next(stream)


def test_as_sync_wakes_a_blocked_read():
    async def source():
        yield "a"
        await asyncio.sleep(30)

    stream = typestream.stream(source()).as_sync()
    next(stream)
    timer = threading.Timer(0.02, stream.close)
    timer.start()
    with pytest.raises(StreamClosed):
        next(stream)
    timer.join()


def test_as_sync_has_stall_clocks():
    async def source():
        yield "a"
        await asyncio.sleep(30)

    stream = typestream.stream(source()).as_sync().timeout(between=0.02)
    with pytest.raises(typestream.StallTimeout) as caught:
        stream.collect()
    assert caught.value.result.text == "a"
    assert not threads()


def test_as_sync_of_an_unread_coroutine_closes_it():
    async def call():
        return ["a"]

    stream = typestream.stream(call()).as_sync()
    stream.close()  # a coroutine that was never awaited would be a RuntimeWarning
    assert typestream.stream(call()).as_sync().collect().text == "a"


class Endless:
    """A blocking source that goes on for ever."""

    closed = False

    def __iter__(self):
        return self

    def __next__(self):
        return "x"

    def close(self):
        self.closed = True


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("configure", [lambda stream: stream, lambda stream: stream.timeout(between=5)])
@pytest.mark.parametrize("begun", [False, True])
def test_an_async_twin_dropped_unread_closes_the_source(configure, begun):
    source = Endless()
    stream = configure(typestream.stream(source))
    if begun:
        next(stream)
    twin = stream.as_async()
    del stream, twin
    assert eventually(lambda: source.closed and not threads())


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@each_loop
def test_an_async_twin_dropped_after_its_loop_has_gone_closes_the_source(loop):
    source = Endless()
    twins = [typestream.stream(source).as_async()]

    async def main():
        assert await anext(twins[0]) == "x"

    run(loop, main)
    twins.clear()
    assert eventually(lambda: source.closed and not threads())


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@each_loop
def test_a_model_whose_reader_was_dropped_after_its_loop_has_gone_ends(loop):
    ended = threading.Event()

    def produce(put):
        try:
            while True:
                put("x")
        finally:
            ended.set()

    twins = [TokenStream(Core(), PushedSource(Pushed(produce, ahead=2), name="model")).as_async()]

    async def main():
        assert await anext(twins[0]) == "x"

    run(loop, main)
    assert not ended.is_set()
    twins.clear()
    assert eventually(ended.is_set)


async def cancelled_within():
    yield "a"
    inner = asyncio.get_running_loop().create_future()
    inner.cancel()
    await inner


async def raising(error):
    yield "a"
    raise error


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        (cancelled_within, asyncio.CancelledError),
        (lambda: raising(SystemExit(3)), SystemExit),
        (lambda: raising(GeneratorExit()), GeneratorExit),
        (lambda: raising(BaseException("odd")), BaseException),
    ],
    ids=["a task of its own was cancelled", "exit", "generator exit", "another"],
)
@pytest.mark.parametrize("policy", [None, pacing.Smooth(max_lag=0.05, tail=0.05)], ids=repr)
def test_as_sync_says_what_no_except_exception_catches(source, cause, policy):
    stream = typestream.stream(source()).as_sync().timeout(between=5)  # else this would wait for ever
    if policy is not None:
        stream.paced(policy)
    with pytest.raises(SourceError) as caught:
        stream.collect()
    assert type(caught.value.__cause__) is cause
    assert caught.value.result.text == "a"
    assert eventually(lambda: not threads())


def test_as_sync_says_so_where_there_can_be_no_event_loop(monkeypatch):
    async def source():
        yield "a"

    def no_loop(*given):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("typestream._aio.run", no_loop)
    with pytest.raises(SourceError, match="Too many open files"):
        typestream.stream(source()).as_sync().timeout(first=5).collect()


@pytest.mark.parametrize("policy", [None, pacing.Smooth(max_lag=0.05, tail=0.05)], ids=repr)
@pytest.mark.parametrize("clocks", [False, True])
def test_there_and_back_nothing_is_lost(policy, clocks):
    stream = typestream.stream(str(number) + " " for number in range(200))
    if policy is not None:
        stream.paced(policy)
    if clocks:
        stream.timeout(between=5)
    text = next(stream)
    if stream._pump is not None:
        assert eventually(lambda: len(stream._pump._buffer) > 10)
    for _ in range(2):
        stream = stream.as_async().as_sync()
    assert text + "".join(stream.skip()) == stream.result.text == "".join(f"{number} " for number in range(200))
    assert not threads()


@pytest.mark.parametrize("begun", [False, True])
def test_there_and_back_with_an_async_source(begun):
    async def source():
        for text in "abc":
            yield text

    stream = typestream.stream(source()).as_sync()
    text = next(stream) if begun else ""
    stream = stream.as_async().as_sync()
    assert text + "".join(stream) == stream.result.text == "abc"
    assert not threads()


def test_as_sync_comes_before_the_first_read():
    async def main():
        async def source():
            yield "a"
            yield "b"

        stream = typestream.stream(source())
        await anext(stream)
        with pytest.raises(RuntimeError, match="before the first read"):
            stream.as_sync()
        await stream.aclose()

    asyncio.run(main())


def test_a_cancel_scope_in_a_generator_stays_in_one_task():
    import anyio

    async def source():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep, 0)
            for text in "abc":
                yield text

    assert typestream.stream(source()).as_sync().collect().text == "abc"

    async def main():
        stream = typestream.stream(source()).paced(pacing.Smooth())
        await anext(stream)
        await stream.aclose()

    for loop in ("asyncio", "trio"):
        anyio.run(main, backend=loop)
