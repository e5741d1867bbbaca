"""Many waits, one timer: what the streams of an asyncio loop wait for is kept here, by the time at which it is due, and
the loop itself knows only of the first.

Rules: a wait never ends before it is due, unless woken; a few end just then; of many, those that are due in the same
tick end together at its end. A wait costs no future, no cancel scope, no timer and no callback of its own.
"""

import asyncio
import threading
import weakref
from collections import deque
from collections.abc import Callable, Generator
from contextvars import Context
from heapq import heapify, heappop, heappush
from math import ceil, inf
from types import coroutine
from typing import Any, Final

__all__ = ("Alarm", "Timers", "timers")

_SLACK: Final = 1e-6
"""Seconds by which a timer may be early; sums of floats are not exact."""

_EACH: Final = 5e-6
"""Seconds of a tick for each wait: waking one takes about as long, so shorter ticks would leave the loop no time."""

_TICKS: Final = (0.016, 0.008, 0.004, 0.002, 0.001)
"""Seconds; each is a multiple of the next, so that what was rounded to one meets what was rounded to another."""

_FEW: Final = 64
"""So many times for which nobody waits any more stay where they are; more only if they are no more than the others."""


class Alarm:
    """What one task at a time waits for, again and again: a time, or to be woken. All but `wait` is for the loop.

    To a task of asyncio this is a future, by what tasks ask of one: they look at `_asyncio_future_blocking` and
    `_loop`, and call `add_done_callback`, `result` and `cancel`. Unlike a future it is used again, and the timers call
    its task themselves, without a round through the loop for each.

    Attributes:
        when: when it is due, by the loop's clock; inf where no timer is set.
        waiting: whether somebody waits, or is about to, who was not woken yet.
    """

    __slots__ = ("_asyncio_future_blocking", "_call", "_cancelled", "_context", "_loop", "_timers", "waiting", "when")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._asyncio_future_blocking = False
        self._loop = loop
        self._timers = timers(loop)
        self._call: Callable[[Any], object] | None = None  # goes on with the task
        self._context: Context | None = None
        self._cancelled: tuple[object, ...] | None = None  # what the CancelledError is to say
        self.when = inf
        self.waiting = False

    @coroutine
    def wait(self, when: float) -> Generator["Alarm", None, bool]:
        """Wait until that time, unless or until woken. Who looks first whether there is anything to wait for sets
        `waiting` before, for whoever changes that in between.

        Returns:
            Whether that time has come.
        """
        self.waiting = True
        try:
            if when < inf:
                self._timers.add(self, when)
            self._asyncio_future_blocking = True
            yield self
            return self.when == inf > when
        finally:
            self.waiting = False
            self._call = self._cancelled = None
            if self.when < inf:
                self._timers.leave(self)

    def wake(self) -> None:
        """End the wait, if there is one. From the loop alone."""
        if self.waiting:
            self.waiting = False
            self._go_on()

    def _go_on(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            self._loop.call_soon(call, self, context=self._context)

    # -- what tasks ask of a future

    def add_done_callback(self, call: Callable[[Any], object], *, context: Context | None = None) -> None:
        self._call, self._context = call, context
        if not self.waiting:
            self._go_on()

    def cancel(self, msg: object = None) -> bool:
        if not self.waiting:
            return False
        self._cancelled = () if msg is None else (msg,)
        self.wake()
        return True

    def result(self) -> None:
        if self._cancelled is not None:
            raise asyncio.CancelledError(*self._cancelled)


class Timers:
    """The alarms of one loop; to be used from it alone."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)  # the loop is the key under which this is found
        self._due: dict[float, dict[Alarm, None]] = {}
        self._times: list[float] = []  # a heap; all that is due, and perhaps more
        self._ringing: deque[Alarm] = deque()
        self._waiting = 0
        self._tick = 0.0
        self._handle: asyncio.TimerHandle | None = None
        self._at = inf  # when the handle is due

    def add(self, alarm: Alarm, when: float) -> None:
        """Have the alarm ring at that time or soon after. To be followed by `leave`, unless it has rung."""
        tick = self._tick
        if tick:
            when = ceil(when / tick) * tick
        alarm.when = when
        self._waiting += 1
        together = self._due.get(when)
        if together is not None:
            together[alarm] = None
            return
        self._due[when] = {alarm: None}
        heappush(self._times, when)
        if when < self._at:
            self._arm(when)

    def leave(self, alarm: Alarm) -> None:
        """Nobody waits for that alarm any more."""
        together = self._due.get(alarm.when, {})
        together.pop(alarm, None)
        if not together:
            self._due.pop(alarm.when, None)
        alarm.when = inf
        self._waiting -= 1
        if not self._waiting:
            self._arm(inf)
        elif len(self._times) > _FEW + 2 * len(self._due):
            self._times = list(self._due)
            heapify(self._times)

    def _arm(self, when: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        if not self._waiting:
            self._times.clear()
            self._tick, when = 0.0, inf
        self._at = when
        loop = self._loop()
        self._handle = None if when == inf or loop is None else loop.call_at(when, self._fire)

    def _fire(self) -> None:
        loop, times, ringing = self._loop(), self._times, self._ringing
        assert loop is not None
        now = loop.time() + _SLACK
        worth = self._waiting * _EACH
        self._tick = next((tick for tick in _TICKS if tick <= worth), 0.0)
        while times and times[0] <= now:
            ringing.extend(self._due.pop(heappop(times), ()))
        try:
            while ringing:
                alarm = ringing.popleft()
                if alarm.when <= now:  # else somebody who was called before it has woken or cancelled it
                    self._waiting -= 1
                    alarm.when = inf
                    if alarm.waiting:
                        alarm.waiting = False
                        call, alarm._call = alarm._call, None
                        if call is not None and alarm._context is not None:
                            alarm._context.run(call, alarm)
        finally:  # who is called may be interrupted; then the others are called next time
            self._arm(now if ringing else self._times[0] if self._times else inf)


_lock = threading.Lock()
_all: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Timers]" = weakref.WeakKeyDictionary()


def timers(loop: asyncio.AbstractEventLoop) -> Timers:
    """The timers of a loop."""
    with _lock:
        found = _all.get(loop)
        if found is None:
            found = _all[loop] = Timers(loop)
        return found
