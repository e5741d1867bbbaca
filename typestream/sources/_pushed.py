"""What calls back with each of its pieces, as something to be read.

Rules: it runs in a thread of its own, which starts when the first piece is asked for; its end and its error come after
its pieces, at once; when the reader leaves, the next piece it hands over raises `Left`, which ends it.
"""

import contextvars
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any, Final

from typestream.errors import StreamClosed

__all__ = ("Left", "Pushed")

PATIENCE: Final = 0.5
"""Seconds that closing waits for the thread: a slower model ends by itself, with its next token."""


class Left(SystemExit):
    """The reader has left. No `except Exception` on the way out of a model holds this up, and a thread that it ends
    says nothing about it."""


class _End:
    """The last thing in the queue: the error, or None."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class Pushed(Iterator[Any]):
    """Runs `produce(put)` in a thread and gives what it puts.

    Args:
        produce: calls `put(item)` with each item, and returns at its end.
        ahead: how many items may wait to be read before `put` blocks; None for any number.
    """

    def __init__(self, produce: Callable[[Callable[[Any], None]], None], ahead: int | None = None) -> None:
        self._produce = produce
        self._queue: SimpleQueue[Any] = SimpleQueue()
        self._room = None if ahead is None else threading.Semaphore(ahead)
        self._thread: threading.Thread | None = None
        self._left = self._over = False

    def __next__(self) -> Any:
        if self._over:
            raise StopIteration
        if self._thread is None:
            self._start()
        item = self._queue.get()
        if type(item) is _End:
            self._end(item.error)
        if self._room is not None:
            self._room.release()
        return item

    def _start(self) -> None:
        if self._left:
            self._end(StreamClosed("The source was closed."))
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._run,), name="typestream model", daemon=True)
        self._thread.start()

    def _end(self, error: BaseException | None) -> None:
        self._over = True
        if not self._left:
            self._join()  # it ended: this says when the thread has, too
        if error is not None:
            raise error
        raise StopIteration

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            self._produce(self._put)
        except Left:
            pass
        except Exception as exc:
            error = exc
        except BaseException as exc:  # SystemExit and the like are about this thread, not the reader's
            error = RuntimeError(f"The model's thread ended with {type(exc).__name__}.")
            error.__cause__ = exc
        if isinstance(error, StopIteration):  # it would look like an end
            error = RuntimeError("The model raised StopIteration.")
        self._queue.put(_End(error))

    def _put(self, item: Any) -> None:
        if self._room is not None:
            self._room.acquire()
        if self._left:
            raise Left
        self._queue.put(item)

    def interrupt(self) -> None:
        """Wake a blocked reader, and end the thread with its next piece. May be called from any thread."""
        self._left = True
        if self._room is not None:
            self._room.release()
        self._queue.put(_End(StreamClosed("The source was closed.")))

    def close(self) -> None:
        """End the thread with its next piece, and wait for it."""
        if not self._left and not self._over:
            self.interrupt()
        self._join()

    def _join(self) -> None:
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(PATIENCE)
