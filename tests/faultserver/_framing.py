"""HTTP's own framing, status lines and headers, and what a proxy makes of them."""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from itertools import chain, repeat

from tests.faultserver._http import CHUNKED, END, RST, STALL, Action, Request, chunk, head, stream
from tests.faultserver._registry import fault, good, half, ticking
from tests.faultserver._script import FULL, PARTIAL, whole

# -- chunks


def _broken_chunk(name: str, doc: str, data: bytes) -> None:
    """Half the answer, then something that is no chunk."""

    def make(r: Request) -> Iterator[Action]:
        yield from stream(half(r), end=False)
        yield data

    make.__doc__ = doc
    fault("http", "connection", PARTIAL, name=name)(make)


_broken_chunk("chunk-size-garbage", "A chunk size that is no number.", b"zz\r\n:\n\r\n")
_broken_chunk("chunk-size-negative", "A chunk size below nothing.", b"-5\r\n:\n\n\n\n\r\n")
_broken_chunk("chunk-size-huge", "A chunk of more bytes than there are, and the end.", b"f" * 16 + b"\r\n:\n\n")
_broken_chunk("chunk-size-long", "A chunk size of 64 KiB of digits.", b"0" * 65536 + b"5\r\n:\n\n\n\n\r\n")
_broken_chunk("chunk-size-missing", "An empty line where a chunk size belongs.", b"\r\n\r\n:\n\n")
_broken_chunk("chunk-new-answer", "Another answer in the middle of the first.", head("Content-Length: 0"))
_broken_chunk("chunk-cut-size", "The connection is closed inside a chunk size.", b"4")
_broken_chunk("chunk-cut-end", "The connection is closed inside the last chunk's line.", b"0\r")


def _reframed(name: str, doc: str, make: Callable[[Request], Iterator[Action]]) -> None:
    """A good stream in another frame."""

    def renamed(r: Request) -> Iterator[Action]:
        yield from make(r)

    renamed.__doc__ = doc
    fault("http", "complete", FULL, name=name)(renamed)


def _chunks(form: Callable[[bytes], bytes], end: bytes = END) -> Callable[[Request], Iterator[Action]]:
    return lambda r: chain([head(CHUNKED)], map(form, good(r)), [end])


def _old(r: Request) -> Iterator[Action]:
    yield head().replace(b"HTTP/1.1", b"HTTP/1.0")
    yield from good(r)


def _bytewise(r: Request) -> Iterator[Action]:
    return stream(bytes([byte]) for byte in b"".join(good(r)))


def _both(r: Request) -> Iterator[Action]:
    return stream(good(r), "Content-Length: 7")


def _twice(r: Request) -> Iterator[Action]:
    body = b"".join(good(r))
    yield head(f"Content-Length: {len(body)}", f"Content-Length: {len(body)}") + body


def _continued(r: Request) -> Iterator[Action]:
    yield b"HTTP/1.1 100 Continue\r\n\r\n" * 50
    yield from stream(good(r))


def _folded(r: Request) -> Iterator[Action]:
    yield from stream(good(r), "X-Long: one", "  two", "X-Empty:")


def _unreasoned(r: Request) -> Iterator[Action]:
    yield head(CHUNKED, status="200")
    yield from map(chunk, good(r))
    yield END


def _partial_content(r: Request) -> Iterator[Action]:
    body = b"".join(good(r))
    yield head(f"Content-Length: {len(body)}", status="206 Partial Content") + body


def _typed(kind: str) -> Callable[[Request], Iterator[Action]]:
    return lambda r: stream(good(r), kind=kind)


def _junk_after(r: Request) -> Iterator[Action]:
    yield b"".join(stream(good(r))) + b"HTTP/1.1 500 Oh no\r\n\r\njunk"


def _endless_trailers(r: Request) -> Iterator[Action]:
    yield from stream(good(r), end=False)
    yield b"0\r\n"
    for _ in range(2000):
        yield b"X-More: " + b"x" * 500 + b"\r\n"
        yield r.tick


def _too_long(r: Request) -> Iterator[Action]:
    body = b"".join(good(r))
    yield head(f"Content-Length: {len(body) + 1000}") + body
    yield STALL


_reframed("chunk-extensions", "Chunk extensions.", _chunks(lambda part: chunk(part).replace(b"\r\n", b";a=b\r\n", 1)))
_reframed("chunk-size-zeros", "Chunk sizes with leading zeros.", _chunks(lambda part: b"000" + chunk(part)))
_reframed("chunk-trailers", "Trailers.", _chunks(chunk, b"0\r\nX-Checksum: 1\r\nX-More: 2\r\n\r\n"))
_reframed("chunk-trailers-endless", "Trailers for ever, after the whole answer.", _endless_trailers)
_reframed("chunk-bytes", "A chunk for every byte.", _bytewise)
_reframed("http10", "HTTP/1.0, which ends with the connection.", _old)
_reframed("length-and-chunks", "A wrong Content-Length beside chunks, which count.", _both)
_reframed("length-twice", "The same Content-Length twice.", _twice)
_reframed("length-too-long", "The whole answer, then silence, before Content-Length bytes.", _too_long)
_reframed("continue-often", "100 Continue, fifty times.", _continued)
_reframed("header-folded", "A folded header, and an empty one.", _folded)
_reframed("status-no-reason", "A status line without a reason.", _unreasoned)
_reframed("status-206", "206 Partial Content, and a good stream.", _partial_content)
_reframed("type-missing", "No content type.", _typed(""))
_reframed("type-html", "A good stream that claims to be a web page.", _typed("text/html; charset=utf-8"))
_reframed("type-json", "A good stream that claims to be JSON.", _typed("application/json"))
_reframed("type-octets", "A good stream that claims to be anything.", _typed("application/octet-stream"))
_reframed("type-odd", "A content type in capitals, with parameters.", _typed('TEXT/Event-Stream ;charset="UTF-8";x=y'))
_reframed("junk-after-end", "Bytes after the end of the answer, unasked for.", _junk_after)


@fault("http", "truncated")
def http10_cut(r: Request) -> Iterator[Action]:
    """HTTP/1.0, cut in mid-answer: HTTP cannot tell."""
    yield head().replace(b"HTTP/1.1", b"HTTP/1.0")
    yield from half(r)


@fault("http", "truncated")
def length_too_short(r: Request) -> Iterator[Action]:
    """More than Content-Length bytes: what is beyond is no part of the answer."""
    parts = half(r)
    yield head(f"Content-Length: {len(b''.join(parts))}", "Connection: close")
    yield from good(r)


@fault("http", "stall")
def length_stall(r: Request) -> Iterator[Action]:
    """Half the answer, then silence, before Content-Length bytes."""
    yield head(f"Content-Length: {len(b''.join(good(r)))}")
    yield from half(r)
    yield STALL


@fault("http", "truncated", "")
def length_zero(r: Request) -> Iterator[Action]:
    """Content-Length: 0."""
    yield head("Content-Length: 0")


# -- heads


def _broken_head(name: str, doc: str, data: bytes) -> None:
    def make(r: Request) -> Iterator[Action]:
        yield data
        yield from good(r)

    make.__doc__ = doc
    fault("http", "connection", "", name=name)(make)


_broken_head("length-conflict", "Two lengths that differ.", head("Content-Length: 5", "Content-Length: 6"))
_broken_head("length-garbage", "A length that is no number.", head("Content-Length: many"))
_broken_head("length-negative", "A length below nothing.", head("Content-Length: -1"))
_broken_head("transfer-unknown", "A transfer encoding that nobody knows.", head("Transfer-Encoding: odd"))
_broken_head("status-garbage", "A status that is no number.", head(CHUNKED, status="abc OK"))
_broken_head("not-http", "Another protocol.", b"220 mail.example ESMTP ready\r\n")
_broken_head("tls-alert", "A TLS alert: https was meant.", b"\x15\x03\x01\x00\x02\x02\x46")
_broken_head("header-no-colon", "A header without a colon.", head("This is no header", CHUNKED))
_broken_head("header-nul", "A NUL in a header.", head("X-Odd: a\0b", CHUNKED))


@fault("http", "connection", "")
def head_cut(r: Request) -> Iterator[Action]:
    """The connection is closed inside the headers."""
    yield head(CHUNKED)[:-4]


@fault("http", "connection", "")
def head_cut_rst(r: Request) -> Iterator[Action]:
    """The connection is reset inside the headers."""
    yield head(CHUNKED)[:-4]
    yield RST


@fault("stall", "stall", "")
def head_stall(r: Request) -> Iterator[Action]:
    """Half the headers, then silence."""
    yield head(CHUNKED)[:-4]
    yield STALL


@fault("stall", "stall", "")
def head_drip(r: Request) -> Iterator[Action]:
    """A header a tick."""
    yield head()[:-2]
    for number in range(1000):
        yield b"X-%d: x\r\n" % number
        yield r.tick


@fault("stall", "stall", "")
def continue_for_ever(r: Request) -> Iterator[Action]:
    """100 Continue for ever."""
    while True:
        yield b"HTTP/1.1 100 Continue\r\n\r\n"
        yield r.tick


# -- statuses


def _refused(name: str, doc: str, status: str, body: bytes, kind: str, *headers: str) -> None:
    def make(r: Request) -> Iterator[Action]:
        yield head(*headers, f"Content-Length: {len(body)}", status=status, kind=kind) + body

    make.__doc__ = doc
    fault("answer", "server-error", "", name=name)(make)


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


_JSON = "application/json"
_PAGE = b"<html><head><title>503</title></head><body>Service Unavailable</body></html>"
_MISSING = {"detail": [{"loc": ["body", "model"], "msg": "field required", "type": "value_error.missing"}]}
_refused(
    "status-400", "400 with a message.", "400 Bad Request", _json({"error": {"message": "boom"}}), "application/json"
)
_refused("status-401", "401 with no body.", "401 Unauthorized", b"", "")
_refused("status-403-html", "403 with a web page.", "403 Forbidden", _PAGE, "text/html")
_refused("status-404-text", "404 with a line of text.", "404 Not Found", b"404 page not found", "text/plain")
_refused("status-422", "422 with FastAPI's list.", "422 Unprocessable Entity", _json(_MISSING), _JSON)
_refused("status-503-html", "503 with a web page.", "503 Service Unavailable", _PAGE, "text/html", "Retry-After: 0")
_refused(
    "status-529", "529, which only Anthropic sends.", "529 Overloaded", _json({"type": "error"}), "application/json"
)
_refused("status-500-cut-json", "500 with half a JSON text.", "500 Oh no", b'{"error": {"mess', _JSON)
_refused("status-500-binary", "500 with bytes that are no text.", "500 Oh no", bytes(range(256)), _JSON)
_refused("status-500-array", "500 with an array.", "500 Oh no", _json(["boom", None, 3]), _JSON)
_refused("status-500-null", "500 with null.", "500 Oh no", b"null", _JSON)
_refused(
    "status-500-number", "500 with an odd message.", "500 Oh no", _json({"error": {"message": 7}}), "application/json"
)
_refused("status-302", "302 to nowhere.", "302 Found", b"", "")
_refused("status-304", "304 Not Modified.", "304 Not Modified", b"", "")


@fault("answer", "server-error", "")
def status_500_stream(r: Request) -> Iterator[Action]:
    """500, and a good stream nevertheless."""
    yield head(CHUNKED, status="500 Internal Server Error")
    yield from map(chunk, good(r))
    yield END


@fault("answer", "server-error", "")
def status_500_close(r: Request) -> Iterator[Action]:
    """500, and the connection is closed inside its body."""
    yield head("Content-Length: 1000", status="500 Internal Server Error", kind="application/json") + b'{"error": '


@fault("answer", "server-error", "")
def status_500_rst(r: Request) -> Iterator[Action]:
    """500, and the connection is reset inside its body."""
    yield head("Content-Length: 1000", status="500 Internal Server Error", kind="application/json") + b'{"error": '
    yield RST


@fault("answer", "server-error", "")
def status_500_drip(r: Request) -> Iterator[Action]:
    """500, and a byte of its body per tick."""
    yield head(CHUNKED, status="500 Internal Server Error", kind="text/plain")
    yield from ticking(r, repeat(b"x"))


@fault("answer", "server-error", "")
def status_500_not_gzip(r: Request) -> Iterator[Action]:
    """500, and a body that is not in the encoding it claims."""
    body = b"boom"
    yield head(f"Content-Length: {len(body)}", "Content-Encoding: gzip", status="500 Oh no", kind="text/plain") + body


# -- encodings


def _gzipped(name: str, doc: str, make: Callable[[Request], Iterator[bytes]], encoding: str = "gzip") -> None:
    def renamed(r: Request) -> Iterator[Action]:
        yield from stream(make(r), f"Content-Encoding: {encoding}")

    renamed.__doc__ = doc
    fault("encoding", "complete", FULL, name=name)(renamed)


def _pack(parts: list[bytes]) -> list[bytes]:
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    return [packer.compress(part) + packer.flush(zlib.Z_SYNC_FLUSH) for part in parts] + [packer.flush()]


def _bytes_of(data: bytes) -> Iterator[bytes]:
    return (data[at : at + 1] for at in range(len(data)))


_gzipped("gzip-members", "A gzip member for each event.", lambda r: (gzip.compress(part) for part in good(r)))
_gzipped("gzip-bytes", "gzip, a byte per chunk.", lambda r: _bytes_of(gzip.compress(b"".join(good(r)))))
_gzipped("gzip-no-trailer", "gzip without its checksum, after the whole answer.", lambda r: iter(_pack(good(r))[:-1]))
_gzipped("gzip-bad-sum", "gzip with a wrong checksum, after the whole answer.", lambda r: _bad_sum(_pack(good(r))))
_gzipped("gzip-padded", "gzip, then zeros.", lambda r: iter([*_pack(good(r)), b"\0" * 512]))
_gzipped("gzip-capitals", "gzip by another name.", lambda r: iter(_pack(good(r))), " X-GZip ")
_gzipped("gzip-twice", "gzip in gzip.", lambda r: iter(_pack(_pack(good(r)))), "gzip, gzip")
_gzipped("encoding-identity", "The encoding that is none.", lambda r: iter(good(r)), "identity")


def _bad_sum(parts: list[bytes]) -> Iterator[bytes]:
    return iter([*parts[:-1], parts[-1][:-8] + b"\xff" * 8])


@fault("encoding", "protocol")
def gzip_broken(r: Request) -> Iterator[Action]:
    """Half the answer in gzip, then bytes that are not."""
    yield from stream([*_pack(half(r))[:-1], b"\xff\xfe\xfd" * 50], "Content-Encoding: gzip")


@fault("encoding", "connection")
def gzip_close(r: Request) -> Iterator[Action]:
    """Half the answer in gzip, and the connection is closed."""
    yield from stream(_pack(half(r))[:-1], "Content-Encoding: gzip", end=False)


@fault("encoding", "truncated", "")
def gzip_empty(r: Request) -> Iterator[Action]:
    """An empty body in gzip."""
    yield from stream([gzip.compress(b"")], "Content-Encoding: gzip")


@fault("encoding", "complete", FULL)
def gzip_json(r: Request) -> Iterator[Action]:
    """The whole answer, not streamed, in gzip."""
    yield from stream([gzip.compress(_json(whole(r.api)))], "Content-Encoding: gzip", kind="application/json")


@fault("encoding", "protocol", "")
def gzip_wrong_name(r: Request) -> Iterator[Action]:
    """gzip that claims to be deflate."""
    yield from stream(_pack(good(r)), "Content-Encoding: deflate")
