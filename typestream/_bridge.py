"""From one twin to the other: a thread reads a blocking source; an event loop in a thread reads an async one."""

from collections import deque
from math import inf
from typing import TYPE_CHECKING, Any

from typestream import _aio
from typestream._async import AsyncTokenStream
from typestream._clock import CLOCK, Clock, Monitor
from typestream._failures import failure
from typestream._readahead import Read, ThreadPump
from typestream._source import AsyncReadable, Readable
from typestream.errors import StreamBusy, StreamClosed

if TYPE_CHECKING:
    from typestream._sync import TokenStream

__all__ = ("InMemory", "LoopPump", "Threaded", "as_async", "as_sync")

_HANDED_OVER = "This stream was handed over to its other twin: go on with what as_async() or as_sync() gave"


class InMemory:
    """A blocking source that never blocks, to be awaited."""

    memory = True

    def __init__(self, source: Readable) -> None:
        self.source = source
        self.name = source.name
        self._reads = 0

    @property
    def decoder(self) -> Any:
        """The decoder, if opening the source has determined it; see `SyncSource`."""
        return self.source.decoder

    @decoder.setter
    def decoder(self, value: Any) -> None:
        self.source.decoder = value

    @property
    def wire(self) -> bool:
        return self.source.wire

    @property
    def refused(self) -> Any:
        """The error status of a call that was given up, or None; see `SyncSource`."""
        return getattr(self.source, "refused", None)

    async def read(self) -> Any:
        """The next item; raises StopAsyncIteration at the end."""
        self._reads += 1
        if self._reads % 64 == 0:  # others must have their turn, too
            await _aio.checkpoint()
        try:
            return self.source.read()
        except StopIteration:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        """Release everything."""
        self.source.close()


class Threaded(InMemory):
    """A blocking source to be awaited: a thread reads it.

    Args:
        source: what to read.
        pump: the pump that reads it already, if there is one.
    """

    memory = False

    def __init__(self, source: Readable, pump: ThreadPump | None = None) -> None:
        super().__init__(source)
        self._waker = _aio.Waker()
        self._pump = ThreadPump(source, CLOCK[-1].monitor(), CLOCK[-1]) if pump is None else pump
        self._taken: deque[Read] = deque()
        self._owns, self._left = True, False

    def let_go(self) -> ThreadPump:
        """The pump that reads the source; its new owner goes on with it, and closes it."""
        self._owns = False
        return self._pump

    async def read(self) -> Any:
        """The next item; raises StopAsyncIteration at the end."""
        if self._pump.notify is None:
            self._waker.bind()
            self._pump.notify = self._waker.wake
        while not self._taken:
            self._take()
            if self._taken:
                await _aio.checkpoint()  # others must have their turn, too
            else:
                await self._waker.wait(inf, self._is_ready)
        kind, value, _ = self._taken.popleft()
        if kind == "item":
            return value
        if kind == "end":
            raise StopAsyncIteration
        if isinstance(value, StopAsyncIteration) or not isinstance(value, (Exception, KeyboardInterrupt, SystemExit)):
            raise failure(value, wire=False)  # its thread's cancellation is not ours
        raise value

    def _take(self) -> None:
        pump = self._pump
        with pump.monitor.lock:
            if self._left or (pump.finished and not pump.filled):
                raise StreamClosed("The source was closed.")
            self._taken.extend(pump.take())
            while pump.filled:
                self._taken.extend(pump.take())

    def _is_ready(self) -> bool:
        return self._left or self._pump.filled or self._pump.finished

    def wake(self) -> None:
        """End a waiting read; may be called from any thread."""
        self._left = True
        self._waker.wake()

    def __aiter__(self) -> "Threaded":
        return self

    __anext__ = read

    async def aclose(self, patience: float = 0.05) -> None:
        """Stop reading, and wait at most `patience` seconds for the thread to end."""
        pump = self._pump
        pump.stop()
        await self._waker.wait(self._waker.now() + patience, lambda: pump.finished)
        if pump.finished:
            pump.close(patience)

    def __del__(self) -> None:  # its stream was dropped, perhaps after the loop had ended
        if self._owns and not self._pump.finished:
            self._pump.stop()


class LoopPump(ThreadPump):
    """Reads an async source in a thread of its own, in an event loop of its own."""

    def __init__(self, source: AsyncReadable, monitor: Monitor, clock: Clock) -> None:
        super().__init__(source, monitor, clock)
        self._waker = _aio.Waker()
        self._scope: _aio.Scope | None = None

    def _ask(self) -> None:
        super()._ask()
        self._waker.wake()

    def _run(self) -> None:
        try:
            _aio.run(self._main)
        except BaseException as exc:  # there is no loop, or closing failed
            self._fail(exc)
        finally:
            self._finish()

    async def _main(self) -> None:
        self._waker.bind()
        try:
            with _aio.Scope() as self._scope:
                more = True
                while more:
                    await self._waker.wait(inf, self._due)
                    self._begin()
                    now = self._clock.now
                    more = not self._closing and self._keep(await _aio.read(self._source, now, self._kept))
        except BaseException as exc:  # raised again where the stream is read
            self._fail(exc)
        finally:
            await self._source.aclose()

    def _fail(self, exc: BaseException) -> None:
        self._keep(Read("error", exc, self._clock.now()))

    def _interrupt(self) -> None:
        self._waker.wake()
        if self._scope is not None:
            self._waker.soon(self._scope.cancel)

    def stop(self) -> None:
        """Stop reading: wakes the source, and does not wait for the thread."""
        if self._thread is None:  # the source may need a loop to be closed in
            with self.monitor.lock:
                self._closing = True
                self._ask()
        else:
            super().stop()


def as_async(stream: "TokenStream") -> AsyncTokenStream:
    """The async twin of a sync stream; see `TokenStream.as_async`."""
    if stream._reading.locked():
        raise _busy(stream)
    source = stream._source
    reader: AsyncReadable
    if stream._pump is None and not stream._started and hasattr(source, "awaited"):
        reader = source.awaited()  # its items come from a thread already
    else:
        reader = InMemory(source) if source.memory else Threaded(source, stream._pump)
    twin = AsyncTokenStream(stream._core, reader, stream._clock.now if stream._started else None)
    _hand_over(stream, twin)
    return twin


def as_sync(stream: AsyncTokenStream) -> "TokenStream":
    """The sync twin of an async stream; see `AsyncTokenStream.as_sync`."""
    from typestream._sync import TokenStream

    source = stream._source
    if isinstance(source, InMemory) and not stream._started:
        twin = TokenStream(stream._core, source.source)
        if isinstance(source, Threaded):
            twin._pump = source.let_go()
            twin._monitor = twin._pump.monitor
    elif stream._started:
        raise RuntimeError(
            "as_sync() has to come before the first read: a source that was opened in an event loop stays there."
        )
    else:
        unread: Any = source  # the pump reads it
        twin = TokenStream(stream._core, unread)
        twin._pump = LoopPump(source, twin._monitor, twin._clock)
    _hand_over(stream, twin)
    return twin


def _busy(stream: Any) -> StreamBusy:
    busy = StreamBusy("The stream is just being read; hand it over before or after.")
    busy.result = stream.result
    return busy


def _hand_over(old: Any, new: Any) -> None:
    """Move everything that the old stream has to the new one."""
    new._commands.extend(old._commands)
    new._paused = old._paused
    old._retire(_HANDED_OVER)
