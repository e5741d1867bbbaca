"""The async driver, for asyncio and trio: asks the core what to do and does it: deliver, wait, read.

Rules: no cancel scope is open while an event is delivered, nor around a source. A source that waits, and that can only
be woken by cancelling, is opened, read and closed by a task of its own. A cancelled wait loses nothing; a cancelled
read ends the stream, since its source cannot be read any further.
"""

import warnings
from collections.abc import AsyncIterator, Callable
from functools import partial
from math import inf
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

from typing_extensions import Self

from typestream import _aio
from typestream._core import DONE, Core, Wait
from typestream._readahead import Read
from typestream._readtask import TaskPump
from typestream._stream import LAG, StreamBase
from typestream.errors import StreamBusy
from typestream.events import Event, TextDelta
from typestream.result import Result

if TYPE_CHECKING:
    from typestream._source import AsyncReadable
    from typestream._sync import TokenStream
    from typestream._tee import Policy, Tee
    from typestream.render import Renderer, Sink

__all__ = ("AsyncTokenStream",)


class AsyncTokenStream(StreamBase, AsyncIterator[str]):
    """Everything a source says, one piece after another, to be awaited; the twin of `TokenStream`.

    Iterating gives the text of the answer (choice 0), in pieces that are never empty; `events()` gives everything, in
    order. `async with` makes sure that it is closed; a bare `async for` works too.

    Raises, when read:
        StreamError: the stream did not end in the whole answer; the error's `result` is what was delivered.
    """

    def __init__(self, core: Core, source: "AsyncReadable", before: Callable[[], float] | None = None) -> None:
        super().__init__(core)
        self._source = source
        self._before = before  # the clock of the stream that this one continues
        self._pump: TaskPump | None = None
        self._waker = _aio.Waker()
        self._idle: _aio.Event | None = None
        self._floor = -inf
        self._busy = False

    # -- reading

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        try:
            text: str | None = None
            waker = self._waker
            run, alarm = waker.run, waker.alarm
            # while a run is shown nothing else is looked at: with a thousand streams the cost is memory access
            if run is not None and alarm is not None and not self._busy:
                due = run.times[run.shown]
                self._busy = alarm.waiting = True
                try:
                    late = not run.over and await alarm.wait(due - waker.offset)
                except BaseException:
                    self._rest()
                    raise
                if late and not run.over:
                    now = waker.now()
                    if now < due:
                        now = due
                    text = run.take(now)
                    if run.shown == len(run.times):
                        text += self._core.more(now)
                        self._plan()
                    self._busy = False
                    return text
                waker.run = None
                self._busy = False
            elif self._is_direct():
                text = await self._at_once(self._core.text)
            if text is not None:
                return text
            while (event := await self._advance()) is not None:
                if type(event) is TextDelta and event.index == 0 and event.text:
                    self._plan()
                    return event.text
        except (KeyboardInterrupt, SystemExit):
            await self._interrupted()
            raise
        raise StopAsyncIteration

    def __iter__(self) -> NoReturn:
        raise TypeError("This stream is async: use `async for`, or as_sync() where there is no event loop.")

    def events(self) -> AsyncIterator[Event]:
        """Every event, in order; shares the cursor with plain iteration."""
        return _Events(self)

    async def collect(self) -> Result:
        """Read to the end and return the whole answer."""
        async for _ in self:
            pass
        return self.result

    async def render(self, renderer: "Renderer", to: "Sink | None" = None) -> Result:
        """Read to the end, writing what `renderer` makes of each event.

        Args:
            renderer: makes text of events; its last words are written even if the stream breaks off.
            to: a text file, or any object with `write(str)`; by default standard output.
        """
        from typestream.render import Rendering

        with Rendering(renderer, to, self.result) as rendering:
            async for event in self.events():
                rendering.feed(event)
        return self.result

    async def _advance(self) -> Event | None:
        if self._busy:
            busy = StreamBusy("Another task is reading this stream; use tee() to read it twice.")
            busy.result = self.result
            raise busy
        self._busy = True
        core = self._core
        try:
            if not self._started:
                self._started = True
                self._waker.bind(self._before)
            while True:
                now = self._now()
                if self._commands:
                    self._obey(now)
                if self._pump is not None and self._pump.buffer and core.has_room:
                    self._absorb_all(self._pump.take())  # it arrived before now, and is shown accordingly
                action = core.poll(now)
                if type(action) is Wait:
                    if await self._wait(action.until, action.input):
                        self._floor = action.until  # loops round their timers: treat this time as reached
                elif action is DONE:
                    await self._release()
                    if core.error is not None:
                        raise core.error.with_traceback(None)
                    return None
                else:
                    return action  # type: ignore[return-value]
        finally:
            self._rest()

    def _plan(self) -> None:
        """From now on show a run, if there is one and nothing is missed by that: a source that has to be read meanwhile
        must be read by a task already."""
        waker = self._waker
        waker.run = None
        read = not self._core.read_ahead or (self._pump is not None and self._pump.ahead)
        if waker.alarm is not None and read:
            waker.run = self._core.run()
            if self._commands:  # checked last: a command that comes later finds the run and ends it
                waker.run = None

    def _is_direct(self) -> bool:
        """Whether the next item may be read the short way: nothing else is to be done, and no time limits the read."""
        if self._busy or self._commands or not self._core.direct:
            return False
        pump = self._pump
        return self._is_near(inf) if pump is None else not (pump.ahead or pump.buffer)

    async def _at_once(self, take: Callable[[Any, float], Any]) -> Any:
        """The next text or event by the short way; None if there is more to be done."""
        self._busy = True
        try:
            return await (self._read(take) if self._pump is None else self._handed(self._pump, take))
        except BaseException:
            await self._abandon()
            raise
        finally:
            self._rest()

    async def _read(self, take: Callable[[Any, float], Any]) -> Any:
        """Read an item in this very task and give what `take` makes of it; only the source's own `wake` can end the
        wait."""
        try:
            item = await self._source.read()
        except (StopAsyncIteration, Exception) as exc:
            self._got("end" if isinstance(exc, StopAsyncIteration) else "error", exc)
            return None
        if not self._commands:
            return take(item, self._now())
        self._got("item", item)
        return None

    async def _handed(self, pump: TaskPump, take: Callable[[Any, float], Any]) -> Any:
        """Have the task read an item and give what `take` makes of it; an end or error is left to `_advance`."""
        pump.ask()
        await self._waker.wait(inf, lambda: pump.buffer or self._commands)
        if self._commands or not pump.buffer or pump.buffer[0].kind != "item":
            return None
        read = pump.buffer.popleft()
        return take(read.value, read.at)

    async def _interrupted(self) -> None:
        """A signal handler raised something at any point: the item just read may be lost."""
        self._rest()
        await self._abandon()

    async def _abandon(self) -> None:
        """Close the stream after a read was cut short: its source cannot be read any further."""
        self._core.close(self._now())
        await self._release()

    def _rest(self) -> None:
        self._busy = False
        if self._idle is not None:
            self._idle.set()

    def _now(self) -> float:
        now = self._waker.now()
        return now if now > self._floor else self._floor

    # -- waiting

    async def _wait(self, until: float, readable: bool) -> bool:
        if not readable:
            return await self._waker.wait(until, self._commands.__len__)
        if self._pump is not None or self._core.read_ahead or not self._is_near(until):
            return await self._take(until)
        try:
            await self._read(partial(self._absorb, "item"))
        except BaseException:
            await self._abandon()
            raise
        return False

    def _is_near(self, until: float) -> bool:
        """Whether the source can be read in this very task, where the read may last until `until`."""
        source = self._source
        return source.memory or (until == inf and getattr(source, "wake", None) is not None)

    async def _take(self, until: float) -> bool:
        if self._pump is None:
            self._pump = TaskPump(self._source, self._waker.now, self._waker.wake_here)
        pump = self._pump
        pump.ahead = self._core.read_ahead or self._source.wire  # what comes over the wire is on its way anyway
        late = False
        if not (taken := pump.take()):
            try:
                late = await self._waker.wait(until, lambda: pump.buffer or self._commands)
            except BaseException:
                if not pump.ahead:
                    await self._abandon()  # like any other cancelled read
                raise
            taken = pump.take()
        self._absorb_all(taken)
        needed = self._core.read_ahead or not self._is_near(until)
        if not needed and taken and taken[-1].kind == "item" and pump.leave():
            self._pump = None  # it was only needed to open the source
        return late

    def _absorb_all(self, taken: list[Read]) -> None:
        for read in taken:
            if isinstance(read.value, (KeyboardInterrupt, SystemExit)):
                raise read.value  # raised while the source was read, but not by the source
            self._absorb(*read)

    def _wake(self) -> None:
        self._waker.wake()

    def _interrupt(self) -> None:
        if self._busy:
            self._waker.soon(self._wake_read)

    def _wake_read(self) -> None:
        wake = getattr(self._source, "wake", None)
        if wake is not None and self._pump is None:
            wake()

    # -- the other shapes

    def as_async(self) -> Self:
        """This stream."""
        return self

    def as_sync(self) -> "TokenStream":
        """The sync twin: the source is read by an event loop in a thread of its own. From now on use only the twin."""
        from typestream._bridge import as_sync

        return as_sync(self)

    def tee(self, n: int = 2, *, lag: int = LAG, policy: "Policy" = "block") -> "Tee[AsyncTokenStream]":
        """Split into `n` streams, each with the same events and the same end or error. From now on use only these.

        Read them side by side, each in a task of its own, or one after the other if the answer has fewer than `lag`
        events. See `TokenStream.tee`.

        Raises:
            ValueError: `n` or `lag` is less than 1, or `policy` is unknown.
            StreamBusy: the stream is being read right now.
        """
        from typestream._async_tee import async_tee

        return async_tee(self, n, lag, policy)

    # -- leaving

    async def aclose(self) -> None:
        """Release everything; reading on raises `StreamClosed`, unless the stream had ended. Idempotent."""
        self._do(lambda core, now: core.close(now))
        if self._busy:
            self._interrupt()
            self._idle = self._idle or _aio.Event()
            with _aio.shield():
                await self._idle.wait()
        if not self._busy:
            self._obey(self._now())
        await self._release()

    async def _release(self) -> None:
        if self._released:
            return
        with _aio.shield():
            if self._pump is not None:
                await self._pump.aclose()
            else:
                await self._source.aclose()
        self._released = True
        self._reconsider()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __enter__(self) -> NoReturn:
        raise TypeError("This stream is async: use `async with`.")

    def __exit__(self, *exc: Any) -> None: ...

    def __del__(self) -> None:
        if getattr(self, "_released", True) or not self._started:
            return
        release = self._pump.cancel if self._pump is not None else partial(_aio.spawn, self._source.aclose)
        self._waker.soon(release)  # if the loop still runs
        if not self._source.memory:
            text = f"{self!r} was neither read to its end nor closed."
            warnings.warn(text, ResourceWarning, stacklevel=2, source=self)


class _Events(AsyncIterator[Event]):
    def __init__(self, stream: AsyncTokenStream) -> None:
        self._stream = stream

    async def __anext__(self) -> Event:
        stream = self._stream
        try:
            event: Event | None = await stream._at_once(stream._core.event) if stream._is_direct() else None
            if event is None:
                event = await stream._advance()
            if event is not None:
                return event
        except (KeyboardInterrupt, SystemExit):
            await stream._interrupted()
            raise
        raise StopAsyncIteration
