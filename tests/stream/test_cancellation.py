"""Every async operation, cancelled at each of its checkpoints in turn: nothing is left, nothing ends silently."""

import gc
import io
from collections.abc import Callable, Generator
from typing import Any

import pytest

import typestream
from tests.faultserver import FULL, FaultServer
from tests.stream.leftovers import descriptors, eventually, threads
from typestream import StreamClosed, StreamConnectionError, pacing
from typestream.render import Plain
from typestream.testing import VirtualClock, script

WHOLE = "Hello, world. "
ITEMS = [(0.1, "Hello, "), (0.5, "world. ")]


class Counted:
    """Awaits a coroutine, counts how often it is suspended, and has it cancelled the `at`-th time."""

    def __init__(self, coroutine: Any, at: int, cancel: Callable[[], Any]) -> None:
        self.coroutine, self.at, self.cancel = coroutine, at, cancel
        self.count = 0

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self.coroutine.__await__()
        step, value = steps.send, None
        while True:
            try:
                trap = step(value)
            except StopIteration as stop:
                return stop.value
            self.count += 1
            if self.count == self.at:
                self.cancel()
            try:
                step, value = steps.send, (yield trap)
            except BaseException as exc:
                step, value = steps.throw, exc


async def cancelled_at(k: int, kind: str, operation: Callable[[], Any]) -> bool:
    """Run an operation, cancelled at its k-th checkpoint; whether it had so many."""
    import anyio

    if kind == "task":
        import asyncio

        async def run() -> None:
            task = asyncio.current_task()
            assert task is not None
            counted.cancel = task.cancel
            await counted

        counted = Counted(operation(), k, lambda: None)
        task = asyncio.create_task(run())
        try:
            await task
        except asyncio.CancelledError:
            pass
    else:
        with anyio.CancelScope() as scope:
            counted = Counted(operation(), k, scope.cancel)
            await counted
    return counted.count >= k


async def anexts(stream):
    async for _ in stream:
        pass


async def events(stream):
    async for _ in stream.events():
        pass


async def collect(stream):
    await stream.collect()


async def render(stream):
    await stream.render(Plain(), to=io.StringIO())


async def within(stream):
    async with stream:
        async for _ in stream:
            pass


async def read_one_and_close(stream):
    await anext(stream)
    await stream.aclose()


async def close(stream):
    await stream.aclose()


OPERATIONS = [anexts, events, collect, render, within, read_one_and_close, close]


def broken(make):
    """A maker that fails the first time."""
    made = []

    def maker():
        made.append(script([(0.1, StreamConnectionError("gone"))], asynchronous=True) if not made else make())
        return made[-1]

    return maker


SHAPES = {
    "bare": typestream.stream,
    "timeouts": lambda source: typestream.stream(source, timeout=5),
    "steady": lambda source: typestream.stream(source).paced(pacing.Steady(20)),
    "smooth": lambda source: typestream.stream(source).paced(pacing.Smooth()),
    "branch": lambda source: typestream.stream(source).tee(1)[0],
    "retried": lambda source: typestream.stream(broken(lambda: source), retries=1),
    "paced branch": lambda source: typestream.stream(source).tee(1)[0].paced(pacing.Smooth()),
}
KINDS = [("asyncio", "scope"), ("asyncio", "task"), ("trio", "scope")]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.__name__)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("loop", "kind"), KINDS)
def test_at_every_checkpoint(loop, kind, shape, operation):
    import anyio

    async def once(k):
        running = len(anyio.get_running_tasks())
        source = script(ITEMS, asynchronous=True)
        stream = SHAPES[shape](source)
        more = await cancelled_at(k, kind, lambda: operation(stream))
        shown = stream.result.text
        assert WHOLE.startswith(shown)
        try:
            await stream.collect()
        except StreamClosed as error:
            assert error.result.text == shown
        else:
            assert stream.result.text == WHOLE
        await stream.aclose()
        assert await nothing_runs(running)
        assert source.closed or not source._start
        return more

    async def main():
        k = 1
        while await once(k):
            k += 1
        return k - 1

    checkpoints = VirtualClock().run(main, loop)
    if operation is not close:
        assert checkpoints >= 1
    gc.collect()


class Manager:
    """A source that takes its time to close, in two places."""

    def __init__(self):
        self.left = []

    def __aiter__(self):
        return self._items()

    async def _items(self):
        import anyio

        try:
            for _, text in ITEMS:
                await anyio.sleep(0.1)
                yield text
        finally:
            await anyio.sleep(0.01)

    async def aclose(self):
        import anyio

        self.left.append("closing")
        await anyio.sleep(0.01)
        self.left.append("closed")


@pytest.mark.parametrize("operation", [within, read_one_and_close])
@pytest.mark.parametrize("policy", [None, pacing.Smooth()], ids=repr)
@pytest.mark.parametrize(("loop", "kind"), KINDS)
def test_closing_goes_on_to_the_last_thing_that_is_to_be_closed(loop, kind, policy, operation):
    async def once(k):
        source = Manager()
        stream = typestream.stream(source)
        if policy is not None:
            stream.paced(policy)
        more = await cancelled_at(k, kind, lambda: operation(stream))
        await stream.aclose()
        if policy is not None:  # the task that reads closes, in its own time
            import anyio

            await anyio.sleep(1)
        assert source.left[0] == "closing"
        return more

    async def main():
        k = 1
        while await once(k):
            k += 1
        return k - 1

    assert VirtualClock().run(main, loop) >= 2


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_closing_in_a_read_elsewhere_waits_for_the_reader(loop):
    import anyio

    left = []

    async def source():
        try:
            yield "a"
            await anyio.sleep(9)
        finally:
            left.append(anyio.current_time())

    async def main():
        stream = typestream.stream(source())
        async with anyio.create_task_group() as tasks:

            async def read():
                with pytest.raises(StreamClosed):
                    await stream.collect()

            tasks.start_soon(read)
            await anyio.sleep(1)
            await stream.aclose()
            assert len(left) == 1

    VirtualClock().run(main, loop)


@pytest.mark.parametrize("policy", [None, pacing.Smooth()], ids=repr)
def test_a_source_that_cancels_itself_is_no_hang_and_no_end(policy):
    import asyncio

    async def source():
        yield "a"
        raise asyncio.CancelledError

    async def main():
        stream = typestream.stream(source())
        if policy is not None:
            stream.paced(policy)
        with pytest.raises((asyncio.CancelledError, typestream.SourceError)):
            await stream.collect()
        with pytest.raises(typestream.StreamError):
            await stream.collect()

    VirtualClock().run(main)


async def nothing_runs(but):
    """Whether no more tasks run than so many."""
    import anyio
    import anyio.lowlevel

    for _ in range(50):
        if len(anyio.get_running_tasks()) <= but:
            return True
        await anyio.lowlevel.checkpoint()
    return False


@pytest.fixture(scope="module")
def server():
    with FaultServer() as server:
        yield server


@pytest.mark.parametrize("operation", [collect, within, read_one_and_close])
@pytest.mark.parametrize("policy", [None, pacing.Smooth(max_lag=0.01, tail=0.01)], ids=repr)
@pytest.mark.parametrize(("loop", "kind"), KINDS)
def test_at_every_checkpoint_of_a_call_through_the_sdk(loop, kind, policy, operation, server):
    openai = pytest.importorskip("openai")
    import anyio

    async def once(client, k):
        stream = typestream.stream(client.chat.completions.create(model="m", messages=[], stream=True))
        if policy is not None:
            stream.paced(policy)
        more = await cancelled_at(k, kind, lambda: operation(stream))
        assert FULL.startswith(stream.result.text)
        try:
            await stream.collect()
        except StreamClosed:
            pass
        except typestream.StreamError as error:
            raise AssertionError(f"cancelled at {k}: {error!r}") from error
        else:
            assert stream.result.text == FULL
        await stream.aclose()
        return more

    async def main():
        running = len(anyio.get_running_tasks())
        k = 1
        async with openai.AsyncOpenAI(
            api_key="none",
            max_retries=0,
            base_url=server.base_url("slow", ms=1),
            http_client=openai.DefaultAsyncHttpxClient(verify=False),
        ) as client:
            while await once(client, k):
                k += 1
            assert await eventually_idle(server)
        assert await nothing_runs(running)
        return k - 1

    async def eventually_idle(server):
        for _ in range(200):
            if server.busy == 0 and server.open <= 1:  # one may wait for the next call
                return True
            await anyio.sleep(0.005)
        return False

    held = descriptors()
    assert anyio.run(main, backend=loop) >= 2
    assert eventually(lambda: server.open == 0)
    assert eventually(lambda: descriptors() <= held), (held, descriptors())
    assert not threads()
    gc.collect()
