"""What the async driver needs from an event loop (its time, waking up, deadlines), for asyncio and trio, through
anyio."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, suppress
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Protocol

import anyio
import anyio.lowlevel

from typestream._readahead import Kept, Read
from typestream._running import in_trio

if TYPE_CHECKING:
    from typestream._timers import Alarm
    from typestream.pacing._run import Run

__all__ = (
    "Event",
    "Scope",
    "Waker",
    "checkpoint",
    "complete",
    "read",
    "run",
    "shield",
    "sleep",
    "spawn",
)

Event = anyio.Event
Scope = anyio.CancelScope
checkpoint = anyio.lowlevel.checkpoint
run = anyio.run
sleep = anyio.sleep

PATIENCE: Final = 1.0
"""Seconds that closing may take."""

_tasks: set[Any] = set()  # an asyncio loop does not keep its tasks alive


class Items(Protocol):
    """An async source: it is read and closed."""

    async def read(self) -> Any: ...

    async def aclose(self) -> None: ...


def shield() -> AbstractContextManager[anyio.CancelScope]:
    """A scope that no cancellation from outside reaches, for at most `PATIENCE` seconds."""
    return anyio.move_on_after(PATIENCE, shield=True)


def spawn(call: Callable[[], Any]) -> Any:
    """Run a coroutine function that raises nothing in a task of its own. Returns the `Task` on asyncio, None on
    trio."""
    trio = in_trio()
    if trio is not None:
        import contextvars

        with suppress(RuntimeError):  # the run is ending, and no new task may start
            trio.lowlevel.spawn_system_task(call, context=contextvars.copy_context())
        return None
    import asyncio

    made = asyncio.get_running_loop().create_task(call())
    _tasks.add(made)
    made.add_done_callback(_tasks.discard)
    return made


async def complete(call: Callable[[], Awaitable[None]]) -> None:
    """Run `call` to its end. An asyncio task can be cancelled in spite of a shield, so there a task of its own
    completes the call."""
    if in_trio() is not None:
        await call()
        return
    import asyncio

    await asyncio.shield(spawn(call))


async def read(source: Items, now: Callable[[], float], kept: Kept) -> Read:
    """The next item of a source, or its end or its error."""
    try:
        return Read("item", kept(await source.read()), now())
    except StopAsyncIteration:
        return Read("end", None, now())
    except Exception as exc:  # raised again where the stream is read
        return Read("error", exc, now())


class Waker:
    """Waits in one loop until it is woken, from that loop or from any thread.

    Attributes:
        now: the stream's time.
        offset: how far the stream's time is ahead of the loop's, in seconds.
        alarm: makes the waits if the loop is asyncio's; else None.
        run: the run that is being shown; waking ends it.
    """

    __slots__ = ("_called", "_event", "_soon", "alarm", "now", "offset", "run")

    def __init__(self) -> None:
        self.now: Callable[[], float] = anyio.current_time
        self.offset = 0.0
        self.alarm: Alarm | None = None
        self.run: Run | None = None
        self._soon: Callable[[Callable[[], Any]], Any] | None = None
        self._event: anyio.Event | None = None
        self._called = False  # wake_here() is on its way

    def bind(self, before: Callable[[], float] | None = None) -> None:
        """Use the running loop. If the stream had another clock `before`, its time continues from there."""
        trio = in_trio()
        if trio is not None:
            self.now = trio.current_time
            self._soon = trio.lowlevel.current_trio_token().run_sync_soon
        else:
            import asyncio

            from typestream._timers import Alarm

            loop = asyncio.get_running_loop()
            plain = getattr(loop.time, "__func__", None) is asyncio.BaseEventLoop.time  # which only calls monotonic()
            self.now = monotonic if plain else loop.time
            self._soon = loop.call_soon_threadsafe
            self.alarm = Alarm(loop)
        if before is not None:
            of_loop = self.now
            self.offset = offset = before() - of_loop()
            self.now = lambda: of_loop() + offset

    def deadline(self, until: float) -> anyio.CancelScope:
        """A scope that is cancelled at the time `until`."""
        return anyio.CancelScope(deadline=until - self.offset)

    async def wait(self, until: float, ready: Callable[[], object]) -> bool:
        """Wait until the time `until`, or until woken; not at all if `ready()` is true.

        Returns:
            Whether the time `until` has come.
        """
        if self.alarm is None:
            return await self._wait_for_event(until, ready)
        self.alarm.waiting = True
        return not ready() and await self.alarm.wait(until - self.offset)

    async def _wait_for_event(self, until: float, ready: Callable[[], object]) -> bool:
        self._event = event = anyio.Event()
        try:
            if ready():
                return False
            if until == inf:
                await event.wait()
                return False
            with self.deadline(until) as scope:
                await event.wait()
            return scope.cancelled_caught
        finally:
            self._event = None

    def wake(self) -> None:
        """End the wait, if there is one. May be called from any thread; repeated calls are cheap."""
        self._interrupt()
        if not self._called and (self._event is not None or (self.alarm is not None and self.alarm.waiting)):
            self._called = True
            self.soon(self.wake_here)

    def wake_here(self) -> None:
        """End the wait, if there is one. Must be called in the loop itself."""
        self._called = False  # before the waiting task looks again
        self._interrupt()
        if self._event is not None:
            self._event.set()
        elif self.alarm is not None:
            self.alarm.wake()

    def _interrupt(self) -> None:
        run = self.run  # the reader may change it meanwhile
        if run is not None:
            run.over = True

    def soon(self, call: Callable[[], Any]) -> None:
        """Make the loop call `call`. May be called from any thread."""
        if self._soon is None:
            return
        try:
            self._soon(call)
        except RuntimeError:
            pass  # the loop is gone, and with it the task that waited
