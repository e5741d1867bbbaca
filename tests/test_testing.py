"""The helpers for tests are right themselves."""

from typing import Any

import anyio.lowlevel
import pytest

import typestream
from typestream.testing import VirtualClock, check_stream, faulty, script


@pytest.mark.parametrize(("after", "at"), [(0, 0.0), (1, 0.0), (2, 100.0)])
def test_a_faulty_source_breaks_off_at_once(after, at):
    with VirtualClock() as clock:
        stream = typestream.stream(faulty(script([(0, "a"), (100, "b")]), after=after, error=RuntimeError()))
        with pytest.raises(typestream.SourceError) as caught:
            stream.collect()
        assert (caught.value.result.text, clock.now()) == ("ab"[:after], at)


def test_a_faulty_source_closes_what_it_was_made_of():
    left = []

    def source():
        try:
            yield from "abc"
        finally:
            left.append(True)

    with typestream.stream(faulty(source(), after=3)) as stream:
        next(stream)
    assert left


def shared():
    items = iter("abc")
    return lambda: items


def raising():
    yield "a"
    raise KeyError("x")


@pytest.mark.parametrize(
    ("maker", "complaint"),
    [
        (shared(), "a second source, which has to be a new one, raised StreamTruncated"),
        (lambda: 5, "reading the source raised UnsupportedSource"),
        (raising, "reading the source raised SourceError: .*KeyError"),
        (lambda: [{"choices": [{"delta": {"content": "x"}}]}], "reading the source raised StreamTruncated"),
    ],
)
def test_what_is_wrong_with_a_source_is_an_assertion_that_says_so(maker, complaint):
    with pytest.raises(AssertionError, match=complaint):
        check_stream(maker)


def test_there_are_two_backends():
    backend: Any = "curio"
    with pytest.raises(ValueError, match="asyncio"):
        VirtualClock().run(anyio.lowlevel.checkpoint, backend)
