"""What the async driver needs of an event loop: its time, waking up, a deadline, and a task that reads ahead; for
asyncio and trio alike, through anyio."""

import sys
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from math import inf
from typing import Any, Protocol

import anyio

from typestream._readahead import LIMIT, Read

__all__ = ("Pump", "Scope", "Waker", "deadline", "in_thread", "lock", "portal", "shield")

Scope = anyio.CancelScope


class _Readable(Protocol):
    async def read(self) -> Any: ...


def deadline(until: float) -> anyio.CancelScope:
    """A scope that is cancelled at that time of the loop."""
    return anyio.CancelScope(deadline=until)


def shield(patience: float = 1.0) -> AbstractContextManager[anyio.CancelScope]:
    """A scope that no cancellation from outside reaches, for at most so many seconds."""
    return anyio.move_on_after(patience, shield=True)


def lock() -> anyio.Lock:
    """A lock between tasks."""
    return anyio.Lock()


async def in_thread(call: Callable[[], None]) -> None:
    """Call what may block for a moment, not in the loop."""
    await anyio.to_thread.run_sync(call)


def portal() -> Any:
    """A context manager whose value runs coroutine functions in a new asyncio loop, in a thread of its own."""
    from anyio.from_thread import start_blocking_portal

    return start_blocking_portal()


class Waker:
    """Waits in one loop until woken, from that loop or from any thread."""

    def __init__(self) -> None:
        self.now: Callable[[], float] = anyio.current_time
        self._soon: Callable[[Callable[[], None]], Any] | None = None
        self._event: anyio.Event | None = None

    def bind(self) -> None:
        """The running loop is the one."""
        trio = sys.modules.get("trio")
        if trio is not None and trio.lowlevel.in_trio_run():
            self.now = trio.current_time
            self._soon = trio.lowlevel.current_trio_token().run_sync_soon
        else:
            import asyncio

            loop = asyncio.get_running_loop()
            self.now = loop.time
            self._soon = loop.call_soon_threadsafe

    async def wait(self, until: float, ready: Callable[[], bool]) -> None:
        """Wait until the time `until`, unless or until woken; not at all where `ready` says so."""
        self._event = event = anyio.Event()
        try:
            if ready():
                return
            if until == inf:
                await event.wait()
            else:
                with anyio.CancelScope(deadline=until):
                    await event.wait()
        finally:
            self._event = None

    def wake(self) -> None:
        """End the wait, if there is one. May be called from any thread."""
        if self._event is not None:
            self.soon(self._set)

    def soon(self, call: Callable[[], None]) -> None:
        """Have the loop call that. May be called from any thread."""
        if self._soon is None:
            return
        try:
            self._soon(call)
        except RuntimeError:
            pass  # the loop is gone, and with it whoever waited

    def _set(self) -> None:
        if self._event is not None:
            self._event.set()


class Pump:
    """Reads a source in a task of its own, at most `LIMIT` items ahead; what was read is handed over in order, with
    the time at which it came, and its end or error last."""

    def __init__(self, source: _Readable, waker: Waker) -> None:
        self.buffer: deque[Read] = deque()
        self._source = source
        self._waker = waker
        self._scope = anyio.CancelScope()
        self._room = anyio.Event()
        self._done = anyio.Event()
        self._task = _spawn(self._run)

    def take(self) -> list[Read]:
        """What was read by now."""
        taken = list(self.buffer)
        self.buffer.clear()
        self.make_room()
        return taken

    def make_room(self) -> None:
        """Something was taken from the buffer."""
        self._room.set()

    async def _run(self) -> None:
        try:
            with self._scope:
                more = True
                while more:
                    read = await self._read()
                    more = read.kind == "item"
                    self.buffer.append(read)
                    self._waker._set()
                    while len(self.buffer) >= LIMIT:
                        self._room = anyio.Event()
                        await self._room.wait()
        finally:
            self._done.set()

    async def _read(self) -> Read:
        try:
            return Read("item", await self._source.read(), self._waker.now())
        except StopAsyncIteration:
            return Read("end", None, self._waker.now())
        except Exception as exc:  # it is raised where the stream is read
            return Read("error", exc, self._waker.now())

    async def aclose(self) -> None:
        """Stop reading and wait for the task."""
        self._scope.cancel()
        await self._done.wait()


def _spawn(run: Callable[[], Any]) -> Any:
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        import contextvars

        return trio.lowlevel.spawn_system_task(run, context=contextvars.copy_context())
    import asyncio

    return asyncio.get_running_loop().create_task(run())
