"""Answers that are no stream, and HTTP itself."""

import json
from collections.abc import Iterator
from itertools import repeat

from tests.faultserver._http import CHUNKED, END, STALL, Action, Request, chunk, head, stream
from tests.faultserver._registry import fault, good, half, ticking
from tests.faultserver._script import FULL, whole

# -- answers that are no stream


def _answer(body: bytes, kind: str, *headers: str, status: str = "200 OK") -> bytes:
    return head(*headers, f"Content-Length: {len(body)}", status=status, kind=kind) + body


_BOOM = {"error": {"message": "boom", "type": "server_error", "code": "boom"}}


@fault("answer", "server-error", "")
def json_200_error(r: Request) -> Iterator[Action]:
    """200 and an error in JSON."""
    yield _answer(json.dumps(_BOOM).encode(), "application/json")


@fault("answer", "server-error", "")
def json_200_pretty(r: Request) -> Iterator[Action]:
    """200 and an error in indented JSON."""
    yield _answer(json.dumps(_BOOM, indent=2).encode(), "application/json")


@fault("answer", "complete", FULL)
def json_200_full(r: Request) -> Iterator[Action]:
    """200 and the whole answer, not streamed."""
    yield _answer(json.dumps(whole(r.api)).encode(), "application/json")


@fault("answer", "truncated", "")
def json_200_cut(r: Request) -> Iterator[Action]:
    """200 and half of the whole answer, properly ended."""
    body = json.dumps(whole(r.api)).encode()
    yield _answer(body[: len(body) // 2], "application/json")


@fault("answer", "server-error", "")
def html_200(r: Request) -> Iterator[Action]:
    """200 and a web page."""
    yield _answer(b"<!DOCTYPE html><html><body><h1>Please sign in</h1></body></html>", "text/html")


@fault("answer", "server-error", "")
def text_200(r: Request) -> Iterator[Action]:
    """200 and a line of text."""
    yield _answer(b"upstream connect error", "text/plain")


@fault("answer", "truncated", "")
def status_204(r: Request) -> Iterator[Action]:
    """204 No Content."""
    yield head(status="204 No Content", kind="")


@fault("answer", "server-error", "")
def status_429(r: Request) -> Iterator[Action]:
    """429 with Retry-After."""
    yield _answer(json.dumps(_BOOM).encode(), "application/json", "Retry-After: 0", status="429 Too Many Requests")


@fault("answer", "server-error", "")
def status_500_stall(r: Request) -> Iterator[Action]:
    """500, and a body that begins and then stalls."""
    yield head(CHUNKED, status="500 Internal Server Error", kind="application/json") + chunk(b'{"error": ')
    yield STALL


@fault("answer", "server-error", "")
def status_500_endless(r: Request) -> Iterator[Action]:
    """500, and a body that never ends."""
    yield head(CHUNKED, status="500 Internal Server Error", kind="text/plain")
    yield from ticking(r, repeat(b"no " * 20000))


@fault("answer", "complete", FULL)
def status_500_then_ok(r: Request) -> Iterator[Action]:
    """500 to the first request on a path, good from the second; key=… makes it fresh."""
    if r.before:
        yield from stream(good(r))
    else:
        yield _answer(
            json.dumps(_BOOM).encode(), "application/json", "Retry-After: 0", status="500 Internal Server Error"
        )


# -- HTTP itself


@fault("http", "connection")
def chunk_too_long(r: Request) -> Iterator[Action]:
    """More bytes than the chunk said."""
    yield from stream(half(r), end=False)
    yield b"4\r\n:\n\n\n:more than that\n\n\r\n"


@fault("http", "connection", "")
def huge_header(r: Request) -> Iterator[Action]:
    """A header of 1 MiB."""
    yield head("X-Big: " + "x" * (1 << 20), CHUNKED)
    yield from map(chunk, good(r))
    yield END


@fault("http", "complete", FULL)
def early_hints(r: Request) -> Iterator[Action]:
    """103 Early Hints and 100 Continue first."""
    yield b"HTTP/1.1 103 Early Hints\r\nLink: <style.css>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    yield from stream(good(r))


@fault("http", "connection", "")
def redirect_loop(r: Request) -> Iterator[Action]:
    """307 to itself."""
    yield head(f"Location: {r.path}", "Content-Length: 0", status="307 Temporary Redirect", kind="")
