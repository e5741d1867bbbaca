"""tee: every branch gets the same events and the same end, none waits for one that has left, none is far behind."""

import gc
import threading

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import typestream
from tests.stream.runtimes import each_loop, each_runtime, play
from typestream import (
    SourceError,
    StallTimeout,
    StreamBusy,
    StreamClosed,
    StreamError,
    StreamLimitExceeded,
    pacing,
)
from typestream.testing import VirtualClock, script

LETTERS = [(n / 10, letter) for n, letter in enumerate("abcdefgh")]


@each_runtime
@pytest.mark.parametrize("n", [1, 2, 5])
def test_one_after_the_other(runtime, n):
    async def scenario(kit):
        branches = kit.open(LETTERS).tee(n)
        return [[text for _, text in await kit.read(branch)] for branch in branches]

    assert play(runtime, scenario) == [list("abcdefgh")] * n


@each_runtime
def test_what_was_read_before_the_split_is_in_the_result_of_every_branch(runtime):
    async def scenario(kit):
        stream = kit.open([(0, "one "), (1, "two "), (2, OSError("gone"))])
        first = await kit.next(stream)
        branches = stream.tee(2)
        read = [await kit.outcome(branch) for branch in branches]
        return first, [("".join(text for _, text in trace), error.result.text) for trace, error, _ in read]

    assert play(runtime, scenario) == ("one ", [("two ", "one two ")] * 2)


@each_runtime
def test_who_joins_begins_with_what_was_read_before_the_split(runtime):
    async def scenario(kit):
        stream = kit.open([(0, "one "), (1, "two "), (2, "three")])
        await kit.next(stream)
        branches = stream.tee(1)
        await kit.next(branches[0])
        late = branches.join()
        joined = "".join(text for _, text in await kit.read(late))
        await kit.read(branches[0])
        return joined, late.result.text, branches[0].result.text

    assert play(runtime, scenario) == ("one two three", "one two three", "one two three")


@each_runtime
def test_side_by_side_each_at_its_own_pace(runtime):
    async def scenario(kit):
        one, other = kit.open([(0, "abcd"), (1, "efgh")]).tee(2)
        read = []

        async def second():
            read.extend(await kit.read(other.paced(pacing.Steady(5))))

        kit.at(0, second)
        first = await kit.read(one)
        await kit.sleep(5)
        return first, "".join(text for _, text in read), read[-1][0], one.result == other.result

    trace, text, last, same = play(runtime, scenario)
    assert trace == [(0.0, "abcd"), (1.0, "efgh")]
    assert (text, last, same) == ("abcdefgh", pytest.approx(1.6), True)


@each_runtime
def test_every_branch_has_the_same_error(runtime):
    async def scenario(kit):
        branches = kit.open([(0, "a"), (1, "b"), (2, OSError("gone"))]).tee(3)
        return [(await kit.outcome(branch))[1] for branch in branches]

    errors = play(runtime, scenario)
    assert [type(error) for error in errors] == [SourceError] * 3
    assert len({id(error) for error in errors}) == 3
    assert len({id(error.__cause__) for error in errors}) == 1
    assert [error.result.text for error in errors] == ["ab"] * 3
    assert len({id(error.result) for error in errors}) == 3


class Picky(StreamError):
    """An error of somebody else's, that is made otherwise than ours."""

    def __init__(self, code, where):
        super().__init__(f"{code} in {where}")
        self.code = code


@each_runtime
def test_every_branch_has_an_error_of_a_class_of_the_user_s(runtime):
    async def scenario(kit):
        branches = kit.open([(0, "a"), (1, Picky(7, "x"))]).tee(2)
        return [(await kit.outcome(branch))[1] for branch in branches]

    errors = play(runtime, scenario)
    assert [(type(error), str(error), error.code) for error in errors] == [(Picky, "7 in x", 7)] * 2
    assert errors[0] is not errors[1]


def test_what_broke_the_reading_thread_is_what_the_other_branches_say():
    class Odd(BaseException): ...

    def broken():
        yield "a"
        raise Odd

    one, other = typestream.stream(broken()).tee(2)
    with pytest.raises(Odd):
        one.collect()
    with pytest.raises(StreamClosed) as caught:
        other.collect()
    assert type(caught.value.__cause__) is Odd
    assert caught.value.result.text == "a"


def test_a_source_that_cancels_itself_fails_in_every_branch():
    import asyncio

    async def broken():
        yield "a"
        raise asyncio.CancelledError

    async def main():
        branches = typestream.stream(broken()).tee(2)
        return await asyncio.gather(*(branch.collect() for branch in branches), return_exceptions=True)

    errors = VirtualClock().run(main)
    assert [(type(error), type(error.__cause__)) for error in errors] == [(SourceError, asyncio.CancelledError)] * 2
    assert [error.result.text for error in errors] == ["a", "a"]


@each_runtime
def test_the_original_says_where_to_go_on(runtime):
    async def scenario(kit):
        stream = kit.open(LETTERS)
        await kit.next(stream)
        (branch,) = stream.tee(1)
        with pytest.raises(StreamClosed, match="branches"):
            await kit.next(stream)
        stream.stop()
        await kit.close(stream)
        return "".join(text for _, text in await kit.read(branch)), stream.result.text

    rest, so_far = play(runtime, scenario)
    assert rest == "bcdefgh"
    assert so_far.startswith("a")


@each_runtime
def test_a_closed_branch_holds_nobody_up_and_the_last_one_closes_the_source(runtime):
    async def scenario(kit):
        source = kit.script(LETTERS)
        one, other = typestream.stream(source).tee(2, lag=2)
        await kit.next(other)
        await kit.close(other)
        first = [await kit.next(one) for _ in range(5)]
        before = source.closed
        await kit.close(one)
        return first, before, source.closed

    assert play(runtime, scenario) == (list("abcde"), False, True)


@each_runtime
@pytest.mark.parametrize("started", [False, True])
def test_a_dropped_branch_holds_nobody_up(runtime, started):
    async def scenario(kit):
        one, other = kit.open(LETTERS).tee(2, lag=2)
        if started:
            await kit.next(other)
        del other
        gc.collect()
        return "".join(text for _, text in await kit.read(one))

    if started:
        with pytest.warns(ResourceWarning, match="neither read to its end nor closed"):
            assert play(runtime, scenario) == "abcdefgh"
    else:
        assert play(runtime, scenario) == "abcdefgh"


@each_runtime
def test_block_the_one_ahead_waits_for_the_one_behind(runtime):
    async def scenario(kit):
        one, other = kit.open([(0, letter) for letter in "abcdefgh"]).tee(2, lag=3)  # Start is an event, too

        async def slow():
            for n in range(9):
                await kit.sleep(10 if n else 0.5)
                await kit.next(other)

        kit.at(0, slow)
        trace = await kit.read(one)
        await kit.sleep(100)
        return trace

    trace = play(runtime, scenario)
    assert [text for _, text in trace] == list("abcdefgh")
    times = [at for at, _ in trace]
    assert times[:4] == [0.0, 0.0, 0.5, 0.5]  # the first time, the other one takes the Start, too
    assert times[4:] == pytest.approx([10.5, 20.5, 30.5, 40.5])


@each_runtime
def test_block_where_nobody_reads_the_other_is_an_error_not_a_hang(runtime):
    async def scenario(kit):
        one, other = kit.open([(0, letter) for letter in "abcdefgh"]).tee(2, lag=4)
        trace, error, at = await kit.outcome(one)
        rest = await kit.read(other)
        return "".join(text for _, text in trace), error, at, "".join(text for _, text in rest)

    first, error, at, rest = play(runtime, scenario)
    assert (first, rest) == ("abc", "abcdefgh")
    assert (type(error), error.limit, error.result.text) == (StreamLimitExceeded, "tee", "abc")
    assert at <= 1.0
    assert "read both at once" in str(error)


@each_runtime
def test_block_a_paced_branch_read_ahead_by_the_only_reader_of_both_is_an_error_not_a_hang(runtime):
    """What reads ahead is a thread or task of the stream's own; who waits for it is the one who counts."""

    async def scenario(kit):
        one, other = kit.open([(0, letter) for letter in "abcdefgh"]).tee(2, lag=4)
        assert await kit.next(other) == "a"
        trace, error, _ = await kit.outcome(one.paced(pacing.Smooth(max_lag=0.1)))
        rest = await kit.read(other)
        return "".join(text for _, text in trace), error, "".join(text for _, text in rest)

    first, error, rest = play(runtime, scenario)
    assert (type(error), error.limit, error.result.text) == (StreamLimitExceeded, "tee", first)
    assert ("abcdefgh".startswith(first), rest) == (True, "bcdefgh")


@each_runtime
def test_block_whoever_read_the_other_is_gone_is_an_error_not_a_hang(runtime):
    async def scenario(kit):
        one, other = kit.open([(0, letter) for letter in "abcdefgh"]).tee(2, lag=4)

        async def first():
            await kit.next(other)

        kit.at(0, first)
        await kit.sleep(1)
        _, error, at = await kit.outcome(one)
        await kit.close(other)
        return error, at

    error, at = play(runtime, scenario)
    assert (type(error), error.limit) == (StreamLimitExceeded, "tee")
    assert at <= 3


@each_runtime
def test_the_stall_clocks_stand_still_while_another_branch_is_waited_for(runtime):
    async def scenario(kit):
        one, other = kit.open([(0, letter) for letter in "abcdef"]).tee(2, lag=2)

        async def slow():
            while await kit.next(other) is not None:
                await kit.sleep(0.6)

        kit.at(0, slow)
        trace, error, at = await kit.outcome(one.timeout(between=0.3))
        await kit.sleep(10)
        return "".join(text for _, text in trace), error, at

    text, error, at = play(runtime, scenario)
    assert (text, error) == ("abcdef", None)
    assert at > 1  # it did wait


@each_runtime
@pytest.mark.parametrize("silent", ["at once", "after a wait for the other"])
def test_the_stall_clocks_of_a_branch_run_while_the_source_is_waited_for(runtime, silent):
    async def scenario(kit):
        times = [0, 0, 0, 0, 10] if silent == "after a wait for the other" else [0, 10]
        one, other = kit.open([(at, letter) for at, letter in zip(times, "abcde", strict=False)]).tee(2, lag=2)

        async def slow():
            for _ in range(4):
                await kit.next(other)
                await kit.sleep(0.6)

        kit.at(0, slow)
        outcome = await kit.outcome(one.timeout(between=0.3))
        await kit.sleep(20)
        await kit.close(other)
        return outcome

    trace, error, at = play(runtime, scenario)
    assert (type(error), getattr(error, "kind", None)) == (StallTimeout, "between")
    since = trace[-1][0]
    if silent != "at once":
        assert len(trace) == 4
        since = 1.2 if runtime == "sync" else 0.6  # a task reads one item ahead, nobody else does
    assert at == pytest.approx(since + 0.3, abs=0.03)


@pytest.mark.parametrize("form", ["wait_for", "task", "as_async"])
def test_block_a_branch_that_pauses_is_waited_for_whatever_task_reads_it(form):
    """A task that was made for one read, or a thread that reads for many tasks, does not say who reads on."""
    import asyncio

    async def slow(branch):
        texts = []
        while len(texts) < 6:
            read = anext(branch, None) if len(texts) % 2 else branch.__anext__()
            if form == "wait_for":
                text = await asyncio.wait_for(read, 5)
            else:
                text = await (asyncio.ensure_future(read) if form == "task" else read)
            texts.append(text)
            await asyncio.sleep(1.3 if len(texts) == 1 else 0)
        await branch.aclose()
        return "".join(texts)

    async def fast(branch):
        return (await branch.collect()).text

    async def main():
        if form == "as_async":
            one, other = (branch.as_async() for branch in typestream.stream(iter("abcdef")).tee(2, lag=2))
        else:
            source = script([(0, letter) for letter in "abcdef"], asynchronous=True)
            one, other = typestream.stream(source).tee(2, lag=2)
        return await asyncio.gather(fast(one), slow(other))

    run = asyncio.run if form == "as_async" else lambda main: VirtualClock().run(lambda: main)
    assert run(main()) == ["abcdef", "abcdef"]


@each_runtime
def test_block_every_branch_has_patience_of_its_own(runtime):
    """Who has waited long says nothing of who begins to: the one behind may only just have been started."""

    async def scenario(kit):
        first, second, third = kit.open([(0, letter) for letter in "abcdefgh"]).tee(3, lag=2)
        outcomes = []

        async def read(branch):
            trace, error, _ = await kit.outcome(branch)
            outcomes.append(("".join(text for _, text in trace), type(error)))

        kit.at(0, lambda: read(first))
        kit.at(0.9, lambda: read(second))
        kit.at(1.5, lambda: read(third))
        await kit.sleep(10)
        return outcomes

    assert play(runtime, scenario) == [
        ("a", StreamLimitExceeded),
        ("abcdefgh", type(None)),
        ("abcdefgh", type(None)),
    ]


@each_runtime
def test_raise_the_one_behind_fails_after_what_it_has(runtime):
    async def scenario(kit):
        one, other = kit.open([(0, letter) for letter in "abcdefgh"]).tee(2, lag=4, policy="raise")
        first = await kit.read(one)
        return "".join(text for _, text in first), await kit.outcome(other)

    first, (trace, error, _) = play(runtime, scenario)
    assert first == "abcdefgh"
    assert [text for _, text in trace] == ["a", "b", "c"]
    assert (type(error), error.limit, error.result.text) == (StreamLimitExceeded, "tee", "abc")


@each_runtime
@pytest.mark.parametrize("policy", ["block", "raise"])
def test_a_late_branch_begins_with_what_came_before(runtime, policy):
    async def scenario(kit):
        branches = kit.open(LETTERS).tee(1, lag=2, policy=policy)
        (one,) = branches
        for _ in range(5):
            await kit.next(one)
        late = branches.join()
        texts = ["", ""]
        for _ in range(5):
            for place, branch in enumerate((late, one)):
                texts[place] += await kit.next(branch) or ""
        return texts, late.result == one.result

    assert play(runtime, scenario) == (["abcdefgh", "fgh"], True)


@each_runtime
def test_a_late_branch_has_the_same_result(runtime):
    async def scenario(kit):
        items = [
            {"id": "1", "model": "m", "choices": [{"delta": {"reasoning_content": "hm"}}]},
            {"choices": [{"delta": {"content": "yes"}}]},
            {"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f"}}]}}]},
            {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}}]},
            {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]},
        ]
        branches = kit.open([(0, item) for item in items]).tee(1)
        for _ in range(3):
            await kit.event(branches[0])
        late = branches.join()
        results = []
        for branch in (branches[0], late):
            await kit.read(branch)
            results.append(branch.result)
        return results

    one, late = play(runtime, scenario)
    assert one == late
    assert one.finish_reason == "tool_calls"
    assert one.tool_calls[0].arguments == "{}"


def test_who_joins_while_a_thread_reads_misses_nothing(monkeypatch):
    branches = typestream.stream(iter("abcdef")).tee(1)
    (one,) = branches
    next(one)
    so_far = branches._hub._so_far
    before = so_far.events
    reader = threading.Thread(target=next, args=(one,))

    def events():
        copied = list(before())
        reader.start()
        reader.join(0.1)  # as if the one who joins was not let run just now
        return copied

    monkeypatch.setattr(type(so_far), "events", lambda self: events())
    late = branches.join()
    monkeypatch.undo()
    reader.join()
    assert late.collect().text == "abcdef"
    assert one.collect().text == "abcdef"


@each_runtime
def test_nobody_joins_what_is_closed(runtime):
    async def scenario(kit):
        branches = kit.open(LETTERS).tee(1)
        await kit.close(branches[0])
        with pytest.raises(StreamClosed, match="nothing to join"):
            branches.join()

    play(runtime, scenario)


@each_loop
def test_branches_of_an_async_stream_are_read_in_one_loop(loop):
    """In another one they are refused in a sentence, and hold nobody up."""
    import anyio

    async def main():
        one, other = typestream.stream(script(LETTERS, asynchronous=True)).tee(2, lag=2)
        first = await anext(one)
        twin = other.as_sync()
        with pytest.raises(StreamBusy, match="one event loop"):
            await anyio.to_thread.run_sync(twin.collect)
        await anyio.to_thread.run_sync(twin.close)
        return first + "".join([text async for text in one]), twin.result.text

    text, of_twin = anyio.run(main, backend=loop)
    assert text == "abcdefgh"
    assert text.startswith(of_twin)


def test_branches_of_an_async_stream_may_be_read_in_one_loop_after_the_other():
    async def letters():
        for letter in "abc":
            yield letter

    one, other = typestream.stream(letters()).tee(2)
    assert [branch.as_sync().collect().text for branch in (one, other)] == ["abc", "abc"]


@each_runtime
@pytest.mark.parametrize("begun", [False, True])
def test_the_branches_of_a_stream_that_was_paused_are_paused_each_for_itself(runtime, begun):
    async def scenario(kit):
        stream = kit.open([(0, letter) for letter in "abc"])
        if begun:
            await kit.next(stream)
        stream.pause().resume().pause()
        one, other = stream.tee(2)
        kit.at(1, one.resume)
        first = await kit.read(one)
        kit.at(1, other.resume)
        second = await kit.read(other)
        return first, second

    first, second = play(runtime, scenario)
    rest = "bc" if begun else "abc"
    assert first == [(1.0, letter) for letter in rest]
    assert second == [(2.0, letter) for letter in rest]


@each_runtime
def test_the_branches_of_a_stream_that_goes_on_again_are_not_paused(runtime):
    async def scenario(kit):
        stream = kit.open([(0, letter) for letter in "abc"]).pause().resume()
        return [await kit.read(branch) for branch in stream.tee(2)]

    assert play(runtime, scenario) == [[(0.0, letter) for letter in "abc"]] * 2


@pytest.mark.parametrize("options", [{"n": 0}, {"n": 1.5}, {"lag": 0}, {"lag": True}, {"policy": "wait"}])
def test_options(options):
    with pytest.raises(ValueError, match="tee"):
        typestream.stream(["a"]).tee(**options)


@each_loop
def test_a_cancelled_branch_leaves_the_others_alone(loop):
    import anyio

    async def main():
        one, other = typestream.stream(script(LETTERS, asynchronous=True)).tee(2)
        with anyio.move_on_after(0.25):
            async for _ in other:
                pass
        with pytest.raises(StreamClosed):
            await anext(other)
        return [text async for text in one]

    assert VirtualClock().run(main, loop) == list("abcdefgh")


def test_threads_share_one_source():
    n = 500
    branches = typestream.stream(iter([f"{k} " for k in range(n)])).tee(4, lag=8)
    texts = {}
    threads = [
        threading.Thread(target=lambda k=k, branch=branch: texts.update({k: branch.collect().text}))
        for k, branch in enumerate(branches)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert list(texts) and set(texts.values()) == {"".join(f"{k} " for k in range(n))}
    assert len(texts) == 4


class Branches(RuleBasedStateMachine):
    """A model of tee: whatever the branches do in whatever order, each has read a prefix of the same, in order."""

    @initialize(
        texts=st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=12),
        fails=st.booleans(),
        n=st.integers(1, 3),
        lag=st.integers(1, 5),
        policy=st.sampled_from(["block", "raise"]),
    )
    def split(self, texts, fails, n, lag, policy):
        self.clock = VirtualClock()
        self.clock.__enter__()
        self.closed = False
        self.texts, self.fails, self.lag, self.policy = texts, fails, lag, policy
        self.tee = typestream.stream(self._source()).tee(n, lag=lag, policy=policy)
        self.branches = dict(enumerate(self.tee))
        self.read = dict.fromkeys(self.branches, "")
        self.given = 0
        self.over = {}

    def _source(self):
        try:
            for text in self.texts:
                self.given += 1
                yield text
            if self.fails:
                raise OSError("gone")
        finally:
            self.closed = True

    @property
    def going(self):
        return [number for number in self.branches if number not in self.over]

    @precondition(lambda self: self.going)
    @rule(data=st.data())
    def take(self, data):
        number = data.draw(st.sampled_from(self.going))
        try:
            text = next(self.branches[number], None)
        except (SourceError, StreamLimitExceeded) as error:
            self.over[number] = error
            assert error.result.text == self.read[number]
        else:
            if text is None:
                self.over[number] = None
            else:
                self.read[number] += text

    @precondition(lambda self: self.going)
    @rule(data=st.data())
    def close(self, data):
        number = data.draw(st.sampled_from(self.going))
        self.branches.pop(number).close()

    @precondition(lambda self: self.tee._hub.buffers and len(self.branches) < 5)
    @rule()
    def join(self):
        number = max(self.read) + 1
        self.branches[number] = self.tee.join()
        self.read[number] = ""

    @rule()
    def read_on(self):
        """What has ended stays ended, in the same way."""
        for number in self.over.keys() & self.branches.keys():
            branch, error = self.branches[number], self.over[number]
            if error is None:
                assert next(branch, None) is None
            else:
                with pytest.raises(type(error)):
                    next(branch)

    @invariant()
    def each_has_a_prefix_of_the_same(self):
        whole = "".join(self.texts)
        for number, read in self.read.items():
            assert whole.startswith(read)
            if number in self.over:
                error = self.over[number]
                limited = isinstance(error, StreamLimitExceeded)
                assert limited or (read == whole and (error is not None) == self.fails)

    @invariant()
    def nobody_is_far_behind(self):
        assert all(len(buffer.events) <= self.lag for buffer in self.tee._hub.buffers.values())

    def teardown(self):
        if not hasattr(self, "tee"):
            return
        for branch in self.branches.values():
            branch.close()
        assert self.closed or not self.given
        assert not self.tee._hub.buffers
        self.clock.__exit__(None, None, None)


Branches.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestBranches = Branches.TestCase
