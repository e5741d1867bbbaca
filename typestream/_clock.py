"""The sync driver's clock, and waiting under a lock until something changes or a time has come."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from functools import partial
from time import monotonic, sleep
from typing import Protocol, TypeVar

__all__ = ("CLOCK", "Clock", "Monitor", "RealClock", "RealMonitor")

_T = TypeVar("_T")


class Monitor(Protocol):
    """A lock whose holder can wait for something to change.

    Who holds it may be interrupted by a signal's handler or a finalizer that takes it, too, changes something and says
    so; that is not missed, wherever it happens.
    """

    @property
    def lock(self) -> AbstractContextManager[bool]:
        """To be held for everything here. Taken by `with`, it is let go of wherever Ctrl-C comes: the interpreter lets
        nothing happen in between, as it would in an `__enter__` written in Python."""
        ...

    def wait(self, until: float, ready: Callable[[], object]) -> None:
        """Let go of the lock until the time `until`, or until there is what `ready` looks for: now, and whenever
        notified."""
        ...

    def released(self, call: Callable[[], _T]) -> _T:
        """Call that without the lock, and give what it returns."""
        ...

    def notify(self) -> None:
        """Have whoever waits look again."""
        ...


class Clock(Protocol):
    """Where a stream has its time from; `typestream.testing.VirtualClock` is the other one."""

    def now(self) -> float:
        """Seconds, from any start, never going back."""
        ...

    def monitor(self) -> Monitor:
        """A new monitor whose times are this clock's."""
        ...

    def sleep_until(self, time: float) -> None:
        """Wait until then."""
        ...

    def thread(self, run: Callable[[], None]) -> threading.Thread:
        """A daemon thread, not yet started, that this clock knows of."""
        ...


class RealMonitor:
    """A monitor in real time."""

    # A threading.Condition loses a notify() of the thread that is about to wait, and fails where one notify() is
    # interrupted by another.

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._bells: list[threading.Lock] = []  # of those who wait: held until they are to look again

    def wait(self, until: float, ready: Callable[[], object]) -> None:
        bell = threading.Lock()
        bell.acquire()
        self._bells.append(bell)  # from now on nothing is missed; so now is the time to look
        try:
            while not ready() and (left := until - monotonic()) > 0:
                self.released(partial(bell.acquire, timeout=min(left, threading.TIMEOUT_MAX)))
        finally:
            self._bells.remove(bell)

    def released(self, call: Callable[[], _T]) -> _T:
        try:
            try:
                self.lock.release()
                return call()
            finally:
                self._take_back()
        except BaseException:  # an interrupt, perhaps of taking it back
            self._take_back()
            raise

    def _take_back(self) -> None:
        if not self.lock._is_owned():  # type: ignore[attr-defined]
            self.lock.acquire()

    def notify(self) -> None:
        for bell in tuple(self._bells):
            with suppress(RuntimeError):  # it rings already
                bell.release()


class RealClock:
    """Monotonic real time."""

    now = staticmethod(monotonic)

    def monitor(self) -> Monitor:
        return RealMonitor()

    def sleep_until(self, time: float) -> None:
        sleep(max(0.0, time - monotonic()))

    def thread(self, run: Callable[[], None]) -> threading.Thread:
        return threading.Thread(target=run, name="typestream", daemon=True)


CLOCK: list[Clock] = [RealClock()]
"""The clock of the streams that are made now; the last one counts."""
