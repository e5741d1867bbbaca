"""One async stream with several readers: the hub for asyncio and trio."""

from functools import partial
from typing import Any

from typestream import _aio, _running
from typestream._readtask import TaskPump
from typestream._running import Reader
from typestream._tee import Buffer, Hub, Policy, Tee, split
from typestream.errors import StreamBusy
from typestream.events import Event

__all__ = ("async_tee",)


class _AsyncHub(Hub):
    """A task of its own reads for all, so cancelling one branch does not affect the others."""

    def __init__(self, stream: Any, lag: int, policy: Policy) -> None:
        super().__init__(stream, lag, policy)
        self._waker = _aio.Waker()
        self._pump: TaskPump | None = None
        self._loop: Any = None
        self._change = _aio.Event()

    def now(self) -> float:
        return self._waker.now()

    async def read(self, number: int, reader: Reader | None) -> Event:
        reader = reader or _running.task()
        if self._pump is None:
            self._waker.bind()
            self._loop = _running.loop()
            self._pump = TaskPump(_Whole(self.stream), self._waker.now, self._changed, 1)
            self._pump.ahead = True
        buffer = self.own(number, reader)
        while not buffer:
            await self._more(self._pump, buffer)
            buffer = self.own(number, reader)
        if len(buffer.events) == self._lag:
            self._tell()
        return buffer.pop()

    async def _more(self, pump: TaskPump, buffer: Buffer) -> None:
        if pump.buffer and pump.buffer[0].kind != "item":  # it stays, for the other branches
            raise StopAsyncIteration if pump.buffer[0].kind == "end" else self.end(pump.buffer[0].value)
        if _running.loop() is not self._loop:
            raise StreamBusy(
                "The branches of an async stream are read in one event loop, and this is another: "
                "for branches in threads, split the stream that as_sync() gives."
            )
        if not pump.buffer:
            await self._change.wait()
        elif self.room():
            self.go_on()
            self.give(pump.take()[0].value)
            self._changed()
        else:
            change = self._change
            with self._waker.deadline(self.patience(buffer)):
                await change.wait()

    def _tell(self) -> None:
        """Make every branch look again; may be called from any loop or thread."""
        if _running.loop() is self._loop:
            self._changed()
        else:
            self._waker.soon(self._changed)

    def _changed(self) -> None:
        """Make every branch look again."""
        self._change.set()
        self._change = _aio.Event()

    async def leave(self, number: int) -> None:
        if self._pump is not None and _running.loop() is not self._loop:
            self.drop(number)
            return
        if self.buffers.pop(number, None) is None:
            return
        if self._pump is not None:
            self._changed()
        if self.buffers:
            return
        if self._pump is not None:
            await self._pump.aclose()
        await self.stream.aclose()

    def drop(self, number: int) -> None:
        if number not in self.buffers:
            return
        if self._pump is None:
            del self.buffers[number]
        else:
            self._waker.soon(partial(_aio.spawn, partial(self.leave, number)))


class _Whole:
    """The events of an async stream, as a source."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def read(self) -> Event:
        event: Event | None = await self._stream._advance()
        if event is None:
            raise StopAsyncIteration
        return event

    async def aclose(self) -> None:
        await self._stream.aclose()


def async_tee(stream: Any, n: int, lag: int, policy: Policy) -> Tee[Any]:
    """Split an async stream into `n`; see `AsyncTokenStream.tee`."""
    if stream._busy:
        raise StreamBusy("The stream is just being read; split it before or after.")
    return split(stream, _AsyncHub, n, lag, policy)  # type: ignore[no-any-return]
