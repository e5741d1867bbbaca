"""One script of items and times gives the same text at the same times in every runtime, and as `simulate` says."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import typestream
from tests.stream.runtimes import RUNTIMES, play
from typestream import Finish, Other, Recording, TextDelta, ToolCallDelta, Usage, pacing
from typestream._compare import compare
from typestream.testing import simulate


class Crowded(pacing.Pacing):
    """Slower where more is known to wait, and faster once the source is known to have ended."""

    def delay(self, piece, moment):
        return (0.0237 if moment.ended else 0.0417) * len(moment.arrivals) ** 0.5


# rates that make no piece due at the very moment at which another arrives: who is first then is nobody's promise
POLICIES = [
    pacing.Instant(),
    pacing.Steady(37.31),
    pacing.Steady(7.77, per="word"),
    pacing.Steady(0.917, per="sentence"),
    pacing.Steady(3.313, per="line"),
    pacing.Steady(2.717, per="delta"),
    pacing.Steady(41.17) + pacing.Pause(seconds=0.3117),
    pacing.Typist(wpm=937, seed=3),
    pacing.Typist(wpm=3111, seed=5, catch_up=True),
    pacing.Typist(wpm=411, seed=7, per="word") + pacing.Pause(",", 0.2113),
    Crowded(),
    pacing.Smooth(),
    pacing.Smooth(max_lag=0.2, tail=0.1),
]


def simulated(items, policy):
    """The same without an event loop or a thread."""
    return [(round(at, 6), text) for at, text in simulate(items, policy)]


def traced(runtime, items, policy):
    async def scenario(kit):
        stream = kit.open(items).paced(policy)
        trace = await kit.read(stream)
        return trace, kit.time

    return play(runtime, scenario)


def merged(trace):
    """What is shown at one time as one piece: whether the last item or the end came first is nobody's promise."""
    pieces = {}
    for at, text in trace:
        at = next((known for known in pieces if abs(known - at) < 2e-6), at)
        pieces[at] = pieces.get(at, "") + text
    return list(pieces.items())


def assert_same(trace, other):
    trace, other = merged(trace), merged(other)
    assert [text for _, text in trace] == [text for _, text in other]
    assert [at for at, _ in trace] == pytest.approx([at for at, _ in other], abs=2e-6)


SCRIPT = [
    (0.1013, "Hello, "),
    (0.3517, "world. How"),
    (0.3629, " are"),
    (1.7013, " you?\nFine"),
    (1.7117, " 👩‍👩‍👧 thanks."),
    (1.7128, " And "),
    (1.7139, "you?"),
]


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
def test_a_script_gives_one_trace_everywhere(policy):
    expected = simulated(SCRIPT, policy)
    assert "".join(text for _, text in expected) == "".join(text for _, text in SCRIPT)
    for runtime in RUNTIMES:
        trace, ended = traced(runtime, SCRIPT, policy)
        assert_same(trace, expected)
        assert ended >= trace[-1][0]


EVENTS = [
    (0.0, ToolCallDelta(0, "call_1", "weather", "{}")),
    (0.4321, TextDelta("He sees wha")),
    (0.6211, TextDelta("An answer of ano", 1)),
    (0.9313, TextDelta("t nobody sa")),
    (0.9877, ToolCallDelta(1, "call_2", "time", "{}")),
    (1.2123, TextDelta("ther choice. And more of it.", 1)),
    (1.9371, TextDelta("ys.\nAnd the")),
    (2.0117, Finish("stop")),
    (2.5713, TextDelta(" Yes.", 1)),
    (2.6119, Finish("stop", 1)),
    (5.0131, Usage(3, 4)),
    (5.1417, Other("metrics", raw={"cost": 1})),
]


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
def test_what_is_compared_is_what_a_stream_shows_whatever_else_was_recorded(policy):
    (row,) = compare(Recording(EVENTS, "complete", 5.2), [policy]).rows
    for runtime in RUNTIMES:
        trace, _ = traced(runtime, [*EVENTS, (5.2, "")], policy)
        assert_same(trace, row.shown)


@pytest.mark.parametrize("speed", [0.5, 1.0, 3.0])
def test_a_recording_gives_one_trace_everywhere(speed):
    arrivals = [(at - SCRIPT[0][0], text) for at, text in SCRIPT]
    recording = typestream.Recording([(at, typestream.TextDelta(text)) for at, text in arrivals], "complete", 2.0)
    expected = simulate(arrivals, pacing.AsRecorded(speed))

    async def scenario(kit):
        stream = typestream.replay(recording).paced(pacing.AsRecorded(speed))
        return await kit.read(stream.as_async() if kit.asynchronous else stream)

    for runtime in RUNTIMES:
        assert_same(play(runtime, scenario), expected)


@pytest.mark.parametrize("policy", [pacing.Smooth(), pacing.Steady(37.31), pacing.Typist(937, seed=3)], ids=repr)
def test_any_pace_over_the_arrivals_of_a_recording(policy):
    arrivals = [(at - SCRIPT[0][0], text) for at, text in SCRIPT]
    recording = typestream.Recording([(at, typestream.TextDelta(text)) for at, text in arrivals], "complete", 1.6126)
    expected = [(round(at, 6), text) for at, text in simulate(arrivals, policy)]

    async def scenario(kit):
        replayed = typestream.replay(recording)
        arriving = (replayed.as_async() if kit.asynchronous else replayed).paced(pacing.AsRecorded())
        stream = typestream.stream(arriving.events()).paced(policy)
        return await kit.read(stream), stream.result.completion

    for runtime in RUNTIMES:
        trace, completion = play(runtime, scenario)
        assert_same(trace, expected)
        assert completion == "complete"


@st.composite
def scripts(draw):
    """Items a few milliseconds to two seconds apart, never two at one time."""
    texts = draw(st.lists(st.text("ab ,.!é\n👩‍", min_size=1, max_size=12), min_size=1, max_size=7))
    gaps = draw(st.lists(st.integers(1, 2000), min_size=len(texts), max_size=len(texts)))
    at, items = 0.0, []
    for text, gap in zip(texts, gaps, strict=True):
        at += gap / 1000 + 0.0001373
        items.append((round(at, 7), text))
    return items


@settings(max_examples=40, deadline=None)
@given(items=scripts(), policy=st.sampled_from(POLICIES))
def test_any_script_gives_one_trace_everywhere(items, policy):
    expected = simulated(items, policy)
    for runtime in RUNTIMES:
        trace, _ = traced(runtime, items, policy)
        assert_same(trace, expected)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_pacing_counts_from_when_pieces_were_due_however_slow_the_reader_is(runtime):
    async def scenario(kit):
        stream = kit.open([(0, "abcdefgh")]).paced(pacing.Steady(10))
        trace = []
        while (text := await kit.next(stream)) is not None:
            trace.append((kit.time, text))
            if text == "b":
                await kit.sleep(0.25)
        return trace

    assert play(runtime, scenario) == [
        (0.0, "a"),
        (0.1, "b"),
        (0.35, "cd"),
        (0.4, "e"),
        (0.5, "f"),
        (0.6, "g"),
        (0.7, "h"),
    ]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_read_ahead_times_arrivals_when_they_came_not_when_they_were_taken(runtime):
    async def scenario(kit):
        stream = kit.open([(0, "a"), (0.2, "b"), (0.4, "c")]).paced(pacing.Smooth())
        first = await kit.next(stream)
        await kit.next(stream)
        await kit.sleep(5)
        result = await stream.collect() if kit.asynchronous else stream.collect()
        return first, result.text, result.timing.longest_gap

    assert play(runtime, scenario) == ("a", "abc", pytest.approx(0.2))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_what_was_read_unasked_arrives_when_it_is_wanted(runtime):
    async def scenario(kit, limits):
        items = [(0, "a"), (0, "b"), (0, "c"), (0, "d")]
        stream = kit.open(items).paced(pacing.Steady(10)).timeout(**limits)
        trace = await kit.read(stream)
        return trace, stream.result.timing.lag_mean, stream.result.timing.duration

    expected = play(runtime, lambda kit: scenario(kit, {}))
    assert play(runtime, lambda kit: scenario(kit, {"between": 9})) == expected  # a thread reads it, where it is sync


def test_what_never_happens_is_an_error_not_a_hang():
    async def scenario(kit):
        stream = kit.open([(0, "a")]).pause()
        try:
            await kit.next(stream)
        finally:
            await kit.close(stream)

    for runtime in ("sync", "asyncio"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("typestream._virtual_loop._STUCK", 0.01)
            with pytest.raises(RuntimeError, match="nothing will ever happen"):
                play(runtime, scenario)
