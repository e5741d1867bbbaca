"""Any generator as a source: what it gives, what it raises, and what it does when it is told to stop."""

import asyncio
import contextvars
import itertools
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio
import pytest

import typestream
from tests.local.conftest import until
from typestream import Start, TextDelta, Usage, _readahead, pacing
from typestream._readahead import LIMIT
from typestream.testing import VirtualClock


def test_strings_bytes_and_nothing(read):
    def source() -> Iterator[Any]:
        yield None
        yield "caf"
        yield b"\xc3"
        yield None
        yield b"\xa9"
        yield ""
        yield bytearray("€".encode())

    read(typestream.stream(source()))
    assert "".join(read.texts) == "café€"
    assert all(read.texts)


class Scalar:
    """As numpy's: a number with a module, a shape and a type."""

    dtype, shape, ndim = "int64", (), 0

    def __init__(self, value: int) -> None:
        self._number = value

    def item(self) -> int:
        return self._number

    __int__ = __index__ = item


@pytest.mark.parametrize("item", [3, 2.5, True, Scalar(3), object()])
def test_what_is_no_text_is_refused_by_name(read, item):
    with pytest.raises(typestream.UnsupportedSource, match=type(item).__name__):
        read(typestream.stream(iter([item])))


def test_numpy_scalars_and_arrays_are_refused_by_name(read):
    numpy = pytest.importorskip("numpy")
    for item in (numpy.int64(3), numpy.float32(0.5), numpy.arange(3)):
        with pytest.raises(typestream.UnsupportedSource, match=rf"numpy\.{type(item).__name__}"):
            read(typestream.stream(iter([item])))
    read(typestream.stream(iter([numpy.str_("text")])))
    assert read.texts == ["text"]


def test_tensors_are_refused_by_name(read):
    torch = pytest.importorskip("torch")
    for item in (torch.tensor(3), torch.tensor([1, 2]), torch.tensor([[0.5]]), torch.tensor([])):
        with pytest.raises(typestream.UnsupportedSource, match=r"torch\.Tensor, a number.*Detokenizer"):
            read(typestream.stream(iter([item])))


def test_a_number_after_text_keeps_the_text(read):
    with pytest.raises(typestream.StreamError, match="int") as caught:
        read(typestream.stream(iter(["a", "b", 3])))
    assert caught.value.result.text == "ab"


class Letters(str):
    """As numpy's strings and those of an enumeration: characters, and another `str()`."""

    def __str__(self) -> str:
        return "another"


class Marked(TextDelta):
    """An event of somebody's own."""


DATA = "é😀".encode()


@pytest.mark.parametrize(
    ("items", "text"),
    [
        ([Letters("a"), "b", Letters("é")], "abé"),
        ([Start(), TextDelta("a"), Letters("b"), DATA, bytearray(b"c")], "abé😀c"),
        ([Start(), DATA[:3], None, "", DATA[3:]], "é😀"),
        ([Start(), DATA[:3], Usage(1), DATA[3:]], "é😀"),
        ([Start(), DATA[:3], TextDelta("a"), "b"], "é\ufffdab"),
        ([Start(), DATA[:3], "b"], "é\ufffdb"),
        ([Marked("a"), TextDelta("b")], "ab"),
        ([TextDelta("a"), Marked("b", 0)], "ab"),
        ([DATA[:3], "", None, b"", DATA[3:]], "é😀"),
    ],
)
def test_text_of_every_kind_is_the_same_text(read, items, text):
    stream = typestream.stream(iter(items))
    events = read(stream)
    assert "".join(each.text for each in events if type(each) is TextDelta) == text
    assert (stream.result.text, stream.result.completion) == (text, "complete")


def test_events_that_end_inside_a_character(read):
    with pytest.raises(typestream.StreamTruncated) as caught:
        read(typestream.stream(iter([Start(), "a", DATA[:1]])))
    assert caught.value.result.text == "a"


@pytest.mark.parametrize("item", [{"choices": [{"delta": {"content": "b"}}]}, 5, ["b"], object()])
def test_events_that_go_on_with_something_else(read, item):
    with pytest.raises(typestream.StreamProtocolError, match=f"went on with .*{type(item).__name__}") as caught:
        read(typestream.stream(iter([TextDelta("a"), item])))
    assert caught.value.result.text == "a"


def test_a_generator_that_raises(read):
    def source() -> Iterator[str]:
        yield "half "
        raise LookupError("weights")

    with pytest.raises(typestream.SourceError, match="weights") as caught:
        read(typestream.stream(source()))
    assert isinstance(caught.value.__cause__, LookupError)
    assert caught.value.result.text == "half "


def test_a_generator_that_ignores_close(read):
    def source() -> Iterator[str]:
        while True:
            try:
                yield "again "
            except GeneratorExit:
                yield "still here"

    generator = source()
    read(typestream.stream(generator), most=2)
    assert read.texts == ["again ", "again "]


def test_a_generator_that_is_already_running(read):
    """What reads itself fails as any generator that does."""
    made: list[Any] = []

    def source() -> Iterator[str]:
        yield "a"
        yield next(made[0])

    made.append(source())
    with pytest.raises(typestream.SourceError, match="already executing") as caught:
        read(typestream.stream(made[0]))
    assert caught.value.result.text == "a"


def test_leaving_closes_the_generator(read):
    closed = threading.Event()

    def source() -> Iterator[str]:
        try:
            while True:
                yield "x"
        finally:
            closed.set()

    read(typestream.stream(source()), most=1)
    assert closed.wait(20)


@pytest.mark.parametrize("most", [1, None])
def test_leaving_closes_what_an_iterable_made(read, most):
    """Its `__iter__` is a generator, which somebody else holds on to."""
    made: list[Iterator[str]] = []
    ended: list[str] = []

    class Source:
        def __iter__(self) -> Iterator[str]:
            made.append(self.pieces())
            return made[0]

        def pieces(self) -> Iterator[str]:
            try:
                yield from "abc"
            finally:
                ended.append("pieces")

        def close(self) -> None:
            ended.append("source")

    read(typestream.stream(Source()), most=most)
    assert until(lambda: ended == ["pieces", "source"])


def test_text_cut_inside_its_characters(read):
    """Bytes of every kind, cut anywhere, and strings between whole characters."""
    data = "né € 👍🏽 日本".encode()
    kinds = (bytes, bytearray, memoryview)
    pieces = [kinds[place % 3](data[place : place + 1]) for place in range(len(data))]
    read(typestream.stream(iter([*pieces, "!", *pieces])))
    assert "".join(read.texts) == data.decode() + "!" + data.decode()
    assert "\ufffd" not in "".join(read.texts)


def test_bytes_that_end_in_a_character(read):
    with pytest.raises(typestream.StreamTruncated) as caught:
        read(typestream.stream(iter([b"caf", b"\xc3"])))
    assert caught.value.result.text == "caf"


@pytest.mark.parametrize("item", [["a"], ("a",), iter("ab"), {"a": 1}])
def test_what_is_nested_is_refused_by_name(read, item):
    with pytest.raises(typestream.UnsupportedSource, match=type(item).__name__):
        read(typestream.stream(iter([item])))


def test_a_generator_function_is_called(read):
    def source() -> Iterator[str]:
        yield "ab"

    read(typestream.stream(source))
    assert read.texts == ["ab"]


def test_a_generator_with_parameters_has_to_be_called():
    def source(text: str) -> Iterator[str]:
        yield text

    with pytest.raises(typestream.StreamError, match="source"):
        typestream.stream(source)  # type: ignore[arg-type]


def test_a_generator_without_end(read):
    read(typestream.stream(itertools.repeat("x")), most=50)
    assert read.texts == ["x"] * 50


def test_a_generator_that_says_nothing_for_ever_can_be_left():
    def source() -> Iterator[None]:
        while True:
            yield None

    with pytest.raises(typestream.StallTimeout):
        typestream.stream(source()).timeout(first=0.02).collect()

    async def main() -> bool:
        async with typestream.stream(source()).as_async() as stream:
            with anyio.move_on_after(0.02) as scope:
                await anext(stream)
        return scope.cancelled_caught

    assert anyio.run(main) and anyio.run(main, backend="trio")
    assert until(lambda: not [each for each in threading.enumerate() if each.name == "typestream"])


def test_what_is_read_here_is_asked_for_when_the_one_before_it_was_taken():
    asked: list[int] = []

    def source() -> Iterator[str]:
        for place in range(20):
            asked.append(place)
            yield chr(97 + place)

    assert [(text, len(asked)) for text in typestream.stream(source())] == [(chr(97 + at), at + 1) for at in range(20)]


def test_what_takes_long_is_asked_for_when_it_is_wanted():
    """It may be a request for each item."""
    asked: list[float] = []
    with VirtualClock() as clock:

        def source() -> Iterator[str]:
            for _ in range(5):
                asked.append(clock.now())
                clock.sleep_until(clock.now() + 0.2)
                yield "a"

        for _ in typestream.stream(source()).timeout(between=50):  # for the clocks' sake a thread reads it
            clock.sleep_until(clock.now() + 1.0)
    assert asked == pytest.approx([0.0, 1.2, 2.4, 3.6, 4.8])


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_what_a_thread_reads_at_once_is_asked_for_so_far_ahead_and_no_further(loop, monkeypatch):
    monkeypatch.setattr(_readahead, "QUICK", 60.0)  # whatever else the machine does
    asked: list[int] = []
    taken = 0

    def source() -> Iterator[str]:
        for place in range(1000):
            asked.append(place - taken)
            yield f"{place} "

    async def main() -> str:
        nonlocal taken
        pieces: list[str] = []
        async for text in typestream.stream(source()).as_async():
            if not pieces:
                assert until(lambda: len(asked) > LIMIT)
            pieces.append(text)
            taken += 1
        return "".join(pieces)

    assert anyio.run(main, backend=loop) == "".join(f"{place} " for place in range(1000))
    assert max(asked) <= 2 * LIMIT  # as many as were taken at once, and as many as wait


def _buffers() -> Iterator[memoryview]:
    buffer = bytearray(3)
    for place in range(200):
        buffer[:] = b"%02d " % (place % 100)
        yield memoryview(buffer)


def _dicts() -> Iterator[dict[str, Any]]:
    choice: dict[str, Any] = {"index": 0, "delta": {}, "finish_reason": None}
    chunk = {"choices": [choice]}
    for place in range(200):
        choice["delta"]["content"] = f"{place % 100:02} "
        yield chunk
    choice.update(delta={}, finish_reason="stop")
    yield chunk


READ_AHEAD: dict[str, Callable[[Any], Any]] = {
    "here": lambda stream: stream,
    "clocks": lambda stream: stream.timeout(between=60),
    "Smooth": lambda stream: stream.paced(pacing.Smooth(max_lag=1e-3, tail=1e-3)),
}


@pytest.mark.parametrize("way", READ_AHEAD)
@pytest.mark.parametrize("source", [_buffers, _dicts])
def test_what_is_filled_again_for_each_item_is_read_in_time(read, source, way):
    async def waited() -> AsyncIterator[Any]:
        for item in source():
            yield item

    said = "".join(f"{place % 100:02} " for place in range(200))
    read(READ_AHEAD[way](typestream.stream(source())))
    assert "".join(read.texts) == said
    read(
        READ_AHEAD[way](
            typestream.stream(waited()).as_sync() if read.runtime == "sync" else typestream.stream(waited())
        )
    )
    assert "".join(read.texts) == said


VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


def test_context_variables_are_kept_from_item_to_item(read):
    def source() -> Iterator[str]:
        yield VARIABLE.get()
        VARIABLE.set("of the generator")
        yield VARIABLE.get()

    context = contextvars.copy_context()
    context.run(VARIABLE.set, "of the reader")
    context.run(read, typestream.stream(source()))
    assert read.texts == ["of the reader", "of the generator"]


class Mute(Exception):
    __module__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        raise AttributeError("said")


@pytest.mark.parametrize("error", [StopIteration("x"), StopAsyncIteration(), GeneratorExit(), Exception(), Mute()])
def test_odd_exceptions_of_a_generator(read, error):
    def source() -> Iterator[str]:
        yield "half"
        raise error

    with pytest.raises((typestream.SourceError, GeneratorExit)) as caught:
        read(typestream.stream(source()))
    if isinstance(error, Exception):
        assert caught.value.result.text == "half"


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
@pytest.mark.parametrize("error", [asyncio.CancelledError(), GeneratorExit(), StopAsyncIteration()])
def test_what_a_blocking_source_raises_cancels_nobody(loop, error):
    def source() -> Iterator[str]:
        yield "half"
        raise error

    async def main() -> str:
        with pytest.raises(typestream.SourceError) as caught:
            await typestream.stream(source()).as_async().collect()
        assert caught.value.__cause__ is error
        return caught.value.result.text

    assert anyio.run(main, backend=loop) == "half"


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_an_async_generator_that_swallows_cancellation(loop):
    """The reader goes when it is told to; what the generator says after that is nobody's."""

    async def source() -> Any:
        yield "a"
        try:
            await anyio.sleep(20)
        except anyio.get_cancelled_exc_class():
            yield "b"
        yield "c"

    async def main() -> list[str]:
        texts = []
        stream = typestream.stream(source())
        with anyio.move_on_after(0.02):
            async for text in stream:
                texts.append(text)
        await stream.aclose()
        return texts

    assert anyio.run(main, backend=loop)[:1] == ["a"]


CHUNK = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "model.gguf"}


def llama_chat() -> Iterator[dict[str, Any]]:
    """The dicts of llama-cpp-python's `create_chat_completion(stream=True)`, after `llama_types.py`."""
    deltas = [{"role": "assistant"}, {"content": "Hé"}, {"content": "llo"}, {}]
    for place, delta in enumerate(deltas):
        reason = "length" if place == len(deltas) - 1 else None
        yield {**CHUNK, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]}


def llama_text() -> Iterator[dict[str, Any]]:
    """Those of `Llama.__call__(stream=True)`."""
    for text, reason in (("Hé", None), ("llo", None), ("", "length")):
        choice = {"text": text, "index": 0, "logprobs": None, "finish_reason": reason}
        yield {**CHUNK, "object": "text_completion", "choices": [choice]}


@pytest.mark.parametrize("source", [llama_chat, llama_text])
def test_the_dicts_of_llama_cpp_python(read, source):
    stream = typestream.stream(source())
    read(stream)
    assert "".join(read.texts) == "Héllo"
    assert stream.result.model == "model.gguf"
    assert (stream.result.finish_reason, stream.result.completion) == ("length", "complete")
    assert stream.result.usage is None


def test_no_usage_is_made_up():
    assert typestream.stream(iter(["a", "b"])).collect().usage is None
    assert typestream.generate(lambda text: None if text else "a").collect().usage is None
    assert typestream.generate(lambda ids: None, [1, 2], decode=bytes).collect().usage == Usage(2, 0, 2)


@pytest.mark.parametrize("ahead", [None, 1, 2])
def test_a_server_that_calls_back_after_it_was_told_to_end(read, ahead):
    """Every call of it ends at once, so that its thread does."""
    ended = threading.Event()

    class Server:
        def handle_chat_completions(self, request: Any, take: Any) -> None: ...

        def handle_completions(self, request: Any, take: Any) -> None:
            for _ in range(20):
                take({"object": "text_completion", "choices": [{"index": 0, "text": "x", "finish_reason": None}]})
            ended.set()

    read(typestream.sources.xllamacpp.generate(Server(), "", ahead=ahead), most=1)
    assert read.texts == ["x"]
    assert ended.wait(5)
