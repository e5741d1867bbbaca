"""skip, pause, resume, stop, close and paced() again, whenever and from wherever they are called."""

import threading
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import typestream
from tests.stream.runtimes import each_runtime, play
from typestream import StreamClosed, pacing
from typestream.pacing._schedule import HOLD_LEAST, TICK

WORD = [(0.0, "abcdef")]
TENTH = pacing.Steady(10)


@each_runtime
def test_skip_shows_the_rest_at_once_from_a_pacing_wait(runtime):
    async def scenario(kit):
        stream = kit.open([*WORD, (2, "gh")]).paced(TENTH)
        kit.at(0.15, stream.skip)
        return await kit.read(stream)

    trace = play(runtime, scenario)
    assert trace == [(0.0, "a"), (0.1, "b"), (0.15, "cdef"), (2.0, "gh")]


@each_runtime
def test_skip_before_the_start_is_no_pacing(runtime):
    async def scenario(kit):
        return await kit.read(kit.open(WORD).paced(TENTH).skip())

    assert play(runtime, scenario) == [(0.0, "abcdef")]


@each_runtime
def test_a_pause_delays_everything_after_it(runtime):
    async def scenario(kit):
        stream = kit.open(WORD).paced(TENTH)
        kit.at(0.15, stream.pause)
        kit.at(1.15, stream.resume)
        return await kit.read(stream)

    assert play(runtime, scenario) == [(0.0, "a"), (0.1, "b"), (1.2, "c"), (1.3, "d"), (1.4, "e"), (1.5, "f")]


@each_runtime
def test_what_comes_in_a_pause_is_read_meanwhile_and_shown_evenly_after_it(runtime):
    """More than a thread would have read ahead by itself, so that nothing is held back in one runtime alone."""

    async def scenario(kit):
        stream = kit.open([(i * 0.05, "ten chars ") for i in range(200)]).paced(pacing.Smooth(0.8))
        kit.at(1.0, stream.pause)
        kit.at(6.0, stream.resume)
        return await kit.read(stream)

    trace = play(runtime, scenario)
    after = [(at, len(text)) for at, text in trace if at >= 6.0]
    assert [at for at, _ in trace if 1.0 < at < 6.0] == []
    assert max(units for _, units in after) <= 16
    came = [i * 0.05 for i in range(200) for _ in range(10)]
    shown = [at for at, text in trace for _ in text]
    for arrived, at in zip(came, shown, strict=True):
        assert at <= max(arrived, 6.0 if arrived > 0.2 else 0.0) + 0.8 + TICK


@each_runtime
def test_a_pause_holds_what_is_not_paced_too(runtime):
    async def scenario(kit):
        stream = kit.open([(0, {"choices": [{"delta": {"content": "a"}}, {"index": 1, "delta": {"content": "b"}}]})])
        while type(first := await kit.event(stream)) is not typestream.TextDelta:
            pass
        stream.pause()
        kit.at(1, stream.resume)
        second = await kit.event(stream)
        await kit.close(stream)
        return first.text, second.text, kit.time

    assert play(runtime, scenario) == ("a", "b", 1.0)


@each_runtime
def test_paced_again_changes_the_pace(runtime):
    async def scenario(kit):
        stream = kit.open(WORD).paced(TENTH)
        kit.at(0.25, lambda: stream.paced(pacing.Steady(1)))
        return await kit.read(stream)

    trace = play(runtime, scenario)
    assert "".join(text for _, text in trace) == "abcdef"
    assert trace[:3] == [(0.0, "a"), (0.1, "b"), (0.2, "c")]
    gaps = [later - sooner for (sooner, _), (later, _) in pairwise(trace[2:])]
    assert gaps == pytest.approx([1, 1, 1])


@each_runtime
def test_a_pace_given_in_the_middle_of_reading(runtime):
    async def scenario(kit):
        stream = kit.open([(0, "ab"), (1, "cd")])
        first = await kit.next(stream)
        stream.paced(TENTH)
        return first, await kit.read(stream)

    assert play(runtime, scenario) == ("ab", [(1.0, "c"), (1.1, "d")])


@each_runtime
@pytest.mark.parametrize("when", [0.15, 0.55])
def test_stop_in_a_wait_ends_at_once_and_without_an_error(runtime, when):
    async def scenario(kit):
        source = kit.script([*WORD, (9, "never")])
        stream = typestream.stream(source).paced(TENTH)
        kit.at(when, stream.stop)
        trace = await kit.read(stream)
        return trace, kit.time, source.closed, stream.result

    trace, ended, closed, result = play(runtime, scenario)
    assert ended == when
    assert closed
    assert (
        result.text == "".join(text for _, text in trace) == {0.15: "ab", 0.55: "abcde"}[when]
    )  # more could belong to the f
    assert result.completion == "incomplete"


@each_runtime
@pytest.mark.parametrize("policy", [None, pacing.Smooth()], ids=["bare", "read ahead"])
def test_close_elsewhere_in_a_blocked_read_ends_it_with_an_error(runtime, policy):
    async def scenario(kit):
        source = kit.script([(0, "a"), (9, "never")])
        stream = typestream.stream(source)
        if policy is not None:
            stream.paced(policy)
        kit.at(1, lambda: kit.close(stream))
        trace, error, ended = await kit.outcome(stream)
        again = (await kit.outcome(stream))[1]
        return trace, type(error), ended, source.closed, error.result.text, type(again)

    # read ahead, the first letter is held for a moment: more could belong to it
    first = 0.0 if policy is None else HOLD_LEAST
    assert play(runtime, scenario) == ([(first, "a")], StreamClosed, 1.0, True, "a", StreamClosed)


@each_runtime
def test_no_event_after_stop_whatever_waits(runtime):
    async def scenario(kit):
        stream = kit.open([(0, "a"), (0, "b")]).paced(TENTH)
        await kit.next(stream)
        stream.stop()
        return await kit.next(stream), await kit.event(stream), stream.result.text

    assert play(runtime, scenario) == (None, None, "a")


@each_runtime
@pytest.mark.parametrize("shape", ["pieces", "events"])
def test_nothing_after_stop_or_close_of_what_is_in_memory_and_not_paced(runtime, shape):
    async def scenario(kit):
        streams = [typestream.stream(["a", "b", "c", "d"]) for _ in range(2)]
        stopped, closed = [stream.as_async() for stream in streams] if kit.asynchronous else streams
        read = kit.next if shape == "pieces" else kit.event
        for stream in (stopped, closed):
            await read(stream)
            await read(stream)
        stopped.stop()
        await kit.close(closed)
        with pytest.raises(StreamClosed):
            await read(closed)
        return await read(stopped), stopped.result.text, closed.result.text

    read_by_then = "ab" if shape == "pieces" else "a"  # the first event is the start
    assert play(runtime, scenario) == (None, read_by_then, read_by_then)


@each_runtime
def test_no_event_after_close(runtime):
    async def scenario(kit):
        source = kit.script([(0, "ab"), (1, "c")])
        stream = typestream.stream(source).paced(TENTH)
        await kit.next(stream)
        await kit.close(stream)
        await kit.close(stream)
        with pytest.raises(StreamClosed) as caught:
            await kit.next(stream)
        return source.closed, caught.value.result.text

    assert play(runtime, scenario) == (True, "a")


@each_runtime
@pytest.mark.parametrize("control", ["stop", "close"])
def test_before_the_start(runtime, control):
    async def scenario(kit):
        source = kit.script(WORD)
        stream = typestream.stream(source)
        if control == "stop":
            stream.stop()
        else:
            await kit.close(stream)
        trace, error, _ = await kit.outcome(stream)
        return trace, type(error), source.closed

    assert play(runtime, scenario) == ([], type(None) if control == "stop" else StreamClosed, True)


@each_runtime
def test_after_the_end_controls_change_nothing(runtime):
    async def scenario(kit):
        stream = kit.open(WORD)
        trace = await kit.read(stream)
        for control in (stream.skip, stream.pause, stream.resume, stream.stop, stream.paced):
            control()
            assert await kit.next(stream) is None
        await kit.close(stream)
        assert await kit.next(stream) is None
        return trace, stream.result.completion

    assert play(runtime, scenario) == ([(0.0, "abcdef")], "complete")


@each_runtime
def test_a_stop_in_the_tail_of_a_whole_answer_does_not_call_what_was_shown_whole(runtime):
    async def scenario(kit):
        stream = kit.open(WORD).paced(pacing.Steady(10)).through()
        await kit.next(stream)
        await kit.sleep(0.1)
        await kit.next(stream)
        stream.stop()
        await kit.read(stream)
        return stream.result.text, stream.result.completion

    assert play(runtime, scenario) == ("ab", "incomplete")


@each_runtime
def test_the_last_thing_a_stopped_recording_says_is_that_it_was_stopped(runtime, tmp_path):
    path = tmp_path / "stopped.jsonl"

    async def scenario(kit):
        stream = kit.open([(0, "a"), (1, "b")]).recorded(path)
        await kit.next(stream)
        stream.stop()
        return await kit.next(stream)

    assert play(runtime, scenario) is None
    recording = typestream.Recording.load(path)
    assert recording.end == "error"
    assert [event.text for _, event in recording.events if isinstance(event, typestream.TextDelta)] == ["a"]


def test_stop_closes_the_source_of_a_stream_nobody_reads():
    left = []

    def source():
        try:
            yield "a"
            yield "b"
        finally:
            left.append(True)

    stream = typestream.stream(source())
    next(stream)
    stream.stop()
    assert left == [True]


def test_a_generator_closed_while_it_runs_is_closed_at_its_next_item():
    reached, go_on, left = threading.Event(), threading.Event(), threading.Event()

    def source():
        try:
            yield "a"
            reached.set()
            go_on.wait(5)
            yield "b"
        finally:
            left.set()

    stream = typestream.stream(source())
    outcome = []

    def read():
        try:
            outcome.extend(stream)
        except StreamClosed as error:
            outcome.append(error.result.text)

    thread = threading.Thread(target=read)
    thread.start()
    reached.wait(5)
    stream.close()
    assert not left.is_set()
    go_on.set()
    thread.join(5)
    assert left.is_set()
    assert outcome == ["a", "a"]


def test_stop_from_inside_the_source():
    def source():
        yield "a"
        stream.stop()
        yield "never"

    stream = typestream.stream(source())
    assert list(stream) == ["a"]


@each_runtime
def test_what_a_transform_raises_is_a_source_error_with_what_was_shown(runtime):
    class Breaks(typestream.transforms.Transform):
        def feed(self, event):
            if getattr(event, "text", "") == "c":
                raise ZeroDivisionError
            return [event]

    async def scenario(kit):
        source = kit.script([(0, "a"), (0, "b"), (0, "c"), (0, "d")])
        stream = typestream.stream(source).through(Breaks())
        _, error, _ = await kit.outcome(stream)
        return type(error), type(error.__cause__), error.result.text, source.closed

    assert play(runtime, scenario) == (typestream.SourceError, ZeroDivisionError, "ab", True)


@each_runtime
def test_what_a_policy_raises_is_a_source_error_with_what_was_shown(runtime):
    class Breaks(pacing.Pacing):
        def delay(self, piece, moment):
            return -1

    async def scenario(kit):
        source = kit.script([(0, "abcd"), (5, "e")])
        stream = typestream.stream(source).paced(Breaks())
        _, error, _ = await kit.outcome(stream)
        return type(error), type(error.__cause__), error.result.text, error.result.completion, source.closed

    assert play(runtime, scenario) == (typestream.SourceError, ValueError, "a", "incomplete", True)


class Unmade(pacing.Pacing):
    """A policy of somebody's own that does not even begin."""

    def __init__(self, error):
        self.error = error

    def start(self):
        raise self.error


class Unfinished:
    def feed(self, text):
        return []

    def flush(self):
        raise ValueError("bad.")


@each_runtime
@pytest.mark.parametrize("error", [ValueError("bad."), StopIteration("bad.")], ids=repr)
def test_a_policy_that_does_not_begin_is_a_source_error(runtime, error):
    async def scenario(kit):
        stream = kit.open([(0, "abcd"), (5, "e")])
        seen = await kit.next(stream)
        stream.paced(Unmade(error))
        _, raised, _ = await kit.outcome(stream)
        return seen, type(raised), raised.__cause__, str(raised), raised.result.text, raised.result.completion

    said = f"A transform, a pacing policy or a recording raised {type(error).__name__}: bad."
    assert play(runtime, scenario) == ("abcd", typestream.SourceError, error, said, "abcd", "incomplete")


@each_runtime
def test_a_policy_that_does_not_begin_changes_nothing_after_the_end(runtime):
    async def scenario(kit):
        stream = kit.open(WORD)
        await kit.read(stream)
        stream.paced(Unmade(ValueError("bad")))
        return await kit.next(stream), stream.result.completion

    assert play(runtime, scenario) == (None, "complete")


@each_runtime
def test_a_segmenter_that_fails_when_the_rest_is_to_be_shown_is_a_source_error(runtime):
    async def scenario(kit):
        stream = kit.open([(0, "ab"), (2, "c")]).paced(pacing.Steady(10, per=Unfinished))
        kit.at(1, stream.skip)
        _, error, at = await kit.outcome(stream)
        return type(error), type(error.__cause__), at

    error, cause, at = play(runtime, scenario)
    assert (error, cause) == (typestream.SourceError, ValueError)
    assert at in (1.0, 2.0)


@each_runtime
def test_paced_again_after_skip_is_a_pace_again(runtime):
    async def scenario(kit):
        stream = kit.open([*WORD, (2, "ghi")]).paced(TENTH).skip()
        kit.at(1, lambda: stream.paced(TENTH))
        return await kit.read(stream)

    assert play(runtime, scenario) == [(0.0, "abcdef"), (2.0, "g"), (2.1, "h"), (2.2, "i")]


@each_runtime
def test_a_pause_before_the_first_text_does_not_count(runtime):
    asked = []

    class Asked(pacing.Pacing):
        read_ahead = True

        def delay(self, piece, moment):
            asked.append((moment.due, moment.now, *moment.arrivals))
            return 0.1

    async def scenario(kit):
        asked.clear()
        stream = kit.open([(2, "abc")]).paced(Asked())
        kit.at(1, stream.pause)
        kit.at(5, stream.resume)
        return await kit.read(stream)

    assert play(runtime, scenario) == [(5.0, "a"), (5.1, "b"), (5.2, "c")]
    assert min(min(times) for times in asked) == 0


@each_runtime
def test_what_came_in_a_pause_is_shown_at_its_pace_by_a_policy_that_does_not_adapt(runtime):
    async def scenario(kit):
        stream = kit.open([(0, "Hm. "), (11, "x" * 40), (30, "end")]).paced(pacing.Typist(seed=1, catch_up=True))
        kit.at(10, stream.pause)
        kit.at(20, stream.resume)
        return await kit.read(stream)

    after = [(at, text) for at, text in play(runtime, scenario) if at > 10]
    assert after[0][0] >= 20
    assert [text for _, text in after[:30]] == ["x"] * 30


@each_runtime
def test_a_recording_whose_pace_changes_in_a_pause_waits_no_longer_than_that_pace_says(runtime):
    events: Any = [(0.0, typestream.TextDelta("a")), (1.0, typestream.TextDelta("b"))]
    recording = typestream.Recording(events, "complete", 1.0)

    async def scenario(kit):
        replayed = typestream.replay(recording)
        stream = (replayed.as_async() if kit.asynchronous else replayed).paced(pacing.AsRecorded())
        kit.at(0.5, stream.pause)
        kit.at(7, lambda: stream.paced(pacing.AsRecorded(0.5)))
        kit.at(8, stream.resume)
        return await kit.read(stream)

    assert play(runtime, scenario) == [(0.0, "a"), (9.0, "b")]  # half a second was left, at full speed


class Connection:
    """A response over a script, and its socket."""

    headers: ClassVar = {"content-type": "text/event-stream"}
    status_code = 200

    def __init__(self, kit: Any, items: Any) -> None:
        self.extensions = {"network_stream": self}
        setattr(self, "aiter_bytes" if kit.asynchronous else "iter_bytes", lambda: kit.script(items))

    def get_extra_info(self, name: str) -> Any:
        return self

    def setsockopt(self, *option: Any) -> None: ...

    def shutdown(self, how: int) -> None: ...

    async def aclose(self) -> None: ...

    def close(self) -> None: ...


CHANGES: dict[str, Callable[[Any], Any]] = {
    "Smooth": lambda stream: stream.paced(pacing.Smooth()),
    "Steady": lambda stream: stream.paced(pacing.Steady(1000)),
    "Instant": lambda stream: stream.paced(pacing.Instant()),
    "skip": lambda stream: stream.skip(),
    "clocks": lambda stream: stream.timeout(between=50),
    "pause": lambda stream: stream.pause(),
    "resume": lambda stream: stream.resume(),
}


@each_runtime
@example(["Smooth"], [(3, "Steady")], True)
@given(
    st.lists(st.sampled_from([*CHANGES][:-2]), max_size=1),
    st.lists(st.tuples(st.integers(0, 25), st.sampled_from([*CHANGES])), max_size=5),
    st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_whoever_reads_a_connection_and_changes_its_pace_at_any_time_nothing_is_lost(runtime, first, later, awaited):
    words = [f"{place} " for place in range(20)]
    lines = [b'data: {"choices":[{"index":0,"delta":{"content":"%s"}}]}\n\n' % word.encode() for word in words]
    lines.append(b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n')

    async def scenario(kit: Any) -> str:
        connection: Any = Connection(kit, [(place / 10, line) for place, line in enumerate(lines)])

        async def call() -> Any:
            return connection

        stream = typestream.stream(call() if awaited and kit.asynchronous else connection)
        for change in first:
            CHANGES[change](stream)
        for at, change in later:
            kit.at(at / 10 + 0.05, partial(CHANGES[change], stream))
        kit.at(3.0, stream.resume)
        return "".join([text for _, text in await kit.read(stream)])

    assert play(runtime, scenario) == "".join(words)


@each_runtime
def test_what_comes_in_a_pause_is_shown_at_its_pace_whoever_reads(runtime):
    async def scenario(kit):
        stream = kit.open([(0, "a"), (2, "0123456789" * 4)]).paced(pacing.Steady(10))
        kit.at(1.05, stream.pause)
        kit.at(12.02, stream.resume)
        return await kit.read(stream)

    trace = play(runtime, scenario)
    assert "".join(text for _, text in trace) == "a" + "0123456789" * 4
    assert max(len(text) for _, text in trace) <= 2
    assert trace[-1][0] == pytest.approx(15.92)
