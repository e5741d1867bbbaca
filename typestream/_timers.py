"""Many waits, one timer: what the streams of an asyncio loop wait for is kept in one heap, and the loop itself knows
only of the first. A wait costs a future, no cancel scope and no timer of its own; a loop that is busy, or that rounds
its timers up to a millisecond as epoll does, wakes all that are due in one go. No time is rounded here."""

import asyncio
import threading
import weakref
from contextlib import suppress
from heapq import heapify, heappop, heappush
from itertools import count
from math import inf

__all__ = ("Timers", "timers")

_SLACK = 1e-6
"""Seconds by which a timer may be early; sums of floats are not exact."""

_FEW = 64
"""So many given-up waits stay where they are; more only as long as they are no more than half of all."""

_Waiting = tuple[float, int, "asyncio.Future[bool]"]


class Timers:
    """The waits of one loop; to be used from it alone."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)  # the loop is the key under which this is found
        self._heap: list[_Waiting] = []
        self._numbers = count()
        self._left = 0  # about so many of them are not waited for any more; never too few
        self._handle: asyncio.TimerHandle | None = None
        self._at = inf  # when the handle is due

    def add(self, when: float, future: "asyncio.Future[bool]") -> None:
        """Have the future say True at that time, by the loop's clock. To be followed by `leave`."""
        heappush(self._heap, (when, next(self._numbers), future))
        if when < self._at:
            self._arm(when)

    def leave(self, future: "asyncio.Future[bool]") -> None:
        """Nobody waits for that future any more, whether or not its time has come."""
        if not future.done():  # whoever waited was closed, perhaps because the loop is
            with suppress(RuntimeError):
                future.cancel()
        elif not future.cancelled() and future.result():
            return  # its time has come, and it is gone
        self._left += 1
        if self._left >= len(self._heap) or (self._left > _FEW and self._left * 2 > len(self._heap)):
            self._heap = [entry for entry in self._heap if not entry[2].done()]
            heapify(self._heap)
            self._left = 0
            if not self._heap:
                self._arm(inf)

    def _arm(self, when: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._at = when
        loop = self._loop()
        self._handle = None if when == inf or loop is None else loop.call_at(when, self._fire)

    def _fire(self) -> None:
        loop, heap = self._loop(), self._heap
        assert loop is not None
        now = loop.time() + _SLACK
        while heap and (heap[0][0] <= now or heap[0][2].done()):
            future = heappop(heap)[2]
            if future.done():
                self._left -= 1
            else:
                future.set_result(True)
        self._handle = None
        self._arm(heap[0][0] if heap else inf)


_lock = threading.Lock()
_all: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Timers]" = weakref.WeakKeyDictionary()


def timers(loop: asyncio.AbstractEventLoop) -> Timers:
    """The timers of a loop."""
    with _lock:
        found = _all.get(loop)
        if found is None:
            found = _all[loop] = Timers(loop)
        return found
