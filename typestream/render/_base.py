"""The protocol of renderers: events in, text out. A renderer never writes; its caller does."""

from typing import Protocol, runtime_checkable

from typestream.errors import StreamError
from typestream.events import Event
from typestream.result import Result

__all__ = ("Renderer", "finished")


@runtime_checkable
class Renderer(Protocol):
    """Turns one stream's events into text. One object renders one stream.

    A renderer may also have `fail(error) -> str`, called instead of `finish` if the stream broke off. `error` is the
    `StreamError`; its `.result` is the partial answer.
    """

    def feed(self, event: Event) -> str:
        """The text to write for the event; `""` for nothing."""
        ...

    def finish(self, result: Result) -> str:
        """The text to write at the end. `result.completion` is `"incomplete"` if the stream broke off."""
        ...


def finished(renderer: Renderer, result: Result, error: StreamError | None = None) -> str:
    """A renderer's last words: `fail(error)` if there is an error and the renderer has that method, else
    `finish(result)`."""
    fail = getattr(renderer, "fail", None)
    if error is not None and fail is not None:
        words: str = fail(error)
        return words
    return renderer.finish(result)
