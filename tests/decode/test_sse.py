"""The decoder of server-sent events against the HTML standard, however the bytes are cut."""

import base64
import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typestream import StreamLimitExceeded
from typestream.decode.sse import ServerSentEvent, SSEDecoder
from typestream.decode.wire import Limits

SHARED = Path(__file__).parents[3] / "shared" / "data" / "sse_cases.json"

# Written after the standard's text; (input, events as (event, data, id)).
CASES = {
    "data": (b"data: a\n\n", [("message", "a", "")]),
    "one space only": (b"data:  a\n\ndata:b\n\n", [("message", " a", ""), ("message", "b", "")]),
    "lines joined": (b"data: a\ndata: b\ndata\n\n", [("message", "a\nb\n", "")]),
    "empty data": (b"data:\n\n", [("message", "", "")]),
    "no data, no event": (b"event: x\nid: 1\n\ndata: a\n\n", [("message", "a", "1")]),
    "type": (b"event: x\ndata: a\n\ndata: b\n\n", [("x", "a", ""), ("message", "b", "")]),
    "id stays": (
        b"id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n",
        [(*["message", "a", "1"],), ("message", "b", "1"), ("message", "c", "")],
    ),
    "id with NUL": (b"id: 1\0\ndata: a\n\n", [("message", "a", "")]),
    "comments": (b":\n: a\ndata: b\n:c\n\n", [("message", "b", "")]),
    "unknown fields": (b"foo: a\nbar\nDATA: x\n data: y\ndata: b\n\n", [("message", "b", "")]),
    "CR": (b"data: a\rdata: b\r\rdata: c\r\r", [("message", "a\nb", ""), ("message", "c", "")]),
    "CRLF": (b"data: a\r\ndata: b\r\n\r\n", [("message", "a\nb", "")]),
    "LF CR is two": (b"data: a\n\rdata: b\n\r", [("message", "a", ""), ("message", "b", "")]),
    "byte order mark": (b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n", [("message", "a", "")]),
    "half a byte order mark": (b"\xef\xbbdata: a\n\ndata: b\n\n", [("message", "b", "")]),
    "other line ends": (
        "data: a\u2028b\x85c\x0bd\x0ce\x1cf\n\n".encode(),
        [("message", "a\u2028b\x85c\x0bd\x0ce\x1cf", "")],
    ),
    "invalid UTF-8": (b"data: a\xff\xc0\xafb\xe6\x97\n\n", [("message", "a\ufffd\ufffd\ufffdb\ufffd", "")]),
    "no blank line": (b"data: a\n\ndata: b\n", [("message", "a", "")]),
    "mid-line": (b"data: a\n\ndata: b", [("message", "a", "")]),
}


def decode(*parts: bytes, limits: Limits | None = None) -> tuple[list[ServerSentEvent], SSEDecoder]:
    decoder = SSEDecoder(limits)
    events = [event for part in parts for event in decoder.feed(part)]
    return events + decoder.flush(), decoder


def drain(decoder: SSEDecoder, parts: list[bytes], events: list[ServerSentEvent]) -> None:
    for part in parts:
        events += decoder.feed(part)
    events += decoder.flush()


def cuts(data: bytes) -> list[list[bytes]]:
    singles = [data[at : at + 1] for at in range(len(data))]
    return [[data], singles, *([data[:at], data[at:]] for at in range(1, len(data)))]


@pytest.mark.parametrize("name", CASES)
def test_standard(name: str) -> None:
    data, expected = CASES[name]
    for parts in cuts(data):
        events, _ = decode(*parts)
        assert [(event.event, event.data, event.id) for event in events] == expected, parts


@pytest.mark.skipif(not SHARED.exists(), reason="the conformance set is not here")
def test_conformance_set() -> None:
    for case in json.loads(SHARED.read_text())["cases"]:
        for parts in cuts(base64.b64decode(case["input_base64"])):
            events, decoder = decode(*parts)
            found = [{"event": event.event, "data": event.data, "id": event.id} for event in events]
            assert found == case["events"], case["name"]
            assert (decoder.retry, decoder.last_event_id) == (case["retry"], case["last_event_id"]), case["name"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [("2500", 2500), ("03000", 3000), ("", None), ("1x", None), ("-1", None), ("1.5", None), ("٣", None), (" 5", None)],
)
def test_retry_takes_digits_only(value: str, expected: int | None) -> None:
    events, decoder = decode(f"retry:{value}\n\ndata: a\n\n".encode())
    if value == " 5":  # one space belongs to the syntax
        expected = 5
    assert decoder.retry == expected
    assert events[0].retry == expected


FIELDS = ("data: a", "data:", "data", "event: e", "id: 1", "id", "retry: 7", ": c", "foo")
PIECES = (*FIELDS, "é", "\0", "\ufeff", "日", "\n", "\r", "\r\n")


@given(st.lists(st.sampled_from(PIECES)).map("".join), st.data())
def test_cut_anywhere(text: str, data: st.DataObject) -> None:
    body = text.encode()
    at = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    parts = [body[start:end] for start, end in zip([0, *at], [*at, len(body)], strict=True)]
    whole, one = decode(body)
    split, other = decode(*parts)
    assert split == whole
    assert (other.retry, other.last_event_id) == (one.retry, one.last_event_id)


@given(st.lists(st.binary(max_size=40)))
def test_any_bytes(parts: list[bytes]) -> None:
    assert decode(*parts)[0] == decode(b"".join(parts))[0]


@pytest.mark.parametrize(
    ("body", "limit"),
    [
        (b"data: " + b"x" * 95, "line"),
        (b": " + b"x" * 99, "line"),
        (b"data: " + b"x" * 95 + b"\n\n", "line"),
        (b"data: 1234567890\n" * 20, "event"),
        (b"event: 1234567890\n" * 20, "event"),
        (b"data: 1234567890\n" * 20 + b"\n\n\n", "event"),
    ],
)
def test_limits(body: bytes, limit: str) -> None:
    limits = Limits(line=100, event=200)
    for parts in ([b"data: first\n\n" + body], [b"data: first\n\n", *(body[at : at + 1] for at in range(len(body)))]):
        decoder = SSEDecoder(limits)
        events: list[ServerSentEvent] = []
        with pytest.raises(StreamLimitExceeded) as caught:
            drain(decoder, parts, events)
        assert caught.value.limit == limit
        assert [event.data for event in events] == ["first"]


def test_within_limits() -> None:
    body = b"data: " + b"x" * 94 + b"\ndata: " + b"y" * 94 + b"\n\n"
    assert len(decode(body * 5, limits=Limits(line=100, event=200))[0]) == 5
    comments = b": ping\n" * 100  # without a blank line, for ever: nothing piles up
    assert decode(comments + b"data: a\n\n", limits=Limits(line=100, event=200))[0][0].data == "a"


def test_a_long_line_passes() -> None:
    assert decode(b"data: " + b"x" * (1 << 20) + b"\n\n")[0][0].data == "x" * (1 << 20)


@pytest.mark.parametrize("line", [b"x" * 64, b"data: x\n" * 8, b"event: 12345678\n" * 4, b": a long comment\n" * 4])
def test_endless_input_takes_bounded_memory(line: bytes) -> None:
    size = 512 * 1024
    decoder = SSEDecoder(Limits(line=size, event=size))
    tracemalloc.start()
    try:
        for _ in range(3 * 128):  # three times as much
            decoder.feed(line * 64)
    except StreamLimitExceeded:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 2 * size
