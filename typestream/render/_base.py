"""What every renderer is: events in, text out. A renderer never writes; whoever drives it does."""

from typing import Protocol, runtime_checkable

from typestream.errors import StreamError
from typestream.events import Event
from typestream.result import Result

__all__ = ("Renderer", "finished")


@runtime_checkable
class Renderer(Protocol):
    """Turns one stream's events into text. One object renders one stream.

    A renderer may also have `fail(error) -> str`, called instead of `finish` when the stream broke off, with the
    `StreamError`, whose `.result` is the partial answer.
    """

    def feed(self, event: Event) -> str:
        """What to write for the event, `""` for nothing."""
        ...

    def finish(self, result: Result) -> str:
        """What to write at the end. `result.completion` is `"incomplete"` when the stream broke off."""
        ...


def finished(renderer: Renderer, result: Result, error: StreamError | None = None) -> str:
    """A renderer's last words: its `fail(error)` where there is an error and it has one, else its `finish(result)`."""
    fail = getattr(renderer, "fail", None)
    if error is not None and fail is not None:
        words: str = fail(error)
        return words
    return renderer.finish(result)
