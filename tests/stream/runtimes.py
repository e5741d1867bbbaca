"""One scenario, three runtimes, virtual time: a coroutine function that is given a `Kit`.

The sync kit's coroutines never suspend, so a scenario over it is plain blocking code; `kit.at` is then a thread.
"""

import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

import typestream
from typestream.errors import StreamError
from typestream.events import Event
from typestream.testing import VirtualClock, script

RUNTIMES = ("sync", "asyncio", "trio")
each_runtime = pytest.mark.parametrize("runtime", RUNTIMES)
each_loop = pytest.mark.parametrize("loop", ["asyncio", "trio"])
_T = TypeVar("_T")


class Kit:
    """What differs between the runtimes."""

    def __init__(self, asynchronous: bool, now: Callable[[], float]) -> None:
        self.asynchronous = asynchronous
        self.now = now
        self.start = now()

    @property
    def time(self) -> float:
        return round(self.now() - self.start, 6)

    def script(self, items: Any) -> Any:
        """A source that gives its items at their times."""
        return script(items, asynchronous=self.asynchronous)

    def generator(self, items: Any, *, left: Callable[[], None] = lambda: None) -> Any:
        """A generator of items without waits; exceptions among them are raised."""
        return self._agen(items, left) if self.asynchronous else self._gen(items, left)

    def _gen(self, items: Any, left: Callable[[], None]) -> Any:
        try:
            for item in items:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            left()

    async def _agen(self, items: Any, left: Callable[[], None]) -> Any:
        try:
            for item in items:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            left()

    def open(self, items: Any, **options: Any) -> Any:
        """A stream over a script."""
        return typestream.stream(self.script(items), **options)

    async def next(self, stream: Any) -> str | None:
        """The next piece; None at the end."""
        if self.asynchronous:
            return await anext(stream, None)
        return next(stream, None)

    async def event(self, stream: Any) -> Event | None:
        if self.asynchronous:
            return await anext(stream.events(), None)
        return next(stream.events(), None)

    async def read(self, stream: Any) -> list[tuple[float, str]]:
        """All pieces and when they came."""
        trace = []
        while (text := await self.next(stream)) is not None:
            trace.append((self.time, text))
        return trace

    async def outcome(self, stream: Any) -> tuple[list[tuple[float, str]], StreamError | None, float]:
        """All pieces, the error at the end, and when that was."""
        trace = []
        try:
            while (text := await self.next(stream)) is not None:
                trace.append((self.time, text))
        except StreamError as error:
            return trace, error, self.time
        return trace, None, self.time

    async def close(self, stream: Any) -> None:
        if self.asynchronous:
            await stream.aclose()
        else:
            stream.close()

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError

    def at(self, seconds: float, call: Callable[[], Any]) -> None:
        """Call that after so many seconds, from another thread or task; a coroutine is awaited."""
        raise NotImplementedError


class _SyncKit(Kit):
    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(False, clock.now)
        self.clock = clock
        self.over = False
        self.threads: list[Any] = []

    async def sleep(self, seconds: float) -> None:
        self.clock.sleep_until(self.now() + seconds)

    def at(self, seconds: float, call: Callable[[], Any]) -> None:
        until = self.now() + seconds

        def run() -> None:
            monitor = self.clock.monitor()
            with monitor.lock:
                monitor.wait(until, lambda: self.over)
            if self.now() < until:
                return
            result = call()
            if hasattr(result, "send"):
                finish(result)

        thread = self.clock.thread(run)
        self.threads.append(thread)
        thread.start()

    def end(self) -> None:
        """What was to happen later does not."""
        monitor = self.clock.monitor()
        with monitor.lock:
            self.over = True
            monitor.notify()
        for thread in self.threads:
            thread.join(5)
            assert not thread.is_alive()


class _AsyncKit(Kit):
    def __init__(self, tasks: Any) -> None:
        import anyio

        super().__init__(True, anyio.current_time)
        self.tasks = tasks

    async def sleep(self, seconds: float) -> None:
        import anyio

        await anyio.sleep(seconds)

    def at(self, seconds: float, call: Callable[[], Any]) -> None:
        async def run() -> None:
            await self.sleep(seconds)
            result = call()
            if hasattr(result, "__await__"):
                await result

        self.tasks.start_soon(run)


def finish(coroutine: Any) -> Any:
    """What a coroutine that never suspends returns."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("a sync scenario was suspended")


def play(runtime: str, scenario: Callable[[Any], Awaitable[_T]]) -> _T:
    """Run a scenario in virtual time."""
    if runtime == "sync":
        with VirtualClock() as clock:
            kit = _SyncKit(clock)
            try:
                return finish(scenario(kit))
            finally:
                kit.end()

    async def main() -> Any:
        import anyio

        async with anyio.create_task_group() as tasks:
            result = await scenario(_AsyncKit(tasks))
            tasks.cancel_scope.cancel()
        return result

    return VirtualClock().run(main, runtime)


class _RealKit(Kit):
    """Blocking code in real time."""

    def __init__(self) -> None:
        import time

        super().__init__(False, time.monotonic)
        self.threads: list[threading.Thread] = []

    async def sleep(self, seconds: float) -> None:
        threading.Event().wait(seconds)

    def at(self, seconds: float, call: Callable[[], Any]) -> None:
        def run() -> None:
            threading.Event().wait(seconds)
            result = call()
            if hasattr(result, "send"):
                finish(result)

        self.threads.append(threading.Thread(target=run))
        self.threads[-1].start()


def live(runtime: str, scenario: Callable[[Any], Awaitable[_T]]) -> _T:
    """Run a scenario in real time; for sockets, which know no other."""
    if runtime == "sync":
        kit = _RealKit()
        try:
            return finish(scenario(kit))
        finally:
            for thread in kit.threads:
                thread.join(5)
    import anyio

    async def main() -> Any:
        async with anyio.create_task_group() as tasks:
            return await scenario(_AsyncKit(tasks))

    return anyio.run(main, backend=runtime)
