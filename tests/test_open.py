"""What can be opened, and what is said of what cannot."""

import asyncio
import pathlib
from typing import Any
from unittest.mock import MagicMock

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import typestream
from typestream import pacing
from typestream.render import Plain

CHUNKS = [
    {"choices": [{"index": 0, "delta": {"content": "Hel"}}]},
    {"choices": [{"index": 0, "delta": {"content": "lo"}}]},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
]
COMPLETION = {
    "id": "c",
    "object": "chat.completion",
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
}


async def agen(items):
    for item in items:
        yield item


@pytest.mark.parametrize(
    "source",
    [
        ["Hel", "lo"],
        iter(("Hel", "lo")),
        (piece for piece in ["Hel", "", "lo"]),
        [b"Hel", b"lo"],
        [bytearray(b"Hello")],
        CHUNKS,
        iter(CHUNKS),
        [{"data": chunk} for chunk in CHUNKS],
        [typestream.TextDelta("Hello")],
        [None, "Hello"],
        lambda: iter(CHUNKS),
        lambda: CHUNKS,
    ],
    ids=lambda source: type(source).__name__,
)
def test_iterables_of_every_kind(source):
    stream = typestream.stream(source)
    assert isinstance(stream, typestream.TokenStream)
    assert stream.collect().text == "Hello"


@pytest.mark.parametrize("wrapped", [lambda: agen(CHUNKS), lambda: lambda: agen(CHUNKS)])
def test_async_iterables(wrapped):
    async def main():
        stream = typestream.stream(wrapped())
        assert isinstance(stream, typestream.AsyncTokenStream)
        return (await stream.collect()).text

    assert asyncio.run(main()) == "Hello"


@pytest.mark.parametrize("given_back", [agen, iter, list])
def test_an_awaitable_of_any_of_these(given_back):
    async def call():
        return given_back(CHUNKS)

    async def main():
        return (await typestream.stream(call()).collect()).text

    assert asyncio.run(main()) == "Hello"


class Entered:
    """A context manager, sync and async, that gives something, or itself."""

    def __init__(self, *given):
        self.given = given[0] if given else self
        self.times = 0

    def __enter__(self):
        self.times += 1
        return self.given

    async def __aenter__(self):
        return self.__enter__()

    def __exit__(self, *exc):
        self.times -= 1

    async def __aexit__(self, *exc):
        self.times -= 1


class EnteredAsync:
    """The same, async only."""

    def __init__(self, *given):
        self.given = given[0] if given else self

    async def __aenter__(self):
        return self.given

    async def __aexit__(self, *exc):
        pass


async def awaited(given):
    return given


@pytest.mark.parametrize("given", [COMPLETION, "Hello", b"Hello", None, 3, pathlib.Path("answer.jsonl")], ids=repr)
@pytest.mark.parametrize("within", [awaited, Entered, EnteredAsync])
def test_what_awaiting_or_entering_gives_is_refused_as_if_it_were_passed(given, within):
    async def main():
        await typestream.stream(within(given)).as_async().collect()

    with pytest.raises(typestream.UnsupportedSource, match="an OpenAI stream"):
        asyncio.run(main())


@pytest.mark.parametrize("make", [Entered, EnteredAsync])
def test_what_enters_to_itself_and_cannot_be_read_is_refused(make):
    async def main():
        await typestream.stream(source).as_async().collect()

    source = make()
    with pytest.raises(typestream.UnsupportedSource, match=make.__name__):
        asyncio.run(main())
    assert getattr(source, "times", 0) == 0


def test_what_enters_to_a_completion_is_refused_where_it_blocks_too():
    source = Entered(COMPLETION)
    with pytest.raises(typestream.UnsupportedSource, match=r"typestream\.replay"):
        typestream.stream(source).collect()
    assert source.times == 0


@pytest.mark.parametrize("inner", [iter, agen])
@pytest.mark.parametrize("within", [awaited, Entered, EnteredAsync])
def test_a_stream_that_awaiting_or_entering_gives_is_passed_on_whole(within, inner):
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    chunks = [
        {"id": "c", "choices": [{"index": 0, "delta": {"reasoning_content": "hm", "content": "Hello"}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}], "usage": usage},
    ]

    async def main(chunks):
        return await typestream.stream(within(typestream.stream(inner(chunks)))).as_async().collect()

    result = asyncio.run(main(chunks))
    assert (result.text, result.reasoning, result.id) == ("Hello", "hm", "c")
    assert (result.finish_reason, result.usage.output, result.completion) == ("length", 2, "complete")
    with pytest.raises(typestream.StreamTruncated) as caught:
        asyncio.run(main(chunks[:1]))
    assert caught.value.result.text == "Hello"


@pytest.mark.parametrize("inner", [iter, agen])
def test_a_stream_that_entering_gives_is_passed_on_where_it_blocks_too(inner):
    result = typestream.stream(Entered(typestream.stream(inner(CHUNKS)))).collect()
    assert (result.text, result.finish_reason) == ("Hello", "stop")


class Class:
    """A class whose objects can be read."""

    def __iter__(self):
        return iter(["Hel", "lo"])


@pytest.mark.parametrize(
    "opened",
    [
        typestream.stream,
        lambda make: typestream.stream(make, retries=1),
        typestream.first_of,
    ],
)
def test_a_class_is_a_callable_that_makes_a_source(opened):
    assert opened(Class).collect().text == "Hello"


def test_what_pretends_to_be_everything_is_read_as_what_it_was_given_to_be():
    source = MagicMock()
    source.__iter__.return_value = iter(CHUNKS)
    assert typestream.stream(source).collect().text == "Hello"


@pytest.mark.parametrize("source", ["text", b"bytes", {"a": 1}, 3, None, 2.5, object(), pathlib.Path("answer.jsonl")])
def test_an_unsupported_source_names_what_would_have_been_accepted(source):
    with pytest.raises(typestream.UnsupportedSource, match="an OpenAI stream"):
        typestream.stream(source)


@pytest.mark.parametrize("items", [[1, 2], [object()], [[1, 2]], [1.5], [True]])
def test_unsupported_items_are_refused_when_they_are_read(items):
    with pytest.raises(typestream.UnsupportedSource, match="str, bytes"):
        typestream.stream(items).collect()


def test_an_async_source_in_a_for_loop_says_what_to_use():
    with pytest.raises(TypeError, match="async for"):
        for _ in typestream.stream(agen([])):
            pass
    with pytest.raises(TypeError, match="async with"), typestream.stream(agen([])):
        pass


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: pacing.Steady(0), "Steady\\(rate\\) must be a positive number, not 0"),
        (lambda: pacing.Steady(float("nan")), "must be a positive number"),
        (lambda: pacing.Steady(10, per="letter"), "grapheme"),
        (lambda: pacing.Pause(seconds=-1), "0 or more"),
        (lambda: pacing.Smooth(max_lag=-1), "max_lag"),
        (lambda: typestream.replay("a").timeout(first=0), "positive number of seconds"),
        (lambda: typestream.stream(["a"], timeout=-1), "positive number of seconds"),
        (lambda: typestream.stream(["a"], require="yes"), "require must be"),
        (lambda: typestream.stream(["a"], limits=5), "limits must be Limits"),
        (lambda: typestream.generate(lambda text: None, max_tokens=0), "max_tokens"),
        (lambda: typestream.sources.transformers.generate(None, str, "a", ahead=0), "ahead must be"),
        (lambda: typestream.replay("a").paced(order="later"), "order must be"),
        (lambda: typestream.replay("a").tee(0), "at least 1"),
    ],
)
def test_bad_values_get_one_clear_sentence(wrong, said):
    with pytest.raises(ValueError, match=said) as caught:
        wrong()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: typestream.replay("a").paced(40), "such as pacing.Steady\\(40\\), not int"),
        (lambda: typestream.replay("a").paced(pacing.Steady), "not Steady"),
        (lambda: typestream.replay("a").through(3), "int"),
        (lambda: typestream.generate("no step"), "not str"),
        (lambda: typestream.replay("a").recorded(5), "a path or an open text file, not int"),
        (lambda: typestream.replay("a").render(Plain(), to="answer.txt"), "has write\\(str\\), not str"),
        (lambda: typestream.replay("a").render(Plain), "not the class Plain"),
        (lambda: typestream.replay("a").render("plain"), "a renderer, which has feed and finish, not str"),
    ],
)
def test_bad_types_get_one_clear_sentence(wrong, said):
    with pytest.raises(TypeError, match=said) as caught:
        wrong()
    assert "\n" not in str(caught.value)


def test_what_the_callable_raises_is_our_error():
    def make():
        raise RuntimeError("no model")

    with pytest.raises(typestream.SourceError, match="no model") as caught:
        typestream.stream(make)
    assert isinstance(caught.value.__cause__, RuntimeError)


@pytest.mark.parametrize(
    "complete",
    [
        "Hello",
        COMPLETION,
        {"object": "text_completion", "choices": [{"index": 0, "text": "Hello", "finish_reason": "stop"}]},
        {
            "id": "r",
            "object": "response",
            "status": "completed",
            "output": [{"type": "message", "content": [{"type": "output_text", "text": "Hello", "annotations": []}]}],
        },
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "text", "text": "Hello"}],
            "stop_reason": "end_turn",
        },
        {"model": "m", "message": {"role": "assistant", "content": "Hello"}, "done": True, "done_reason": "stop"},
        {"candidates": [{"content": {"parts": [{"text": "Hello"}]}, "finishReason": "STOP"}]},
    ],
    ids=["text", "chat", "completion", "response", "anthropic", "ollama", "gemini"],
)
def test_replay_of_what_is_complete(complete):
    result = typestream.replay(complete).collect()
    assert result.text == "Hello"
    assert result.completion == "complete"


@pytest.mark.parametrize("wrong", [3, None, b"bytes", ["a"], {"nothing": 1}])
def test_replay_of_something_else_is_refused(wrong):
    with pytest.raises(typestream.UnsupportedSource):
        typestream.replay(wrong).collect()


def test_an_empty_text_is_a_whole_answer_and_an_empty_stream_is_none():
    assert typestream.replay("").collect().completion == "complete"
    assert typestream.stream([""]).collect().completion == "complete"
    with pytest.raises(typestream.StreamTruncated):
        typestream.stream([]).collect()


@pytest.mark.parametrize(("require", "fails"), [("terminal", True), ("finish_reason", True), (None, False)])
def test_require_says_what_the_end_of_an_answer_is(require, fails):
    stream = typestream.stream(CHUNKS[:2], require=require)
    if fails:
        with pytest.raises(typestream.StreamTruncated):
            stream.collect()
    else:
        assert stream.collect().completion == "incomplete"
    assert stream.result.text == "Hello"


def opening(way: str, error: type[Exception]) -> Any:
    def fail(self: Any) -> Any:
        raise error

    async def fail_later(self: Any) -> Any:
        raise error

    async def leave(self: Any, *given: Any) -> None: ...

    if way == "await":
        return fail_later(None)
    methods = {way: fail_later if way == "__aenter__" else fail, "__exit__": leave, "__aexit__": leave}
    return type("Opening", (), methods)()


@pytest.mark.parametrize(
    ("way", "error"),
    [
        ("__iter__", StopIteration),
        ("__enter__", StopIteration),
        ("__aiter__", StopAsyncIteration),
        ("__aenter__", StopAsyncIteration),
        ("await", StopAsyncIteration),
        ("await", StopIteration),
    ],
)
@pytest.mark.parametrize("twin", ["as_sync", "as_async"])
def test_running_out_while_it_is_opened_is_no_end(way, error, twin):
    async def collect(stream: Any) -> typestream.Result:
        return await stream.collect()

    stream = typestream.stream(opening(way, error))
    stream = getattr(stream, twin, lambda: stream)()
    with pytest.raises(typestream.SourceError, match="raised Stop") as caught:
        stream.collect() if isinstance(stream, typestream.TokenStream) else asyncio.run(collect(stream))
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_the_error_is_raised_again_and_not_forgotten():
    stream = typestream.stream(CHUNKS[:1])
    assert next(stream) == "Hel"
    for _ in range(2):
        with pytest.raises(typestream.StreamTruncated):
            next(stream)


@given(st.text(), st.lists(st.integers(0, 40), max_size=6))
def test_bytes_may_be_cut_anywhere(text, cuts):
    data = text.encode()
    places = sorted({min(cut, len(data)) for cut in cuts})
    pieces = [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]
    assert typestream.stream(pieces or [b""]).collect().text == text


def test_generate_counts_stops_and_bounds_what_a_step_sees():
    seen = []

    def step(context):
        seen.append(context)
        return "ab"

    result = typestream.generate(step, "prompt ", max_tokens=3, context=4).collect()
    assert (result.text, result.finish_reason) == ("ababab", "length")
    assert seen == ["mpt ", "t ab", "abab"]
    stopped = typestream.generate(step, stop=["ba"], max_tokens=9).collect()
    assert (stopped.text, stopped.finish_reason) == ("a", "stop")
    assert typestream.generate(lambda context: None).collect().finish_reason == "stop"


def test_the_dict_of_a_result_is_that_result():
    said = [{"choices": [{"index": 0, "delta": {"reasoning_content": "why"}}]}, *CHUNKS]
    result = typestream.stream(said).collect()
    assert typestream.replay(result.to_dict()).collect() == result


def test_what_a_stream_has_to_end_with_may_be_asked_for_later():
    done = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\ndata: [DONE]\n\n'

    def opened():
        body = httpx.Response(200, headers={"content-type": "text/event-stream"}, content=done)
        return typestream.stream(body)

    assert typestream.stream(opened()).collect().completion == "unconfirmed"
    for source in (opened(), opened):
        with pytest.raises(typestream.StreamTruncated):
            typestream.stream(source, require="finish_reason").collect()


@pytest.mark.parametrize(
    "first",
    [
        'data: {"id": "x", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "Hi"}}]}',
        b'data: {"choices": [{"index": 0, "delta": {"content": "Hi"}}]}\n\ndata: [DO',
        "event: response.created",
    ],
)
def test_the_lines_of_a_response_are_not_shown_as_its_text(first):
    with pytest.raises(typestream.UnsupportedSource, match="the response itself"):
        typestream.stream([first, "data: [DONE]"]).collect()


@pytest.mark.parametrize("text", ["data: 5", "event: the fair", 'data: {"a": 1}', "data: {", "{}"])
def test_a_text_may_look_like_an_event(text):
    assert typestream.stream([text]).collect().text == text
    assert typestream.replay('data: {"choices": [{"delta": {}}]}').collect().text.startswith("data:")


def test_a_task_is_awaited():
    async def main():
        async def call():
            return agen(CHUNKS)

        return await typestream.stream(asyncio.create_task(call())).collect()

    assert asyncio.run(main()).text == "Hello"
