"""Helpers for tests of what is built on streams: virtual time, scripted and faulty sources, a conformance kit.

None of them sleeps for real. `docs/testing.md` shows each at work.
"""

import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from itertools import islice
from math import inf
from time import monotonic
from types import TracebackType
from typing import Any, Generic, Literal, TypeVar

from typing_extensions import Self

from typestream._clock import CLOCK, Monitor, RealMonitor
from typestream.pacing._simulate import simulate

__all__ = ("Script", "VirtualClock", "check_stream", "faulty", "script", "simulate")

_T = TypeVar("_T")

_STUCK = 10.0
"""Real seconds after which a wait in virtual time is given up: a thread it does not know of is to blame."""


class VirtualClock:
    """Time that passes only when everybody waits, and then at once.

    `with VirtualClock() as clock:` gives it to every sync stream that is made inside, and to `script`;
    `clock.run(main)` runs a coroutine function in an event loop whose time is virtual too. What waits for something
    that never happens raises RuntimeError in the thread that made the clock, at the latest after ten real seconds. An
    event loop and the threads beside it have a time each.

    Attributes:
        waits: each time that was waited for, in order, in seconds.
    """

    def __init__(self) -> None:
        self.waits: list[float] = []
        self._now = 0.0
        self._monitor = RealMonitor()
        self._waiting: dict[int, float] = {}  # each thread's, until everybody is to look again
        self._looks = 0  # how often that was
        self._threads = 1
        self._main = threading.get_ident()

    def now(self) -> float:
        """Seconds since the clock was made."""
        return self._now

    def sleep_until(self, time: float) -> None:
        """Wait until then, which takes no time."""
        with self._monitor.lock:
            self._wait(time, lambda: False)

    def monitor(self) -> Monitor:
        """All monitors of a virtual clock are one: it has to see everybody who waits."""
        return _VirtualMonitor(self)

    def thread(self, run: Callable[[], None]) -> threading.Thread:
        """A thread, not yet started, that counts as busy until it waits or ends."""

        def counted() -> None:
            try:
                run()
            finally:
                with self._monitor.lock:
                    self._threads -= 1
                    self._advance()
                    self._notify()

        with self._monitor.lock:
            self._threads += 1
        return threading.Thread(target=counted, name="typestream", daemon=True)

    def _wait(self, until: float, ready: Callable[[], object]) -> None:
        me = threading.get_ident()
        noted = until == inf
        try:
            while True:
                looks = self._looks  # before looking: who is interrupted there looks again
                if self._now >= until or ready():
                    return
                if not noted:
                    self.waits.append(until)
                    noted = True
                self._waiting[me] = until
                if not self._advance():
                    self._sleep(looks)
        finally:
            self._waiting.pop(me, None)

    def _sleep(self, looks: int) -> None:
        """Until everybody is to look again."""
        main = threading.get_ident() == self._main
        stuck = main and self._threads == 1 and looks == self._looks
        if not stuck:
            self._monitor.wait(monotonic() + _STUCK if main else inf, lambda: self._looks != looks)
        if main and self._looks == looks:
            raise RuntimeError("Everybody waits, and nothing will ever happen.")

    def _advance(self) -> bool:
        """Let time pass if everybody waits; whoever waited looks again."""
        times = list(self._waiting.values())
        if len(times) < self._threads or min(times, default=inf) == inf:
            return False
        self._now = max(self._now, min(times))
        self._notify()
        return True

    def _notify(self) -> None:
        self._waiting.clear()  # whoever still waits will say so again
        self._looks += 1
        self._monitor.notify()

    def run(self, main: Callable[[], Awaitable[_T]], backend: Literal["asyncio", "trio"] = "asyncio") -> _T:
        """Run a coroutine function in virtual time, and give what it returns."""
        if backend not in ("asyncio", "trio"):
            raise ValueError(f'The backend must be "asyncio" or "trio", not {backend!r}.')
        if backend == "trio":
            import trio
            import trio.testing

            return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
        from typestream._virtual_loop import run

        return run(main)

    def __enter__(self) -> Self:
        CLOCK.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        CLOCK.remove(self)


class _VirtualMonitor:
    def __init__(self, clock: VirtualClock) -> None:
        self.lock = clock._monitor.lock
        self.released = clock._monitor.released
        self._clock = clock

    def wait(self, until: float, ready: Callable[[], object]) -> None:
        self._clock._wait(until, ready)

    def notify(self) -> None:
        self._clock._notify()


class _Scripted(Generic[_T]):
    def __init__(self, items: Iterable[tuple[float, _T | BaseException]]) -> None:
        self._items = iter(list(items))
        self._start: float | None = None
        self.closed = False

    def _give(self, item: _T | BaseException) -> _T:
        if isinstance(item, BaseException):
            raise item
        return item


class Script(_Scripted[_T], Iterator[_T]):
    """A source that gives its items at their times, once.

    Attributes:
        closed: whether the source was closed.
    """

    def __next__(self) -> _T:
        clock = CLOCK[-1]
        start = self._start = clock.now() if self._start is None else self._start
        for time, item in self._items:
            monitor = clock.monitor()
            with monitor.lock:
                monitor.wait(start + time, lambda: self.closed)
            if self.closed:
                break
            return self._give(item)
        raise StopIteration

    def interrupt(self) -> None:
        """Wake a read that another thread is blocked in: it ends the source."""
        monitor = CLOCK[-1].monitor()
        with monitor.lock:
            self.closed = True
            monitor.notify()

    def close(self) -> None:
        """Note that the source was closed."""
        self.closed = True


class AsyncScript(_Scripted[_T], AsyncIterator[_T]):
    """A `Script` to be awaited."""

    async def __anext__(self) -> _T:
        import anyio

        start = self._start = anyio.current_time() if self._start is None else self._start
        for time, item in self._items:
            if anyio.current_time() < start + time:  # what comes at one time comes together
                await anyio.sleep_until(start + time)
            return self._give(item)
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Note that the source was closed."""
        self.closed = True


def script(items: Iterable[tuple[float, _T | BaseException]], *, asynchronous: bool = False) -> Any:
    """A source that gives its items at their times.

    Args:
        items: `(seconds, item)`; seconds count from the first read; an item that is an exception is raised.
        asynchronous: whether it is for `async for`.

    Returns:
        A `Script`, or an `AsyncScript`.
    """
    return AsyncScript(items) if asynchronous else Script(items)


def faulty(source: Iterable[_T], *, after: int, error: BaseException | None = None) -> Iterator[_T]:
    """A source that breaks off.

    Args:
        source: what it would have given.
        after: how many items it gives before.
        error: what it raises then; where None, it merely ends.
    """
    try:
        yield from islice(source, after)
        if error is not None:
            raise error
    finally:
        close = getattr(source, "close", None)
        if callable(close):
            close()


def check_stream(maker: Callable[[], Any]) -> None:
    """A conformance kit for a source that you write: reads what `maker` makes in every way a stream can be read.

    Args:
        maker: makes a new source each time, always of the same content.

    Raises:
        AssertionError: the source does not behave as a source must; the message says in which way.
    """
    from typestream._conformance import check

    check(maker)
