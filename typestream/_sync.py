"""The sync driver: asks the core what to do and does it: deliver, wait, read.

Rules: the source is read in the caller's own thread. A `ThreadPump` reads it instead if a read may have to be given up
at some time, or has to go on while the stream waits to show what it has.
"""

import threading
import warnings
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from typing_extensions import Self

from typestream._clock import CLOCK
from typestream._core import DONE, NEED_INPUT, Core, Wait
from typestream._readahead import ThreadPump
from typestream._stream import LAG, StreamBase
from typestream.errors import StreamBusy
from typestream.events import Event, TextDelta
from typestream.result import Result

if TYPE_CHECKING:
    from typestream._async import AsyncTokenStream
    from typestream._source import Readable
    from typestream._tee import Policy, Tee
    from typestream.render import Renderer, Sink

__all__ = ("TokenStream",)

PATIENCE: Final = 0.05
"""Seconds to wait for the thread that reads the source to let go of it."""


class TokenStream(StreamBase, Iterator[str]):
    """Everything a source says, one piece after another.

    Iterating gives the text of the answer (choice 0), in pieces that are never empty; `events()` gives everything, in
    order. Made by `typestream.stream`, `replay` and `generate`.

    Raises, when read:
        StreamError: the stream did not end in the whole answer; the error's `result` is what was delivered.
    """

    def __init__(self, core: Core, source: "Readable") -> None:
        super().__init__(core)
        self._source = source
        self._clock = CLOCK[-1]
        self._monitor = self._clock.monitor()
        self._reading = threading.Lock()
        self._pump: ThreadPump | None = None
        self._texts: Iterable[str] = ()  # the short way for text
        self._flows: dict[str, Iterator[Any]] = {}  # the short ways that are open
        self._read: list[tuple[str, Any]] = []
        self._leaving = False  # close() holds the lock for a moment

    # -- reading

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        try:
            try:
                for piece in self._texts:
                    return piece
            except ValueError:
                pass  # another thread is in there; _advance() raises the error for that
            text: str | None = self._at_once("text")
            if text is not None:
                return text
            while (event := self._advance()) is not None:
                if type(event) is TextDelta and event.index == 0 and event.text:
                    return event.text
        except BaseException as exc:
            self._abandon(exc)
            raise
        raise StopIteration

    def _at_once(self, kind: str) -> Any:
        """The next text or event by the short way; None if there is more to be done, or nothing left to come."""
        flow = self._flows.get(kind)
        if flow is None:
            core = self._core
            if self._pump is not None or not core.direct:
                return None
            take = getattr(core, kind)
            flow = _flow(take, core.ready, self._source, self._commands, self._reading, self._clock.now, self._read)
            self._flows[kind] = flow
            self._texts = self._flows.get("text", ())
        try:
            for said in flow:
                return said
        except ValueError:
            pass  # as in __next__
        return None

    def _abandon(self, exc: BaseException) -> None:
        """Close the stream, because reading raised `exc` and an item may be lost; unless nothing was read."""
        if type(exc) is not StreamBusy:
            self._core.close(self._clock.now())
            self._release()

    def __aiter__(self) -> AsyncIterator[str]:
        return self.as_async()

    def events(self) -> Iterator[Event]:
        """Every event, in order; shares the cursor with plain iteration."""
        return _Events(self)

    def collect(self) -> Result:
        """Read to the end and return the whole answer."""
        for _ in self:
            pass
        return self.result

    def render(self, renderer: "Renderer", to: "Sink | None" = None) -> Result:
        """Read to the end, writing what `renderer` makes of each event.

        Args:
            renderer: makes text of events; its last words are written even if the stream breaks off.
            to: a text file, or any object with `write(str)`; by default standard output.
        """
        from typestream.render import Rendering

        with Rendering(renderer, to, self.result) as rendering:
            for event in self.events():
                rendering.feed(event)
        return self.result

    def _advance(self) -> Event | None:
        held = False
        try:
            held = self._reading.acquire(timeout=PATIENCE if self._leaving else 0)
            if not held and not self._released:
                busy = StreamBusy("Another thread is reading this stream; use tee() to read it twice.")
                busy.result = self.result
                raise busy
            return self._step()
        except BaseException as exc:
            self._abandon(exc)
            raise
        finally:
            if held:
                self._reading.release()
            if self._leaving:  # perhaps in a signal handler, which could not wait for us
                self._leave(0.0)

    def _step(self) -> Event | None:
        core, clock = self._core, self._clock.now
        self._started = True
        self._flows.clear()
        self._texts = ()
        if self._read:
            self._got(*self._read.pop())
        while True:
            now = clock()
            if self._commands:
                self._obey(now)
            if self._has_read():
                self._wait(Wait(now, True))  # it arrived before now, and is shown accordingly
            action = core.poll(now)
            if action is NEED_INPUT and self._pump is None and not core.read_ahead:
                self._got(*_read(self._source))
            elif type(action) is Wait:
                self._wait(action)
            elif action is DONE:
                self._release()
                if core.error is not None:
                    raise core.error.with_traceback(None)
                return None
            else:
                return action  # type: ignore[return-value]

    def _now(self) -> float:
        return self._clock.now()

    # -- waiting

    def _wait(self, action: Wait) -> None:
        if action.input:
            self._take(action.until)
            return
        with self._monitor.lock:
            self._monitor.wait(action.until, lambda: self._commands or self._has_read())

    def _has_read(self) -> bool:
        """Whether something was read ahead, and there is room for it."""
        return self._pump is not None and self._pump.filled and self._core.has_room

    def _take(self, until: float) -> None:
        if self._pump is None:
            self._pump = ThreadPump(self._source, self._monitor, self._clock)
        pump = self._pump
        with self._monitor.lock:
            pump.ahead = self._core.read_ahead or self._source.wire  # what comes over the wire is on its way anyway
            taken = pump.take()
            if not taken:
                self._monitor.wait(until, lambda: pump.filled or self._commands)
                taken = pump.take()
            while pump.filled and not self._core.paced:
                taken += pump.take()
        for read in taken:
            self._absorb(*read)

    def _wake(self) -> None:
        with self._monitor.lock:
            self._monitor.notify()

    def _interrupt(self) -> None:
        self._leave(0.0)

    def _leave(self, patience: float) -> None:
        """Carry out `stop` or `close` at once if no thread reads; else wake the thread that does, which then carries it
        out."""
        self._leaving = True
        if not self._reading.acquire(False):
            if self._pump is None:
                self._source.interrupt()
            if not self._reading.acquire(timeout=patience):
                return
        try:
            self._obey(self._clock.now())
            if self._core.ended:
                self._release()
        finally:
            self._reading.release()

    # -- the other shapes

    def as_async(self) -> "AsyncTokenStream":
        """The async twin: the source is read in a worker thread, unless it is in memory. From now on use only the
        twin."""
        from typestream._bridge import as_async

        return as_async(self)

    def tee(self, n: int = 2, *, lag: int = LAG, policy: "Policy" = "block") -> "Tee[TokenStream]":
        """Split into `n` streams, each with the same events and the same end or error. From now on use only these.

        Read them side by side, each in a thread of its own, or one after the other if the answer has fewer than `lag`
        events. `.join()` of the returned tuple adds one more branch later: it begins with what came before, in few
        pieces.

        Args:
            n: how many.
            lag: how many events one branch may be behind another.
            policy: what happens then. `"block"`: the branch that is ahead waits for the other one, and fails if it
                finds that no other thread or task reads that one. `"raise"`: the branch that is behind fails once it
                has given what it has. Either way the error is `StreamLimitExceeded(limit="tee")`.

        Raises:
            ValueError: `n` or `lag` is less than 1, or `policy` is unknown.
            StreamBusy: the stream is being read right now.
        """
        from typestream._tee import tee

        return tee(self, n, lag, policy)

    # -- leaving

    def close(self) -> None:
        """Release everything; reading on raises `StreamClosed`, unless the stream had ended. Idempotent, and safe from
        any thread. A read that is blocked in another thread is woken if the source is a connection; else it ends with
        its next item."""
        self._do(lambda core, now: core.close(now))
        self._leave(PATIENCE)

    def _retire(self, why: str) -> None:
        super()._retire(why)
        self._flows, self._texts = {}, ()  # new ones: the stream that takes over has the old

    def _release(self) -> None:
        if self._released:
            return
        if self._pump is not None:
            self._pump.close(PATIENCE)
        else:
            self._source.close()
        self._read.append(("end", None))  # for a reader on the short way
        self._released = True
        self._reconsider()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_released", True):
            return
        try:
            if self._started and not self._source.memory:
                text = f"{self!r} was neither read to its end nor closed."
                warnings.warn(text, ResourceWarning, stacklevel=2, source=self)
        finally:
            self._release()


class _Events(Iterator[Event]):
    def __init__(self, stream: TokenStream) -> None:
        self._stream = stream

    def __next__(self) -> Event:
        stream = self._stream
        try:
            event: Event | None = stream._at_once("event")
            if event is None:
                event = stream._advance()
            if event is not None:
                return event
        except BaseException as exc:
            stream._abandon(exc)
            raise
        raise StopIteration


def _read(source: "Readable") -> tuple[str, Any]:
    try:
        return "item", source.read()
    except StopIteration:
        return "end", None
    except Exception as exc:
        return "error", exc


def _flow(
    take: Callable[[Any, float], Any],
    ready: Collection[Any],
    source: "Readable",
    commands: Collection[Any],
    reading: threading.Lock,
    clock: Callable[[], float],
    read: list[tuple[str, Any]],
) -> Iterator[Any]:
    """What `take` makes of each item, the short way: it waits for nothing but the source. It ends when there is
    anything else to be done; what was read but not taken in is then left in `read`, and comes before anything else.

    It has no reference to the stream, which would otherwise live until the garbage collector breaks the cycle."""
    next_item = getattr(source, "advance", None) or source.read
    while not commands and not ready and reading.acquire(False):
        try:
            if read:
                return
            try:
                item = next_item()
            except StopIteration:
                read.append(("end", None))
                return
            except Exception as exc:
                read.append(("error", exc))
                return
            if commands:
                read.append(("item", item))
                return
            said = take(item, clock())
        finally:
            reading.release()
        if said is None:
            return
        yield said
