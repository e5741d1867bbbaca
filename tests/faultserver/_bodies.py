"""What bytes can be: events as the standard allows them, sizes, characters, encodings."""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from itertools import chain, cycle, repeat

from tests.faultserver._http import CHUNKED, END, Action, Request, chunk, head, stream
from tests.faultserver._registry import EITHER, fault, good, half, script
from tests.faultserver._script import FIRST, FULL, PARTIAL, REST, encode

# -- server-sent events as the standard allows them


def _reshaped(name: str, doc: str, reshape: Callable[[Request], Iterator[bytes]]) -> None:
    def make(r: Request) -> Iterator[Action]:
        yield from stream(reshape(r))

    make.__doc__ = doc
    fault("sse", "complete", FULL, name=name)(make)


def _eol(eol: str) -> Callable[[Request], Iterator[bytes]]:
    return lambda r: iter(encode(script(r).all, eol))


def _mixed(r: Request) -> Iterator[bytes]:
    ends = cycle([b"\n", b"\r", b"\r\n"])
    for part in good(r):
        yield b"".join(line + next(ends) for line in part.split(b"\n")[:-1])


def _cut_crlf(r: Request) -> Iterator[bytes]:
    body = b"".join(encode(script(r).all, "\r\n"))
    pieces = body.split(b"\n")
    yield pieces[0]
    for piece in pieces[1:]:
        yield b"\n" + piece


def _commented(r: Request) -> Iterator[bytes]:
    yield b": first\n\n"
    for part in good(r):
        yield b":\n: {}\n" + part[:-1] + b": data: no\n\n: after\n\n"


def _pretty(r: Request) -> Iterator[bytes]:
    for event in script(r).all:
        if event.data != "[DONE]":
            event = event._replace(data=json.dumps(json.loads(event.data), indent=2))
        yield from encode([event])


def _ids(r: Request) -> Iterator[bytes]:
    return (b"id: %d\nretry: 3000\n%b" % (at, part) for at, part in enumerate(good(r)))


def _id_then_blank(r: Request) -> Iterator[bytes]:
    first, *others = good(r)
    yield b"id: 7\n" + first
    for part in others:
        yield b": ping\n\n\n" + part


def _unknown_fields(r: Request) -> Iterator[bytes]:
    return (b"foo: bar\nbaz\n" + part for part in good(r))


def _bare_event(r: Request) -> Iterator[bytes]:
    return (b"event: nothing\n\nretry: 10\n\n" + part for part in good(r))


def _padded_done(r: Request) -> Iterator[bytes]:
    return (part.replace(b"data: [DONE]", b"data:  [DONE] ") for part in good(r))


_reshaped("crlf", "CRLF line ends.", _eol("\r\n"))
_reshaped("cr", "CR line ends.", _eol("\r"))
_reshaped("mixed-eol", "LF, CR and CRLF by turns.", _mixed)
_reshaped("crlf-cut", "CRLF, each cut in two by a chunk.", _cut_crlf)
_reshaped("bom", "A byte order mark first.", lambda r: chain([b"\xef\xbb\xbf"], good(r)))
_reshaped("comments", "Comments before, between and inside events.", _commented)
_reshaped("no-space", "No space after `data:`.", lambda r: iter(encode(script(r).all, space="")))
_reshaped("extra-blank-lines", "Three blank lines between events.", lambda r: (part + b"\n\n" for part in good(r)))
_reshaped("multiline-data", "Indented JSON over several data lines.", _pretty)
_reshaped("ids", "An id and a reconnection time in every event.", _ids)
_reshaped("id-then-blank", "An id once, then comments and blank lines: they make no event.", _id_then_blank)
_reshaped("unknown-fields", "Fields that nobody knows, and lines without a colon.", _unknown_fields)
_reshaped("bare-event", "Event types and reconnection times with no data.", _bare_event)
_reshaped("padded-done", "White space around [DONE].", _padded_done)
_reshaped("empty-data", "Events with empty data.", lambda r: (b"data:\n\ndata: \n\n" + part for part in good(r)))


@fault("sse", "complete", PARTIAL + "\u2028\u2029\x85\x0b\x0c" + FULL[len(PARTIAL) :])
def unicode_newlines(r: Request) -> Iterator[Action]:
    """Characters that are line ends elsewhere, raw in the text; VT and FF escaped, as JSON wants."""
    yield from stream(encode(script(r, FIRST, ("\u2028\u2029\x85\x0b\x0c", *REST)).all))


@fault("sse", "complete", None)
def long_line(r: Request) -> Iterator[Action]:
    """One delta of size=N bytes (1 MiB) on one line, in chunks of 4 KiB."""
    text = "x" * r.number("size", 1 << 20)
    body = b"".join(encode(script(r, [text], [], text=text).all))
    yield from stream(body[at : at + 4096] for at in range(0, len(body), 4096))


# -- sizes


@fault("size", "limit")
def endless_line(r: Request) -> Iterator[Action]:
    """Half the answer, then a line that never ends."""
    yield from stream(chain(half(r), [b"data: "], repeat(b"x" * 65536)), end=False)


@fault("size", "limit")
def endless_event(r: Request) -> Iterator[Action]:
    """Half the answer, then an event that never ends."""
    yield from stream(chain(half(r), repeat(b"data: xxxxxxxxxxxxxxxx\n" * 2048)), end=False)


@fault("size", "limit", "")
def gzip_bomb(r: Request) -> Iterator[Action]:
    """A gzip body of size=N MiB (256) of nothing, 1,000 times smaller on the wire."""
    yield head("Content-Encoding: gzip", CHUNKED)
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    for _ in range(r.number("size", 256)):
        yield from map(chunk, filter(None, [packer.compress(b"\0" * (1 << 20))]))
    yield chunk(packer.flush()) + END


@fault("size", "limit", "")
def gzip_bomb_lines(r: Request) -> Iterator[Action]:
    """The same of comments, none of which is too long."""
    yield head("Content-Encoding: gzip", CHUNKED)
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    for _ in range(r.number("size", 64)):
        yield from map(chunk, filter(None, [packer.compress(b":" + b"x" * 4094 + b"\n") for _ in range(256)]))
    yield chunk(packer.flush()) + END


# -- characters


def _marked(r: Request, replace: bytes) -> Iterator[bytes]:
    """A good stream with raw bytes in a delta of its own in the middle."""
    made = script(r, FIRST, ("MARK", *REST))
    return (part.replace(b"MARK", replace) for part in encode(made.all))


@fault("chars", EITHER, None)
def invalid_utf8(r: Request) -> Iterator[Action]:
    """A byte that is not UTF-8 inside a JSON string."""
    yield from stream(_marked(r, b"\xff"))


@fault("chars", EITHER, None)
def overlong_utf8(r: Request) -> Iterator[Action]:
    """An overlong encoding of a slash, which must not become one."""
    yield from stream(_marked(r, b"\xc0\xaf"))


@fault("chars", EITHER, None)
def latin1(r: Request) -> Iterator[Action]:
    """A body in Latin-1, which says so."""
    parts = [part.decode().encode("latin-1", "replace") for part in good(r)]
    yield from stream(parts, kind="text/event-stream; charset=iso-8859-1")


@fault("chars", EITHER, None)
def raw_nul(r: Request) -> Iterator[Action]:
    """A raw NUL inside a JSON string."""
    yield from stream(_marked(r, b"\0"))


def _carried(name: str, doc: str, *pieces: str, ascii_only: bool = False) -> None:
    """Text that is odd and has to arrive as it is, between the two halves."""

    def make(r: Request) -> Iterator[Action]:
        yield from stream(encode(script(r, FIRST, (*pieces, *REST), ascii_only=ascii_only).all))

    make.__doc__ = doc
    fault("chars", "complete", PARTIAL + "".join(pieces) + FULL[len(PARTIAL) :], name=name)(make)


_carried("escaped-nul", "An escaped NUL, which is legal.", "<\0>")
_carried("replacement-char", "U+FFFD, sent for half a character.", "\ufffd")
_carried("escapes", "Terminal control sequences.", "\x1b]52;c;ZXZpbA==\x07\x1b[2J")
_carried("escapes-split", "Terminal control sequences, a character at a time.", *"\x1b]52;c;ZXZpbA==\x07")


@fault("chars", "complete", "<🌍>")
def split_surrogates(r: Request) -> Iterator[Action]:
    """A surrogate pair, escaped, cut over two deltas."""
    yield from stream(encode(script(r, ["<\ud83c"], ["\udf0d>"], text="<🌍>", ascii_only=True).all))


@fault("chars", "complete", "<\ufffd>")
def lone_surrogate(r: Request) -> Iterator[Action]:
    """Half a surrogate pair, escaped, and never the other half."""
    yield from stream(encode(script(r, ["<\ud83c"], [">"], text="<\ud83c>", ascii_only=True).all))


# -- encodings


def _packed(parts: list[bytes], bits: int) -> list[bytes]:
    packer = zlib.compressobj(6, zlib.DEFLATED, bits)
    return [packer.compress(part) + packer.flush(zlib.Z_SYNC_FLUSH) for part in parts] + [packer.flush()]


def _encoded(name: str, doc: str, encoding: str, bits: int) -> None:
    def make(r: Request) -> Iterator[Action]:
        yield from stream(_packed(good(r), bits), f"Content-Encoding: {encoding}")

    make.__doc__ = doc
    fault("encoding", "complete", FULL, name=name)(make)


_encoded("gzip", "gzip, flushed after every event.", "gzip", 31)
_encoded("deflate", "deflate with its header, flushed after every event.", "deflate", 15)
_encoded("deflate-raw", "deflate without its header.", "deflate", -15)


@fault("encoding", "truncated", None)
def gzip_cut(r: Request) -> Iterator[Action]:
    """A gzip body cut in half, properly ended."""
    body = b"".join(_packed(good(r), 31))
    yield from stream([body[: len(body) // 2]], "Content-Encoding: gzip")


@fault("encoding", "protocol", "")
def gzip_garbage(r: Request) -> Iterator[Action]:
    """A body that claims to be gzip and is not."""
    yield from stream(good(r), "Content-Encoding: gzip")


@fault("encoding", "protocol", "")
def encoding_unknown(r: Request) -> Iterator[Action]:
    """An encoding that nobody asked for."""
    body = gzip.compress(b"".join(good(r)))
    yield from stream([bytes(byte ^ 0x5A for byte in body)], "Content-Encoding: x-odd")
