"""The wire decoder, fed the body of every fault and every cut of it."""

import random
import tracemalloc
import zlib
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import typestream
from tests.faultserver import FAULTS, PARTIAL, Body, Fault, Request, dechunk
from typestream import (
    Event,
    Other,
    StreamError,
    StreamLimitExceeded,
    StreamProtocolError,
    StreamServerError,
    TextDelta,
)
from typestream.decode import JoinSurrogates, _packers
from typestream.decode.wire import Decompressor, Limits, WireDecoder

MATRIX = [pytest.param(fault, api, id=f"{name}-{api}") for name, fault in FAULTS.items() for api in fault.apis]
ERRORS = {"protocol": StreamProtocolError, "server-error": StreamServerError, "limit": StreamLimitExceeded}


class Read:
    """What a reader of a body came to: as the core does it, with no connection."""

    def __init__(self, decoder: WireDecoder, parts: list[bytes], ended: bool = True) -> None:
        self.events: list[Event] = []
        self.error: StreamError | None = None
        joined = JoinSurrogates()
        self.used = 0
        for part in parts:
            self.used += len(part)
            self._add(joined.feed(decoder.decode(part)))
            if decoder.ended:
                break
        if self.error is None and (ended or decoder.ended):
            self._add(joined.feed(decoder.end()))
        self._add(joined.flush())
        self.completion = decoder.completion

    def _add(self, decoded: list[Any]) -> None:
        for one in decoded:
            assert self.error is None, "something came after the error"
            if isinstance(one, StreamError):
                self.error = one
            else:
                self.events.append(one)

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if type(event) is TextDelta and event.index == 0)

    @property
    def said(self) -> tuple[Any, ...]:
        """All of it, to compare; pieces of text that are next to each other joined."""
        return self.events, type(self.error), str(self.error), self.completion


def body_of(fault: Fault, api: str, **options: str) -> Body:
    options.setdefault("ms", "0")
    limit = (
        6 << 20
        if fault.group == "size"
        else 2 << 20
        if fault.name in ("never-ends", "long-line", "comment-huge")
        else 64 << 10
    )
    return dechunk(fault.make(Request(api, f"/{fault.name}/-/{api}", options)), limit)


def read(body: Body, parts: list[bytes] | None = None, limits: Limits | None = None) -> Read:
    encoding = body.headers.get("content-encoding")
    decoder = WireDecoder(body.headers.get("content-type"), status=body.status, encoding=encoding, limits=limits)
    whole = [body.data[at : at + 65536] for at in range(0, len(body.data), 65536)]
    return Read(decoder, whole if parts is None else parts, body.ending == "end")


def check(fault: Fault, found: Read, body: Body) -> None:
    expected = fault.expect
    unseen = expected in ("connection", "stall") or body.ending != "end"
    if unseen and found.error is None and found.completion == "incomplete":
        expected = "incomplete"  # the driver's to report: the decoder saw no end
    if expected in ERRORS:
        assert type(found.error) is ERRORS[expected], found.error
    elif expected in ("truncated", "incomplete"):
        assert (found.error, found.completion) == (None, "incomplete")
    elif expected == "unconfirmed":
        assert (found.error, found.completion) == (None, "unconfirmed")
    elif expected != "complete" and type(found.error) is StreamProtocolError:
        assert expected.endswith("-or-protocol")
    elif expected == "server-error-or-protocol":
        assert type(found.error) is StreamServerError
    else:
        assert (found.error, found.completion) == (None, "complete")
    if expected == "complete-or-protocol" and found.error is not None:
        assert found.text.startswith(PARTIAL)
    elif fault.text is not None:
        assert found.text == fault.text


NO_BODY = {"status-500-then-ok", "huge-header", "redirect-loop", "status-429", "chunk-too-long"}
NO_BODY |= {"status-302", "status-304", "gzip-twice"}
NO_BODY |= {name for name, fault in FAULTS.items() if fault.more and fault.group == "http"}
NO_BODY |= {"head-stall", "head-drip", "continue-for-ever"}


@pytest.mark.parametrize(("fault", "api"), MATRIX)
def test_every_fault(fault: Fault, api: str) -> None:
    if fault.name in NO_BODY:
        pytest.skip("a fault of the connection, not of the body")
    body = body_of(fault, api, size="16" if fault.group == "size" else "1048576" if fault.name == "long-line" else "4")
    limits = Limits(total=1 << 20) if fault.name in ("never-ends", "gzip-bomb-lines") else None
    check(fault, read(body, limits=limits), body)


@pytest.mark.parametrize(("fault", "api"), MATRIX)
def test_cut_anywhere(fault: Fault, api: str) -> None:
    if fault.name in NO_BODY or fault.group == "size" or fault.name == "never-ends":
        pytest.skip("nothing to cut, or no end of it")
    body = body_of(fault, api, size="4096", n="20")
    whole = read(body, [body.data])
    data = body.data[: whole.used]
    rng = random.Random(7)
    ways = [[data[at : at + 1] for at in range(len(data))]] if len(data) < 20_000 else []
    for _ in range(6):
        at = sorted(rng.choices(range(len(data) + 1), k=rng.choice((1, 3, 20))))
        ways.append([data[start:end] for start, end in zip([0, *at], [*at, len(data)], strict=True)])
    for parts in ways:
        assert read(body, parts).said == whole.said


@pytest.mark.parametrize("api", ["chat", "completions", "responses", "messages"])
@pytest.mark.parametrize("ended", [True, False])
def test_a_good_stream_cut_at_every_byte_is_never_silent(api: str, ended: bool) -> None:
    body = body_of(FAULTS["ok"], api)
    full = read(body)
    data = body.data
    last = 0
    for at in range(len(data) + 1):
        found = Read(WireDecoder("text/event-stream"), [data[:at]], ended=ended)
        assert full.text.startswith(found.text)
        if found.completion != "incomplete":
            assert found.text == full.text
            last = last or at
        else:
            assert found.error is None
            assert last == 0, "it was complete with less"
    assert last > 0


def said(data: bytes, kind: str | None = None, **options: Any) -> Read:
    whole = Read(WireDecoder(kind, **options), [data])
    single = Read(WireDecoder(kind, **options), [data[at : at + 1] for at in range(len(data))])
    assert single.said == whole.said
    return whole


OLLAMA = b'{"model":"m","message":{"role":"assistant","content":"%b"},"done":%b,"done_reason":"stop"}'
LINES = [OLLAMA % (b'a {\\"}', b"false"), OLLAMA % (b"b", b"false"), OLLAMA % (b"", b"true")]


@pytest.mark.parametrize("kind", [None, "application/x-ndjson", "application/json", "text/plain"])
@pytest.mark.parametrize("joint", [b"\n", b"\r\n", b"\n\n", b"", b" ", b",\n"])
def test_json_lines(kind: str | None, joint: bytes) -> None:
    found = said(joint.join(LINES), kind)
    assert (found.text, found.completion, found.error) == ('a {"}b', "complete", None)


def test_json_lines_that_end_too_early() -> None:
    found = said(b"\n".join(LINES[:2]) + b"\n" + LINES[2][:-1])
    assert (found.text, found.completion, found.error) == ('a {"}b', "incomplete", None)


def test_json_lines_with_an_error() -> None:
    found = said(LINES[0] + b'\n{"error":"out of memory"}\n' + LINES[1])
    assert found.text == 'a {"}'
    assert isinstance(found.error, StreamServerError)
    assert "out of memory" in str(found.error)


def test_json_lines_with_junk() -> None:
    found = said(LINES[0] + b"\nwhat is this\n" + LINES[1])
    assert found.text == 'a {"}'
    assert isinstance(found.error, StreamProtocolError)
    assert found.error.excerpt == b"what is this"


GEMINI = b'{"candidates": [{"content": {"parts": [{"text": "%b"}], "role": "model"}%b}]}'


def test_a_json_array_that_is_streamed() -> None:
    first, last = GEMINI % (b"a[", b""), GEMINI % (b"b", b', "finishReason": "STOP"')
    found = said(b"[" + first + b"\n,\r\n" + last + b"\n]\n", "application/json")
    assert (found.text, found.completion) == ("a[b", "complete")
    assert said(b"[" + first + b"\n,").completion == "incomplete"


def test_indented_json_is_one_value() -> None:
    found = said(b'{\n  "error": {\n    "message": "no, not {this}",\n    "code": "x"\n  }\n}')
    assert isinstance(found.error, StreamServerError)
    assert (found.error.code, "no, not {this}" in str(found.error)) == ("x", True)


@pytest.mark.parametrize("joint", [b"\n\n", b"\r\n\r\n"])
def test_events_are_recognised_without_a_content_type(joint: bytes) -> None:
    chunk = b'{"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}'
    for first in (b"", b": hello" + joint, b"event: x\ndata: " + chunk + joint, b"\n \n", b"\xef\xbb\xbf"):
        assert said(first + b"data: " + chunk + joint, "text/plain").text[:1] == "a"


def test_an_error_status() -> None:
    found = said(b'{"error":{"message":"slow down","code":"rate"}}', "application/json", status=429)
    assert isinstance(found.error, StreamServerError)
    assert (found.error.status, found.error.code, found.error.body) == (
        429,
        "rate",
        {"message": "slow down", "code": "rate"},
    )
    endless = Read(WireDecoder("text/html", status=500), [b"no " * 1000] * 1000)
    assert isinstance(endless.error, StreamServerError)
    assert endless.used <= 70_000
    assert str(endless.error).startswith("The server answered with status 500: no no")


def test_no_body_is_explained() -> None:
    decoder = WireDecoder(None, status=204)
    assert decoder.end() == []
    assert decoder.detail == "The server answered 204 No Content."
    decoder = WireDecoder("application/json")
    assert decoder.decode(b'{"id": "chatcmpl-1", "cho') + decoder.end() == []
    assert decoder.detail is not None
    assert "chatcmpl-1" in decoder.detail


def test_what_is_neither_events_nor_json_nor_text() -> None:
    assert isinstance(said(b"\x28\xb5\x2f\xfd\x04\x00garbage\x00\xff", "text/event-stream").error, StreamProtocolError)
    assert isinstance(said(b"\x28\xb5\x2f\xfd\x04\x00garbage\x00\xff").error, StreamProtocolError)


def test_excerpts_are_short() -> None:
    found = said(b"data: " + b"x" * 5000 + b"\n\n")
    assert isinstance(found.error, StreamProtocolError)
    assert found.error.excerpt == b"x" * 200
    assert len(str(found.error)) < 300


def test_assistants_events_keep_their_names() -> None:
    data = b'{"id":"msg_1","object":"thread.message.delta","delta":{"content":[]}}'
    found = said(b"event: thread.message.delta\ndata: " + data + b"\n\nevent: done\ndata: [DONE]\n\n")
    assert found.events == [Other("thread.message.delta")]
    assert found.events[0].raw["event"] == "thread.message.delta"
    assert found.completion == "unconfirmed"


def test_what_nobody_knows_is_named() -> None:
    data = b'{"type": "speech.audio.done", "usage": {"input_tokens": 1, "output_tokens": 2}}'
    decoder = WireDecoder("text/event-stream")
    events = [*decoder.decode(b"data: " + data + b"\n\ndata: [DONE]\n\n"), *decoder.end()]
    assert events == [Other("speech.audio.done")]
    assert (decoder.completion, decoder.detail) == (
        "incomplete",
        "Its events are of no known kind, such as 'speech.audio.done'.",
    )


def test_event_names_stand_in_for_types() -> None:
    names = [b"message_start", b"content_block_delta", b"message_delta", b"message_stop"]
    start = b'{"message":{"id":"m","type":"message","role":"assistant","content":[],"model":"m"}}'
    datas = [
        start,
        b'{"index":0,"delta":{"type":"text_delta","text":"a"}}',
        b'{"delta":{"stop_reason":"end_turn"}}',
        b"{}",
    ]
    events = [b"event: %b\ndata: %b\n\n" % pair for pair in zip(names, datas, strict=True)]
    assert (said(b"".join(events)).text, said(b"".join(events)).completion) == ("a", "complete")


def test_raw_is_built_when_it_is_looked_at() -> None:
    built: list[Any] = []

    def build(data: Any) -> str:
        built.append(data)
        return "built"

    chunk = b'{"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"a"}}]}'
    events = WireDecoder("text/event-stream", build=build).decode(b"data: " + chunk + b"\n\n")
    assert built == []
    text = next(event for event in events if isinstance(event, TextDelta))
    assert (text.raw, text.raw, len(built)) == ("built", "built", 1)


def test_total_limit() -> None:
    body = body_of(FAULTS["ok"], "chat")
    size = len(body.data)
    assert read(body, limits=Limits(total=size)).completion == "complete"
    for cut in (1, 7, 65536):
        parts = [body.data[at : at + cut] for at in range(0, size, cut)]
        found = read(body, parts, Limits(total=size // 2))
        assert isinstance(found.error, StreamLimitExceeded)
        assert found.error.limit == "total"
        assert found.said == read(body, limits=Limits(total=size // 2)).said


@pytest.mark.parametrize("bad", [0, -1, 1.5, "1", True])
def test_limits_are_checked(bad: Any) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Limits(line=bad)


def test_depth_is_bounded() -> None:
    found = said(b'{"a":[' * 2000)
    assert isinstance(found.error, StreamProtocolError)
    assert found.error.excerpt.startswith(b'{"a":[{"a":[')


CHUNK = b'{"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"%b"}}]}'
PIECE = b"data: " + CHUNK % b"a" + b"\n\n"
FINISH = b'data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
ERROR_LINES = {
    "line": (b"Internal Server Error\n\n", "Internal Server Error"),
    "html": (b"<html>\n <b>502 Bad Gateway</b>\n</html>\n", "<html>\n <b>502 Bad Gateway</b>\n</html>"),
    "json": (b'{\n "error": {\n  "message": "boom"\n }\n}\n\n', {"message": "boom"}),
    "no-data": (b"event: error\ndata:\n\n", ""),
    "done": (b"event: error\ndata: [DONE]\n\n", "[DONE]"),
    "spaced": (b'event: error \ndata: {"message": "boom"}\n\n', {"message": "boom"}),
    "exception": (b'event: exception\ndata: {"message": "boom"}\n\n', {"message": "boom"}),
    "text": (b"event: exception\ndata: boom\n\n", "boom"),
    "bedrock": (b'event: throttlingException\ndata: {"message": "boom"}\n\n', {"message": "boom"}),
}


@pytest.mark.parametrize("after", [b"", b"data: [DONE]\n\n", b": ping\n\nevent: ping\ndata: {}\n\ndata: [DONE]\n\n"])
@pytest.mark.parametrize("lines", ERROR_LINES)
def test_errors_that_a_polite_end_follows(lines: str, after: bytes) -> None:
    sent, body = ERROR_LINES[lines]
    found = said(PIECE + sent + after, "text/event-stream")
    assert found.text == "a"
    assert isinstance(found.error, StreamServerError), found.error
    assert found.error.body == body


@pytest.mark.parametrize("lines", ["line", "html", "json"])
def test_lines_that_are_no_fields_do_no_harm_where_the_answer_goes_on(lines: str) -> None:
    found = said(PIECE + ERROR_LINES[lines][0] + PIECE + b"data: [DONE]\n\n", "text/event-stream")
    assert (found.text, found.error, found.completion) == ("aa", None, "unconfirmed")
    found = said(PIECE + ERROR_LINES[lines][0] + FINISH, "text/event-stream")
    assert (found.text, found.error, found.completion) == ("a", None, "complete")


@pytest.mark.parametrize("field", ["data :", "\u200bdata:", "\0\0data:", " DATA\u00a0: "])
def test_data_whose_name_has_something_invisible_in_it(field: str) -> None:
    for before in (b"", PIECE):
        found = said(before + field.encode() + CHUNK % b"b" + b"\n\n" + FINISH, "text/event-stream")
        assert (found.text[-1:], found.error, found.completion) == ("b", None, "complete")


@pytest.mark.parametrize("field", [b"ata: ", b"xdata: ", b"data= "])
def test_a_piece_of_the_answer_in_a_damaged_field_is_not_lost_unseen(field: bytes) -> None:
    for before, text in ((b"", ""), (PIECE, "a")):
        found = said(before + field + CHUNK % b"b" + b"\n\n" + FINISH, "text/event-stream")
        assert found.text == text
        assert isinstance(found.error, StreamProtocolError)
        assert found.error.excerpt.startswith(field)


@pytest.mark.parametrize("line", [b'meta: {"id": 1}', b"log: {", b'x: {"text": "b"}'])
def test_unknown_fields_are_ignored(line: bytes) -> None:
    found = said(PIECE + line + b"\n" + PIECE + FINISH, "text/event-stream")
    assert (found.text, found.error, found.completion) == ("aa", None, "complete")


# -- encodings


def pack(data: bytes, bits: int) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, bits)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(("name", "bits"), [("gzip", 31), ("X-GZIP ", 31), ("deflate", 15), ("deflate", -15)])
@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 300_000])
def test_decompression(name: str, bits: int, size: int) -> None:
    data = bytes(random.Random(size).choices(b"ab", k=size))
    packed = pack(data, bits)
    for step in (1 if size < 2 else 1000, 65536, 1 << 30):
        unpack = Decompressor(name)
        pieces = [piece for at in range(0, len(packed), step) for piece in unpack.feed(packed[at : at + step])]
        assert b"".join(pieces) == data
        assert all(0 < len(piece) <= 65536 for piece in pieces)


def test_gzip_members_and_padding() -> None:
    unpack = Decompressor("gzip")
    data = pack(b"a" * 70_000, 31) + pack(b"b", 31) + b"\0" * 10
    assert b"".join(unpack.feed(data)) == b"a" * 70_000 + b"b"
    assert b"".join(unpack.feed(b"\0\0")) == b""


def test_flushed_pieces_come_at_once() -> None:
    packer, unpack = zlib.compressobj(6, zlib.DEFLATED, 31), Decompressor("gzip")
    for text in (b"one", b"two", b"x" * 65536, b"three"):
        packed = packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH)
        assert b"".join(unpack.feed(packed)) == text


def test_nothing_is_held_back() -> None:
    packed = pack(b"x" * 300_000, 31)
    for size in range(len(packed) + 1):
        whole = zlib.decompressobj(31).decompress(packed[:size])
        assert b"".join(Decompressor("gzip").feed(packed[:size])) == whole


@pytest.mark.parametrize("known", [None, "", "identity", "gzip", "GZIP", "deflate", "utf-8"])
def test_known_encodings(known: str | None) -> None:
    assert Decompressor.knows(known)


@pytest.mark.parametrize("other", ["br", "zstd", "gzip, br", "x-odd"])
def test_other_encodings(other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*names: str) -> Any:
        raise ImportError

    monkeypatch.setattr(_packers, "_first", missing)
    assert not Decompressor.knows(other)
    with pytest.raises(StreamProtocolError, match="nobody asked for"):
        list(Decompressor(other).feed(b"data"))


@pytest.mark.parametrize("fill", [b"\0" * (1 << 20), b"\n" * (1 << 20), (b": " + b"x" * 1021 + b"\n") * 1024])
def test_a_bomb_takes_bounded_memory(fill: bytes) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = b"".join(packer.compress(fill) for _ in range(64)) + packer.flush()
    tracemalloc.start()
    found = Read(WireDecoder("text/event-stream", encoding="gzip"), [packed])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(found.error, StreamLimitExceeded)
    assert peak < 8 << 20


# -- anything at all


PIECES = (b"\n", b"\r", b"\n\n", b'"', b"{", b"]", b"\\", b"\xff", b"\0", b"null", b"[DONE]", b"data: ")


def mutate(data: bytes, rng: random.Random) -> bytes:
    bag = bytearray(data)
    for _ in range(rng.choice((1, 2, 8))):
        at = rng.randrange(len(bag) + 1)
        kind = rng.randrange(4)
        if kind == 0:
            bag[at : at + rng.randrange(1, 30)] = b""
        elif kind == 1:
            bag[at:at] = rng.choice(
                (b"\n", b"\r", b"\n\n", b'"', b"{", b"]", b"\\", b"\xff", b"\0", b"null", b"[DONE]", b"data: ")
            )
        elif kind == 2 and bag:
            bag[at % len(bag)] = rng.randrange(256)
        else:
            start = rng.randrange(len(bag) + 1)
            bag[at:at] = bag[start : start + rng.randrange(60)]
    return bytes(bag)


def fuzz(count: int, seed: int) -> None:
    rng = random.Random(seed)
    samples = [body_of(FAULTS[name], api) for name in ("ok", "json-200-full", "crlf") for api in FAULTS[name].apis]
    lines = Body(200, {"content-type": "application/x-ndjson"}, b"\n".join(LINES), "end")
    for _ in range(count):
        body = rng.choice([*samples, lines])
        data = rng.randbytes(rng.randrange(60)) if rng.random() < 0.1 else mutate(body.data, rng)
        at = rng.randrange(len(data) + 1)
        kind = rng.choice((body.headers.get("content-type"), None))
        Read(WireDecoder(kind), [data[:at], data[at:]])  # which asserts that an error is the last


def test_mutated_streams() -> None:
    fuzz(3_000, 1)


@pytest.mark.slow
def test_mutated_streams_for_long() -> None:
    fuzz(200_000, 2)


@settings(max_examples=200)
@given(st.lists(st.binary(max_size=30)), st.sampled_from([None, "text/event-stream", "application/json", "text/html"]))
def test_any_bytes(parts: list[bytes], kind: str | None) -> None:
    assert Read(WireDecoder(kind), parts).said == Read(WireDecoder(kind), [b"".join(parts)]).said


def answered(body, status=200, kind="text/event-stream"):
    return typestream.stream(httpx.Response(status, headers={"content-type": kind}, content=body)).collect()


SAID = '{"choices":[{"index":0,"delta":{"content":"Hello"}}]}'
ENDED = '{"choices":[{"index":0,"delta":{},"finish_reason":"%s"}]}'


@pytest.mark.parametrize("reason", ["error", "ERROR"])
def test_a_finish_reason_may_say_that_the_server_failed(reason):
    with pytest.raises(typestream.StreamServerError) as caught:
        answered(f"data: {SAID}\n\ndata: {ENDED % reason}\n\n")
    assert caught.value.result.text == "Hello"


@pytest.mark.parametrize(
    "fine",
    [
        '{"code":200,"message":"success"}',
        '{"success":true,"message":"ok"}',
        '{"code":"ok","message":"fine"}',
        '{"error":{"code":0,"message":"success"}}',
    ],
)
def test_what_says_that_nothing_failed_is_no_error(fine):
    assert answered(f"data: {fine}\n\ndata: {SAID}\n\ndata: {fine}\n\ndata: {ENDED % 'stop'}\n\n").text == "Hello"


@pytest.mark.parametrize("done", ["[DONE]", "data: [DONE]"])
@pytest.mark.parametrize("mark", ["", "\x1e"])
def test_lines_of_json_may_end_as_events_do(done, mark):
    body = f"{mark}{SAID}\n{mark}{ENDED % 'stop'}\n{done}\n"
    for kind in ("application/x-ndjson", "text/event-stream"):
        assert answered(body, kind=kind).text == "Hello"
    with pytest.raises(typestream.StreamTruncated):
        answered(f"{mark}{SAID}\n", kind="application/x-ndjson")


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (403, '{"Message": "User is not authorized"}', "User is not authorized"),
        (401, '{"fault": {"faultstring": "Invalid ApiKey"}}', "Invalid ApiKey"),
        (400, '[{"error": {"code": 400, "message": "API key not valid"}}]', "API key not valid"),
        (307, "", "a redirect that was not followed"),
    ],
)
def test_what_a_server_says_of_its_status_is_said(status, body, says):
    with pytest.raises(typestream.StreamServerError, match=says) as caught:
        answered(body, status, "application/json")
    assert caught.value.status == status
