"""What calls back with each of its pieces, as something to be read.

Rules: it runs in a thread of its own, which starts when the first piece is asked for; its end and its error come after
its pieces, at once; when the reader leaves, the next piece it hands over raises `Left`, which ends it.
"""

import threading
from collections.abc import Callable, Iterator
from math import inf
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from typestream._readahead import thread_context
from typestream._source import SyncSource
from typestream.errors import StreamClosed

if TYPE_CHECKING:
    from typestream._source import AsyncReadable

__all__ = ("Left", "Pushed", "PushedSource", "portable")

PATIENCE: Final = 0.5
"""Seconds that closing waits for the thread: a slower model ends by itself, with its next token."""

AWAITED: Final = 0.05
"""Seconds that closing waits for it in an event loop."""


class Left(BaseException):
    """The reader has left. No `except Exception` on the way out of a model holds this up."""


def portable(error: BaseException | None) -> Exception | None:
    """What a thread ended with, as its reader may raise it in another."""
    if error is None or isinstance(error, Left):
        return None
    if isinstance(error, Exception) and not isinstance(error, (StopIteration, StopAsyncIteration)):
        return error
    # an interrupt or an exit is about that thread alone, and a StopIteration would look like an end
    carried = RuntimeError(f"The model's thread ended with {type(error).__name__}.")
    carried.__cause__ = error
    return carried


class _End:
    """The last thing in the queue: the error, or None."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error


class Pushed(Iterator[Any]):
    """Runs `produce(put)` in a thread and gives what it puts.

    Args:
        produce: calls `put(item)` with each item, or with None to see whether it may go on, and returns at its end.
        ahead: how many items may wait to be read before `put` blocks, at least 1; None for any number.

    Raises:
        ValueError: `ahead` is no such number.
    """

    def __init__(self, produce: Callable[[Callable[[Any], None]], None], ahead: int | None = None) -> None:
        self._produce = produce
        self._queue: SimpleQueue[Any] = SimpleQueue()
        if ahead is not None and (type(ahead) is not int or ahead < 1):
            raise ValueError(f"ahead must be None or a whole number of at least 1, not {ahead!r}.")
        self._room = None if ahead is None else threading.Semaphore(ahead)
        self._thread: threading.Thread | None = None
        self._left = self._over = self._done = False
        self.notify: Callable[[], None] | None = None  # called whenever there is something to be read

    @property
    def ready(self) -> bool:
        """Whether reading would not wait."""
        return self._over or self._left or not self._queue.empty()

    @property
    def running(self) -> bool:
        """Whether the thread has more to do than to end."""
        return self._thread is not None and not self._done

    def __next__(self) -> Any:
        if self._over:
            raise StopIteration
        self.start()
        item = self._queue.get()
        if type(item) is _End:
            self._end(item.error)
        if self._room is not None:
            self._room.release()
        return item

    def start(self) -> None:
        """Start the thread, unless it was."""
        if self._thread is not None:
            return
        if self._left:
            self._end(StreamClosed("The source was closed."))
        context = thread_context()
        self._thread = threading.Thread(target=context.run, args=(self._run,), name="typestream model", daemon=True)
        self._thread.start()

    def _end(self, error: Exception | None) -> None:
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
        except BaseException as exc:
            error = exc
        self._done = True
        self._give(_End(portable(error)))

    def _give(self, item: Any) -> None:
        self._queue.put(item)
        if self.notify is not None:
            self.notify()

    def _put(self, item: Any) -> None:
        if self._left:
            raise Left
        if item is None:
            return
        if self._room is not None:
            self._room.acquire()
        if self._left:  # while it waited; whoever else waits is to hear of it, too
            if self._room is not None:
                self._room.release()
            raise Left
        self._give(item)

    def interrupt(self) -> None:
        """Wake a blocked reader, and end the thread with its next piece. May be called from any thread."""
        self._left = True
        if self._room is not None:
            self._room.release()
        self._give(_End(StreamClosed("The source was closed.")))

    def close(self, patience: float = PATIENCE) -> None:
        """End the thread with its next piece, and wait for it, at most so many seconds."""
        if not self._left and not self._over:
            self.interrupt()
        self._join(patience)

    def _join(self, patience: float = PATIENCE) -> None:
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(patience)


class PushedSource(SyncSource):
    """A `Pushed` as the drivers see it: the sync one as any iterator, the async one without a thread in between."""

    def __init__(self, pushed: Pushed, *, name: str, decoder: Any = None) -> None:
        super().__init__(pushed, decoder=decoder)
        self.name = name
        self._pushed = pushed

    def awaited(self) -> "AsyncReadable":
        """This source, to be awaited."""
        return _Awaited(self, self._pushed)


class _Awaited:
    """The other end of the queue in an event loop.

    Attributes:
        wake: ends a read that waits.
    """

    memory = wire = False

    def __init__(self, source: PushedSource, pushed: Pushed) -> None:
        from typestream import _aio

        self.name = source.name
        self.decoder = source.decoder
        self.wake = pushed.interrupt
        self._pushed = pushed
        self._waker = _aio.Waker()

    async def read(self) -> Any:
        """The next item; raises StopAsyncIteration at the end."""
        pushed = self._pushed
        if pushed.notify is None:
            self._waker.bind()
            pushed.notify = self._waker.wake
            pushed.start()
        while not pushed.ready:
            await self._waker.wait(inf, lambda: pushed.ready)
        try:
            return next(pushed)
        except StopIteration:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        """End the thread with its next piece, and wait for it for a moment."""
        pushed = self._pushed
        pushed.interrupt()
        await self._waker.wait(self._waker.now() + AWAITED, lambda: not pushed.running)
        pushed.close(0.0 if pushed.running else PATIENCE)

    def __del__(self) -> None:  # whoever was to read it was dropped, perhaps after its loop
        if self._pushed.running:
            self._pushed.interrupt()
