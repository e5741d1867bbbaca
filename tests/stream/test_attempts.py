"""Retries and fallbacks: as long as nothing was shown, and never after."""

import socket
import threading

import pytest

import typestream
from tests.stream.runtimes import each_runtime, play
from typestream import (
    SourceError,
    StallTimeout,
    StreamClosed,
    StreamConnectionError,
    StreamProtocolError,
    StreamServerError,
    StreamTruncated,
    UnsupportedSource,
    pacing,
)


def chunk(content):
    return {"id": "x", "choices": [{"index": 0, "delta": {"content": content}}]}


STARTED = {"id": "x", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}
FINISH = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
WHOLE = [(0, chunk("whole")), (0, FINISH)]
BROKEN = StreamConnectionError("broken")


class Maker:
    """Makes one script after the other; an exception is raised by the call itself."""

    def __init__(self, kit, *scripts):
        self.kit, self.scripts, self.made = kit, list(scripts), []

    def __call__(self):
        items = self.scripts.pop(0)
        if isinstance(items, BaseException):
            self.made.append(None)
            raise items
        self.made.append(self.kit.script(items))
        return self.made[-1]


def retried(runtime, *scripts, retries=3, **options):
    async def scenario(kit):
        maker = Maker(kit, *scripts)
        stream = typestream.stream(maker, retries=retries, **options)
        trace, error, at = await kit.outcome(stream)
        closed = all(made is None or made.closed for made in maker.made)
        return "".join(text for _, text in trace), error, at, len(maker.made), closed

    text, error, at, made, closed = play(runtime, scenario)
    assert closed
    return text, error, at, made


@each_runtime
@pytest.mark.parametrize(
    "error",
    [
        BROKEN,
        StallTimeout("late"),
        StreamTruncated("empty"),
        StreamServerError("busy", status=503),
        StreamServerError("slow down", status=429),
        StreamServerError("overloaded", code="overloaded_error"),
        StreamServerError("bad gateway", code=502),
    ],
    ids=repr,
)
def test_what_may_pass_is_tried_again(runtime, error):
    text, failed, at, made = retried(runtime, [(0, error)], [(1, error)], WHOLE)
    assert (text, failed, made) == ("whole", None, 3)
    assert at == pytest.approx(0.5 + 1 + 1)  # a pause, the second attempt, a longer pause


@each_runtime
@pytest.mark.parametrize(
    "error",
    [
        StreamServerError("no", status=400),
        StreamServerError("no", status=401),
        StreamServerError("no", code="content_filter"),
        StreamServerError("no"),
        StreamProtocolError("junk"),
        ZeroDivisionError(),
    ],
    ids=repr,
)
def test_what_will_not_pass_is_not(runtime, error):
    _, failed, at, made = retried(runtime, [(0, error)], WHOLE)
    assert (at, made) == (0, 1)
    assert failed is error or type(failed) is SourceError


COUNTED = STARTED | {"usage": {"prompt_tokens": 5, "completion_tokens": 0, "total_tokens": 5}}


@each_runtime
@pytest.mark.parametrize("started", [STARTED, COUNTED], ids=["started", "counted"])
def test_an_answer_that_merely_started_was_not_shown(runtime, started):
    text, failed, _, made = retried(runtime, [(0, started), (0, BROKEN)], WHOLE)
    assert (text, failed, made) == ("whole", None, 2)


@each_runtime
def test_a_failed_attempts_beginning_is_forgotten(runtime):
    async def scenario(kit):
        maker = Maker(kit, [(0, {**STARTED, "id": "first"}), (0, BROKEN)], [(0, {**STARTED, "id": "second"}), *WHOLE])
        stream = typestream.stream(maker, retries=1)
        await kit.outcome(stream)
        return stream.result.id, stream.result.completion, stream.result.finish_reason

    assert play(runtime, scenario) == ("second", "complete", "stop")


@each_runtime
@pytest.mark.parametrize("policy", [None, pacing.Smooth(), pacing.Steady(1)], ids=repr)
def test_what_was_shown_is_never_repeated(runtime, policy):
    async def scenario(kit):
        maker = Maker(kit, [(0, chunk("so")), (1, BROKEN)], WHOLE)
        stream = typestream.stream(maker, retries=5)
        if policy is not None:
            stream.paced(policy)
        trace, error, _ = await kit.outcome(stream)
        return "".join(text for _, text in trace), type(error), error.result.text, len(maker.made)

    assert play(runtime, scenario) == ("so", StreamConnectionError, "so", 1)


@each_runtime
def test_the_last_error_is_the_streams(runtime):
    text, failed, _, made = retried(runtime, *[[(0, StreamConnectionError(str(n)))] for n in range(3)], retries=2)
    assert (text, str(failed), made) == ("", "2", 3)


@each_runtime
def test_pauses_grow_and_are_capped(runtime):
    _, _, at, made = retried(runtime, *[[(0, BROKEN)]] * 8, retries=7)
    assert (at, made) == (pytest.approx(0.5 + 1 + 2 + 4 + 8 + 8 + 8), 8)


@each_runtime
@pytest.mark.parametrize("late", [False, True])
def test_the_clocks_count_for_each_attempt(runtime, late):
    async def scenario(kit):
        maker = Maker(kit, [(9, "late")], [(9, "late")], [(1.5, "in time")])
        stream = typestream.stream(maker, retries=2, timeout=None if late else 2)
        if late:
            stream.timeout(first=2)
        trace, error, _ = await kit.outcome(stream)
        return trace, error

    trace, error = play(runtime, scenario)
    assert error is None
    assert trace == [(2 + 0.5 + 2 + 1 + 1.5, "in time")]


def test_a_call_that_raises_at_once_is_tried_again():
    async def scenario(kit):
        maker = Maker(kit, BROKEN, BROKEN, WHOLE)
        stream = typestream.stream(maker, retries=2)
        return stream.collect().text, kit.time

    assert play("sync", scenario) == ("whole", 1.5)


@each_runtime
def test_leaving_in_the_pause_between_attempts(runtime):
    async def scenario(kit):
        maker = Maker(kit, *[[(0, BROKEN)]] * 9)
        stream = typestream.stream(maker, retries=8)
        kit.at(5, stream.stop)
        trace, error, at = await kit.outcome(stream)
        return trace, error, at

    assert play(runtime, scenario) == ([], None, 5.0)


def broken():
    raise BROKEN
    yield


def closed(stream):
    with pytest.raises(StreamClosed):
        stream.collect()


def test_leaving_while_the_next_attempt_is_opened():
    opening, go_on = threading.Event(), threading.Event()

    class Second:
        closed = read = False

        def __iter__(self):
            return self

        def __next__(self):
            self.read = True
            return "too late"

        def close(self):
            self.closed = True

    second = Second()

    def opened():
        opening.set()
        assert go_on.wait(5)
        return second

    makers = iter([broken, opened])
    stream = typestream.stream(lambda: next(makers)(), retries=1)
    reader = threading.Thread(target=closed, args=[stream])
    reader.start()
    assert opening.wait(5)
    stream.close()
    go_on.set()
    reader.join(5)
    assert not reader.is_alive()
    assert (second.closed, second.read) == (True, False)


def test_leaving_ends_the_connection_that_the_next_attempt_waits_for():
    try:  # whichever the SDK brings
        import httpx2 as httpx
    except ImportError:
        import httpx
    with socket.create_server(("127.0.0.1", 0)) as server, httpx.Client(timeout=30) as client:
        makers = iter([broken, lambda: client.get(f"http://127.0.0.1:{server.getsockname()[1]}/")])
        stream = typestream.stream(lambda: next(makers)(), retries=1)
        reader = threading.Thread(target=closed, args=[stream])
        reader.start()
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)  # the request is there, and waits for its answer
            stream.close()
            reader.join(5)
            assert not reader.is_alive()


@pytest.mark.parametrize("source", [42, {"whole": "answer"}, [42]], ids=repr)
def test_first_of_turns_to_the_next_where_the_first_cannot_be_read(source):
    assert typestream.first_of(lambda: source, lambda: ["good"]).collect().text == "good"
    with pytest.raises(UnsupportedSource):
        typestream.first_of(lambda: source, lambda: 42).collect()
    with pytest.raises(UnsupportedSource):
        typestream.stream(lambda: source, retries=1).collect()


@each_runtime
def test_first_of_turns_to_the_next_whatever_the_failure(runtime):
    async def scenario(kit):
        makers = [
            Maker(kit, StreamServerError("no such model", status=404)),
            Maker(kit, [(1, ZeroDivisionError())]),
            Maker(kit, [(0, STARTED), (1, BROKEN)]),
            Maker(kit, WHOLE),
            Maker(kit),
        ]
        stream = typestream.first_of(*makers)
        trace, error, _ = await kit.outcome(stream)
        return trace, error, stream.result.completion, [len(maker.made) for maker in makers]

    assert play(runtime, scenario) == ([(2.0, "whole")], None, "complete", [1, 1, 1, 1, 0])


@each_runtime
def test_first_of_stays_with_the_one_that_spoke(runtime):
    async def scenario(kit):
        makers = [Maker(kit, [(0, BROKEN)]), Maker(kit, [(0, "so"), (1, BROKEN)]), Maker(kit, WHOLE)]
        stream = typestream.first_of(*makers)
        trace, error, _ = await kit.outcome(stream)
        return trace, type(error), len(makers[2].made)

    assert play(runtime, scenario) == ([(0.0, "so")], StreamConnectionError, 0)


@each_runtime
def test_first_of_streams_that_retry(runtime):
    async def scenario(kit):
        makers = [Maker(kit, [(0, BROKEN)], [(0, BROKEN)]), Maker(kit, [(0, BROKEN)], WHOLE)]
        first, second = (lambda maker=maker: typestream.stream(maker, retries=1) for maker in makers)
        trace, error, _ = await kit.outcome(typestream.first_of(first, second))
        return trace, error

    assert play(runtime, scenario) == ([(1.0, "whole")], None)


def test_first_of_both_twins():
    async def items():
        yield "async"

    def fails():
        raise BROKEN

    assert typestream.first_of(fails, items).as_sync().collect().text == "async"

    def breaks():
        raise ZeroDivisionError
        yield

    assert typestream.first_of(breaks, items).collect().text == "async"


@each_runtime
def test_first_of_is_closed_with_its_source(runtime):
    async def scenario(kit):
        maker = Maker(kit, [(0, "a"), (9, "b")])
        stream = typestream.first_of(maker)
        await kit.next(stream)
        await kit.close(stream)
        return maker.made[0].closed

    assert play(runtime, scenario) is True


@each_runtime
def test_a_tee_of_attempts(runtime):
    async def scenario(kit):
        maker = Maker(kit, [(0, BROKEN)], [(0, chunk("a")), (1, BROKEN)])
        outcomes = [await kit.outcome(branch) for branch in typestream.stream(maker, retries=3).tee(2)]
        return [("".join(text for _, text in trace), type(error)) for trace, error, _ in outcomes]

    assert play(runtime, scenario) == [("a", StreamConnectionError)] * 2


def test_what_cannot_be_tried_again():
    with pytest.raises(ValueError, match="callable"):
        typestream.stream(["a"], retries=1)
    with pytest.raises(ValueError, match="retries"):
        typestream.stream(lambda: ["a"], retries=-1)
    with pytest.raises(TypeError, match="callables"):
        typestream.first_of()
    with pytest.raises(TypeError, match="callables"):
        typestream.first_of(["a"])
