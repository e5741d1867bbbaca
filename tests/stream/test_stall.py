"""The stall clocks: they fire on time, and only because of the source."""

import json

import pytest

import typestream
from tests.stream.runtimes import each_loop, each_runtime, play
from typestream import StallTimeout, Timeout, pacing
from typestream._stall import Stall
from typestream.decode.wire import WireDecoder


def chunk(content):
    return {"choices": [{"index": 0, "delta": {"content": content}}]}


EMPTY = chunk("")
FINISH = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
USAGE = {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}}


def stalled(runtime, items, policy=None, **clocks):
    async def scenario(kit):
        source = kit.script(items)
        stream = typestream.stream(source).timeout(**clocks)
        if policy is not None:
            stream.paced(policy)
        _, error, at = await kit.outcome(stream)
        return error, at, source.closed

    return play(runtime, scenario)


@each_runtime
@pytest.mark.parametrize(
    ("items", "clocks", "kind", "at", "text"),
    [
        ([(9, "a")], {"first": 2}, "first", 2.0, ""),
        ([(1, "a"), (9, "b")], {"first": 2, "between": 3}, "between", 4.0, "a"),
        ([(1, "a"), (2, "b"), (3, "c"), (4, "d")], {"total": 3.5}, "total", 3.5, "abc"),
        ([(1, "a"), (9, "b")], {"between": 3, "total": 2}, "total", 2.0, "a"),
    ],
)
def test_each_clock_fires_on_time(runtime, items, clocks, kind, at, text):
    error, when, closed = stalled(runtime, items, **clocks)
    assert type(error) is StallTimeout
    assert (error.kind, error.alive, error.result.text) == (kind, False, text)
    assert when == pytest.approx(at)
    assert closed


@each_runtime
def test_signs_of_life_are_no_progress(runtime):
    items = [(0.5, chunk("a")), *((0.5 + n / 2, EMPTY) for n in range(1, 20))]
    error, when, _ = stalled(runtime, items, between=3)
    assert (error.kind, error.alive, when) == ("between", True, pytest.approx(3.5))


ANTHROPIC = {
    "type": "message_start",
    "message": {"id": "m", "type": "message", "role": "assistant", "model": "c", "content": [], "usage": {}},
}
ANTHROPIC["message"]["usage"] = {"input_tokens": 5, "output_tokens": 1}
AZURE = {"choices": [], "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]}
COUNTED = EMPTY | {"usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}


@each_runtime
@pytest.mark.parametrize("item", [EMPTY, ANTHROPIC, AZURE, COUNTED], ids=["empty", "anthropic", "azure", "counted"])
def test_what_comes_before_the_first_piece_is_not_the_first_piece(runtime, item):
    error, when, _ = stalled(runtime, [(0, item), (1, item), (99, item)], first=10, between=2)
    assert (error.kind, error.alive, when) == ("first", True, pytest.approx(10))


@each_runtime
def test_counting_tokens_is_no_progress(runtime):
    items = [(0.5, chunk("a")), *((0.5 + n / 2, COUNTED) for n in range(1, 20))]
    error, when, _ = stalled(runtime, items, between=3)
    assert (error.kind, error.alive, when) == ("between", True, pytest.approx(3.5))


@each_runtime
@pytest.mark.parametrize("policy", [None, pacing.Steady(2), pacing.Smooth()], ids=repr)
def test_a_slow_reader_and_a_slow_pace_are_not_the_source(runtime, policy):
    async def scenario(kit):
        stream = kit.open([(0, "abcd"), (0.5, "efgh"), (1, "ijkl")], timeout=Timeout(first=1, between=1, total=2))
        if policy is not None:
            stream.paced(policy)
        text = ""
        while (piece := await kit.next(stream)) is not None:
            text += piece
            await kit.sleep(5)
        return text

    assert play(runtime, scenario) == "abcdefghijkl"


@each_runtime
def test_a_pause_in_a_wait_stops_the_clocks(runtime):
    async def scenario(kit):
        stream = kit.open([(0, "a"), (20, "b")]).paced(pacing.Smooth()).timeout(between=3)
        kit.at(1, stream.pause)
        kit.at(18, stream.resume)
        _, error, at = await kit.outcome(stream)
        return error, at

    error, at = play(runtime, scenario)
    assert error is None
    assert at == pytest.approx(20, abs=0.5)


@each_runtime
def test_what_is_shown_in_a_wait_ends_it(runtime):
    async def scenario(kit):
        stream = kit.open([(0, "ab"), (10, "c")]).paced(pacing.Steady(10)).timeout(between=20)
        first = await kit.next(stream)
        kit.at(1, stream.skip)  # shows the b, which was held for what might still belong to it
        second = await kit.next(stream)
        await kit.sleep(50)
        third = await kit.next(stream)
        return first, second, third, await kit.next(stream)

    assert play(runtime, scenario) == ("a", "b", "c", None)


@each_runtime
def test_a_number_counts_for_the_first_and_between(runtime):
    async def scenario(kit):
        first = await kit.outcome(kit.open([(9, "a")], timeout=2))
        second = await kit.outcome(kit.open([(1, "a"), (9, "b")], timeout=2))
        return first[1].kind, second[1].kind

    assert play(runtime, scenario) == ("first", "between")


@each_runtime
@pytest.mark.parametrize("policy", [None, pacing.Smooth()], ids=repr)
def test_what_came_is_shown_before_the_error(runtime, policy):
    error, _, _ = stalled(runtime, [(0, "abc"), (9, "d")], policy, between=1)
    assert (type(error), error.result.text) == (StallTimeout, "abc")


class Wire:
    """A script whose items count as the bytes of a connection."""

    memory = False
    wire = True
    name = "wire"

    def __init__(self, source):
        self.decoder = WireDecoder("text/event-stream")
        self.script = source
        self.closed_at = None

    def read(self):
        return self.script.__anext__() if hasattr(self.script, "__anext__") else next(self.script)

    def interrupt(self):
        self.script.interrupt()

    def close(self):
        self.script.close()

    async def aclose(self):
        await self.script.aclose()


def wire(item):
    return f"data: {item if isinstance(item, str) else json.dumps(item)}\n\n".encode()


def wired(kit, items):
    from typestream._async import AsyncTokenStream
    from typestream._core import Core

    made = [(at, wire(item)) for at, item in items]
    kind = AsyncTokenStream if kit.asynchronous else typestream.TokenStream
    return kind(Core(), Wire(kit.script(made)))


@each_runtime
@pytest.mark.parametrize("clocks", [{}, {"between": 30}])
def test_after_the_finish_there_is_a_moments_grace(runtime, clocks):
    async def scenario(kit):
        stream = wired(kit, [(0, chunk("a")), (1, FINISH), (1.05, USAGE), (9, "[DONE]")]).timeout(**clocks)
        _, error, at = await kit.outcome(stream)
        return error, at, stream.result.usage.total, stream.result.completion

    assert play(runtime, scenario) == (None, pytest.approx(1.1), 3, "complete")


@each_runtime
@pytest.mark.parametrize(("clocks", "at"), [({}, 4.1), ({"between": 30}, 4.1), ({"between": 1.5}, 2.55)])
def test_the_grace_is_over_when_another_choice_begins(runtime, clocks, at):
    def second(content, reason=None):
        return {"choices": [{"index": 1, "delta": {"content": content}, "finish_reason": reason}]}

    async def scenario(kit):
        items = [(0, chunk("a")), (1, FINISH), (1.05, second("x")), (3, second("y")), (4, second("z", "stop"))]
        stream = wired(kit, [*items, (9, "[DONE]")]).timeout(**{"first": 9, **clocks})
        _, error, when = await kit.outcome(stream)
        return error, when, stream.result

    error, when, result = play(runtime, scenario)
    assert when == pytest.approx(at)
    assert (type(error), result.completion) == ((type(None), "complete") if at > 4 else (StallTimeout, "incomplete"))
    assert result.choice(1).text == ("xyz" if at > 4 else "x")


@each_runtime
def test_the_grace_is_not_prolonged_by_what_comes_in_it(runtime):
    async def scenario(kit):
        pings = [(1 + n / 100, EMPTY) for n in range(1, 50)]
        stream = wired(kit, [(0, chunk("a")), (1, FINISH), *pings])
        _, error, at = await kit.outcome(stream)
        return error, at, stream.result.text

    assert play(runtime, scenario) == (None, pytest.approx(1.1, abs=0.011), "a")


@each_runtime
def test_an_answer_that_goes_on_after_its_finish_has_the_grace_anew(runtime):
    """After tool calls some servers go on with text."""

    async def scenario(kit):
        calls = {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
        said = [(1.04 + n * 0.04, chunk(text)) for n, text in enumerate("text that goes on")]
        stream = wired(kit, [(0, chunk("a ")), (1, calls), *said])
        _, error, at = await kit.outcome(stream)
        return error, at, stream.result.text

    assert play(runtime, scenario) == (None, pytest.approx(1.04 + 16 * 0.04), "a text that goes on")


@each_runtime
def test_limits_and_pauses_count_from_when_they_are_set_even_in_the_middle_of_a_wait(runtime):
    async def waits(kit, change, later=None):
        stream = kit.open([(0, "a"), (3.7, "b")]).timeout(between=2)
        kit.at(1, lambda: change(stream))
        if later is not None:
            kit.at(3, lambda: later(stream))
        trace, error, at = await kit.outcome(stream)
        return "".join(text for _, text in trace), type(error).__name__, at

    def scenario(*commands):
        return play(runtime, lambda kit: waits(kit, *commands))

    assert scenario(lambda stream: None) == ("a", "StallTimeout", 2)
    assert scenario(lambda stream: stream.timeout(between=9)) == ("ab", "NoneType", 3.7)
    assert scenario(lambda stream: stream.timeout(between=1.5)) == ("a", "StallTimeout", 1.5)
    assert scenario(lambda stream: stream.pause(), lambda stream: stream.resume()) == ("ab", "NoneType", 3.7)


@each_loop
def test_the_same_while_a_call_is_awaited(loop):
    async def scenario(kit):
        async def call():
            await kit.sleep(4)
            return kit.script([(0, "a")])

        stream = typestream.stream(call(), timeout=2)
        kit.at(1, lambda: stream.timeout(first=9))
        return await kit.outcome(stream)

    trace, error, at = play(loop, scenario)
    assert ("".join(text for _, text in trace), error, at) == ("a", None, 4)


@each_runtime
@pytest.mark.parametrize("last", [FINISH, "[DONE]"], ids=["finish", "done"])
def test_what_never_ends_and_never_lets_wait_is_left_all_the_same(runtime, last):
    """Where the server is faster than its reader, no time passes in waiting."""
    sent = []

    async def scenario(kit):
        def endless():
            yield 0, chunk("a")
            yield 1, FINISH
            yield 1, last
            while True:
                sent.append(1)
                assert len(sent) < 100_000
                yield 1, EMPTY if last is FINISH else chunk("b")

        stream = wired(kit, [])
        stream._source.script = kit.script([])
        stream._source.script._items = ((at, wire(item)) for at, item in endless())
        _, error, at = await kit.outcome(stream)
        return error, at, stream.result.text, stream.result.completion

    assert play(runtime, scenario) == (None, pytest.approx(1), "a", "complete")


@each_runtime
def test_a_connection_that_breaks_in_the_grace_has_given_its_answer(runtime):
    async def scenario(kit):
        items = [(0, chunk("a")), (1, FINISH)]
        stream = wired(kit, items)
        stream._source.script._items = iter([*stream._source.script._items, (1.01, ConnectionResetError())])
        _, error, at = await kit.outcome(stream)
        return error, at, stream.result.completion

    assert play(runtime, scenario) == (None, pytest.approx(1.01), "complete")


def test_looking_at_a_sign_of_life_takes_nothing_off_the_wait():
    stall = Stall()
    stall.limit(Timeout(between=1), begun=True)
    assert stall.waiting(0) == 1
    for time in (0.2, 0.3, 0.6):  # the second came while the first was looked at
        stall.heard(time)
    assert stall.waiting(0.7) == pytest.approx(1)
    stall.heard(0.8)
    stall.held(0.9)  # and now something was delivered
    assert stall.waiting(5) == pytest.approx(5.2)


def test_what_is_heard_while_nobody_waits_is_no_wait():
    stall = Stall()
    stall.limit(Timeout(between=1), begun=True)
    stall.heard(3)
    assert stall.waiting(4) == 5
    stall.heard(4.5)
    stall.progress(1)
    assert stall.waiting(4.6) == 5.5


@pytest.mark.parametrize("bad", [0, -1, float("inf"), float("nan"), "1"])
def test_a_limit_is_a_positive_number(bad):
    with pytest.raises(ValueError, match="positive number"):
        typestream.stream(["a"]).timeout(first=bad)
