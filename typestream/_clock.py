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

    A signal handler or a finalizer may interrupt the holder, take the lock as well, change something and notify; that
    notification is not missed, wherever it happens.
    """

    @property
    def lock(self) -> AbstractContextManager[bool]:
        """Must be held to call anything here. Take it with `with`: then it is released wherever Ctrl-C comes, because
        the interpreter lets nothing happen in between, as it would in an `__enter__` written in Python."""
        ...

    def wait(self, until: float, ready: Callable[[], object]) -> None:
        """Release the lock and wait until the time `until`, or until `ready()` is true, which is checked now and
        whenever notified."""
        ...

    def released(self, call: Callable[[], _T]) -> _T:
        """Call `call` without the lock, and return what it returns."""
        ...

    def notify(self) -> None:
        """Make every thread that waits look again."""
        ...


class Clock(Protocol):
    """Where a stream gets its time; the other clock is `typestream.testing.VirtualClock`."""

    def now(self) -> float:
        """Seconds since some fixed point; never goes back."""
        ...

    def monitor(self) -> Monitor:
        """A new monitor whose times are this clock's."""
        ...

    def sleep_until(self, time: float) -> None:
        """Block until the time `time`."""
        ...

    def thread(self, run: Callable[[], None]) -> threading.Thread:
        """A daemon thread, not yet started, that this clock knows of."""
        ...


class RealMonitor:
    """A monitor in real time."""

    # A threading.Condition loses a notify() by the thread that is about to wait, and fails if one notify() interrupts
    # another.

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._bells: list[threading.Lock] = []  # one per waiting thread, held until that is to look again

    def wait(self, until: float, ready: Callable[[], object]) -> None:
        bell = threading.Lock()
        bell.acquire()
        self._bells.append(bell)  # nothing is missed from now on, so now is the time to look
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
        except BaseException:  # an interrupt, perhaps while taking it back
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
"""The clock for new streams; the last one counts."""
