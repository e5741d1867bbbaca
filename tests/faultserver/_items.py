"""What events can say: junk, odd shapes, errors, something after the end."""

import json
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any

from tests.faultserver._http import Action, Request, stream
from tests.faultserver._registry import CHAT, EITHER, OLD, between, fault, good, half, script, ticking
from tests.faultserver._script import APIS, FULL, PARTIAL, Event, encode, whole

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
