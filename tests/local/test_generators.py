"""Any generator as a source: what it gives, what it raises, and what it does when it is told to stop."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

import typestream
from typestream import Usage


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


def test_a_number_after_text_keeps_the_text(read):
    with pytest.raises(typestream.StreamError, match="int") as caught:
        read(typestream.stream(iter(["a", "b", 3])))
    assert caught.value.result.text == "ab"


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
