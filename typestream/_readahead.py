"""The buffer between a source and its reader: one daemon thread reads the source, on demand or ahead.

Rules: items are handed over in order, with their arrival times; the end or error comes last. Only the thread reads and
closes the source; `close` wakes the thread, if it can be woken, and joins it.
"""

import contextvars
import sys
import threading
from collections import deque
from collections.abc import Callable
from copy import deepcopy
from math import inf
from typing import Any, Literal, NamedTuple

from typestream._clock import Clock, Monitor
from typestream._running import task

__all__ = ("LIMIT", "Kept", "Read", "ThreadPump", "thread_context")

LIMIT = 64
"""How many items are read ahead at most; decoded events wait in the stream's own, larger buffer."""

QUICK = 1e-3
"""Seconds. After an item that came sooner, the next one is read unasked: asking for each would take longer than reading
it. What takes longer may be expensive, and is read when it is wanted."""

UNASKED = -inf
"""The time of what was read unasked. It arrives when it is taken, as if it had been read only then."""


def thread_context() -> contextvars.Context:
    """A copy of the current context variables for a thread. The variable that tells anyio and others which event loop
    runs is reset, since none runs in the thread."""
    context = contextvars.copy_context()
    sniffio = sys.modules.get("sniffio")
    if sniffio is not None:
        context.run(sniffio.current_async_library_cvar.set, None)
    return context


class Kept:
    """Keeps items as they were when they were read: a source may fill one buffer or dict again for each. The first dict
    is copied, since it is not known yet whether it will be used again; the others only if it is."""

    def __init__(self) -> None:
        self._dict: Any = None

    def __call__(self, item: Any) -> Any:
        if isinstance(item, (bytearray, memoryview)):
            return bytes(item)
        if type(item) is not dict:
            return item
        before, self._dict = self._dict, item
        return deepcopy(item) if before is None or before is item else item


class Read(NamedTuple):
    """What one read of the source gave, and when: an item, the end or an error."""

    kind: Literal["item", "end", "error"]
    value: Any
    at: float


class ThreadPump:
    """Reads a source in a thread of its own, which starts when something is first asked for.

    Args:
        source: what to read.
        monitor: guards the buffer; notified whenever something was read, and once the source is closed.
        clock: gives the arrival times.

    Attributes:
        ahead: whether to read on without being asked, however long each read takes.
        notify: also called, in the thread, whenever the monitor is notified.
        finished: whether the source is closed.
        monitor: guards the buffer.
    """

    def __init__(self, source: Any, monitor: Monitor, clock: Clock) -> None:
        self.ahead = self.finished = False
        self.notify: Callable[[], None] | None = None
        self._source = source
        self._for = source if hasattr(source, "reader") else None  # a branch of a tee, which has to know its reader
        self.monitor = monitor
        self._clock = clock
        self._kept = Kept()
        self._buffer: deque[Read] = deque()
        self._wanted = self._closing = self._quick = self._asked = False
        self._begun = 0.0
        self._thread: threading.Thread | None = None

    @property
    def filled(self) -> bool:
        """Whether something was read and not taken yet."""
        return bool(self._buffer)

    def take(self) -> list[Read]:
        """What was read and not taken yet; but of what was read unasked, one item. If there is nothing, asks for more.
        The monitor must be held."""
        if self._for is not None:
            self._for.reader = task()
        taken: list[Read] = []
        while self._buffer and (not taken or self._buffer[0].at != UNASKED):
            taken.append(self._buffer.popleft())
        if taken and taken[0].at == UNASKED:
            taken[0] = taken[0]._replace(at=self._clock.now())
        self._wanted = not taken
        if not self._buffer and (self._wanted or self.ahead or self._quick):
            self._ask()  # only now: to wake the thread for each item would take longer than reading it
        return taken

    def _ask(self) -> None:
        if self._thread is None:
            context = thread_context()
            thread = self._clock.thread(lambda: context.run(self._run))
            thread.start()
            self._thread = thread  # only now: if interrupted earlier, `stop` closes the source itself
        self.monitor.notify()

    def _run(self) -> None:
        try:
            while self._allowed() and self._keep(self._read()):
                pass
        finally:
            self._source.close()
            self._finish()

    def _allowed(self) -> bool:
        with self.monitor.lock:
            self.monitor.wait(inf, self._due)
            self._begin()
            return not self._closing

    def _due(self) -> bool:
        return self._closing or self._wanted or ((self.ahead or self._quick) and len(self._buffer) < LIMIT)

    def _begin(self) -> None:
        """A read begins."""
        self._asked, self._begun = self._wanted or self.ahead, self._clock.now()

    def _read(self) -> Read:
        try:
            return Read("item", self._kept(self._source.read()), self._clock.now())
        except StopIteration:
            return Read("end", None, self._clock.now())
        except BaseException as exc:  # raised again where the stream is read
            return Read("error", exc, self._clock.now())

    def _keep(self, read: Read) -> bool:
        """Hand over what was read; returns whether there may be more."""
        with self.monitor.lock:
            # a branch of a tee holds others up by reading
            self._quick = read.at - self._begun < QUICK and self._for is None
            self._buffer.append(read if self._asked or self._wanted else read._replace(at=UNASKED))
            self._wanted = False
        self._tell()
        return read.kind == "item"

    def _finish(self) -> None:
        self.finished = True
        self._tell()

    def _tell(self) -> None:
        with self.monitor.lock:
            self.monitor.notify()
        if self.notify is not None:
            self.notify()

    def stop(self) -> None:
        """Stop reading: wakes the source, and does not wait for the thread."""
        with self.monitor.lock:
            self._closing = True
            self.monitor.notify()
        if self._thread is not None:
            self._interrupt()
        else:
            self._source.close()
            self.finished = True

    def _interrupt(self) -> None:
        self._source.interrupt()

    def close(self, patience: float) -> None:
        """Stop reading, and wait at most `patience` seconds for the thread. If the source blocks and cannot be woken,
        the thread closes it as soon as its read returns."""
        self.stop()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(patience)
