"""Every fault: what the server does, and what a reader of the stream must come to.

A fault is a generator of actions (bytes as they go on the wire, waits, resets). `expect` is one of
`complete`; `unconfirmed`, an end that only `[DONE]` vouches for; `truncated`, `connection`, `stall`, `protocol`,
`server-error`, `limit`, the error of that name; `complete-or-protocol`. `text` is what must have been delivered, None
where that depends on the options or either outcome is right.
"""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, cycle, repeat
from typing import Any

from tests.faultserver._http import CHUNKED, END, RST, STALL, Action, Request, chunk, head, stream
from tests.faultserver._script import APIS, FIRST, FULL, PARTIAL, REST, Event, Script, encode, whole

__all__ = ("FAULTS", "Fault")

Make = Callable[[Request], Iterator[Action]]
CHAT = ("chat",)
OLD = ("chat", "completions")
EITHER = "complete-or-protocol"


@dataclass(frozen=True)
class Fault:
    """One way to break. `apis` are those it exists for."""

    name: str
    group: str
    expect: str
    text: str | None
    doc: str
    make: Make
    apis: tuple[str, ...] = APIS


FAULTS: dict[str, Fault] = {}


def fault(
    group: str, expect: str, text: str | None = PARTIAL, apis: tuple[str, ...] = APIS, name: str = ""
) -> Callable[[Make], Make]:
    """Register a fault under its function's name, with hyphens."""

    def register(make: Make) -> Make:
        called = name or make.__name__.strip("_").replace("_", "-")
        assert called not in FAULTS, called
        FAULTS[called] = Fault(called, group, expect, text, make.__doc__ or "", make, apis)
        return make

    return register


def script(r: Request, *args: Any, **options: Any) -> Script:
    return Script(r.api, *args, **options)


def good(r: Request) -> list[bytes]:
    return encode(script(r).all)


def half(r: Request) -> list[bytes]:
    return encode(script(r).half)


def end(r: Request) -> list[bytes]:
    return encode(script(r).end)


def between(r: Request, *extra: bytes) -> Iterator[bytes]:
    """A good stream with something in its middle."""
    return stream([*half(r), *extra, *end(r)])


def ticking(r: Request, parts: Iterator[bytes]) -> Iterator[Action]:
    """Each part as a chunk of its own, a tick apart, for as long as there are any."""
    for part in parts:
        yield chunk(part)
        yield r.tick


# -- good streams, and odd but good ones


@fault("baseline", "complete", FULL)
def ok(r: Request) -> Iterator[Action]:
    """A good stream, each event in a chunk of its own."""
    yield from stream(good(r))


@fault("baseline", "complete", FULL)
def ok_length(r: Request) -> Iterator[Action]:
    """A good stream with a Content-Length."""
    body = b"".join(good(r))
    yield head(f"Content-Length: {len(body)}") + body


@fault("baseline", "complete", FULL)
def ok_close(r: Request) -> Iterator[Action]:
    """A good stream that ends where the connection does."""
    yield head("Connection: close")
    yield from good(r)


@fault("baseline", "complete", FULL)
def ok_one_chunk(r: Request) -> Iterator[Action]:
    """A good stream in one chunk."""
    yield b"".join(stream([b"".join(good(r))]))


@fault("baseline", "complete", FULL)
def slow(r: Request) -> Iterator[Action]:
    """A good stream, ms=N between its events."""
    yield head(CHUNKED)
    yield from ticking(r, iter(good(r)))
    yield END


@fault("baseline", "complete", None)
def long(r: Request) -> Iterator[Action]:
    """A good stream of n=N deltas of size=N characters."""
    size, count = r.number("size", 4), r.number("n", 1000)
    made = script(r, ["x" * size], [], text="x" * size * count)
    delta = encode(made.first)[0]
    yield from stream(chain(encode(made.opening), repeat(delta, count), encode(made.end)))


# -- ends that come too early


@fault("early-end", "truncated", None)
def cut(r: Request) -> Iterator[Action]:
    """A good stream cut at byte at=N of its body; how=eof, fin, rst or stall."""
    body = b"".join(good(r))[: r.number("at", 200)]
    how = r.options.get("how", "eof")
    yield from stream([body], end=how == "eof")
    if how == "rst":
        yield RST
    elif how == "stall":
        yield STALL


@fault("early-end", "truncated")
def eof_no_finish(r: Request) -> Iterator[Action]:
    """A proper end of the body in mid-answer."""
    yield from stream(half(r))


@fault("early-end", "truncated")
def eof_no_blank_line(r: Request) -> Iterator[Action]:
    """A proper end after the data line of a delta, before its blank line: half an event, not to be delivered."""
    yield from stream([*half(r), encode(script(r).rest)[0][:-1]])


@fault("early-end", EITHER, FULL)
def eof_last_no_blank_line(r: Request) -> Iterator[Action]:
    """A good stream without its very last blank line."""
    parts = good(r)
    yield from stream([*parts[:-1], parts[-1][:-1]])


@fault("early-end", "truncated")
def eof_partial_utf8(r: Request) -> Iterator[Action]:
    """A proper end inside a character."""
    event = encode([script(r).delta("日本")])[0]
    yield from stream([*half(r), event[: event.index("日".encode()) + 1]])


@fault("early-end", "connection")
def close_mid_chunk(r: Request) -> Iterator[Action]:
    """The connection is closed inside a chunk."""
    yield from stream(half(r), end=False)
    yield b"400\r\ndata: {"


@fault("early-end", "connection")
def close_short_length(r: Request) -> Iterator[Action]:
    """The connection is closed before Content-Length bytes were sent."""
    yield head(f"Content-Length: {len(b''.join(good(r)))}")
    yield from half(r)


@fault("early-end", "truncated")
def close_delimited_cut(r: Request) -> Iterator[Action]:
    """A body that ends with the connection, in mid-answer: HTTP cannot tell."""
    yield head("Connection: close")
    yield from half(r)


@fault("early-end", "complete", FULL)
def close_after_done(r: Request) -> Iterator[Action]:
    """The connection is closed after the whole answer, without the last chunk."""
    yield from stream(good(r), end=False)


@fault("early-end", "complete", FULL)
def rst_after_done(r: Request) -> Iterator[Action]:
    """The connection is reset after the whole answer."""
    yield from stream(good(r), end=False)
    yield RST


@fault("early-end", "connection")
def rst_mid(r: Request) -> Iterator[Action]:
    """The connection is reset in mid-answer."""
    yield from stream(half(r), end=False)
    yield RST


@fault("early-end", "connection", "")
def rst_after_headers(r: Request) -> Iterator[Action]:
    """The connection is reset after the headers."""
    yield head(CHUNKED)
    yield RST


@fault("early-end", "connection", "")
def close_before_headers(r: Request) -> Iterator[Action]:
    """The connection is closed without an answer."""
    yield b""


@fault("early-end", "connection", "")
def rst_before_headers(r: Request) -> Iterator[Action]:
    """The connection is reset without an answer."""
    yield RST


@fault("early-end", "truncated", "")
def empty(r: Request) -> Iterator[Action]:
    """No body at all."""
    yield from stream([])


@fault("early-end", "truncated", "")
def only_comments(r: Request) -> Iterator[Action]:
    """Nothing but comments."""
    yield from stream([b": hello\n\n"] * 3)


@fault("early-end", "truncated", "", OLD)
def only_done(r: Request) -> Iterator[Action]:
    """Nothing but [DONE]."""
    yield from stream(encode([Event(None, "[DONE]")]))


@fault("early-end", "unconfirmed", FULL, OLD)
def done_no_finish(r: Request) -> Iterator[Action]:
    """[DONE], and no finish reason before it."""
    made = script(r)
    yield from stream(encode(made.half + made.rest + made.done))


@fault("early-end", "complete", FULL, OLD)
def finish_no_done(r: Request) -> Iterator[Action]:
    """A finish reason, and no [DONE] after it."""
    made = script(r)
    yield from stream(encode(made.half + made.rest + made.finish))


# -- silence


@fault("stall", "stall", "")
def stall_before_headers(r: Request) -> Iterator[Action]:
    """The request is taken, and nothing comes."""
    yield STALL


@fault("stall", "stall", "")
def stall_first(r: Request) -> Iterator[Action]:
    """Headers, then silence."""
    yield head(CHUNKED)
    yield STALL


@fault("stall", "stall")
def stall_mid(r: Request) -> Iterator[Action]:
    """Half the answer, then silence."""
    yield from stream(half(r), end=False)
    yield STALL


@fault("stall", "stall")
def stall_mid_event(r: Request) -> Iterator[Action]:
    """Half the answer and half an event, then silence."""
    event = encode(script(r).rest)[0]
    yield from stream([*half(r), event[: len(event) // 2]], end=False)
    yield STALL


@fault("stall", "complete", FULL)
def stall_after_finish(r: Request) -> Iterator[Action]:
    """The answer with its finish reason, then silence."""
    made = script(r)
    yield from stream(encode(made.half + made.rest + made.finish), end=False)
    yield STALL


@fault("stall", "complete", FULL)
def stall_after_done(r: Request) -> Iterator[Action]:
    """The whole answer, then silence."""
    yield from stream(good(r), end=False)
    yield STALL


def _for_ever(r: Request, part: bytes) -> Iterator[Action]:
    yield from stream(half(r), end=False)
    yield from ticking(r, repeat(part))


@fault("stall", "stall")
def ping_mid(r: Request) -> Iterator[Action]:
    """Half the answer, then comments for ever."""
    yield from _for_ever(r, b": ping\n\n")


@fault("stall", "stall")
def ping_event_mid(r: Request) -> Iterator[Action]:
    """Half the answer, then typed ping events for ever."""
    yield from _for_ever(r, b'event: ping\ndata: {"type":"ping"}\n\n')


@fault("stall", "stall")
def blank_lines_mid(r: Request) -> Iterator[Action]:
    """Half the answer, then blank lines for ever."""
    yield from _for_ever(r, b"\n")


@fault("stall", "stall")
def empty_deltas_mid(r: Request) -> Iterator[Action]:
    """Half the answer, then empty deltas for ever."""
    yield from _for_ever(r, encode([script(r).delta("")])[0])


@fault("stall", "stall", None)
def drip(r: Request) -> Iterator[Action]:
    """A byte per tick: alive for the network, useless to a reader."""
    yield head(CHUNKED)
    body = b"".join(good(r))
    yield from ticking(r, (body[at : at + 1] for at in range(len(body))))
    yield END


@fault("stall", "limit", None)
def never_ends(r: Request) -> Iterator[Action]:
    """An answer that never ends."""
    made = script(r)
    yield from stream(chain(encode(made.opening), cycle([encode([made.delta("word ")])[0] * 20])), end=False)


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


# -- JSON


def _junk(name: str, expect: str, doc: str, data: str | Callable[[Request], str]) -> None:
    """One event with this data in the middle of a good stream."""

    def make(r: Request) -> Iterator[Action]:
        yield from between(r, *encode([Event(None, data if isinstance(data, str) else data(r))]))

    make.__doc__ = doc
    fault("json", expect, PARTIAL if expect == "protocol" else FULL, name=name)(make)


def _cut_json(r: Request) -> str:
    data = script(r).rest[0].data
    return data[: len(data) // 2]


_junk("json-garbage", "protocol", "An event that is not JSON.", "this is not JSON")
_junk("json-html", "protocol", "An event that is a web page.", "<html><body>502 Bad Gateway</body></html>")
_junk("json-cut", "protocol", "A proper event with half a JSON text.", _cut_json)
_junk("json-deep", "protocol", "100,000 arrays, one in the other.", "[" * 100_000 + "]" * 100_000)
_junk("json-null", EITHER, "null.", "null")
_junk("json-number", EITHER, "A number.", "42")
_junk("json-string", EITHER, "A string.", '"x"')
_junk("json-empty-object", EITHER, "An object with nothing in it.", "{}")
_junk("json-empty-array", EITHER, "An array with nothing in it.", "[]")
_junk("json-big-int", EITHER, "An integer of 5,000 digits.", '{"created":' + "1" * 5000 + "}")
_junk("json-nan", EITHER, "NaN, which JSON has not and servers send.", '{"created":NaN}')


# -- shapes


def _shaped(name: str, doc: str, *, expect: str = "complete", text: str | None = FULL, **fields: Any) -> None:
    """One odd chunk in the middle of a chat completion: `fields` are the chunk's."""
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "m"}

    def make(r: Request) -> Iterator[Action]:
        yield from between(r, *encode([script(r).event({**head, **fields})]))

    make.__doc__ = doc
    fault("shape", expect, text, CHAT, name=name)(make)


def _choice(**fields: Any) -> list[dict[str, Any]]:
    return [{"index": 0, "finish_reason": None, **fields}]


_CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
_TWO_PARTS = [{"type": "text", "text": "<"}, {"type": "text", "text": ">"}]
_USAGE = {"prompt_tokens": 3, "completion_tokens": 6, "total_tokens": 9}
_ODD = _choice(delta={}, finish_reason="odd")
_OTHER = _choice(index=1, delta={"content": "no"}, finish_reason="stop")
_shaped("choices-empty", "No choices in it.", choices=[], usage=_USAGE)
_shaped("choices-missing", "No `choices` at all.")
_shaped("choices-null", "`choices` is null.", choices=None)
_shaped("delta-missing", "A choice without a delta.", choices=_choice())
_shaped("delta-null", "A choice whose delta is null.", choices=_choice(delta=None))
_shaped("content-null", "Content is null.", choices=_choice(delta={"content": None}))
_shaped("content-list", "Content is a list.", expect=EITHER, text=None, choices=_choice(delta={"content": _TWO_PARTS}))
_shaped("reasoning", "A field of its own for reasoning.", choices=_choice(delta={"reasoning_content": "hm"}))
_shaped("second-choice", "A delta of another choice.", choices=_OTHER)
_shaped("tool-call", "A tool call.", choices=_choice(delta={"tool_calls": [_CALL]}))
_shaped("finish-unknown", "A finish reason nobody knows, and more text.", expect=EITHER, text=None, choices=_ODD)
_shaped("error-null", "`error` is null.", error=None, choices=_choice(delta={}))


@fault("shape", "complete", FULL, CHAT)
def usage_last(r: Request) -> Iterator[Action]:
    """Usage in a chunk of its own, after the finish reason."""
    made = script(r)
    usage = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "usage": _USAGE}
    yield from stream(encode([*made.half, *made.rest, *made.finish, made.event({**usage, "choices": []}), *made.done]))


# -- errors in the stream


def _own_error(r: Request) -> Event:
    """The error event of the API."""
    if r.api == "responses":
        return script(r).event(
            {"type": "error", "code": "server_error", "message": "boom", "param": None, "sequence_number": 9}
        )
    if r.api == "messages":
        return script(r).event({"type": "error", "error": {"type": "overloaded_error", "message": "boom"}})
    return script(r).event({"error": {"message": "boom", "type": "server_error", "param": None, "code": "boom"}})


def _failing(name: str, doc: str, event: Callable[[Request], Event], apis: tuple[str, ...] = APIS) -> None:
    """Half the answer, an error, the end of the body."""

    def make(r: Request) -> Iterator[Action]:
        yield from stream([*half(r), *encode([event(r)])])

    make.__doc__ = doc
    fault("error", "server-error", PARTIAL, apis, name=name)(make)


def _error(value: Any) -> Callable[[Request], Event]:
    return lambda r: Event(None, json.dumps(value))


def _failed(r: Request) -> Event:
    error = {"code": "server_error", "message": "boom"}
    return script(r).event(
        {"type": "response.failed", "response": {**whole("responses", ""), "status": "failed", "error": error}}
    )


_failing("error-event", "The API's own error event.", _own_error)
_failing("error-string", "`error` is a string.", _error({"error": "boom"}))
_failing(
    "error-vllm",
    "An object called error, without the key.",
    _error({"object": "error", "message": "boom", "code": 500}),
)
_failing("error-detail", "FastAPI's `detail`.", _error({"detail": "boom"}))
_failing("error-named", "An event of type error, in plain text.", lambda r: Event("error", "boom"))
_failing(
    "error-finish", "An error beside choices.", lambda r: script(r).chunk({}, "error", error={"message": "boom"}), CHAT
)
_failing("error-finish-only", "Error as the finish reason.", lambda r: script(r).chunk({}, "error"), CHAT)
_failing("response-failed", "The response failed.", _failed, ("responses",))


@fault("error", "server-error")
def error_then_more(r: Request) -> Iterator[Action]:
    """The API's own error event, and the stream goes on to a good end."""
    yield from between(r, *encode([_own_error(r)]))


@fault("error", "server-error")
def error_plain_text(r: Request) -> Iterator[Action]:
    """A bare line, no field of the standard's, and the end."""
    yield from stream([*half(r), b"Internal Server Error"])


@fault("error", "server-error")
def error_bare_json(r: Request) -> Iterator[Action]:
    """A bare line of JSON, without `data:`, and the end."""
    yield from stream([*half(r), b'{"error": {"message": "boom"}}\n'])


@fault("error", "server-error")
def error_field(r: Request) -> Iterator[Action]:
    """A line `error: …`, as some local servers send it, and the end."""
    yield from stream([*half(r), b'error: {"code": 500, "message": "boom"}\n\n'])


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


# -- after the end


@fault("after-end", "complete", FULL, OLD)
def done_twice(r: Request) -> Iterator[Action]:
    """[DONE] twice."""
    yield from stream([*good(r), *encode(script(r).done)])


@fault("after-end", "complete", FULL, OLD)
def data_after_done(r: Request) -> Iterator[Action]:
    """Another delta after [DONE], which must not appear."""
    yield from stream([*good(r), *encode([script(r).delta(" more")])])


@fault("after-end", EITHER, FULL)
def data_after_finish(r: Request) -> Iterator[Action]:
    """Another delta after the finish reason."""
    made = script(r)
    yield from stream(encode([*made.half, *made.rest, *made.finish, made.delta(" more"), *made.done]))


@fault("after-end", "complete", FULL)
def endless_after_done(r: Request) -> Iterator[Action]:
    """The whole answer, then bytes for ever."""
    yield from stream(good(r), end=False)
    yield from ticking(r, repeat(b": more\n\n" * 100))


@fault("after-end", EITHER, FULL, OLD)
def done_prefix(r: Request) -> Iterator[Action]:
    """An event that only begins with [DONE], in the middle."""
    yield from between(r, *encode([Event(None, "[DONE] not yet")]))


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
