"""Good streams, ends that come too early, silence."""

from collections.abc import Iterator
from itertools import chain, cycle, repeat

from tests.faultserver._http import CHUNKED, END, RST, STALL, Action, Request, head, stream
from tests.faultserver._registry import EITHER, OLD, fault, good, half, script, ticking
from tests.faultserver._script import FULL, Event, encode

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
