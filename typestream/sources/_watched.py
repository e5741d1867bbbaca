"""A streamer of transformers that somebody else fills."""

from collections.abc import Iterator
from queue import Empty
from threading import current_thread
from typing import Any, Final

from typestream.errors import StreamClosed
from typestream.sources._pushed import PATIENCE, Left

__all__ = ("Watched",)

TICK: Final = 0.05
"""Seconds between two looks at whether the thread still lives, where it cannot be made to tell."""

_OVER: Final = object()


class Watched(Iterator[str]):
    """The pieces of a streamer, and the end of the thread that fills it."""

    def __init__(self, streamer: Any, thread: Any) -> None:
        self._streamer = streamer
        self._thread = thread
        self._error: BaseException | None = None
        self._left = self._over = False
        self._blind = thread is not None and thread.ident is not None  # what it raises goes elsewhere

    def __next__(self) -> str:
        if self._thread is not None and self._thread.ident is None:
            self._start()
        piece = _OVER if self._left or self._over else self._wait()
        if piece is not _OVER and piece != self._streamer.stop_signal:
            return str(piece)
        self._over = True
        if self._left:
            raise StreamClosed("The source was closed.")
        if self._error is not None:
            raise self._error
        raise StopIteration

    def _start(self) -> None:
        run, queue = self._thread.run, self._streamer.text_queue

        def watched() -> None:
            try:
                run()
            except BaseException as exc:
                self._error = None if isinstance(exc, Left) else exc
            finally:
                queue.put(_OVER)

        self._thread.run = watched
        self._thread.start()

    def _wait(self) -> Any:
        queue = self._streamer.text_queue
        if not self._blind:
            return queue.get()
        while True:
            alive = self._thread.is_alive()  # asked first: what it said before it ended is in the queue by then
            try:
                return queue.get(timeout=TICK if alive else 0)
            except Empty:
                if not alive:
                    self._error = RuntimeError("generate() failed in its thread: the streamer got no end.")
                    return _OVER

    def interrupt(self) -> None:
        """Wake the reader, and have `generate` end with its next token."""
        self._left = True
        self._streamer.put = _leave
        self._streamer.text_queue.put(_OVER)

    def close(self) -> None:
        """The same, and wait for the thread."""
        if not self._over:
            self.interrupt()
        if self._thread is not None and self._thread.ident is not None and self._thread is not current_thread():
            self._thread.join(PATIENCE)


def _leave(value: Any) -> None:
    raise Left
