"""A source as the drivers see it: opened at the first read, closed by the stream that was given it.

Rules: the object that was passed is closed, never only an iterator of it; if its bytes can be read (`sources.http`),
they are, else its objects.
"""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from typestream._calls import Awaited, Watch
from typestream._decoding import Relay
from typestream._stream import StreamBase
from typestream.decode import Decoder
from typestream.errors import StreamClosed, StreamServerError, UnsupportedSource
from typestream.sources.http import Body, async_body, is_response, shutdown, sync_body

if TYPE_CHECKING:
    from typestream._bridge import Threaded

__all__ = ("AsyncReadable", "AsyncSource", "Readable", "SyncSource", "check", "named")

_ACCEPTED = (
    "an OpenAI stream (or a call that gives one), an HTTP response, or a sync or async iterable of str, bytes, chunks "
    "(dicts or SDK objects) or typestream events"
)


def check(source: Any, within: Any = None) -> None:
    """Check that `source` can be read by blocking, perhaps after it was entered.

    Args:
        source: the object that was passed, or that awaiting or entering that one has given.
        within: the object that gave it, if it was given that way.

    Raises:
        UnsupportedSource: it cannot.
    """
    whole = isinstance(source, (str, bytes, bytearray, memoryview, dict)) or hasattr(type(source), "model_dump")
    enters = hasattr(source, "__enter__") and source is not within and not isinstance(source, os.PathLike)
    ways = ("__iter__", "iter_bytes", "iter_content", "http_response")
    if whole or not (enters or any(hasattr(source, name) for name in ways)):
        raise UnsupportedSource(
            f"stream() takes {_ACCEPTED}, not {named(source)}; something complete goes to typestream.replay()."
        )


def named(thing: object) -> str:
    """The type of `thing`, for messages."""
    kind = type(thing)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


class Readable(Protocol):
    """What the sync driver reads. Once opened, it may have an `advance` that does the same as `read` at less cost.

    Attributes:
        name: what it is, for messages.
        decoder: what to decode the items with; may be known only after the first read; the driver resets it.
        wire: whether the items are the bytes of a connection.
        memory: whether reading never waits.
    """

    name: str
    memory: bool
    decoder: Any

    @property
    def wire(self) -> bool: ...

    def read(self) -> Any:
        """The next item; raises StopIteration at the end."""
        ...

    def close(self) -> None:
        """Release everything; idempotent."""
        ...

    def interrupt(self) -> None:
        """Wake a blocked `read`, from another thread, where that is possible."""
        ...


class AsyncReadable(Protocol):
    """What the async driver reads; see `Readable` for its attributes. If it has a callable `wake`, that ends a waiting
    `read`, and any task may read it. If not, one task of its own opens, reads and closes it, and is cancelled to end a
    read: a user's code may hold a cancel scope open from one item to the next."""

    name: str
    memory: bool
    decoder: Any

    @property
    def wire(self) -> bool: ...

    async def read(self) -> Any:
        """The next item; raises StopAsyncIteration at the end."""
        ...

    async def aclose(self) -> None:
        """Release everything; idempotent."""
        ...


class _Source:
    """What both kinds of source keep about the object they were given.

    Args:
        given: an iterable, a response, or a context manager that gives one.
        decoder: the decoder, if it is known beforehand.
        memory: whether reading it never waits.
        limits: how much may be read from the wire.
        objects: whether to read the source's own objects even if its bytes can be read.

    Attributes:
        decoder: what to decode the items with, once opened; None to choose by the first item.
        wire: whether the items are the bytes of a connection.
        opened: the object that the items come from: `given`, or what awaiting or entering it has given.
        stream: that object if it is a stream of ours, whose events are all passed on.
    """

    def __init__(
        self,
        given: Any,
        *,
        decoder: Decoder | None = None,
        memory: bool = False,
        limits: Any = None,
        objects: bool = False,
    ) -> None:
        self.name = type(given).__name__
        self.decoder = decoder
        self.opened: Any = None
        self.wire = False
        self.memory = memory
        self._given = given
        self._closers: list[Callable[[], Any]] = []
        self._closed = False
        self._limits = limits
        self._objects = objects
        self._call: Any = None  # what opening it waits for
        self.stream: Any = None

    @property
    def refused(self) -> StreamServerError | None:
        """The error whose status had come when the call behind `given` was given up, or None."""
        return None if self._call is None else self._call.refused

    def _relayed(self, stream: Any, twin: str) -> Any:
        self.stream, self.decoder = getattr(stream, twin, lambda: stream)(), Relay(self)
        self._closers.append(_closer(self.stream))
        return self.stream.events()


class SyncSource(_Source):
    """A source that is read by blocking; see `_Source` for the arguments."""

    def __init__(self, given: Any, **options: Any) -> None:
        super().__init__(given, **options)
        self.advance: Callable[[], Any] | None = None
        self._iterator: Iterator[Any] | None = None
        self._body: Body | None = None
        self._iterated: Any = None
        self._interrupted = False

    def read(self) -> Any:
        """The next item; raises StopIteration at the end."""
        if self._iterator is None:
            try:
                self._iterator = self._open(self._given)
            except StopIteration as exc:
                raise _unended(exc) from exc
            self.advance = self._iterator.__next__
            if self._interrupted:  # while it was opened
                raise StreamClosed("The source was closed while it was opened.")
        return next(self._iterator)

    def _open(self, given: Any, within: Any = None) -> Iterator[Any]:
        self.opened = given
        self._body = None if self._objects else sync_body(given, self._limits)
        if self._body is not None:
            self.decoder, self.wire = self._body.decoder, True
            self._closers.append(_closer(given, "close"))
            return iter(self._body.chunks)
        if within is not None:
            check(given, within)
        if not hasattr(given, "__iter__") and hasattr(given, "__enter__"):
            self._call = Watch()
            return self._open(self._call.around(lambda: self._entered(given)), given)
        if isinstance(given, StreamBase):
            return iter(self._relayed(given, "as_sync"))
        self._closers.append(_closer(given, "close"))
        self._iterated = given
        items: Iterator[Any] = iter(given)
        if items is not given:
            self._closers.append(_closer(items, "close"))
        return items

    def _entered(self, given: Any) -> Any:
        entered = given.__enter__()
        self._closers.append(lambda: given.__exit__(None, None, None))
        return entered

    def interrupt(self) -> None:
        """Wake a read that is blocked in another thread, if the source is a connection, an SDK object over one, or has
        an `interrupt` of its own."""
        self._interrupted = True
        wake = getattr(self._given if self.opened is None else self.opened, "interrupt", None)
        if self._body is not None:
            self._body.shutdown()
        elif callable(wake):
            wake()
        elif self.stream is not None:
            self.stream.stop()
        elif self._iterated is not None:
            shutdown(self._iterated)
        elif self._call is not None:
            self._call.end()

    def close(self) -> None:
        """Release everything that was opened, and what was given."""
        if self._closed:
            return
        closers = self._closers or [_closer(self._given, "close")]
        for close in reversed(closers):
            try:
                close()
            except Exception:
                pass  # a source that fails to close has nothing more to say
        self._closed = True  # only now: if it was interrupted, it is called again


class AsyncSource(_Source):
    """A source that is read by awaiting; see `_Source` for the arguments. `given` may be awaitable itself."""

    def __init__(self, given: Any, **options: Any) -> None:
        super().__init__(given, **options)
        response = not self._objects and is_response(given)
        self.wake: Callable[[], None] | None = _nothing_yet if response else None
        self._iterator: AsyncIterator[Any] | None = None
        self._blocking: Threaded | None = None  # an awaitable may give something that blocks
        self._foreign = not response and (hasattr(given, "__aiter__") or hasattr(given, "__aenter__"))

    async def read(self) -> Any:
        """The next item; raises StopAsyncIteration at the end."""
        if self._iterator is None:
            try:
                self._iterator = await self._open(self._given)
            except StopAsyncIteration as exc:
                raise _unended(exc) from exc
        item = await self._iterator.__anext__()
        if self._blocking is not None and self._blocking.decoder is not None:
            self.decoder, self.wire, self._blocking.decoder = self._blocking.decoder, self._blocking.wire, None
        return item

    async def _open(self, given: Any, within: Any = None) -> AsyncIterator[Any]:
        self.opened = given
        if hasattr(given, "__await__") and not hasattr(given, "__aiter__") and given is not within:
            self._call = Awaited(given)
            return await self._open(await self._call, given)
        body = None if self._objects else async_body(given, self._limits)
        if body is not None:
            self.decoder, self.wire = body.decoder, True
            chunks = aiter(body.chunks)
            self._may_wake(body.shutdown)
            self._closers += [lambda: _exhaust(chunks), _closer(given)]
            return chunks
        if isinstance(given, StreamBase):
            return aiter(self._relayed(given, "as_async"))
        if not hasattr(given, "__aiter__") and hasattr(given, "__aenter__") and given is not within:
            self._call = Awaited(given.__aenter__())
            entered = await self._call
            self._closers.append(lambda: given.__aexit__(None, None, None))
            return await self._open(entered, given)
        if hasattr(given, "__aiter__"):
            items: AsyncIterator[Any] = aiter(given)
            self._closers += [_closer(given), _closer(items)]  # alone, a generator leaks its stream
            return items
        check(given, within)
        from typestream._bridge import Threaded

        self._blocking = Threaded(SyncSource(given, limits=self._limits))
        self._may_wake(self._blocking.wake)
        self._closers.append(self._blocking.aclose)
        return self._blocking

    def _may_wake(self, wake: Callable[[], None] | None) -> None:
        """From now on any task may read, unless `given` may hold something open between two reads."""
        self.wake = None if self._foreign else wake

    async def aclose(self) -> None:
        """Release everything that was opened, and what was given."""
        if self._closed:
            return
        try:
            self._closed = True
            if self.wire:
                from typestream import _aio

                await _aio.complete(self._close)
            else:
                await self._close()  # in the task that read it: a generator may hold a cancel scope open
        except (KeyboardInterrupt, SystemExit):
            self._closed = False
            raise

    async def _close(self) -> None:
        cancelled: BaseException | None = None
        for close in reversed(self._closers or [_closer(self._given)]):
            try:
                closing = close()
                if hasattr(closing, "__await__"):
                    await closing
            except Exception:
                pass  # a source that fails to close has nothing more to say
            except BaseException as exc:
                cancelled = exc  # the rest still has to be closed
        if cancelled is not None:
            raise cancelled


def _unended(exc: Exception) -> RuntimeError:
    """The error for a source that ran out while it was opened: that is not the end of an answer."""
    return RuntimeError(f"Opening the source raised {type(exc).__name__}.")


def _nothing_yet() -> None:
    """The `wake` of a source that was not opened yet."""


async def _exhaust(chunks: AsyncIterator[Any]) -> None:
    """Read on after the connection was closed, until that raises. This ends all of the HTTP library's nested
    generators; `aclose` would end only the outermost and leave the rest to the garbage collector."""
    for _ in range(1000):
        await chunks.__anext__()


def _closer(given: Any, *names: str) -> Callable[[], Any]:
    for name in names or ("aclose", "close"):  # an httpx response has both, and one of them is wrong for it
        close = getattr(given, name, None)
        if callable(close):
            return close  # type: ignore[no-any-return]
    return lambda: None
