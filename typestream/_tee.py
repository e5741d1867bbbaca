"""One stream, read by several: each branch is a stream of its own over the events of the one that was split.

Rules: whoever is first to need an event reads it for all; every branch gets the same events and the same end or
error; a branch that is closed holds nobody up, and the last one to leave closes the stream.
"""

import copy
from collections import deque
from math import inf
from typing import Any

from typestream import _clock
from typestream._core import Core
from typestream._sync import TokenStream
from typestream.decode import Completion, Decoded
from typestream.errors import StreamClosed
from typestream.events import Event

__all__ = ("async_tee", "tee")


class _Relay:
    """The decoder of a branch: events are passed on, and whether they are whole is known to the stream they are of."""

    ended = False

    def __init__(self, hub: Any) -> None:
        self._hub = hub

    @property
    def completion(self) -> Completion:
        stream = self._hub.stream
        completion: Completion = stream.result.completion if stream._core.ended else "incomplete"
        return completion

    def decode(self, item: Event, raw: Any) -> Decoded:
        return [item]

    def end(self) -> Decoded:
        return []


class _Hub:
    """What the branches share.

    Args:
        stream: the stream that was split.
        n: how many branches.
    """

    def __init__(self, stream: Any, n: int) -> None:
        if n < 1:
            raise ValueError(f"tee(n) takes a number of at least 1, not {n!r}.")
        self.stream = stream
        self.buffers: dict[int, deque[Event]] = {branch: deque() for branch in range(n)}

    def give(self, event: Event) -> None:
        for buffer in self.buffers.values():
            buffer.append(event)

    def outcome(self) -> Exception | None:
        """How the stream ended: the same for every branch, in an error object of its own."""
        error = self.stream._core.error
        if error is None:
            return None
        mine: Exception = copy.copy(error)
        mine.__cause__ = error.__cause__
        return mine


class _Branch:
    """A branch as a source: what a driver reads."""

    memory = False
    wire = False

    def __init__(self, hub: Any, number: int) -> None:
        self._hub = hub
        self._number = number
        self.decoder: Any = _Relay(hub)
        self.name = f"a branch of {hub.stream!r}"

    def read(self) -> Any:
        """The next event; for the async hub, an awaitable of it."""
        return self._hub.read(self._number)

    def interrupt(self) -> None: ...

    def close(self) -> None:
        if self._hub.buffers.pop(self._number, None) is not None and not self._hub.buffers:
            self._hub.stream.close()

    async def aclose(self) -> None:
        if self._hub.buffers.pop(self._number, None) is not None and not self._hub.buffers:
            await self._hub.aclose()


class _SyncHub(_Hub):
    def __init__(self, stream: TokenStream, n: int) -> None:
        super().__init__(stream, n)
        self._lock = _clock.RealMonitor()

    def read(self, number: int) -> Event:
        with self._lock:
            buffer = self.buffers.get(number)
            if buffer is None:
                raise StreamClosed("This branch was closed.")
            if not buffer:
                try:
                    event = self.stream._advance()
                except Exception:
                    raise self.outcome() or StopIteration() from None
                if event is None:
                    raise StopIteration
                self.give(event)
            return buffer.popleft()


class _AsyncHub(_Hub):
    def __init__(self, stream: Any, n: int) -> None:
        from typestream import _aio

        super().__init__(stream, n)
        self._waker = _aio.Waker()
        self._pump: _aio.Pump | None = None
        self._lock: Any = None

    async def read(self, number: int) -> Event:
        from typestream import _aio

        if self._pump is None:
            self._waker.bind()
            self._lock = _aio.lock()
            self._pump = _aio.Pump(_Whole(self.stream), self._waker)
        pump = self._pump
        while not self.buffers[number]:
            async with self._lock:  # one branch waits for all
                if self.buffers[number]:
                    break
                await self._waker.wait(inf, lambda: bool(pump.buffer))
                self._spread(pump)
        return self.buffers[number].popleft()

    def _spread(self, pump: Any) -> None:
        if pump.buffer[0].kind != "item":  # it stays, for the other branches
            raise self.outcome() or StopAsyncIteration()
        read = pump.buffer.popleft()
        pump.make_room()
        self.give(read.value)

    async def aclose(self) -> None:
        if self._pump is not None:
            await self._pump.aclose()
        await self.stream.aclose()


class _Whole:
    """The events of an async stream, as a source."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def read(self) -> Event:
        event: Event | None = await self._stream._advance()
        if event is None:
            raise StopAsyncIteration
        return event


def tee(stream: TokenStream, n: int) -> tuple[TokenStream, ...]:
    """`n` streams of the same thing."""
    hub = _SyncHub(stream, n)
    return tuple(TokenStream(Core(require=None), _Branch(hub, number)) for number in range(n))


def async_tee(stream: Any, n: int) -> tuple[Any, ...]:
    """`n` async streams of the same thing."""
    hub = _AsyncHub(stream, n)
    return tuple(type(stream)(Core(require=None), _Branch(hub, number)) for number in range(n))
