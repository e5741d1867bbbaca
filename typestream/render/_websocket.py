"""Sends a stream over a WebSocket. Not a renderer but a driver of one; imported only when asked for."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from typestream.errors import StreamError
from typestream.render._base import Renderer
from typestream.render._lines import JsonLines
from typestream.result import Result

__all__ = ("websocket",)

_LEFT = ("WebSocketDisconnect", "ConnectionClosed", "ClientDisconnected", "ClosedResourceError", "BrokenResourceError")
_ASKED = ("skip", "pause", "resume", "stop")


async def websocket(stream: Any, ws: Any, *, renderer: Renderer | None = None) -> Result:
    """Send a stream to an accepted WebSocket: one text frame for each event, and one at the end.

    The next event is taken only after the last one was sent, so a slow client slows the source down. The client may
    send `{"type": "stop"}`, `"skip"`, `"pause"` or `"resume"` in a text frame; anything else it sends is ignored. A
    client that leaves stops the source. At the end the socket is closed with code 1000, or with 1011 if the stream
    broke off. That is not raised; see the result.

    Args:
        stream: a `TokenStream` or an `AsyncTokenStream`.
        ws: Starlette's or FastAPI's `WebSocket`, a connection of the `websockets` library, or any object with
            `send_text` or `send`, `receive_text` or `recv`, and `close(code)`.
        renderer: makes the frames; `JsonLines()` if it is None.

    Returns:
        The answer, as far as it was taken before the client left.
    """
    import anyio.lowlevel

    if hasattr(stream, "as_async"):
        stream = stream.as_async()
    renderer = renderer or JsonLines()
    send: Callable[[str], Awaitable[None]] = getattr(ws, "send_text", None) or ws.send
    receive: Callable[[], Awaitable[Any]] = getattr(ws, "receive_text", None) or ws.recv
    code: int | None = None
    trouble: Exception | None = None  # raised below, since the task group would wrap it

    async def listen() -> None:
        nonlocal trouble
        try:
            while True:
                try:
                    message = await receive()
                except KeyError:  # Starlette raises it for a binary frame
                    await anyio.lowlevel.checkpoint()
                else:
                    _obey(stream, message)
        except Exception as error:
            trouble = trouble or error
            group.cancel_scope.cancel()

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(listen)
            try:
                code = await _deliver(stream, renderer, send)
            except Exception as error:
                trouble = trouble or error
            group.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await stream.aclose()
    if trouble is not None and not _has_left(trouble):
        await _close(ws, 1011)
        raise trouble
    if trouble is None:
        await _close(ws, 1011 if code is None else code)
    result: Result = stream.result
    return result


async def _deliver(stream: Any, renderer: Renderer, send: Callable[[str], Awaitable[None]]) -> int:
    """Send everything; returns the code to close with."""
    try:
        async for event in stream.events():
            await _frame(send, renderer.feed(event))
    except StreamError as error:
        fail: Callable[[StreamError], str] | None = getattr(renderer, "fail", None)
        await _frame(send, renderer.finish(stream.result) if fail is None else fail(error))
        return 1011
    await _frame(send, renderer.finish(stream.result))
    return 1000


async def _frame(send: Callable[[str], Awaitable[None]], text: str) -> None:
    import anyio.lowlevel

    text = text.removesuffix("\n")
    if text:
        await anyio.lowlevel.checkpoint()  # servers accept frames for a client that left until they get a turn
        await send(text.encode("utf-8", "replace").decode("utf-8"))  # a lone surrogate is not UTF-8


def _obey(stream: Any, message: Any) -> None:
    try:
        asked = json.loads(message)["type"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return
    if isinstance(asked, str) and asked in _ASKED:
        getattr(stream, asked)()


def _has_left(error: BaseException) -> bool:
    return isinstance(error, OSError) or any(base.__name__ in _LEFT for base in type(error).__mro__)


async def _close(ws: Any, code: int) -> None:
    try:
        await ws.close(code)
    except Exception as error:
        if not _has_left(error):
            raise
