"""Thousands of streams, a fifth of them faulty, a tenth of them left: in the end everything is as it was."""

import gc
import threading
from contextlib import suppress
from random import Random

import pytest

import typestream
from tests.faultserver import FULL, FaultServer
from tests.stream.leftovers import descriptors, eventually, threads
from tests.stream.runtimes import each_runtime, live
from typestream import StreamError, pacing

SHAPES = [
    lambda stream: stream,
    lambda stream: stream.paced(pacing.Steady(1e6)),
    lambda stream: stream.paced(pacing.Smooth(max_lag=1e-3, tail=1e-3)),
    lambda stream: stream.timeout(between=5),
    lambda stream: stream.tee(2)[1],
]


def before_and_after(run):
    gc.collect()
    held = descriptors()
    counts = run()
    gc.collect()
    assert eventually(lambda: not threads()), threads()
    assert eventually(lambda: descriptors() <= held), (held, descriptors())
    return counts


async def cancelled(kit, stream):
    """A read that is given up; stopped by another thread where nothing can be cancelled."""
    if kit.asynchronous:
        import anyio

        with anyio.move_on_after(0):
            await kit.next(stream)
    else:
        thread = threading.Thread(target=stream.stop)
        thread.start()
        with suppress(StreamError):
            next(stream, None)
        thread.join()


async def soak(kit, random, shapes, count, make, whole):
    """Reads so many streams; how many were left, failed and were whole."""
    left = failed = complete = 0
    for _ in range(count):
        fate = random.random()
        stream = random.choice(shapes)(typestream.stream(make("faulty" if fate < 0.2 else "whole")))
        if 0.2 <= fate < 0.3:
            await kit.next(stream)
            if fate < 0.25:
                await cancelled(kit, stream)
            await kit.close(stream)
            left += 1
            continue
        try:
            text = "".join([text for _, text in await kit.read(stream)])
        except StreamError as error:
            assert whole.startswith(error.result.text)
            failed += 1
        else:
            assert text == whole
            complete += 1
    return left, failed, complete


@each_runtime
@pytest.mark.parametrize("count", [200, pytest.param(10_000, marks=pytest.mark.slow)])
def test_in_memory(runtime, count):
    random = Random(count)
    opened = closed = 0

    async def scenario(kit):
        def left():
            nonlocal closed
            closed += 1

        def make(fate):
            nonlocal opened
            opened += 1
            return kit.generator(["a", "b", "c", *([OSError()] if fate == "faulty" else []), "d"], left=left)

        return await soak(kit, random, SHAPES, count, make, "abcd")

    left, failed, complete = before_and_after(lambda: live(runtime, scenario))
    assert left + failed + complete == count == opened
    assert closed == opened
    assert failed > count / 10
    assert left > count / 20


@each_runtime
@pytest.mark.parametrize("count", [60, pytest.param(10_000, marks=pytest.mark.slow)])
def test_over_sockets(runtime, count):
    openai = pytest.importorskip("openai")
    random = Random(count)
    faults = ["rst-mid", "eof-no-finish", "close-mid-chunk", "rst-after-headers", "empty"]

    with FaultServer() as server:

        async def scenario(kit):
            http = openai.DefaultAsyncHttpxClient if kit.asynchronous else openai.DefaultHttpxClient
            kind = openai.AsyncOpenAI if kit.asynchronous else openai.OpenAI
            client = kind(api_key="none", max_retries=0, base_url="x", http_client=http(verify=False))

            def make(fate):
                fault = random.choice(faults) if fate == "faulty" else "ok"
                at = client.with_options(base_url=server.base_url(fault))
                return lambda: at.chat.completions.create(model="m", messages=[], stream=True)

            try:
                return await soak(kit, random, SHAPES, count, make, FULL)
            finally:
                await client.close() if kit.asynchronous else client.close()

        def run():
            counts = live(runtime, scenario)
            assert eventually(lambda: server.open == 0)
            return counts

        left, failed, complete = before_and_after(run)
    assert left + failed + complete == count
    assert failed
