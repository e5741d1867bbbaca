"""What `testing.check_stream` checks of a source."""

from collections.abc import Callable
from typing import Any

from typestream._open import stream
from typestream._sync import TokenStream
from typestream.errors import StreamError, UnsupportedSource
from typestream.pacing import Steady
from typestream.result import Result

__all__ = ("check",)


def check(maker: Callable[[], Any]) -> None:
    """Read what `maker` makes in every way a stream can be read; see `testing.check_stream`."""
    whole = _collected(maker, "reading the source raised")
    _same(
        whole,
        _collected(maker, "a second source, which has to be a new one, raised"),
        "a second source gave another answer; check_stream needs the same each time",
    )
    assert whole.completion != "incomplete", "the source ended without a marker that says that the answer is whole"
    reading = _sync(maker)
    text = "".join(reading)
    assert text == whole.text, f"plain iteration gave {text!r}, collect() {whole.text!r}"
    _same(whole, _folded(maker), "events() did not give what collect() did")
    _same(whole, _sync(maker).paced(Steady(1e9)).collect(), "pacing changed the answer")
    for branch in _sync(maker).tee(2):
        _same(whole, branch.collect(), "a tee branch gave another answer")
    _closes(maker)


def _collected(maker: Callable[[], Any], complaint: str) -> Result:
    try:
        return _sync(maker).collect()
    except (StreamError, UnsupportedSource) as exc:
        raise AssertionError(f"{complaint} {type(exc).__name__}: {exc}") from exc


def _sync(maker: Callable[[], Any]) -> TokenStream:
    made: Any = stream(maker())
    twin: TokenStream = made if isinstance(made, TokenStream) else made.as_sync()
    return twin


def _folded(maker: Callable[[], Any]) -> Result:
    reading, result = _sync(maker), Result()
    for event in reading.events():
        result.add(event)
    result.completion = reading.result.completion
    return result


def _same(expected: Result, found: Result, complaint: str) -> None:
    assert found == expected, f"{complaint}: {found.to_dict()} instead of {expected.to_dict()}"


def _closes(maker: Callable[[], Any]) -> None:
    """A source that was left in the middle is closed, and closing twice is harmless."""
    reading = _sync(maker)
    next(reading, None)
    reading.close()
    reading.close()
