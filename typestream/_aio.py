"""What the async driver needs of an event loop: its time, waking up, a deadline, and a task that reads ahead; for
asyncio and trio alike, through anyio."""

import sys
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, suppress
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Protocol

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

PATIENCE: Final = 1.0
"""Seconds that closing may take."""

_tasks: set[Any] = set()  # a loop alone does not keep its tasks alive


class _Readable(Protocol):
    async def read(self) -> Any: ...

    async def aclose(self) -> None: ...


def shield() -> AbstractContextManager[anyio.CancelScope]:
    """A scope that no cancellation from outside reaches, for at most `PATIENCE` seconds."""
    return anyio.move_on_after(PATIENCE, shield=True)


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
    """A task of its own for a coroutine function that raises nothing; None where there is no `Task` of asyncio."""
    trio = _in_trio()
    if trio is not None:
        import contextvars

        with suppress(RuntimeError):  # the run is ending, and nothing begins any more
            trio.lowlevel.spawn_system_task(call, context=contextvars.copy_context())
        return None
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
            if until == inf:
                await event.wait()
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


class _AsyncioTask:
    """A task that may be cancelled once, and then go on to close what it has open. What holds scopes of anyio open is
    not to find another one around: they can only be left in the order in which they were entered."""

    def __init__(self, run: Callable[[], Awaitable[None]], failed: Callable[[BaseException], None]) -> None:
        self._run = run
        self._failed = failed
        self._cancelled = False
        self._woken: Any = None
        self._task = spawn(self._guarded)

    async def _guarded(self) -> None:
        try:
            await self._run()
        except BaseException as exc:
            self._failed(exc)
            if isinstance(exc, (KeyboardInterrupt, SystemExit)):
                raise  # at once, whoever reads

    async def wait(self) -> None:
        """Until `wake` is called."""
        self._woken = self._task.get_loop().create_future()
        await self._woken

    def wake(self) -> None:
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    def cancel(self) -> None:
        self._cancelled = True
        self._task.cancel()

    def ends(self, exc: BaseException) -> bool:
        """Whether that is what cancelling it has raised."""
        return self._cancelled

    async def close(self, call: Callable[[], Awaitable[None]]) -> None:
        """Call that, for at most `PATIENCE` seconds."""
        timer = self._task.get_loop().call_later(PATIENCE, self._task.cancel)
        try:
            await call()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:
            pass  # a source that fails to close has nothing more to say
        finally:
            timer.cancel()


class _TrioTask:
    """The same; where a scope was left open, closing is not shielded from the cancellation."""

    def __init__(self, run: Callable[[], Awaitable[None]], failed: Callable[[BaseException], None]) -> None:
        import trio

        self._run = run
        self._failed = failed
        self._trio = trio
        self._scope = trio.CancelScope()
        self._innermost: Any = None
        self._woken: Any = None
        spawn(self._scoped)

    async def wait(self) -> None:
        self._woken = self._trio.Event()
        await self._woken.wait()

    def wake(self) -> None:
        if self._woken is not None:
            self._woken.set()

    async def _scoped(self) -> None:
        try:
            with self._scope:
                self._innermost = self._status()
                await self._run()
        except BaseException as exc:
            self._failed(exc)  # and no more: a system task that raises is taken for an error in trio

    def _status(self) -> Any:
        return getattr(self._trio.lowlevel.current_task(), "_cancel_status", None)

    def cancel(self) -> None:
        self._scope.cancel()

    def ends(self, exc: BaseException) -> bool:
        return self._scope.cancel_called or isinstance(exc, self._trio.Cancelled)

    async def close(self, call: Callable[[], Awaitable[None]]) -> None:
        if self._status() is self._innermost:
            with shield():
                await call()
        else:
            self._scope.deadline = self._trio.current_time() + PATIENCE
            await call()


class Pump:
    """Reads a source in a task of its own, on demand or some items ahead; what was read is handed over in order, with
    the time at which it came, and its end or error last. The task alone opens, reads and closes the source, which may
    so hold a cancel scope open from one item to the next: no other is opened around it.

    Args:
        source: what to read.
        now: tells when.
        notify: called whenever something was read.
        limit: how many items ahead at most.

    Attributes:
        ahead: whether to read on without being asked.
        buffer: what was read and not taken.
    """

    def __init__(
        self, source: _Readable, now: Callable[[], float], notify: Callable[[], None], limit: int = LIMIT
    ) -> None:
        self.ahead = False
        self.buffer: deque[Read] = deque()
        self._source = source
        self._now = now
        self._notify = notify
        self._limit = limit
        self._wanted = self._reading = self._closing = False
        self._done = anyio.Event()
        self._task = (_AsyncioTask if _in_trio() is None else _TrioTask)(self._run, self._fail)

    def take(self) -> list[Read]:
        """What was read by now; asks for more where there is nothing."""
        self._tell()
        taken = list(self.buffer)
        self.buffer.clear()
        self._wanted = not taken
        self._task.wake()
        return taken

    def _tell(self) -> None:
        source: Any = self._source
        if hasattr(source, "reader"):  # it asks for whom it is read
            source.reader = task()

    async def _run(self) -> None:
        try:
            while await self._allowed() and self._keep(await self._read()):
                pass
        finally:
            try:
                await self._task.close(self._source.aclose)
            finally:
                self._done.set()

    async def _allowed(self) -> bool:
        while not (self._closing or self._wanted or (self.ahead and len(self.buffer) < self._limit)):
            await self._task.wait()
        return not self._closing

    async def _read(self) -> Read:
        self._reading = True
        try:
            return await read(self._source, self._now)
        except BaseException as exc:  # it is raised where the stream is read
            if self._task.ends(exc):
                raise
            return Read("error", exc, self._now())
        finally:
            self._reading = False

    def _keep(self, read: Read) -> bool:
        self._wanted = False
        self.buffer.append(read)
        self._notify()
        return read.kind == "item"

    def _fail(self, exc: BaseException) -> None:
        """The task was cancelled, or a signal's handler raised something, anywhere."""
        self._keep(Read("error", exc, self._now()))
        self._done.set()

    def cancel(self) -> None:
        """Stop reading."""
        self._closing = True
        if self._reading:
            self._task.cancel()
        else:
            self._task.wake()

    async def aclose(self) -> None:
        """Stop reading and wait for the task."""
        self.cancel()
        await self._done.wait()
        await self._source.aclose()  # if that was interrupted
