"""HTTP/1.1 by hand: every byte of an answer is a fault's to choose, so no library writes it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

__all__ = ("RST", "STALL", "Action", "Body", "Request", "Sleep", "chunk", "dechunk", "head", "stream")


@dataclass(frozen=True)
class Sleep:
    """Wait, seconds."""

    seconds: float


class _Stall:
    """Keep the connection open and silent until the client leaves."""


class _Rst:
    """Reset the connection."""


STALL: Final = _Stall()
RST: Final = _Rst()
Action: TypeAlias = bytes | Sleep | _Stall | _Rst
"""What a fault yields. A generator that returns after a proper end of the body leaves the connection open for the next
request; after anything else the server closes it."""


@dataclass
class Request:
    """What was asked for: the API, the fault's options, how often this path was asked for before."""

    api: str
    path: str = "/"
    options: dict[str, str] = field(default_factory=dict)
    before: int = 0

    def number(self, name: str, default: int) -> int:
        return int(self.options.get(name, default))

    @property
    def tick(self) -> Sleep:
        """`ms=N`, milliseconds between what is sent for ever."""
        return Sleep(self.number("ms", 5) / 1000)


def head(*headers: str, status: str = "200 OK", kind: str = "text/event-stream") -> bytes:
    """The head of an answer."""
    lines = [f"HTTP/1.1 {status}", *([f"Content-Type: {kind}"] if kind else []), *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1")


CHUNKED: Final = "Transfer-Encoding: chunked"
END: Final = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def stream(parts: Iterable[bytes], *headers: str, kind: str = "text/event-stream", end: bool = True) -> Iterator[bytes]:
    """A chunked answer, a chunk per part; without its end if `end` is false."""
    yield head(CHUNKED, *headers, kind=kind)
    for part in parts:
        if part:
            yield chunk(part)
    if end:
        yield END


@dataclass
class Body:
    """What a client sees of an answer: its status, its headers (names in lower case), its body, how that ended."""

    status: int
    headers: dict[str, str]
    data: bytes
    ending: str  # "end", "close", "stall", "rst", or "more" where there is no end


def dechunk(actions: Iterable[Action], limit: int = 1 << 22) -> Body:
    """The body that a fault sends, for tests that need no connection; at most `limit` bytes of it."""
    raw, ending = bytearray(), "close"
    for action in actions:
        if isinstance(action, bytes):
            raw += action
        elif not isinstance(action, Sleep):
            ending = "stall" if action is STALL else "rst"
            break
        if len(raw) > limit:
            ending = "more"
            break
    status, headers, rest = _head(bytes(raw))
    if headers.get("transfer-encoding") == "chunked":
        rest, proper = _chunks(rest)
        ending = "end" if proper else ending
    elif len(rest) == int(headers.get("content-length", -1)) or ("content-length" not in headers and ending == "close"):
        ending = "end"
    return Body(status, headers, rest, ending)


def _head(raw: bytes) -> tuple[int, dict[str, str], bytes]:
    while True:
        lines, _, raw = raw.partition(b"\r\n\r\n")
        first, *fields = lines.decode("latin-1").split("\r\n")
        status = int(first.split(" ")[1]) if first else 0
        if status // 100 != 1:
            break
    split = (line.partition(": ") for line in fields)
    return status, {name.lower(): value for name, _, value in split}, raw


def _chunks(raw: bytes) -> tuple[bytes, bool]:
    out = bytearray()
    while b"\r\n" in raw:
        length, _, raw = raw.partition(b"\r\n")
        try:
            size = int(length, 16)
        except ValueError:
            break
        if size == 0:
            return bytes(out), True
        out += raw[:size]
        raw = raw[size + 2 :]
    return bytes(out), False
