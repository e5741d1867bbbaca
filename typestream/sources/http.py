"""Reads the bytes of HTTP responses, and of SDK objects that carry one, below the SDK's own decoding.

Responses are recognised by structure: those of httpx, httpx2 (to which the openai SDK moved in 3.0), requests, urllib
and anything that looks like them. No HTTP library is imported here.
"""

import socket
import struct
import sys
from collections.abc import AsyncIterable, Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from typestream.decode.wire import Decompressor, Limits, WireDecoder

__all__ = ("AsyncBody", "Body", "abort", "async_body", "is_response", "origin", "shutdown", "sync_body")

_AT_ONCE = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)  # struct linger: on, 0 s

_PIECE = 64 * 1024

_ORIGIN = (
    ("content_type", ("content-type",)),
    ("request_id", ("x-request-id", "request-id", "apim-request-id", "x-amzn-requestid")),
)


class Body(NamedTuple):
    """The bytes of a response as they arrive, their decoder, and how to wake a blocked read."""

    chunks: Iterable[bytes]
    decoder: WireDecoder
    shutdown: Callable[[], None]


class AsyncBody(NamedTuple):
    """A `Body` to be awaited; `shutdown` is None if a read cannot be woken that way."""

    chunks: AsyncIterable[bytes]
    decoder: WireDecoder
    shutdown: Callable[[], None] | None


def sync_body(given: Any, limits: Limits | None) -> Body | None:
    """The body of a response or of an unread SDK stream; None if `given` is neither."""
    found = _response(given)
    if found is None:
        return None
    response, build = found
    under: Any = getattr(response, "raw", None)
    if hasattr(response, "iter_content") and hasattr(under, "read1") and not getattr(under, "closed", True):
        # requests, unread: its iter_content waits for the whole body if that is not chunked
        own = Decompressor.knows(response.headers.get("content-encoding"))
        chunks: Any = _pieces(partial(under.read1, decode_content=not own))
        return Body(chunks, _decoder(response, build, limits, own), lambda: _shutdown(response))
    raw = _is_raw(response, "iter_raw")
    decoder = _decoder(response, build, limits, raw)
    for name in ("iter_raw",) if raw else ("iter_bytes", "iter_content", "read1"):
        read: Any = getattr(response, name, None)
        if read is not None:
            chunks = read(None) if name == "iter_content" else read() if name != "read1" else _pieces(read)
            return Body(chunks, decoder, lambda: _shutdown(response))
    return None


def _pieces(read: Callable[[int], bytes | None]) -> Iterator[bytes]:
    """The pieces of a urllib or urllib3 response, each as large as what has arrived."""
    return iter(lambda: read(_PIECE) or b"", b"")


def async_body(given: Any, limits: Limits | None) -> AsyncBody | None:
    """The body of an async response or of an unread SDK stream; None if `given` is neither."""
    found = _response(given)
    if found is None:
        return None
    response, build = found
    raw = _is_raw(response, "aiter_raw")
    decoder = _decoder(response, build, limits, raw)
    read: Any = getattr(response, "aiter_raw" if raw else "aiter_bytes", None)
    if read is not None:
        shutdown = None if _connection(response) is None else lambda: _shutdown(response)
        return AsyncBody(read(), decoder, shutdown)
    content: Any = getattr(response, "content", None)  # aiohttp
    if hasattr(content, "iter_any"):
        return AsyncBody(content.iter_any(), decoder, None)
    return None


def _response(given: Any) -> tuple[Any, Callable[[Any], Any] | None] | None:
    inner = getattr(given, "http_response", None)  # the SDK's with_streaming_response and with_raw_response
    if _is_response(inner):
        return inner, None
    if _is_response(given):
        return given, None
    inner = getattr(given, "response", None)
    if _is_response(inner) and _is_unread_sdk_stream(given, inner):
        return inner, lambda data: _sdk_object(given, data)
    return None


def is_response(given: Any) -> bool:
    """Whether the bytes of `given` can be read."""
    return _response(given) is not None


def _is_response(given: Any) -> bool:
    headers: Any = getattr(given, "headers", None)
    if not hasattr(headers, "get") or not isinstance(headers.get("content-type"), (str, type(None))):
        return False  # such as a mock that pretends to have every attribute
    if any(hasattr(given, name) for name in ("aiter_bytes", "iter_bytes", "iter_content", "read1")):
        return True
    return hasattr(given, "status") and hasattr(getattr(given, "content", None), "iter_any")  # aiohttp


def _is_unread_sdk_stream(stream: Any, response: Any) -> bool:
    """Whether reading the response gives everything that the SDK's stream would have given, with nothing else decoding
    it."""
    decoder = getattr(stream, "_decoder", None)
    return (
        type(stream).__name__ in ("Stream", "AsyncStream")
        and type(decoder).__name__ == "SSEDecoder"
        and _package(decoder) == _package(stream)
        and getattr(response, "is_stream_consumed", True) is False
        and getattr(response, "is_closed", True) is False
    )


def _package(thing: object) -> str:
    return type(thing).__module__.partition(".")[0]


def _sdk_object(stream: Any, data: Any) -> Any:
    # as the SDK's own loop does with the data of an event
    return stream._client._process_response_data(data=data, cast_to=stream._cast_to, response=stream.response)


def _is_raw(response: Any, read: str) -> bool:
    """Whether to read the bytes as they are on the wire. HTTP libraries decompress piece by piece, too, but with no
    limit on how large a piece gets."""
    fresh = getattr(response, "is_stream_consumed", True) is False
    return fresh and hasattr(response, read) and Decompressor.knows(response.headers.get("content-encoding"))


def _decoder(response: Any, build: Callable[[Any], Any] | None, limits: Limits | None, raw: bool) -> WireDecoder:
    status: Any = getattr(response, "status_code", None) or getattr(response, "status", 200)
    headers = response.headers
    encoding = headers.get("content-encoding") if raw else None
    return WireDecoder(headers.get("content-type"), status=status, encoding=encoding, limits=limits, build=build)


def origin(given: Any) -> dict[str, str]:
    """The content type and the request id of the response that a source is read from; empty if there is none."""
    for holder in (given, getattr(given, "_raw_stream", None)):
        found = (getattr(holder, "http_response", None), holder, getattr(holder, "response", None))
        response = next(filter(_is_response, found), None)
        if response is not None:
            values = {name: next(filter(None, map(response.headers.get, keys)), None) for name, keys in _ORIGIN}
            return {name: str(value) for name, value in values.items() if value is not None}
    return {}


def shutdown(given: Any) -> None:
    """End the connection that an SDK stream, or an SDK helper over one, is read from; do nothing for any other
    object."""
    for holder in (given, getattr(given, "_raw_stream", None)):
        response = getattr(holder, "response", None)
        if _is_response(response):
            _shutdown(response)


def _shutdown(response: Any) -> None:
    """End both directions of the connection: a read that waits there returns at once."""
    if getattr(response, "is_closed", False):
        return  # the connection may serve another request by now
    connection = _connection(response)
    if connection is not None:
        abort(connection)
        return
    wake = getattr(getattr(response, "raw", response), "shutdown", None)  # urllib3's, since 2.3
    if callable(wake):
        with suppress(OSError, ValueError, RuntimeError):  # it no longer belongs to this response
            wake()


def abort(connection: Any) -> None:
    """End both directions of a connection, and make closing reset it: after an orderly end, a server that is blocked
    while sending might not notice for a minute that the reader has gone."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # closed already


def _connection(response: Any) -> Any:
    """The socket that belongs to this response alone; None if there is none, or if others share it (HTTP/2)."""
    under: Any = getattr(getattr(getattr(response, "fp", None), "raw", None), "_sock", None)  # urllib's
    if under is not None:
        return under
    extensions = getattr(response, "extensions", None) or {}
    stream: Any = extensions.get("network_stream")
    if extensions.get("http_version") == b"HTTP/2" or not hasattr(stream, "get_extra_info"):
        return None
    return stream.get_extra_info("socket")
