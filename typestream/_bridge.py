"""From one twin to the other: a blocking source read by a thread, an async one by a loop in a thread."""

from math import inf
from typing import TYPE_CHECKING, Any

from typestream import _aio
from typestream._async import AsyncTokenStream
from typestream._clock import CLOCK
from typestream._readahead import Pump, Read
from typestream._source import AsyncReadable, Readable

if TYPE_CHECKING:
    from typestream._sync import TokenStream

__all__ = ("Threaded", "as_async", "as_sync")


class InMemory:
    """A blocking source that never blocks, to be awaited."""

    memory = True

    def __init__(self, source: Readable) -> None:
        self._source = source
        self.name = source.name

    @property
    def decoder(self) -> Any:
        """What opening the source has shown; see `SyncSource`."""
        return self._source.decoder

    @decoder.setter
    def decoder(self, value: Any) -> None:
        self._source.decoder = value

    @property
    def wire(self) -> bool:
        return self._source.wire

    async def read(self) -> Any:
        """The next item; raises StopAsyncIteration at the end."""
        try:
            return self._source.read()
        except StopIteration:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        """Release everything."""
        self._source.close()


class Threaded(InMemory):
    """A blocking source to be awaited: a thread reads it, one item when one is asked for; a wait that is cancelled
    loses nothing, the item is there for the next."""

    memory = False

    def __init__(self, source: Readable) -> None:
        super().__init__(source)
        self._waker = _aio.Waker()
        self._clock = CLOCK[-1]
        self._monitor = self._clock.monitor()
        self._pump: Pump | None = None

    async def read(self) -> Any:
        """The next item; raises StopAsyncIteration at the end."""
        if self._pump is None:
            self._waker.bind()
            self._pump = Pump(self._source, self._monitor, self._clock, notify=self._waker.wake)
        while not (taken := self._take(self._pump)):
            await self._waker.wait(inf, lambda: self._pump is not None and self._pump.filled)
        kind, value, _ = taken[0]
        if kind == "item":
            return value
        if kind == "end":
            raise StopAsyncIteration
        raise value

    def _take(self, pump: Pump) -> list[Read]:
        with self._monitor:
            return pump.take()

    def __aiter__(self) -> "Threaded":
        return self

    __anext__ = read

    async def aclose(self) -> None:
        """Stop reading, and wait for the thread where it can be woken."""
        if self._pump is None:
            self._source.close()
        else:
            await _aio.in_thread(self._pump.close)


class Portal:
    """An async source to be read by blocking: an event loop in a thread of its own awaits it."""

    memory = False

    def __init__(self, source: AsyncReadable) -> None:
        self._source = source
        self._portal: Any = None
        self._runner: Any = None
        self._reading: Any = None
        self._closed = False
        self.name = source.name

    @property
    def decoder(self) -> Any:
        """What opening the source has shown; see `AsyncSource`."""
        return self._source.decoder

    @decoder.setter
    def decoder(self, value: Any) -> None:
        self._source.decoder = value

    @property
    def wire(self) -> bool:
        return self._source.wire

    def read(self) -> Any:
        """The next item; raises StopIteration at the end."""
        if self._portal is None:
            self._runner = _aio.portal()
            self._portal = self._runner.__enter__()
        self._reading = self._portal.start_task_soon(self._next)
        found, item = self._reading.result()
        if not found:
            raise StopIteration
        return item

    async def _next(self) -> tuple[bool, Any]:
        try:
            return True, await self._source.read()
        except StopAsyncIteration:
            return False, None

    def interrupt(self) -> None:
        """Wake a blocked read."""
        if self._reading is not None:
            self._reading.cancel()

    def close(self) -> None:
        """Release everything and end the loop."""
        if self._closed:
            return
        self._closed = True
        if self._portal is None:
            self._runner = _aio.portal()  # what was given may need a loop to be closed in
            self._portal = self._runner.__enter__()
        self._portal.call(self._source.aclose)
        self._runner.__exit__(None, None, None)


def as_async(stream: "TokenStream") -> AsyncTokenStream:
    """The async twin of a sync stream; see there."""
    source = stream._source
    twin = AsyncTokenStream(stream._core, InMemory(source) if source.memory else Threaded(source))
    _hand_over(stream, twin)
    return twin


def as_sync(stream: AsyncTokenStream) -> "TokenStream":
    """The sync twin of an async stream; see there."""
    from typestream._sync import TokenStream

    twin = TokenStream(stream._core, Portal(stream._source))
    _hand_over(stream, twin)
    return twin


def _hand_over(old: Any, new: Any) -> None:
    """The old stream gives everything to the new one and is closed."""
    new._commands.extend(old._commands)
    old._commands.clear()
    old._released = True
    old._core = type(old._core)()
    old._core.close()
