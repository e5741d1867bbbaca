"""The public interface as a user's code writes it: never run, checked by mypy and pyright."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from typing_extensions import assert_type

import typestream
from typestream import AsyncTokenStream, Event, Result, TokenStream, pacing
from typestream.testing import VirtualClock, simulate

client = OpenAI()
aclient = AsyncOpenAI()


def live() -> None:
    stream = typestream.stream(client.chat.completions.create(model="m", messages=[], stream=True))
    assert_type(stream, TokenStream)
    for text in stream:
        assert_type(text, str)
    assert_type(stream.result, Result)
    assert_type(stream.result.finish_reason, str | None)
    assert_type(stream.collect(), Result)
    assert_type(stream.result.to_openai(), ChatCompletion)
    assert_type(stream.paced(pacing.Smooth(max_lag=0.4)), TokenStream)
    assert_type(stream.timeout(first=10, between=5.0).skip().pause().resume().stop(), TokenStream)
    assert_type(stream.as_async(), AsyncTokenStream)
    assert_type(stream.recorded(Path("recording.jsonl")), TokenStream)


async def live_async() -> None:
    call = aclient.responses.create(model="m", input="hi", stream=True)
    async with typestream.stream(call) as stream:
        assert_type(stream, AsyncTokenStream)
        async for text in stream:
            assert_type(text, str)
        async for event in stream.events():
            show(event)
    assert_type(await stream.collect(), Result)
    assert_type(stream.as_sync(), TokenStream)


def made_again() -> None:
    stream = typestream.stream(lambda: client.chat.completions.create(model="m", messages=[], stream=True))
    assert_type(stream, TokenStream)
    assert_type(typestream.stream(stream), TokenStream)
    assert_type(typestream.stream(lambda: typestream.replay("x"), retries=1), TokenStream)
    assert_type(typestream.stream(stream.as_async()), AsyncTokenStream)
    assert_type(typestream.first_of(lambda: typestream.replay("x"), lambda: stream), TokenStream)
    with typestream.stream(["a", "b"], timeout=typestream.Timeout.PATIENT, require=None) as texts:
        assert_type(texts, TokenStream)


def show(event: Event) -> str:
    match event:
        case typestream.TextDelta(text):
            return assert_type(text, str)
        case typestream.ToolCallDelta(call, _, name, arguments):
            assert_type(call, int)
            return f"{name}: {arguments}"
        case typestream.Usage(output=count):
            return str(assert_type(count, int | None))
        case typestream.Finish(reason):
            return reason
        case _:
            return str(event.raw)


def replayed() -> None:
    assert_type(typestream.replay("any text"), TokenStream)
    typestream.replay(Result.from_json("{}")).paced(pacing.Steady(30, per="word") + pacing.Pause())
    typestream.replay("typed").paced(pacing.Typist(wpm=240, seed=7))


def local() -> None:
    def step(context: str) -> str | None:
        return context[:1] or None

    async def later(context: str) -> str | None:
        return None

    assert_type(typestream.generate(step, "prompt", max_tokens=256, stop=["\n\n"], context=2048), TokenStream)
    assert_type(typestream.generate(later), AsyncTokenStream)


def wrapped() -> None:
    for chunk in typestream.wrap(client.chat.completions.create(model="m", messages=[], stream=True), pacing.Smooth()):
        assert_type(chunk, ChatCompletionChunk)


class Hurried(pacing.Pacing):
    def delay(self, piece: str, moment: pacing.Moment) -> float:
        return 0.5 / max(1, moment.count)


def own_policy() -> None:
    assert_type(simulate([(0.0, "ab")], Hurried()), list[tuple[float, str]])
    with VirtualClock():
        typestream.replay("ab").paced(Hurried(), order="flush").collect()


def failures() -> None:
    try:
        typestream.stream(iter(["a"])).collect()
    except typestream.StallTimeout as error:
        assert_type(error.result, Result)
        assert_type(error.alive, bool)
    except typestream.StreamError as error:
        print(error.result.text)


def iterators(stream: TokenStream, astream: AsyncTokenStream) -> None:
    texts: Iterator[str] = stream
    events: Iterator[Event] = stream.events()
    atexts: AsyncIterator[str] = astream
    print(texts, events, atexts)
    branches: tuple[TokenStream, ...] = stream.tee(2, lag=100, policy="raise")
    assert_type(branches[0], TokenStream)
    assert_type(stream.tee(2).join(), TokenStream)
    assert_type(typestream.stream(lambda: ["a"], retries=2), TokenStream)
