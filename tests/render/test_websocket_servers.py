"""`websocket` with real streams and real sockets: Starlette behind uvicorn, and the `websockets` library."""

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio
import pytest

import typestream
from tests.examples._site import serving, serving_with_hypercorn
from typestream import Result
from typestream.render import websocket

connect = pytest.importorskip("websockets.asyncio.client").connect
SEC = 20.0
BULK = "x" * 10_000


class Source:
    """Pieces of text, and what became of them.

    Attributes:
        made: how many were made.
        closed: set when nobody makes them any more.
        results: what `websocket` returned.
        raised: what it raised.
    """

    def __init__(self, count: int = 5, text: str = "é\n", wait: bool = False, fail: bool = False) -> None:
        self.count, self.text, self.wait, self.fail = count, text, wait, fail
        self.made = 0
        self.closed = threading.Event()
        self.release = threading.Event()
        self.results: list[Result] = []
        self.raised: list[BaseException] = []

    def __iter__(self) -> Iterator[str]:
        try:
            for _ in range(self.count):
                self.made += 1
                yield self.text
            if self.wait:
                self.release.wait(SEC)
            if self.fail:
                raise RuntimeError("sk-secret")
        finally:
            self.closed.set()

    async def __aiter__(self) -> AsyncIterator[str]:
        try:
            for _ in range(self.count):
                self.made += 1
                yield self.text
            while self.wait and not self.release.is_set():  # noqa: ASYNC110  another thread sets it
                await asyncio.sleep(0.01)
            if self.fail:
                raise RuntimeError("sk-secret")
        finally:
            self.closed.set()

    async def serve(self, ws: Any, *, sync: bool) -> None:
        stream: Any = typestream.stream(iter(self) if sync else aiter(self))
        try:
            self.results.append(await websocket(stream, ws))
        except BaseException as error:
            self.raised.append(error)
            raise


@contextlib.contextmanager
def starlette(source: Source, *, sync: bool, serving: Any = serving) -> Iterator[int]:
    pytest.importorskip("starlette")
    from starlette.applications import Starlette
    from starlette.routing import WebSocketRoute
    from starlette.websockets import WebSocket

    async def handle(ws: WebSocket) -> None:
        await ws.accept()
        await source.serve(ws, sync=sync)

    with serving(Starlette(routes=[WebSocketRoute("/", handle)])) as port:
        yield port


def hypercorn(source: Source, *, sync: bool) -> Any:
    return starlette(source, sync=sync, serving=serving_with_hypercorn)


@contextlib.contextmanager
def websockets(source: Source, *, sync: bool) -> Iterator[int]:
    from websockets.asyncio.server import serve

    ports: list[int] = []
    ready, loops = threading.Event(), list[Any]()

    async def main() -> None:
        done = asyncio.Event()
        async with serve(lambda ws: source.serve(ws, sync=sync), "127.0.0.1", 0) as server:
            ports.append(server.sockets[0].getsockname()[1])
            loops.append((asyncio.get_running_loop(), done))
            ready.set()
            await done.wait()

    thread = threading.Thread(target=asyncio.run, args=(main(),), daemon=True)
    thread.start()
    assert ready.wait(SEC)
    yield ports[0]
    loops[0][0].call_soon_threadsafe(loops[0][1].set)
    thread.join(SEC)
    assert not thread.is_alive()


SERVERS = pytest.mark.parametrize("server", [starlette, hypercorn, websockets])
TWINS = pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])


def talk(port: int, client: Callable[[Any], Any], **options: Any) -> Any:
    """What the client makes of its end of a connection."""

    async def main() -> Any:
        with anyio.fail_after(SEC):
            async with connect(f"ws://127.0.0.1:{port}/", compression=None, close_timeout=0.5, **options) as ws:
                return await client(ws)

    return asyncio.run(main())


async def read(ws: Any) -> tuple[list[dict[str, Any]], int]:
    frames = [json.loads(frame) async for frame in _until_closed(ws)]
    return frames, ws.close_code


async def _until_closed(ws: Any) -> AsyncIterator[str]:
    from websockets.exceptions import ConnectionClosed

    with contextlib.suppress(ConnectionClosed):
        while True:
            yield await ws.recv()


@SERVERS
@TWINS
def test_everything_arrives_and_the_socket_is_closed(server: Any, sync: bool) -> None:
    source = Source()
    with server(source, sync=sync) as port:
        frames, code = talk(port, read)
        assert source.closed.wait(SEC)
    assert [frame["text"] for frame in frames if frame["type"] == "text_delta"] == ["é\n"] * 5
    assert frames[-1]["type"] == "end"
    assert code == 1000
    assert [(result.text, result.completion) for result in source.results] == [("é\n" * 5, "complete")]


@SERVERS
@TWINS
def test_a_stream_that_breaks_off_closes_with_1011(server: Any, sync: bool) -> None:
    source = Source(2, fail=True)
    with server(source, sync=sync) as port:
        frames, code = talk(port, read)
    assert [frame["type"] for frame in frames] == ["start", "text_delta", "text_delta", "error"]
    assert "sk-secret" not in str(frames)
    assert code == 1011
    assert source.results[0].completion == "incomplete"
    assert not source.raised


@SERVERS
@TWINS
@pytest.mark.parametrize("how", ["close", "abort"])
def test_a_client_that_leaves_closes_the_source(server: Any, sync: bool, how: str) -> None:
    """In the middle of a long answer, politely or by simply going."""

    async def leave(ws: Any) -> None:
        await ws.recv()
        if how == "abort":
            ws.transport.abort()
        else:
            await ws.close()

    source = Source(1_000_000)
    with server(source, sync=sync) as port:
        talk(port, leave)
        assert source.closed.wait(SEC)
    assert 0 < source.made < 1_000_000
    assert not source.raised


@SERVERS
def test_a_client_that_leaves_ends_a_wait_for_the_source(server: Any) -> None:
    """While the source is silent, which is when nothing is sent that could fail."""

    async def leave(ws: Any) -> None:
        await ws.recv()

    source = Source(1, wait=True)
    with server(source, sync=False) as port:
        talk(port, leave)
        assert source.closed.wait(SEC / 2)
    assert not source.raised


@SERVERS
@TWINS
def test_a_slow_client_slows_the_source_down(server: Any, sync: bool) -> None:
    """What fits into the sockets' and the libraries' buffers goes out; then the source waits for the client."""
    source = Source(5_000, BULK)  # 50 MB
    stood: list[int] = []

    async def dawdle(ws: Any) -> None:
        await ws.recv()
        before = -1
        while before != source.made:  # until it stands still
            before = source.made
            await asyncio.sleep(0.3)
        stood.append(before)
        await ws.recv()

    with server(source, sync=sync) as port:
        talk(port, dawdle, max_queue=1)
        assert source.closed.wait(SEC)
    assert stood[0] < 2_000


@SERVERS
@TWINS
@pytest.mark.parametrize("ask", ["stop", "skip"])
def test_the_client_s_wishes_are_carried_out(server: Any, sync: bool, ask: str) -> None:
    async def wish(ws: Any) -> tuple[list[Any], int]:
        await ws.recv()
        await ws.send(json.dumps({"type": ask}))
        if ask == "skip":
            source.release.set()
        return await read(ws)

    source = Source(3, wait=True)
    with server(source, sync=sync) as port:
        frames, code = talk(port, wish)
        if ask == "stop":
            source.release.set()
        assert source.closed.wait(SEC)
    assert code == 1000
    assert frames[-1]["type"] == ("error" if ask == "stop" else "end")


@SERVERS
def test_a_frame_of_bytes_ends_nothing(server: Any) -> None:
    source = Source(wait=True)

    async def client(ws: Any) -> tuple[list[dict[str, Any]], int]:
        first = await ws.recv()
        for frame in (b"\xff\xfe", b"", '{"type": "stop"}'):
            await ws.send(frame)
        frames, code = await read(ws)
        return [json.loads(first), *frames], code

    with server(source, sync=False) as port:
        frames, code = talk(port, client)
        assert [frame["type"] for frame in frames][-2:] == ["text_delta", "error"]
        assert code == 1000
        assert source.closed.wait(SEC)
    assert not source.raised
