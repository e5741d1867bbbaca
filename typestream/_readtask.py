"""A task that reads a source, on demand or ahead: the async twin of `_readahead`, for asyncio and trio.

Rules: what was read is handed over in order, with the time at which it came, and its end or error last, whatever that
was; the task alone opens, reads and closes the source, and no cancel scope is opened around that which could be left
while the source holds one open.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from typestream._aio import PATIENCE, Items, read, shield, spawn
from typestream._readahead import LIMIT, Kept, Read
from typestream._readers import in_trio, task

__all__ = ("Pump",)


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
    """The twin of `_AsyncioTask` for trio; where a scope was left open, closing is not shielded from cancellation."""

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
        if self._status() is self._innermost:  # where that cannot be known, it is taken for granted
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

    def __init__(self, source: Items, now: Callable[[], float], notify: Callable[[], None], limit: int = LIMIT) -> None:
        self.ahead = False
        self.buffer: deque[Read] = deque()
        self._source = source
        self._now = now
        self._notify = notify
        self._kept = Kept()
        self._limit = limit
        self._wanted = self._reading = self._closing = self._left = False
        self._done = anyio.Event()
        self._task = (_AsyncioTask if in_trio() is None else _TrioTask)(self._run, self._fail)

    def take(self) -> list[Read]:
        """What was read by now; asks for more where there is nothing."""
        taken = list(self.buffer)
        self.buffer.clear()
        self.ask(not taken)
        return taken

    def ask(self, wanted: bool = True) -> None:
        """Have it read on, if it is `wanted` or `ahead`."""
        source: Any = self._source
        if hasattr(source, "reader"):  # it asks for whom it is read
            source.reader = task()
        self._wanted = wanted
        self._task.wake()

    async def _run(self) -> None:
        try:
            while await self._allowed() and self._keep(await self._read()):
                pass
        finally:
            try:
                if not self._left:
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
            return await read(self._source, self._now, self._kept)
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

    def leave(self) -> bool:
        """Stop reading without closing the source, for who is to read on, if nothing is just being read or was not
        taken; tells whether that is so."""
        if not (self._reading or self.buffer):
            self._closing = self._left = True
            self._task.wake()
        return self._left

    async def aclose(self) -> None:
        """Stop reading and wait for the task."""
        self.cancel()
        await self._done.wait()
        await self._source.aclose()  # if that was interrupted
