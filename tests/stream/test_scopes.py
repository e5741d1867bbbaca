"""Async sources that hold a cancel scope or a task group open from one item to the next."""

from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest

import typestream
from tests.stream.runtimes import each_loop, play
from typestream import pacing


async def _feed(send):
    async with send:
        for word in ("one ", "two ", "three"):
            await anyio.sleep(0.1)
            await send.send(word)


async def nursery():
    async with anyio.create_task_group() as tasks:
        send, receive = anyio.create_memory_object_stream(1)
        tasks.start_soon(_feed, send)
        async with receive:
            async for word in receive:
                yield word


async def scope():
    with anyio.fail_after(50):
        for word in ("one ", "two ", "three"):
            await anyio.sleep(0.1)
            yield word


@asynccontextmanager
async def entered():
    async with anyio.create_task_group() as tasks:
        send, receive = anyio.create_memory_object_stream(1)
        tasks.start_soon(_feed, send)
        async with receive:
            yield receive


WAYS = {
    "plain": lambda stream: stream,
    "timeout": lambda stream: stream.timeout(first=30),
    "Steady": lambda stream: stream.paced(pacing.Steady(1000)),
    "Smooth": lambda stream: stream.paced(pacing.Smooth()),
    "tee": lambda stream: stream.tee(1)[0],
    "first_of": lambda stream: typestream.first_of(lambda: stream),
}


@each_loop
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("source", [nursery, scope, entered], ids=lambda source: source.__name__)
def test_a_source_may_hold_a_scope_open_from_one_item_to_the_next(loop, source, way):
    async def scenario(kit):
        async with WAYS[way](typestream.stream(source())) as stream:
            whole = (await stream.collect()).text
        async with WAYS[way](typestream.stream(source())) as stream:
            first = await anext(stream)
        early = kit.time
        async with WAYS[way](typestream.stream(source())) as stream:
            with anyio.move_on_after(0.15):
                await stream.collect()
        return whole, first[:1], early, kit.time

    whole, first, early, ended = play(loop, scenario)
    assert (whole, first) == ("one two three", "o")
    assert early < 0.3 + 0.4 + 0.1
    assert ended - early < 0.15 + 0.1


@each_loop
@pytest.mark.parametrize("way", ["plain", "Smooth"])
@pytest.mark.parametrize("raised", [SystemExit, KeyboardInterrupt])
def test_what_ends_the_program_is_no_error_of_a_source(loop, way, raised):
    async def source():
        yield "one "
        raise raised

    streams = []

    async def main():
        streams.append(WAYS[way](typestream.stream(source())))
        await streams[0].collect()

    with pytest.raises(raised):
        anyio.run(main, backend=loop)
    assert streams[0].result.completion == "incomplete"


@each_loop
def test_what_cancels_itself_is_an_error_of_the_source(loop):
    async def source():
        yield "one "
        raise anyio.get_cancelled_exc_class()("by itself") if loop == "asyncio" else BaseException("by itself")

    async def main():
        with pytest.raises(typestream.SourceError) as caught:
            await typestream.stream(source()).collect()
        return caught.value.result.text

    assert anyio.run(main, backend=loop) == "one "


@each_loop
@pytest.mark.filterwarnings("ignore:.*was neither read:ResourceWarning")
def test_a_stream_that_is_left_as_the_last_thing_is_closed(loop):
    class Source:
        closed = False

        def __aiter__(self):
            return self

        async def __anext__(self):
            await anyio.lowlevel.checkpoint()
            return "x"

        async def aclose(self):
            self.closed = True

    source = Source()

    async def main():
        async for _ in typestream.stream(source):
            break

    anyio.run(main, backend=loop)
    assert source.closed
