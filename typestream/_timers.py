"""Many waits, one timer: the waits of all streams of an asyncio loop are kept here, by due time, and the loop itself
has a timer only for the first.

Rules: a wait never ends before it is due, unless it is woken. If there are few waits, each ends when it is due; if
there are many, those due in the same tick end together, at the end of the tick. A wait has no future, cancel scope,
timer or callback of its own.
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
"""Seconds by which a timer may be early, because sums of floats are not exact."""

_EACH: Final = 5e-6
"""Seconds that each wait adds to a tick: waking one takes about as long, so shorter ticks would leave the loop no
time."""

_TICKS: Final = (0.016, 0.008, 0.004, 0.002, 0.001)
"""Seconds; each is a multiple of the next, so that times rounded to different ticks still coincide."""

_FEW: Final = 64
"""How many stale times may stay in the heap, besides as many as there are live ones."""


class Alarm:
    """What one task at a time waits for, again and again: a time, or to be woken. Only `wait` is for the task; the rest
    is for the loop.

    An asyncio task takes this for a future: tasks look at `_asyncio_future_blocking` and `_loop`, and call
    `add_done_callback`, `result` and `cancel`. Unlike a future it is reused, and the timers call its task directly,
    without a pass through the loop for each.

    Attributes:
        when: when it is due, by the loop's clock; inf where no timer is set.
        waiting: whether a task waits, or is about to, and was not woken yet.
    """

    __slots__ = ("_asyncio_future_blocking", "_call", "_cancelled", "_context", "_loop", "_timers", "waiting", "when")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._asyncio_future_blocking = False
        self._loop = loop
        self._timers = timers(loop)
        self._call: Callable[[Any], object] | None = None  # resumes the task
        self._context: Context | None = None
        self._cancelled: tuple[object, ...] | None = None  # the arguments of the CancelledError
        self.when = inf
        self.waiting = False

    @coroutine
    def wait(self, when: float) -> Generator["Alarm", None, bool]:
        """Wait until the time `when`, or until woken. A caller that first checks whether to wait at all sets `waiting`
        before that check, so that a wake in between is not lost.

        Returns:
            Whether the time `when` has come.
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
        """End the wait, if there is one. Only to be called in the loop."""
        if self.waiting:
            self.waiting = False
            self._go_on()

    def _go_on(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            self._loop.call_soon(call, self, context=self._context)

    # -- what tasks expect of a future

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
    """The alarms of one loop; only to be used in that loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)  # weak, because the loop is the key of this in `_all`
        self._due: dict[float, dict[Alarm, None]] = {}
        self._times: list[float] = []  # a heap: all due times, and perhaps some without a wait
        self._ringing: deque[Alarm] = deque()
        self._waiting = 0
        self._tick = 0.0
        self._handle: asyncio.TimerHandle | None = None
        self._at = inf  # when the handle is due

    def add(self, alarm: Alarm, when: float) -> None:
        """Make the alarm ring at the time `when` or soon after. Call `leave` afterwards, unless it has rung."""
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
        """The task no longer waits for this alarm."""
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
                if alarm.when <= now:  # else a task called before has woken or cancelled it
                    self._waiting -= 1
                    alarm.when = inf
                    if alarm.waiting:
                        alarm.waiting = False
                        call, alarm._call = alarm._call, None
                        if call is not None and alarm._context is not None:
                            alarm._context.run(call, alarm)
        finally:  # a task called here may raise an interrupt; then the others are called next time
            self._arm(now if ringing else self._times[0] if self._times else inf)


_lock = threading.Lock()
_all: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Timers]" = weakref.WeakKeyDictionary()


def timers(loop: asyncio.AbstractEventLoop) -> Timers:
    """The timers of a loop, made when first asked for."""
    with _lock:
        found = _all.get(loop)
        if found is None:
            found = _all[loop] = Timers(loop)
        return found
