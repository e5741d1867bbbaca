"""A stream over a WebSocket: one frame an event, and neither side left waiting."""

import json
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from typestream.errors import StreamTruncated
from typestream.events import Event, Finish, TextDelta
from typestream.render import Plain, websocket
from typestream.result import Result

pytestmark = pytest.mark.anyio


class Stream:
    """As much of an `AsyncTokenStream` as is needed."""

    def __init__(self, *items: Event | Exception, wait: bool = False) -> None:
        self.items = items
        self.wait = wait
        self.result = Result()
        self.taken = 0
        self.closed = False
        self.asked: list[str] = []

    def events(self) -> AsyncGenerator[Event, None]:
        self.run = self._run()
        return self.run

    async def _run(self) -> AsyncGenerator[Event, None]:
        for item in self.items:
            self.taken += 1
            if isinstance(item, Exception):
                raise item
            self.result.add(item)
            yield item
        if self.wait:
            await anyio.sleep_forever()
        self.result.completion = "complete"

    async def aclose(self) -> None:
        await self.run.aclose()
        self.closed = True

    def stop(self) -> None:
        self.asked.append("stop")
        self.wait = False


class ConnectionClosed(Exception):
    """Named as the `websockets` library names it."""


class Socket:
    """As `websockets` has it; `WebSocketLike` is as Starlette has it."""

    def __init__(self, *messages: str | Exception, room: int = 99) -> None:
        self.messages = list(messages)
        self.room = room
        self.frames: list[str] = []
        self.code: int | None = None

    async def send(self, text: str) -> None:
        await anyio.lowlevel.checkpoint()
        if len(self.frames) == self.room:
            raise ConnectionClosed
        text.encode("utf-8")
        self.frames.append(text)

    async def recv(self) -> str:
        if not self.messages:
            await anyio.sleep_forever()
        message = self.messages.pop(0)
        if isinstance(message, Exception):
            raise message
        return message

    async def close(self, code: int = 1000) -> None:
        self.code = code


class Starlette:
    def __init__(self, inner: Socket) -> None:
        self.send_text, self.receive_text, self.close = inner.send, inner.recv, inner.close


async def test_one_frame_an_event_and_a_code() -> None:
    for wrap in (lambda socket: socket, Starlette):
        socket, stream = Socket(), Stream(TextDelta("a\n"), TextDelta("\ud800"), Finish("stop"))
        result = await websocket(stream, wrap(socket))
        assert [json.loads(frame)["type"] for frame in socket.frames] == ["text_delta", "text_delta", "finish", "end"]
        assert json.loads(socket.frames[0])["text"] == "a\n"
        assert socket.code == 1000
        assert stream.closed
        assert result.text == "a\n\ud800"


async def test_frames_are_utf_8_whatever_renders_them() -> None:
    socket = Socket()
    await websocket(Stream(TextDelta("a\ud800b")), socket, renderer=Plain(raw=True))
    assert socket.frames == ["a?b"]


async def test_a_stream_that_breaks_off_says_so_and_no_more() -> None:
    socket, stream = Socket(), Stream(TextDelta("a"), StreamTruncated("sk-123"))
    await websocket(stream, socket)
    assert json.loads(socket.frames[-1]) == {
        "type": "error",
        "code": "stream_truncated",
        "message": "The answer broke off.",
    }
    assert socket.code == 1011
    assert stream.closed


async def test_a_client_that_leaves_while_it_is_sent_to_stops_the_source() -> None:
    socket, stream = Socket(room=2), Stream(*[TextDelta("x")] * 50)
    await websocket(stream, socket)
    assert stream.closed
    assert stream.taken == 3
    assert socket.code is None


async def test_a_client_that_leaves_while_the_source_is_silent_stops_it() -> None:
    socket, stream = Socket(ConnectionClosed()), Stream(TextDelta("x"), wait=True)
    with anyio.fail_after(5):
        await websocket(stream, socket)
    assert stream.closed


async def test_a_slow_client_slows_the_source_down() -> None:
    gate = anyio.Event()

    class Slow(Socket):
        async def send(self, text: str) -> None:
            await gate.wait()
            await super().send(text)

    socket, stream = Slow(), Stream(*[TextDelta("x")] * 50)
    async with anyio.create_task_group() as group:
        group.start_soon(websocket, stream, socket)
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        assert stream.taken == 1
        gate.set()
    assert stream.taken == 50


async def test_a_client_can_ask() -> None:
    asks = ("not json", "[]", '{"type": "close"}', '{"type": ["stop"]}', '{"type": "stop"}')
    stream = Stream(TextDelta("x"), TextDelta("y"))
    await websocket(stream, Socket(*asks))
    assert stream.asked == ["stop"]


async def test_what_is_nobody_s_leaving_is_raised() -> None:
    socket, stream = Socket(), Stream(TextDelta("x"), KeyError("a bug"))
    with pytest.raises(KeyError, match="a bug"):
        await websocket(stream, socket)
    assert stream.closed
    assert socket.code == 1011


async def test_cancellation_closes_the_source() -> None:
    stream = Stream(TextDelta("x"), wait=True)
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(websocket, stream, Socket())
            for _ in range(10):
                await anyio.lowlevel.checkpoint()
            scope.cancel()
    assert stream.closed


async def test_the_real_websockets_library() -> None:
    pytest.importorskip("websockets")
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pytest.skip("websockets runs on asyncio")
    from websockets.asyncio.client import connect
    from websockets.asyncio.server import serve

    streams: list[Stream] = []

    async def handle(connection: Any) -> None:
        streams.append(Stream(TextDelta("é"), wait=len(streams) == 1))
        await websocket(streams[-1], connection)

    async with serve(handle, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with connect(url) as client:
            frames = [json.loads(frame) async for frame in client]
            assert client.close_code == 1000
        assert [frame["type"] for frame in frames] == ["text_delta", "end"]
        async with connect(url) as client:
            await client.recv()
        with anyio.fail_after(5):
            while not streams[1].closed:
                await anyio.lowlevel.checkpoint()
