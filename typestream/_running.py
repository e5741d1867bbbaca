"""What runs here: the thread, the event loop and its task; as the reader of a branch of a tee, too."""

import sys
import threading
from inspect import CORO_CLOSED, getcoroutinestate, iscoroutine
from typing import Any, Final, NamedTuple
from weakref import ref

__all__ = ("Reader", "in_trio", "loop", "task", "thread")

ONE_READ: Final = frozenset({"__anext__", "anext_awaitable", "async_generator_asend", "_wrap_awaitable"})
"""Names of coroutines in tasks made for a single read, as `asyncio.wait_for` makes them before Python 3.12. That such a
task has ended does not say that nothing reads any more."""


class Reader(NamedTuple):
    """The last reader. `task` is a weak reference to a task; None for blocking code in that thread; or an object of its
    own, if the task was made for a single read."""

    thread: int
    task: Any = None

    def beside(self, other: "Reader") -> bool:
        """Whether this reader can go on while the other waits."""
        if self.thread != other.thread:
            return True
        return None not in (self.task, other.task) and self.task != other.task

    @property
    def alive(self) -> bool:
        """Whether this reader can still go on at all."""
        if self.thread not in sys._current_frames():
            return False
        return not isinstance(self.task, ref) or _goes_on(self.task())


def thread() -> Reader:
    """The running thread as a reader, which blocks."""
    return Reader(threading.get_ident())


def task() -> Reader:
    """The running task as a reader, or the thread if there is none."""
    running = _task()
    if running is None:
        return thread()
    coroutine: Any = running.get_coro() if hasattr(running, "get_coro") else running.coro
    code = getattr(coroutine, "cr_code", None) or getattr(coroutine, "gi_code", None)
    what = type(coroutine).__name__ if code is None else code.co_name
    return Reader(threading.get_ident(), object() if what in ONE_READ else ref(running))


def loop() -> Any:
    """The running event loop."""
    trio = in_trio()
    if trio is not None:
        return trio.lowlevel.current_trio_token()
    import asyncio

    return asyncio.get_running_loop()


def in_trio() -> Any:
    """The module trio, if a trio loop runs in this thread; else None."""
    trio = sys.modules.get("trio")
    return trio if trio is not None and trio.lowlevel.in_trio_run() else None


def _task() -> Any:
    trio = in_trio()
    if trio is not None:
        return trio.lowlevel.current_task()
    asyncio = sys.modules.get("asyncio")
    try:
        return None if asyncio is None else asyncio.current_task()
    except RuntimeError:
        return None


def _goes_on(task: Any) -> bool:
    if task is None:
        return False
    if hasattr(task, "done"):
        return not task.done()
    return not iscoroutine(task.coro) or getcoroutinestate(task.coro) != CORO_CLOSED
