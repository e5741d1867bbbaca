"""More of what events can say: names, errors of every shape, junk, ends that are none."""

import base64
import json
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from typing import Any

from tests.faultserver._http import CHUNKED, STALL, Action, Request, head, stream
from tests.faultserver._registry import CHAT, EITHER, OLD, between, fault, good, half, script, ticking
from tests.faultserver._script import APIS, FULL, PARTIAL, Event, dump, encode, whole

Parts = Callable[[Request], Iterator[bytes]]

# -- good streams in odd clothes


def _odd(name: str, doc: str, parts: Parts, apis: tuple[str, ...] = APIS, group: str = "sse") -> None:
    def make(r: Request) -> Iterator[Action]:
        yield from stream(parts(r))

    make.__doc__ = doc
    fault(group, "complete", FULL, apis, name=name)(make)


def _each(change: Callable[[bytes], bytes]) -> Parts:
    return lambda r: map(change, good(r))


def _named(name: str | None) -> Parts:
    return lambda r: iter(encode(event._replace(name=name) for event in script(r).all))


def _last(r: Request, *extra: bytes) -> Iterator[bytes]:
    made = script(r)
    return iter([*encode([*made.half, *made.rest, *made.finish]), *extra])


def _lines_of_json(r: Request) -> Iterator[bytes]:
    return (event.data.encode() + b"\n" for event in script(r).all if event.data != "[DONE]")


def _array_of_json(r: Request) -> Iterator[bytes]:
    data = [event.data for event in script(r).all if event.data != "[DONE]"]
    return iter([b"[", *(part.encode() + b"\n,\n" for part in data[:-1]), data[-1].encode(), b"]"])


def _escaped(r: Request) -> Iterator[bytes]:
    return iter(encode(script(r, ascii_only=True).all))


def _one_line_each(r: Request) -> Iterator[bytes]:
    return chain.from_iterable(part.splitlines(keepends=True) for part in good(r))


_odd("id-nul", "An id with a NUL in it, which counts for nothing.", _each(lambda part: b"id: a\0b\n" + part))
_odd("retry-junk", "Reconnection times that are none.", _each(lambda part: b"retry: soon\nretry: -1\nretry:\n" + part))
_odd("retry-huge", "A reconnection time of 5,000 digits.", _each(lambda part: b"retry: " + b"9" * 5000 + b"\n" + part))
_odd("comment-huge", "A comment of a mebibyte.", lambda r: chain([b":" + b"x" * (1 << 20) + b"\n\n"], good(r)))
_odd("data-no-colon", "A `data` line without a colon: an empty event.", _each(lambda part: b"data\n\n" + part))
_odd("data-tab", "A tab after `data:`.", _each(lambda part: part.replace(b"data: {", b"data:\t {")))
_odd("data-trailing", "White space after the JSON.", _each(lambda part: part.replace(b"}\n\n", b"} \t \n\n")))
_odd("blank-flood", "1,000 blank lines between events.", _each(lambda part: part + b"\n" * 1000))
_odd("leading-blank", "Blank lines and white space first.", lambda r: chain([b"\n\r\n\n"], good(r)))
_odd("lines-apart", "A chunk for every line.", _one_line_each)
_odd("event-odd", "An event type that says nothing.", _named("chunk"), OLD)
_odd("event-none", "No event types, where there should be some.", _named(None), ("responses", "messages"))
_odd("event-wrong", "One event type for all.", _named("message"), ("responses", "messages"))
_odd("escaped", "All of the text in JSON's escapes.", _escaped)
_odd("done-named", "An event type beside [DONE].", lambda r: _last(r, b"event: done\ndata: [DONE]\n\n"), OLD)
_odd("done-quoted", "[DONE] in quotes.", lambda r: _last(r, b'data: "[DONE]"\n\n'), OLD)
_odd("done-bare", "[DONE] without `data:`.", lambda r: _last(r, b"[DONE]\n\n"), OLD)
_odd("json-lines", "Lines of JSON, and no event.", _lines_of_json)
_odd("json-array", "An array of JSON, over many lines.", _array_of_json)
_odd("second-answer", "Another answer after the end of the first.", lambda r: iter(good(r) * 2), OLD, "after-end")
_odd("error-after-done", "An error after the end.", lambda r: iter([*good(r), _error_data("late")]), OLD, "after-end")
_odd(
    "html-after-end",
    "A web page after the end.",
    lambda r: chain(good(r), [b"<html>\nBad\n</html>\n"]),
    APIS,
    "after-end",
)
_odd("binary-after-end", "Junk after the end.", lambda r: iter([*good(r), bytes(range(256)) * 9]), APIS, "after-end")


@fault("after-end", EITHER, FULL)
def garbage_after_finish(r: Request) -> Iterator[Action]:
    """Bad JSON after the finish reason."""
    yield from stream(_last(r, b"data: [done]\n\n"))


@fault("after-end", "complete", FULL)
def ping_after_finish(r: Request) -> Iterator[Action]:
    """Comments for ever after the finish reason, and no end."""
    yield from stream(_last(r), end=False)
    yield from ticking(r, repeat(b": ping\n\n"))


@fault("after-end", "complete", FULL, OLD)
def tokens_after_done(r: Request) -> Iterator[Action]:
    """Deltas for ever after [DONE]."""
    yield from stream(good(r), end=False)
    yield from ticking(r, repeat(encode([script(r).delta(" more")])[0] * 50))


def _first_of_rest(r: Request, change: Callable[[bytes], bytes]) -> Iterator[Action]:
    """A good stream, one event of which is changed."""
    first, *others = encode(script(r).end)
    return stream([*half(r), change(first), *others])


@fault("sse", EITHER, FULL)
def bom_mid(r: Request) -> Iterator[Action]:
    """A byte order mark before a later event: two streams joined."""
    yield from _first_of_rest(r, lambda event: b"\xef\xbb\xbf" + event)


@fault("sse", EITHER, FULL)
def data_capital(r: Request) -> Iterator[Action]:
    """`Data:` for once, which is not a field, though it was meant to be."""
    yield from _first_of_rest(r, lambda event: event.replace(b"data:", b"Data:"))


@fault("sse", EITHER, FULL)
def data_indented(r: Request) -> Iterator[Action]:
    """A space before `data:` for once."""
    yield from _first_of_rest(r, lambda event: event.replace(b"data:", b" data:"))


@fault("sse", EITHER, FULL)
def blank_line_missing(r: Request) -> Iterator[Action]:
    """Two events without the blank line between them."""
    yield from _first_of_rest(r, lambda event: event[:-1])


@fault("sse", EITHER, FULL)
def newline_missing(r: Request) -> Iterator[Action]:
    """Two events without any line end between them."""
    yield from _first_of_rest(r, lambda event: event[:-2])


@fault("size", "limit")
def endless_comment(r: Request) -> Iterator[Action]:
    """Half the answer, then a comment that never ends."""
    yield from stream(chain(half(r), [b": "], repeat(b"x" * 65536)), end=False)


@fault("size", "limit")
def endless_field(r: Request) -> Iterator[Action]:
    """Half the answer, then a line that is no field and never ends."""
    yield from stream(chain(half(r), repeat(b"x" * 65536)), end=False)


@fault("size", "limit", "")
def endless_json(r: Request) -> Iterator[Action]:
    """One JSON text that never ends, where a stream was asked for."""
    yield from stream(chain([b'{"a": "'], repeat(b"x" * 65536)), kind="application/json", end=False)


# -- characters


@fault("chars", "protocol", "")
def utf16(r: Request) -> Iterator[Action]:
    """A body in UTF-16, which says so."""
    body = b"".join(good(r)).decode().encode("utf-16")
    yield from stream([body], kind="text/event-stream; charset=utf-16")


@fault("chars", "protocol", "")
def utf32(r: Request) -> Iterator[Action]:
    """A body in UTF-32, which does not say so."""
    yield from stream([b"".join(good(r)).decode().encode("utf-32-be")])


@fault("chars", EITHER, None)
def cesu8(r: Request) -> Iterator[Action]:
    """An emoji as two surrogates in UTF-8."""
    made = encode(script(r, ("MARK",)).all)
    yield from stream(part.replace(b"MARK", "\ud83c\udf0d".encode("utf-8", "surrogatepass")) for part in made)


@fault("chars", "protocol", "")
def nul_after(r: Request) -> Iterator[Action]:
    """A NUL after the JSON of each event."""
    yield from stream(part.replace(b"}\n\n", b"}\0\n\n") for part in good(r))


# -- errors in the stream


def _error_data(value: Any) -> bytes:
    return b"data: " + json.dumps({"error": value}).encode() + b"\n\n"


def _failing(name: str, doc: str, data: bytes, apis: tuple[str, ...] = APIS) -> None:
    """Half the answer, an error, the end of the body."""

    def make(r: Request) -> Iterator[Action]:
        yield from stream([*half(r), data])

    make.__doc__ = doc
    fault("error", "server-error", PARTIAL, apis, name=name)(make)


def _event(value: Any, name: str = "") -> bytes:
    return (f"event: {name}\n" if name else "").encode() + b"data: " + json.dumps(value).encode() + b"\n\n"


_TRACE = b'Traceback (most recent call last):\n  File "server.py", line 3, in <module>\nMemoryError\n'
_failing("error-code-int", "`code` is a number.", _error_data({"code": 429, "message": "slow down"}))
_failing("error-code-none", "`code` and `message` are null.", _error_data({"code": None, "message": None, "type": "x"}))
_failing("error-code-only", "An error with a code and nothing else.", _error_data({"code": 500}))
_failing("error-number", "`error` is a number.", _error_data(500))
_failing("error-true", "`error` is true.", _error_data(True))
_failing("error-list", "`error` is a list.", _error_data([{"message": "boom"}, "again"]))
_failing("error-in-error", "An error in an error.", _error_data({"error": {"message": "boom"}}))
_failing("error-message-object", "`message` is an object.", _error_data({"message": {"text": ["boom"]}}))
_failing("errors-list", "`errors`, a list.", _event({"errors": [{"message": "boom"}], "success": False}))
_failing("error-detail-list", "FastAPI's list of details.", _event({"detail": [{"loc": ["body"], "msg": "bad"}]}))
_failing("error-detail-object", "`detail` is an object.", _event({"detail": {"error": {"message": "boom"}}}))
_failing("error-google", "Google's shape of an error, in a list.", _event([{"error": {"code": 503, "status": "BUSY"}}]))
_failing("error-nonsense-type", "A type of error, and a message.", _event({"type": "error", "message": "boom"}))
_failing("error-named-object", "An event of type error, with any object.", _event({"reason": "boom"}, "error"))
_failing("error-named-empty", "An event of type error, with nothing.", b"event: error\ndata: {}\n\n")
_failing("error-named-html", "An event of type error, with a web page.", b"event: error\ndata: <h1>502</h1>\n\n")
_failing("error-no-blank-line", "An error without its blank line.", b'data: {"error": {"message": "boom"}}')
_failing("error-traceback", "A traceback, and the end.", _TRACE)
_failing("error-html", "A web page, and the end.", b"<!DOCTYPE html>\n<html>\n<body>502 Bad Gateway</body>\n</html>\n")
_failing("error-http", "A proxy's answer inside the body.", b"HTTP/1.1 502 Bad Gateway\r\nServer: x\r\n\r\nBad\r\n")
_failing("error-envoy", "A proxy's line.", b"upstream request timeout")


@fault("error", "server-error", PARTIAL, ("responses",))
def completed_failed(r: Request) -> Iterator[Action]:
    """`response.completed`, of a response that says it has failed."""
    error = {"code": "server_error", "message": "boom"}
    response = {**whole("responses", ""), "status": "failed", "error": error}
    event = script(r).event({"type": "response.completed", "response": response})
    yield from stream([*half(r), *encode([event])])


@fault("error", "server-error", PARTIAL, ("responses",))
def response_failed_bare(r: Request) -> Iterator[Action]:
    """`response.failed`, which does not say why."""
    yield from stream([*half(r), *encode([script(r).event({"type": "response.failed"})])])


@fault("error", "server-error", PARTIAL, ("messages",))
def error_bare(r: Request) -> Iterator[Action]:
    """The error event without an error."""
    yield from stream([*half(r), *encode([Event("error", dump({"type": "error", "error": None}))])])


@fault("error", "server-error-or-protocol")
def binary_mid(r: Request) -> Iterator[Action]:
    """Half the answer, then bytes that are no text, and the end."""
    yield from stream([*half(r), bytes(range(128, 256)) * 20])


@fault("error", "server-error-or-protocol")
def base64_mid(r: Request) -> Iterator[Action]:
    """Half the answer, then a page of base64, and the end."""
    yield from stream([*half(r), base64.encodebytes(bytes(range(256)) * 20)])


# -- answers that are no stream


def _instead(name: str, doc: str, expect: str, body: bytes, kind: str = "application/json", text: str = "") -> None:
    def make(r: Request) -> Iterator[Action]:
        yield head(f"Content-Length: {len(body)}", kind=kind) + body

    make.__doc__ = doc
    fault("answer", expect, text, name=name)(make)


_STREAM = "text/event-stream"
_instead("json-200-empty", "200 and no JSON at all.", "truncated", b"")
_instead("json-200-object", "200 and an empty object.", "truncated", b"{}")
_instead("json-200-array", "200 and an empty array.", "truncated", b"[]")
_instead("json-200-detail", "200 and FastAPI's details.", "server-error", b'{"detail": [{"msg": "bad"}]}')
_instead("json-200-errors", "200 and errors.", "server-error", b'{"success": false, "errors": [{"message": "boom"}]}')
_instead(
    "json-error-as-stream",
    "200 and an error in JSON, as a stream.",
    "server-error",
    b'{"error": "boom"}',
    _STREAM,
)
_instead(
    "html-200-as-stream",
    "200 and a web page, as a stream.",
    "server-error",
    b"<html>\n<p>Hi\n</html>",
    _STREAM,
)
_instead("text-200-as-stream", "200 and a line, as a stream.", "server-error", b"upstream connect error", _STREAM)
_instead("binary-200", "200 and an image.", "protocol", b"\x89PNG\r\n\x1a\n" + bytes(64), "image/png")


@fault("answer", "complete", FULL)
def json_200_bom(r: Request) -> Iterator[Action]:
    """200 and the whole answer, indented, after a byte order mark."""
    yield from stream([b"\xef\xbb\xbf \n", json.dumps(whole(r.api), indent=1).encode()], kind="application/json")


@fault("answer", "complete", FULL)
def json_200_as_stream(r: Request) -> Iterator[Action]:
    """200 and the whole answer in one event."""
    yield from stream([b"data: " + json.dumps(whole(r.api)).encode() + b"\n\n"])


@fault("answer", "stall", "")
def json_200_stall(r: Request) -> Iterator[Action]:
    """200 and half of the whole answer, then silence."""
    body = json.dumps(whole(r.api)).encode()
    yield head(CHUNKED, kind="application/json") + b"%x\r\n%b\r\n" % (len(body) // 2, body[: len(body) // 2])
    yield STALL


# -- shapes


def _shaped(name: str, doc: str, fields: dict[str, Any]) -> None:
    """One odd chunk in the middle of a chat completion: nothing in it is text."""

    def make(r: Request) -> Iterator[Action]:
        yield from between(r, *encode([script(r).event({"object": "chat.completion.chunk", **fields})]))

    make.__doc__ = doc
    fault("shape", EITHER, FULL, CHAT, name=name)(make)


def _choice(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "finish_reason": None, **fields}]}


_shaped("choices-object", "`choices` is an object.", {"choices": {"delta": {}}})
_shaped("choices-of-null", "A choice is null.", {"choices": [None]})
_shaped("choices-of-text", "A choice is a string.", {"choices": ["x"]})
_shaped("index-text", "The index is a word.", _choice(index="zero", delta={}))
_shaped("index-negative", "The index is negative.", _choice(index=-1, delta={"content": "no"}, finish_reason="stop"))
_shaped("index-huge", "The index is huge.", _choice(index=10**12, delta={"content": "no"}, finish_reason="stop"))
_shaped("tool-calls-text", "Tool calls are strings.", _choice(delta={"tool_calls": ["x", None, 3]}))
_shaped("usage-text", "Usage is a string.", {"choices": [], "usage": "lots"})
_shaped("usage-of-text", "Counts are strings.", {"choices": [], "usage": {"prompt_tokens": "3", "total_tokens": None}})
_shaped("finish-empty", "The finish reason is an empty string.", _choice(delta={}, finish_reason=""))
_shaped("finish-null-text", 'The finish reason is "null".', _choice(delta={}, finish_reason="null"))
_shaped("finish-object", "The finish reason is an object.", _choice(delta={}, finish_reason={"type": "stop"}))
_shaped("id-number", "The id and the model are numbers.", {"id": 7, "model": 3.5, "choices": []})
_shaped("logprobs-odd", "Log probabilities are a number.", _choice(delta={}, logprobs=3))
