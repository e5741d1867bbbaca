"""A streamer of transformers that somebody else fills, and an eye on whoever that is.

Rules: a streamer hears neither of `generate`'s errors nor of its reader's leaving. So the end of the thread (or future)
that fills it is put into its queue behind its pieces; and its `put`, which `generate` calls with each token, is
replaced by one that raises once the reader has left. A thread that was not passed is looked for.
"""

import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from queue import Empty
from types import FrameType
from typing import Any, Final

from typestream import _aio
from typestream.errors import StallTimeout, StreamClosed
from typestream.sources._pushed import AWAITED, PATIENCE, Left, portable

__all__ = ("AsyncWatched", "Watched")

TICK: Final = 0.05
"""Seconds between two looks at whether the thread still lives, where it cannot be made to tell."""

_OVER: Final = object()


class _Watch:
    """What both kinds of streamer have.

    Args:
        streamer: has a `text_queue`, a `put`, a `stop_signal` and perhaps a `timeout` in seconds.
        thread: the thread or future of `generate`, where it is known.
        send: puts something behind what is in the queue, from any thread.
    """

    def __init__(self, streamer: Any, thread: Any, send: Callable[[Any], None]) -> None:
        self._streamer = streamer
        self._thread = thread
        self._send = send
        self._error: BaseException | None = None
        self._left = self._over = self._tells = False  # it tells of its end itself
        self._begun = _begun(streamer)
        streamer.put, streamer.end = self._guarded(streamer.put), self._guarded(streamer.end)
        if hasattr(thread, "add_done_callback"):
            self._tells = True
            thread.add_done_callback(self._done)

    def _guarded(self, call: Callable[..., None]) -> Callable[..., None]:
        def guarded(*given: Any) -> None:
            if self._left:
                raise self._leave()
            self._begun = True
            try:
                call(*given)
            except RuntimeError:
                if self._left:  # just now, and the event loop is gone
                    raise self._leave() from None
                raise

        return guarded

    def _leave(self) -> BaseException:
        """What ends `generate`: where a thread was given, without a word; a pool or a main thread may not be ended."""
        return SystemExit() if self._thread is threading.current_thread() else Left("The reader of the streamer left.")

    def _done(self, future: Any) -> None:
        self._fail(RuntimeError("generate() was cancelled.") if future.cancelled() else future.exception())

    def _fail(self, error: BaseException | None) -> None:
        self._error = portable(error)
        self._send(_OVER)

    def _start(self) -> None:
        """Start the thread, where that is left to the stream: what it raises can then be caught."""
        thread = self._thread
        if self._left or not isinstance(thread, threading.Thread) or thread.ident is not None:
            return
        self._tells, run = True, thread.run

        def watched() -> None:
            error: BaseException | None = None
            try:
                run()
            except BaseException as exc:
                error = exc
            finally:
                self._fail(error)

        thread.run = watched  # type: ignore[method-assign]
        thread.start()

    def _lives(self) -> bool:
        """Whether there may be more: a thread that is not known is one that has the streamer as a local variable."""
        if self._tells:
            return True
        if isinstance(self._thread, threading.Thread):
            return self._thread.is_alive()
        holders = _holders(self._streamer)
        self._begun = self._begun or bool(holders)
        return bool(holders) or not self._begun

    def _missed(self, lives: bool, waited: int) -> None:
        """Nothing came for so many ticks.

        Raises:
            RuntimeError: nothing will come.
            StallTimeout: the streamer's own timeout ran out.
        """
        if not lives:
            raise RuntimeError("generate() failed in its thread: the streamer got no end.")
        most = getattr(self._streamer, "timeout", None)
        if most is not None and waited * TICK >= most:
            raise StallTimeout(f"The streamer's own timeout of {most} s ran out.", kind="between")

    def _text(self, piece: Any) -> str | None:
        """A piece of the queue; None at the end."""
        if piece is not _OVER and piece != self._streamer.stop_signal:
            return str(piece)
        self._over = True
        if self._left:
            raise StreamClosed("The source was closed.")
        if piece is _OVER:
            raise self._error or RuntimeError("generate() ended, and the streamer got no end.")
        return None

    def interrupt(self) -> None:
        """Wake the reader, and have `generate` end with its next token."""
        self._left = True
        self._send(_OVER)


class Watched(_Watch, Iterator[str]):
    """The pieces of a `TextIteratorStreamer`, and the end of what fills it."""

    def __init__(self, streamer: Any, thread: Any) -> None:
        super().__init__(streamer, thread, streamer.text_queue.put)

    def __next__(self) -> str:
        self._start()
        text = None if self._over else self._text(_OVER if self._left else self._wait())
        if text is None:
            raise StopIteration
        return text

    def _wait(self) -> Any:
        queue = self._streamer.text_queue
        for waited in count(1):
            try:
                return queue.get(timeout=TICK)
            except Empty:
                lives = self._lives()  # asked first: what was said before its end is in the queue by then
            if queue.empty():
                self._missed(lives, waited)

    def close(self) -> None:
        """End it as `interrupt` does, and wait for the thread."""
        if not self._over:
            self.interrupt()
        thread = self._thread
        if isinstance(thread, threading.Thread) and thread.ident not in (None, threading.get_ident()):
            thread.join(PATIENCE)


class AsyncWatched(_Watch, AsyncIterator[str]):
    """The text of an `AsyncTextIteratorStreamer`, in the event loop where that was made."""

    def __init__(self, streamer: Any, thread: Any) -> None:
        super().__init__(streamer, thread, self._behind)

    def _behind(self, item: Any) -> None:
        try:
            self._streamer.loop.call_soon_threadsafe(self._streamer.text_queue.put_nowait, item)
        except RuntimeError:
            pass  # the loop is gone, and with it whoever waited

    async def __anext__(self) -> str:
        self._start()
        text = None if self._over else self._text(_OVER if self._left else await self._wait())
        if text is None:
            raise StopAsyncIteration
        return text

    async def _wait(self) -> Any:
        queue = self._streamer.text_queue
        for waited in count(1):
            with _aio.Scope(deadline=self._streamer.loop.time() + TICK):
                return await queue.get()
            lives = self._lives()
            await _aio.checkpoint()  # what was said is on its way
            if queue.empty():
                self._missed(lives, waited)

    async def aclose(self) -> None:
        """Have `generate` end with its next token, and wait for its thread for a moment."""
        if not self._over:
            self.interrupt()
        end = self._streamer.loop.time() + AWAITED
        thread = self._thread
        while isinstance(thread, threading.Thread) and thread.is_alive() and self._streamer.loop.time() < end:
            await _aio.sleep(0.001)


def _begun(streamer: Any) -> bool:
    """Whether `generate` was there already."""
    waiting = bool(getattr(streamer, "token_cache", ())) or not streamer.text_queue.empty()
    return waiting or not getattr(streamer, "next_tokens_are_prompt", True)


def _holders(streamer: Any) -> set[int]:
    """The other threads that have it as a local variable: one in which `generate` runs has."""
    frames = sys._current_frames()
    frames.pop(threading.get_ident(), None)
    return {ident for ident, frame in frames.items() if _holds(frame, streamer)}


def _holds(frame: FrameType | None, thing: Any) -> bool:
    while frame is not None:
        if any(each is thing for each in list(frame.f_locals.values())):
            return True
        frame = frame.f_back
    return False
