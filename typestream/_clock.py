"""The sync driver's clock, and waiting under a lock until something changes or a time has come."""

import threading
from collections.abc import Callable
from contextlib import suppress
from math import inf
from time import monotonic
from typing import Protocol

__all__ = ("CLOCK", "Clock", "Monitor", "RealClock", "RealMonitor")


class Monitor(Protocol):
    """A lock whose holder can wait for a `notify` or a time."""

    def __enter__(self) -> bool: ...

    def __exit__(self, *exc: object) -> None: ...

    def wait(self, until: float) -> None:
        """Let go of the lock until notified, the time `until`, or for no reason."""
        ...

    def notify(self) -> None:
        """Wake whoever waits."""
        ...


class Clock(Protocol):
    """Where a stream has its time from; `typestream.testing.VirtualClock` is the other one."""

    def now(self) -> float:
        """Seconds, from any start, never going back."""
        ...

    def monitor(self) -> Monitor:
        """A new monitor whose times are this clock's."""
        ...

    def thread(self, run: Callable[[], None]) -> threading.Thread:
        """A daemon thread, not yet started, that this clock knows of."""
        ...


class RealMonitor:
    """A monitor in real time."""

    def __init__(self) -> None:
        self._condition = threading.Condition()  # reentrant: a signal's handler may call stop()

    def __enter__(self) -> bool:
        return self._condition.__enter__()

    def __exit__(self, *exc: object) -> None:
        # Ctrl-C can come while `wait` takes the lock back, which is then not held, and is what is to be seen.
        with suppress(RuntimeError):
            self._condition.__exit__(None, None, None)

    def wait(self, until: float) -> None:
        self._condition.wait(None if until == inf else max(0.0, until - monotonic()))

    def notify(self) -> None:
        self._condition.notify_all()


class RealClock:
    """Monotonic real time."""

    now = staticmethod(monotonic)

    def monitor(self) -> Monitor:
        return RealMonitor()

    def thread(self, run: Callable[[], None]) -> threading.Thread:
        return threading.Thread(target=run, name="typestream", daemon=True)


CLOCK: list[Clock] = [RealClock()]
"""The clock of the streams that are made now; the last one counts."""
