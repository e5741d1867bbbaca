"""Recordings: written as the stream flows, read back, played at their own pace."""

import io
import json

import pytest

import typestream
from typestream import pacing
from typestream.testing import VirtualClock, script

CHUNKS = [
    (0.0, {"id": "c", "choices": [{"index": 0, "delta": {"reasoning_content": "hm"}}]}),
    (0.5, {"choices": [{"index": 0, "delta": {"content": "a\n\u2028b"}}]}),
    (2.0, {"choices": [{"index": 0, "delta": {"content": "\U0001f600"}, "finish_reason": "stop"}]}),
]


def record(path):
    with VirtualClock():
        return typestream.stream(script(CHUNKS)).recorded(path).collect()


def test_what_was_recorded_comes_back(tmp_path):
    result = record(tmp_path / "r.jsonl")
    assert typestream.replay(tmp_path / "r.jsonl").collect() == result
    recording = typestream.Recording.load(tmp_path / "r.jsonl")
    assert [at for at, _ in recording.events] == [0.0, 0.0, 0.5, 2.0, 2.0]
    assert recording.end == "complete"
    assert all(line.isascii() for line in (tmp_path / "r.jsonl").read_text().splitlines())


@pytest.mark.parametrize(("speed", "scale"), [(1.0, 1.0), (4.0, 0.25)])
def test_as_recorded_shows_every_event_when_it_came(tmp_path, speed, scale):
    record(tmp_path / "r.jsonl")
    shown = []
    with VirtualClock() as clock:
        stream = typestream.replay(tmp_path / "r.jsonl").paced(pacing.AsRecorded(speed))
        for event in stream.events():
            shown.append((clock.now(), type(event).__name__))
    assert shown == [
        (0.0, "Start"),
        (0.0, "ReasoningDelta"),
        (0.5 * scale, "TextDelta"),
        (2.0 * scale, "TextDelta"),
        (2.0 * scale, "Finish"),
    ]


def test_changing_from_as_recorded_to_another_pace_loses_nothing(tmp_path):
    record(tmp_path / "r.jsonl")
    with VirtualClock():
        stream = typestream.replay(tmp_path / "r.jsonl").paced(pacing.AsRecorded())
        first = next(stream)
        stream.paced(pacing.Steady(10)).paced(pacing.AsRecorded()).paced(pacing.Instant())
        assert first + "".join(stream) == "a\n\u2028b\U0001f600"


@pytest.mark.parametrize("lost", [1, 5, 30])
def test_a_crash_in_mid_stream_leaves_a_readable_recording(tmp_path, lost):
    record(tmp_path / "r.jsonl")
    whole = (tmp_path / "r.jsonl").read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1  # without the line that says how it ended
    (tmp_path / "cut.jsonl").write_bytes(whole[: last - lost])
    recording = typestream.Recording.load(tmp_path / "cut.jsonl")
    assert recording.end is None
    assert len(recording.events) == 5 - (lost > 1)
    with pytest.raises(typestream.StreamTruncated):
        typestream.replay(recording).collect()


def test_a_failed_stream_says_so_in_its_recording():
    def broken():
        yield "a"
        raise RuntimeError("boom")

    out = io.StringIO()
    with pytest.raises(typestream.SourceError):
        typestream.stream(broken()).recorded(out).collect()
    assert json.loads(out.getvalue().splitlines()[-1])["error"] == "SourceError"
    assert not out.closed


BODY = (
    b'data: {"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]}\n\n',
    b"data: [DONE]\n\n",
)
SECRETS = {"set-cookie": "session=secret", "authorization": "secret", "openai-organization": "secret"}


class Response:
    """What is read of an HTTP response."""

    def __init__(self, **headers):
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()} | SECRETS

    def close(self): ...

    async def aclose(self): ...


class SyncResponse(Response):
    def iter_bytes(self):
        yield from BODY


class AsyncResponse(Response):
    async def aiter_bytes(self):
        for chunk in BODY:
            yield chunk


@pytest.mark.parametrize("make", [SyncResponse, AsyncResponse])
@pytest.mark.parametrize("header", ["x_request_id", "request_id"])
def test_of_the_headers_the_content_type_and_the_request_id_are_kept(tmp_path, make, header):
    response = make(content_type="text/event-stream; charset=utf-8", **{header: "req_1"})
    stream = typestream.stream(response).recorded(tmp_path / "r.jsonl")
    if isinstance(stream, typestream.AsyncTokenStream):
        VirtualClock().run(stream.collect)
    else:
        stream.collect()
    recording = typestream.Recording.load(tmp_path / "r.jsonl")
    assert recording.response == {"content_type": "text/event-stream; charset=utf-8", "request_id": "req_1"}
    assert "secret" not in (tmp_path / "r.jsonl").read_text()
    assert typestream.replay(recording).collect().text == "a"


def test_what_is_no_recording_is_refused(tmp_path):
    (tmp_path / "no.txt").write_text("hello\n")
    with pytest.raises(ValueError, match="not a typestream recording"):
        typestream.replay(tmp_path / "no.txt")
    with pytest.raises(ValueError, match="AsRecorded"):
        pacing.AsRecorded(0)
