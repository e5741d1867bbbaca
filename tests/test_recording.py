"""Recordings: written as the stream flows, read back, played at their own pace."""

import gc
import io
import json
import os

import httpx
import pytest

import typestream
from tests.stream.runtimes import each_runtime, play
from typestream import Recording, TextDelta, pacing, transforms
from typestream.sources.recording import Recorder
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


def played(out):
    """What comes of a recording."""
    out.seek(0)
    return typestream.replay(typestream.Recording.load(out)).collect()


def broken_off(out):
    """The text of a recording of an answer that is not whole."""
    with pytest.raises(typestream.StreamTruncated) as caught:
        played(out)
    return caught.value.result.text


@each_runtime
def test_two_recordings_of_one_stream_are_the_same(runtime):
    async def scenario(kit):
        one, other = io.StringIO(), io.StringIO()
        await kit.read(kit.open(CHUNKS).recorded(one).recorded(other))
        return one, other

    one, other = play(runtime, scenario)
    assert one.getvalue() == other.getvalue()
    assert played(one).text == "a\n\u2028b\U0001f600"


@each_runtime
@pytest.mark.parametrize("shown", [1, 2, 3])
def test_a_recording_begun_later_has_what_came_before(runtime, shown):
    async def scenario(kit):
        out = io.StringIO()
        stream = kit.open([(n, letter) for n, letter in enumerate("abc")])
        for _ in range(shown):
            await kit.next(stream)
        stream.recorded(out)
        await kit.read(stream)
        await kit.read(stream)  # where it had ended, this is when it is recorded
        return out, stream.result

    out, result = play(runtime, scenario)
    assert played(out) == result
    assert result.text == "abc"


@each_runtime
def test_a_recording_begun_after_the_end_is_whole(runtime):
    async def scenario(kit):
        out = io.StringIO()
        stream = kit.open(CHUNKS)
        await kit.read(stream)
        await kit.read(stream.recorded(out))
        return out, stream.result

    out, result = play(runtime, scenario)
    assert played(out) == result


@each_runtime
@pytest.mark.parametrize("at", [0, 5], ids=["in mid-stream", "when all was read"])
@pytest.mark.parametrize(
    "change",
    [lambda stream: stream.paced(pacing.Smooth()), lambda stream: stream.through(transforms.Redact("z", ""))],
    ids=["paced", "through"],
)
def test_a_recording_begun_when_what_came_is_not_known_any_more_is_of_no_whole_answer(runtime, change, at):
    async def scenario(kit):
        out = io.StringIO()
        stream = change(kit.open([(0, "a "), (0.1, "b "), (0.2, "c ")]))
        await kit.next(stream)
        await kit.sleep(at)
        stream.recorded(out)
        await kit.read(stream)
        return out, stream.result

    out, result = play(runtime, scenario)
    assert (result.text, result.completion) == ("a b c ", "complete")
    assert "a b c ".endswith(broken_off(out))


@each_runtime
def test_an_answer_that_nobody_wanted_whole_is_not_whole_in_its_recording(runtime):
    async def scenario(kit):
        out = io.StringIO()
        stream = kit.open(CHUNKS[:2], require=None).recorded(out)
        await kit.read(stream)
        return out, stream.result

    out, result = play(runtime, scenario)
    assert result.completion == "incomplete"
    assert broken_off(out) == result.text


class Full(io.StringIO):
    """A file on a disk that is full when the last line is to be written."""

    def write(self, text):
        if '"end"' in text:
            raise OSError("No space left")
        return super().write(text)


@each_runtime
@pytest.mark.parametrize("leave", ["stop", "close"])
def test_who_leaves_leaves_even_where_the_recording_cannot_be_ended(runtime, leave):
    async def scenario(kit):
        source, out = kit.script([(0, "a"), (1, "b")]), Full()
        stream = typestream.stream(source).recorded(out)
        await kit.next(stream)
        if leave == "stop":
            stream.stop()
            assert await kit.read(stream) == []
        else:
            await kit.close(stream)
        return source.closed, out

    closed, out = play(runtime, scenario)
    assert closed
    assert broken_off(out) == "a"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no disk that is full")
def test_a_disk_that_is_full_from_the_start_is_said_at_once():
    with pytest.raises(OSError, match="No space left"):
        typestream.stream(["a"]).recorded("/dev/full")
    gc.collect()


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


TEXT = {"type": "text_delta", "text": "a"}


@pytest.mark.parametrize(
    "line",
    [
        {"t": 0},
        {"t": 0, "event": 5},
        {"t": 0, "event": {"type": "text_delta"}},
        {"event": TEXT},
        {"t": "x", "event": TEXT},
        {"t": None, "event": TEXT},
        {"t": 10**400, "event": TEXT},
        {"t": float("nan"), "event": TEXT},
        {"end": "complete"},
    ],
    ids=lambda line: str(line)[:40],
)
def test_a_line_that_is_none_of_a_recording_is_named(line):
    out = io.StringIO('{"typestream": "recording", "version": 1}\n' + json.dumps(line) + "\n")
    with pytest.raises(ValueError, match="line 2"):
        typestream.Recording.load(out)


@pytest.mark.parametrize("header", ['{"typestream": "recording", "version": 2}', "[" * 100_000, "5", ""], ids=len)
def test_a_first_line_that_is_not_known_is_refused(header):
    with pytest.raises(ValueError, match="recording"):
        typestream.Recording.load(io.StringIO(header + "\n"))


ONLY_DONE = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\ndata: [DONE]\n\n'


def test_what_nobody_confirmed_is_unconfirmed_in_its_recording(tmp_path):
    body = httpx.Response(200, headers={"content-type": "text/event-stream"}, content=ONLY_DONE)
    result = typestream.stream(body).recorded(tmp_path / "r").collect()
    assert result.completion == "unconfirmed"
    assert typestream.replay(tmp_path / "r").collect() == result


def test_what_a_transform_cut_short_is_no_whole_answer_in_its_recording(tmp_path):
    said = [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in ("It is ", "END not ", "true.")]
    path = tmp_path / "r"
    assert typestream.stream(said).through(transforms.StopAt("END")).recorded(path).collect().text == "It is "
    with pytest.raises(typestream.StreamTruncated) as caught:
        typestream.replay(path).collect()
    assert caught.value.result.text == "It is END not "


def test_an_open_recording_is_replayed(tmp_path):
    result = record(tmp_path / "r.jsonl")
    with open(tmp_path / "r.jsonl") as file:
        assert typestream.replay(file).collect() == result


@pytest.mark.parametrize(
    "event",
    [
        {"type": "tool_call_delta", "call": -1},
        {"type": "text_delta", "text": "b", "index": -2},
        {"type": "text_delta", "text": "b", "logprobs": 5},
    ],
)
def test_an_event_that_cannot_be_is_named_by_its_line(event):
    lines = [{"typestream": "recording", "version": 1}, {"t": 0, "event": event}, {"t": 1, "end": "complete"}]
    with pytest.raises(ValueError, match="line 2"):
        typestream.Recording.load(io.StringIO("\n".join(map(json.dumps, lines))))


@each_runtime
@pytest.mark.parametrize(
    ("before", "policy", "later"),
    [
        (pacing.AsRecorded(), pacing.AsRecorded(speed=2), [300.0, 300.5, 301.0]),
        (pacing.AsRecorded(), pacing.AsRecorded(), [300.0, 301.0, 302.0]),
        (pacing.AsRecorded(speed=2), pacing.AsRecorded(), [150.0, 151.0, 152.0]),
        (pacing.Steady(10, per="delta"), pacing.AsRecorded(), [30.0, 30.0, 31.0]),
    ],
)
def test_another_speed_goes_on_from_where_the_recording_was(runtime, before, policy, later):
    async def scenario(kit):
        file = io.StringIO()
        with VirtualClock():
            typestream.stream(script([(float(at), f"w{at} ") for at in range(601)])).recorded(file).collect()
        file.seek(0)
        stream = typestream.replay(file).paced(before)
        if kit.asynchronous:
            stream = stream.as_async()
        for _ in range(301):
            await kit.next(stream)
        shown = [kit.time]
        stream.paced(policy)
        for _ in range(2):
            await kit.next(stream)
            shown.append(kit.time)
        return shown

    assert play(runtime, scenario) == pytest.approx(later)


def test_only_the_last_line_may_be_cut():
    file = io.StringIO()
    typestream.stream(["One. ", "Two. ", "Three."]).recorded(file).collect()
    lines = file.getvalue().splitlines()
    blank = "\n".join([*lines[:3], "", *lines[3:], ""])
    assert typestream.replay(io.StringIO(blank)).collect().text == "One. Two. Three."
    with pytest.raises(ValueError, match="line 3 "):
        typestream.Recording.load(io.StringIO("\n".join([*lines[:2], lines[2][:-9], *lines[3:]])))


def test_no_time_of_a_recording_is_before_the_one_above():
    file = io.StringIO()
    record = Recorder(file)
    for text, at in (("a", 5.0), ("b", 3.0), ("c", 6.0)):  # b was read before anybody asked for a recording
        record(TextDelta(text), at)
    assert [at for at, _ in Recording.load(io.StringIO(file.getvalue())).events] == [0.0, 0.0, 1.0]
