"""A task that reads a source, on demand or ahead: the async twin of `_readahead`, for asyncio and trio.

Rules: items are handed over in order, with their arrival times; the end or any error comes last. Only the task opens,
reads and closes the source, and no cancel scope is opened around that if it might be left while the source holds one
open.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from typestream._aio import PATIENCE, Items, read, shield, spawn
from typestream._readahead import LIMIT, Kept, Read
from typestream._running import in_trio, task

__all__ = ("TaskPump",)


class _AsyncioTask:
    """A task that may be cancelled once and can then still close what it has open. It opens no anyio scope around a
    source, which may hold scopes of its own open: scopes must be left in the reverse order of entering them."""

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
                raise  # at once, whether or not the stream is being read

    async def wait(self) -> None:
        """Wait until `wake` is called."""
        self._woken = self._task.get_loop().create_future()
        await self._woken

    def wake(self) -> None:
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    def cancel(self) -> None:
        self._cancelled = True
        self._task.cancel()

    def ends(self, exc: BaseException) -> bool:
        """Whether `exc` comes from cancelling this task."""
        return self._cancelled

    async def close(self, call: Callable[[], Awaitable[None]]) -> None:
        """Await `call`, for at most `PATIENCE` seconds."""
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
            self._failed(exc)  # not raised: trio takes an exception in a system task for an internal error

    def _status(self) -> Any:
        return getattr(self._trio.lowlevel.current_task(), "_cancel_status", None)

    def cancel(self) -> None:
        self._scope.cancel()

    def ends(self, exc: BaseException) -> bool:
        return self._scope.cancel_called or isinstance(exc, self._trio.Cancelled)

    async def close(self, call: Callable[[], Awaitable[None]]) -> None:
        if self._status() is self._innermost:  # if the scopes cannot be compared, assume so
            with shield():
                await call()
        else:
            self._scope.deadline = self._trio.current_time() + PATIENCE
            await call()


class TaskPump:
    """Reads a source in a task of its own, on demand or some items ahead; see the module's rules. Since only the task
    opens, reads and closes the source, the source may hold a cancel scope open from one item to the next.

    Args:
        source: what to read.
        now: gives the arrival times.
        notify: called whenever something was read.
        limit: how many items ahead at most.

    Attributes:
        ahead: whether to read on without being asked.
        buffer: what was read and not taken yet.
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
        """Everything that was read and not taken yet; if there is nothing, asks for more."""
        taken = list(self.buffer)
        self.buffer.clear()
        self.ask(not taken)
        return taken

    def ask(self, wanted: bool = True) -> None:
        """Make the task read on, if an item is `wanted` or it reads `ahead`."""
        source: Any = self._source
        if hasattr(source, "reader"):  # a branch of a tee, which has to know its reader
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
        except BaseException as exc:  # raised again where the stream is read
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
        """The task was cancelled, or a signal handler raised something at any point."""
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
        """Stop reading without closing the source, so that the stream can read it itself; only if no read is under way
        and nothing waits to be taken. Returns whether it has stopped."""
        if not (self._reading or self.buffer):
            self._closing = self._left = True
            self._task.wake()
        return self._left

    async def aclose(self) -> None:
        """Stop reading and wait for the task."""
        self.cancel()
        await self._done.wait()
        await self._source.aclose()  # if that was interrupted
