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


def test_what_is_no_recording_is_refused(tmp_path):
    (tmp_path / "no.txt").write_text("hello\n")
    with pytest.raises(ValueError, match="not a typestream recording"):
        typestream.replay(tmp_path / "no.txt")
    with pytest.raises(ValueError, match="AsRecorded"):
        pacing.AsRecorded(0)
