"""Two readers at once: the second is told so, and the first goes on."""

import threading

import pytest

import typestream
from tests.stream.runtimes import each_loop
from typestream import StreamBusy, pacing
from typestream.testing import VirtualClock, script


@pytest.mark.parametrize("policy", [None, pacing.Smooth()], ids=repr)
def test_two_threads(policy):
    reading, go_on = threading.Event(), threading.Event()

    def source():
        yield "a"
        reading.set()
        go_on.wait(5)
        yield "b"

    stream = typestream.stream(source())
    if policy is not None:
        stream.paced(policy)
    read = []
    thread = threading.Thread(target=lambda: read.extend(stream))
    thread.start()
    reading.wait(5)
    with pytest.raises(StreamBusy) as caught:
        next(stream)
    with pytest.raises(StreamBusy):
        stream.as_async()
    with pytest.raises(StreamBusy):
        stream.tee()
    assert caught.value.result is stream.result
    go_on.set()
    thread.join(5)
    assert read == ["a", "b"]
    assert next(stream, None) is None


@each_loop
@pytest.mark.parametrize("policy", [None, pacing.Smooth(), pacing.Steady(1)], ids=repr)
def test_two_tasks(loop, policy):
    import anyio

    async def main():
        stream = typestream.stream(script([(0, "ab"), (2, "cd")], asynchronous=True))
        if policy is not None:
            stream.paced(policy)
        read = []

        async def first():
            async for text in stream:
                read.append(text)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first)
            await anyio.sleep(0.5)
            with pytest.raises(StreamBusy):
                await anext(stream)
            with pytest.raises(StreamBusy):
                stream.tee()
        return "".join(read)

    assert VirtualClock().run(main, loop) == "abcd"
