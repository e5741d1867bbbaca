"""The buffer between a blocking source and whoever waits for it: one daemon thread reads, on demand or ahead.

Rules: what was read is handed over in order, with the time at which it came, and its end or error last; the thread
alone reads and closes the source; `close` wakes it where it can be woken and joins it.
"""

import contextvars
from collections import deque
from collections.abc import Callable
from math import inf
from typing import Any, Literal, NamedTuple

from typestream._clock import Clock, Monitor
from typestream._source import Readable

__all__ = ("Pump", "Read")

LIMIT = 64
"""How many items are read ahead at most; what is decoded waits in the stream's own, larger, buffer."""


class Read(NamedTuple):
    """One thing that came of the source, and when."""

    kind: Literal["item", "end", "error"]
    value: Any
    at: float


class Pump:
    """Reads a source in a thread of its own.

    Args:
        source: what to read.
        monitor: guards the buffer; notified whenever something was read.
        clock: tells when.
        ahead: whether to read on without being asked.
        notify: called, besides, in the thread, whenever something was read.
    """

    def __init__(
        self,
        source: Readable,
        monitor: Monitor,
        clock: Clock,
        *,
        ahead: bool = False,
        notify: Callable[[], None] | None = None,
    ) -> None:
        self._source = source
        self._monitor = monitor
        self._clock = clock
        self._notify = notify
        self._buffer: deque[Read] = deque()
        self._wanted = False
        self._closing = False
        self.ahead = ahead
        context = contextvars.copy_context()
        self._thread = clock.thread(lambda: context.run(self._run))
        self._thread.start()

    @property
    def filled(self) -> bool:
        """Whether something was read that was not taken."""
        return bool(self._buffer)

    def take(self) -> list[Read]:
        """What was read by now; asks for more where there is nothing. The monitor must be held."""
        taken = list(self._buffer)
        self._buffer.clear()
        self._wanted = not taken
        if self._wanted or self.ahead:
            self._monitor.notify()
        return taken

    def _run(self) -> None:
        more = True
        while more and self._allowed():
            read = self._read()
            more = read.kind == "item"
            with self._monitor:
                self._buffer.append(read)
                self._wanted = False
                self._monitor.notify()
            if self._notify is not None:
                self._notify()
        self._source.close()

    def _allowed(self) -> bool:
        with self._monitor:
            while not (self._closing or self._wanted or (self.ahead and len(self._buffer) < LIMIT)):
                self._monitor.wait(inf)
            return not self._closing

    def _read(self) -> Read:
        try:
            return Read("item", self._source.read(), self._clock.now())
        except StopIteration:
            return Read("end", None, self._clock.now())
        except BaseException as exc:  # it is raised where the stream is read
            return Read("error", exc, self._clock.now())

    def close(self, patience: float = 0.05) -> None:
        """Stop reading, wake the source, and wait for the thread, at most `patience` seconds: a source that blocks
        and cannot be woken is closed by the thread as soon as it returns."""
        with self._monitor:
            self._closing = True
            self._monitor.notify()
        self._source.interrupt()
        self._thread.join(patience)
