"""Retrying, or turning to another source, as long as nothing has been shown.

Rules: an attempt's events are held back until one of them shows something (text, a tool call, the finish; not merely
that the answer has started). If the attempt fails before that, they are dropped and the next attempt begins; after
that, its end is the end of the stream.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

from typestream._calls import Watch
from typestream._clock import CLOCK
from typestream._core import Core
from typestream._decoding import Relay
from typestream._stall import Timeout, progress
from typestream._sync import TokenStream
from typestream.errors import (
    StallTimeout,
    StreamConnectionError,
    StreamError,
    StreamServerError,
    StreamTruncated,
    UnsupportedSource,
)
from typestream.events import Event

__all__ = ("attempts", "backoff", "transient")

Failure: TypeAlias = StreamError | UnsupportedSource

_PASSING = frozenset({"server_error", "rate_limit_exceeded", "overloaded", "overloaded_error", "internal_server_error"})


def transient(error: Failure) -> bool:
    """Whether the same request may succeed a moment later: not if the server understood and refused it."""
    if isinstance(error, StreamServerError):
        status = error.status if error.status is not None else error.code
        if isinstance(status, int):
            return status in (408, 409, 425, 429) or 500 <= status <= 599
        return status in _PASSING
    return isinstance(error, (StreamConnectionError, StallTimeout, StreamTruncated))


def backoff(retries: int) -> Iterator[float]:
    """Seconds to wait before each new attempt: 0.5 at first, doubled each time, at most 8."""
    return (min(8.0, 0.5 * 2**number) for number in range(retries))


class Plan:
    """Which attempt comes next, and what the current one has given.

    Args:
        opens: makes the stream of each attempt; may raise a StreamError or UnsupportedSource.
        again: whether an error is a reason for the next attempt.
        waits: seconds to wait before the second attempt and each after it.

    Attributes:
        kept: events to be passed on; None is the end.
        ready: whether the current attempt is the final one.
        timeouts: the stall clocks of each attempt.
    """

    def __init__(
        self, opens: Iterable[Callable[[], Any]], again: Callable[[Failure], bool], waits: Iterable[float]
    ) -> None:
        self.kept: deque[Event | None] = deque()
        self.ready = False
        self.timeouts: Timeout | None = None
        self._opens = deque(opens)
        self._again = again
        self._waits = iter(waits)

    def open(self) -> Any:
        """The stream of the next attempt."""
        stream = self._opens.popleft()()
        clocks = self.timeouts
        return stream.timeout(clocks.first, clocks.between, clocks.total) if clocks is not None else stream

    def took(self, event: Event | None) -> None:
        """The attempt gave an event, or its end."""
        self.kept.append(event)
        self.ready = event is None or progress(event) is not None

    def failed(self, error: Failure) -> float:
        """The attempt failed. Returns the seconds to wait before the next; raises the error if there is no next one."""
        if not self._opens or not self._again(error):
            self.ready = True
            raise error
        self.kept.clear()
        return next(self._waits, 0.0)


class _Attempts:
    """What both kinds of sources share.

    Attributes:
        stream: the stream of the current attempt.
    """

    memory = False
    wire = False

    def __init__(self, plan: Plan, stream: Any) -> None:
        self.stream = stream
        self.decoder: Any = Relay(self)
        self.name = f"attempts, now {stream._source.name}"
        self._plan = plan

    @property
    def timeouts(self) -> Timeout | None:
        """The stall clocks of each attempt."""
        return self._plan.timeouts

    @timeouts.setter
    def timeouts(self, clocks: Timeout) -> None:
        self._plan.timeouts = clocks
        self.stream.timeout(clocks.first, clocks.between, clocks.total)


class Attempts(_Attempts):
    """A source that reads one attempt after another."""

    def __init__(self, plan: Plan, stream: TokenStream) -> None:
        super().__init__(plan, stream)
        self._monitor = CLOCK[-1].monitor()
        self._stopped = False
        self._call: Watch | None = None  # the next attempt's, while it is opened

    def read(self) -> Event:
        """The next event; raises StopIteration at the end."""
        plan = self._plan
        failed: Failure | None = None
        while not plan.ready:
            try:
                if failed is not None:
                    self._call = Watch()
                    self.stream = _sync(self._call.around(plan.open))
                    if self._stopped:  # while it was opened
                        raise failed
                failed = None
                plan.took(self.stream._advance())
            except (StreamError, UnsupportedSource) as error:
                failed = error
                self.stream.close()
                self._wait(plan.failed(error))
                if self._stopped:
                    raise
        event = plan.kept.popleft() if plan.kept else self.stream._advance()
        if event is None:
            raise StopIteration
        return event

    def _wait(self, seconds: float) -> None:
        until = CLOCK[-1].now() + seconds
        with self._monitor.lock:
            self._monitor.wait(until, lambda: self._stopped)

    def interrupt(self) -> None:
        """Wake a blocked `read`."""
        with self._monitor.lock:
            self._stopped = True
            self._monitor.notify()
        if self._call is not None:
            self._call.end()
        self.stream.stop()

    def close(self) -> None:
        """Close the present attempt."""
        self.stream.close()


class AsyncAttempts(_Attempts):
    """A source that reads one attempt after another, to be awaited."""

    async def read(self) -> Event:
        """The next event; raises StopAsyncIteration at the end."""
        from typestream import _aio

        plan = self._plan
        failed: Failure | None = None
        while not plan.ready:
            try:
                if failed is not None:
                    self.stream = plan.open().as_async()
                failed = None
                plan.took(await self.stream._advance())
            except (StreamError, UnsupportedSource) as error:
                failed = error
                await self.stream.aclose()
                await _aio.sleep(plan.failed(error))
        event = plan.kept.popleft() if plan.kept else await self.stream._advance()
        if event is None:
            raise StopAsyncIteration
        return event

    async def aclose(self) -> None:
        """Close the present attempt."""
        await self.stream.aclose()


def _sync(stream: Any) -> TokenStream:
    return stream if isinstance(stream, TokenStream) else stream.as_sync()


def attempts(opens: Iterable[Callable[[], Any]], again: Callable[[Failure], bool], waits: Iterable[float] = ()) -> Any:
    """One stream of several attempts; the first is opened at once, to see which twin it is. See `Plan`."""
    plan = Plan(opens, again, waits)
    clock = CLOCK[-1]
    while True:
        try:
            first = plan.open()
            break
        except (StreamError, UnsupportedSource) as error:
            clock.sleep_until(clock.now() + plan.failed(error))
    if isinstance(first, TokenStream):
        return TokenStream(Core(require=None), Attempts(plan, first))
    return type(first)(Core(require=None), AsyncAttempts(plan, first))
