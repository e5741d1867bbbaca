"""The sync driver's clock, and waiting under a lock until something changes or a time has come."""

import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic, sleep
from typing import Protocol

__all__ = ("CLOCK", "Clock", "Monitor", "RealClock", "RealMonitor")


class Monitor(Protocol):
    """A lock whose holder can wait for something to change.

    Who holds it may be interrupted by a signal's handler or a finalizer that takes it, too, changes something and says
    so; that is not missed, wherever it happens.
    """

    def __enter__(self) -> bool: ...

    def __exit__(self, *exc: object) -> None: ...

    def wait(self, until: float, ready: Callable[[], object]) -> None:
        """Let go of the lock until the time `until`, or until there is what `ready` looks for: now, and whenever
        notified."""
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
        self._lock = threading.RLock()
        self._bells: list[threading.Lock] = []  # of those who wait: held until they are to look again

    def __enter__(self) -> bool:
        return self._lock.__enter__()

    def __exit__(self, *exc: object) -> None:
        # Ctrl-C can come while `wait` takes the lock back, which is then not held, and is what is to be seen.
        with suppress(RuntimeError):
            self._lock.release()

    def wait(self, until: float, ready: Callable[[], object]) -> None:
        bell = threading.Lock()
        bell.acquire()
        self._bells.append(bell)  # from now on nothing is missed; so now is the time to look
        try:
            while not ready() and (left := until - monotonic()) > 0:
                self._lock.release()
                try:
                    bell.acquire(timeout=min(left, threading.TIMEOUT_MAX))
                finally:
                    self._lock.acquire()
        finally:
            self._bells.remove(bell)

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
