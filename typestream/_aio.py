"""What the async driver needs of an event loop: its time, waking up, a deadline, and a task that reads ahead; for
asyncio and trio alike, through anyio."""

import sys
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

import anyio
import anyio.lowlevel

from typestream._readahead import LIMIT, Read

if TYPE_CHECKING:
    from typestream._timers import Alarm
    from typestream.pacing._run import Run

__all__ = (
    "Event",
    "Pump",
    "Scope",
    "Waker",
    "checkpoint",
    "complete",
    "read",
    "run",
    "shield",
    "sleep",
    "spawn",
    "task",
    "tasks",
)

Event = anyio.Event
Scope = anyio.CancelScope
checkpoint = anyio.lowlevel.checkpoint
run = anyio.run
sleep = anyio.sleep

_tasks: set[Any] = set()  # a loop alone does not keep its tasks alive


class _Readable(Protocol):
    async def read(self) -> Any: ...

    async def aclose(self) -> None: ...


def shield(patience: float = 1.0) -> AbstractContextManager[anyio.CancelScope]:
    """A scope that no cancellation from outside reaches, for at most so many seconds."""
    return anyio.move_on_after(patience, shield=True)


def _in_trio() -> Any:
    trio = sys.modules.get("trio")
    return trio if trio is not None and trio.lowlevel.in_trio_run() else None


def task() -> Any:
    """The running task."""
    return anyio.get_current_task().id


def tasks() -> set[Any]:
    """All tasks there are, as `task` gives them."""
    return {each.id for each in anyio.get_running_tasks()}


def spawn(call: Callable[[], Any]) -> Any:
    """A task of its own for a coroutine function that raises nothing."""
    trio = _in_trio()
    if trio is not None:
        import contextvars

        return trio.lowlevel.spawn_system_task(call, context=contextvars.copy_context())
    import asyncio

    made = asyncio.get_running_loop().create_task(call())
    _tasks.add(made)
    made.add_done_callback(_tasks.discard)
    return made


async def complete(call: Callable[[], Awaitable[None]]) -> None:
    """Call that to its end. A task of asyncio can be cancelled even where it is shielded: then it is completed by a
    task of its own."""
    if _in_trio() is not None:
        await call()
        return
    import asyncio

    await asyncio.shield(spawn(call))


async def read(source: _Readable, now: Callable[[], float]) -> Read:
    """What comes next of a source, its end and its error included."""
    try:
        return Read("item", await source.read(), now())
    except StopAsyncIteration:
        return Read("end", None, now())
    except Exception as exc:  # it is raised where the stream is read
        return Read("error", exc, now())


class Waker:
    """Waits in one loop until woken, from that loop or from any thread.

    Attributes:
        now: the stream's time.
        offset: how far that is ahead of the loop's.
        alarm: what waits are made of where the loop is asyncio's.
        run: what is shown while nothing wakes.
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
        """The running loop is the one; where a stream had another clock `before`, its time goes on."""
        trio = _in_trio()
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
        """A scope that is cancelled at that time."""
        return anyio.CancelScope(deadline=until - self.offset)

    async def wait(self, until: float, ready: Callable[[], object]) -> bool:
        """Wait until the time `until`, unless or until woken; not at all where `ready` says so.

        Returns:
            Whether that time has come.
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
            with self.deadline(until) as scope:
                await event.wait()
            return scope.cancelled_caught
        finally:
            self._event = None

    def wake(self) -> None:
        """End the wait, if there is one. May be called from any thread; calling it often costs little."""
        self._interrupt()
        if not self._called and (self._event is not None or (self.alarm is not None and self.alarm.waiting)):
            self._called = True
            self.soon(self.wake_here)

    def wake_here(self) -> None:
        """The same, from the loop itself."""
        self._called = False  # before whoever waits looks again
        self._interrupt()
        if self._event is not None:
            self._event.set()
        elif self.alarm is not None:
            self.alarm.wake()

    def _interrupt(self) -> None:
        run = self.run  # which its reader may change meanwhile
        if run is not None:
            run.over = True

    def soon(self, call: Callable[[], Any]) -> None:
        """Have the loop call that. May be called from any thread."""
        if self._soon is None:
            return
        try:
            self._soon(call)
        except RuntimeError:
            pass  # the loop is gone, and with it whoever waited


class Pump:
    """Reads a source in a task of its own, some items ahead; what was read is handed over in order, with the time at
    which it came, and its end or error last. The task alone reads and closes the source.

    Args:
        source: what to read.
        now: tells when.
        notify: called whenever something was read.
        limit: how many items ahead at most.
    """

    def __init__(
        self, source: _Readable, now: Callable[[], float], notify: Callable[[], None], limit: int = LIMIT
    ) -> None:
        self.buffer: deque[Read] = deque()
        self._source = source
        self._now = now
        self._notify = notify
        self._limit = limit
        self._tell()
        self._scope = anyio.CancelScope()
        self._room = anyio.Event()
        self._done = anyio.Event()
        spawn(self._run)

    def take(self) -> list[Read]:
        """What was read by now."""
        self._tell()
        taken = list(self.buffer)
        self.buffer.clear()
        self._room.set()
        return taken

    def _tell(self) -> None:
        source: Any = self._source
        if hasattr(source, "reader"):  # it asks for whom it is read
            source.reader = task()

    async def _run(self) -> None:
        try:
            with self._scope:
                while self._keep(await read(self._source, self._now)):
                    while len(self.buffer) >= self._limit:
                        self._room = anyio.Event()
                        await self._room.wait()
        except BaseException as exc:  # the source cancelled itself, or the loop is ending
            self._keep(Read("error", exc, self._now()))
            raise
        finally:
            with shield():
                await self._source.aclose()
            self._done.set()

    def _keep(self, read: Read) -> bool:
        self.buffer.append(read)
        self._notify()
        return read.kind == "item"

    def cancel(self) -> None:
        """Stop reading."""
        self._scope.cancel()

    async def aclose(self) -> None:
        """Stop reading and wait for the task."""
        self._scope.cancel()
        await self._done.wait()
