"""Writes what a renderer made. The only part of rendering that writes."""

import sys
from collections import deque
from itertools import tee
from typing import Any, Protocol

from typestream.errors import StreamError
from typestream.events import Event
from typestream.render._base import Renderer, finished
from typestream.result import Result

__all__ = ("Rendering", "Sink", "attach", "write")

_NOTHING: Any = object()


class Sink(Protocol):
    """A file open for text, or anything else with `write(str)`."""

    def write(self, text: str, /) -> Any: ...


def write(file: Sink, text: str) -> None:
    """Write and flush. A character that the file's encoding does not have is written as an escape (`\\u2013`), never an
    error."""
    if not text:
        return
    try:
        file.write(text)
    except UnicodeEncodeError:
        encoding = getattr(file, "encoding", None) or "ascii"
        file.write(text.encode(encoding, "backslashreplace").decode(encoding))
    _flush(file)


def _flush(file: Sink) -> None:
    flush = getattr(file, "flush", None)
    if flush is not None:
        flush()


def attach(renderer: Any, file: Any) -> None:
    """Tell a renderer what its text will be written to, if it has an `attach(file)`."""
    wants = getattr(renderer, "attach", None)
    if wants is not None:
        wants(file)


class Rendering:
    """A renderer that writes to a file: its last words are written however the `with` block is left.

    Args:
        renderer: makes text of events.
        file: where the text is written; standard output if None.
        result: the stream's result, final when the block is left.

    Raises:
        TypeError: `renderer` or `file` is something else.
    """

    def __init__(self, renderer: Renderer, file: Sink | None, result: Result) -> None:
        if isinstance(renderer, type) or not hasattr(renderer, "feed") or not hasattr(renderer, "finish"):
            what = f"the class {renderer.__name__}" if isinstance(renderer, type) else type(renderer).__name__
            raise TypeError(f"render() takes a renderer, which has feed and finish, not {what}.")
        if file is not None and not hasattr(file, "write"):
            raise TypeError(f"render(to) takes a text file, or what else has write(str), not {type(file).__name__}.")
        self._renderer = renderer
        self._file: Sink = sys.stdout if file is None else file
        self._result = result

    def __enter__(self) -> "Rendering":
        attach(self._renderer, self._file)
        return self

    def feed(self, event: Event) -> None:
        """Write the text that the renderer makes of an event."""
        # `map` makes both calls without a break. An interrupt in between would make a renderer believe that unwritten
        # text was written. But `map` takes a StopIteration for the end.
        made, kept = tee(map(self._renderer.feed, (event,)))
        try:
            written = deque(map(self._file.write, filter(None, made)), maxlen=1)
        except UnicodeEncodeError:
            text = next(kept, None)
            if text is None:  # the renderer raised it
                raise
            write(self._file, text)
            return
        text = next(kept, _NOTHING)
        if text is _NOTHING or (text and not written):
            raise RuntimeError(f"{'The renderer' if text is _NOTHING else 'The file'} raised StopIteration.")
        if text:
            _flush(self._file)

    def __exit__(self, kind: Any, exc: BaseException | None, trace: Any) -> None:
        error = exc if isinstance(exc, StreamError) else None
        write(self._file, finished(self._renderer, self._result, error))
