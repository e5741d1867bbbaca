"""One stream with several readers: each branch is a stream of its own over the events of the stream that was split.

Rules: the branch that is first to need an event has it read for all; every branch gets the same events and the same end
or error; no branch is more than `lag` events behind another; a branch that is closed, dropped or has failed holds up no
other, and the last one to leave closes the stream.
"""

import copy
import threading
from collections import deque
from collections.abc import Iterable
from math import inf
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar

from typestream import _running
from typestream._core import Core
from typestream._decoding import Relay
from typestream._failures import failure
from typestream._running import Reader
from typestream._stall import Stall
from typestream._sync import TokenStream
from typestream.errors import StreamBusy, StreamClosed, StreamLimitExceeded, UnsupportedSource
from typestream.events import Event
from typestream.result import Result

__all__ = ("Buffer", "Hub", "Policy", "Tee", "split", "tee")

Policy: TypeAlias = Literal["block", "raise"]
_Stream = TypeVar("_Stream")

PATIENCE: Final = 1.0
"""Seconds that a branch waits for another before it checks whether that one has a reader at all."""

GLANCE: Final = 0.05
"""Seconds after which a branch with stall clocks checks whether it still waits for another branch, not for the
source."""


class Buffer:
    """The events that a branch has not read yet, its last reader, and its error if it has failed."""

    def __init__(self, before: Iterable[Event]) -> None:
        self.before = deque(before)  # what a late branch has to catch up with does not count as lag
        self.events: deque[Event] = deque()
        self.reader: Reader | None = None
        self.failed: StreamLimitExceeded | None = None
        self.since: float | None = None  # since when it waits for another branch

    def __bool__(self) -> bool:
        return bool(self.before or self.events)

    def pop(self) -> Event:
        self.since = None
        return self.before.popleft() if self.before else self.events.popleft()


class Hub:
    """What the branches share.

    Args:
        stream: the stream that was split; nothing else may read it.
        lag: how many events a branch may be behind another.
        policy: what happens then; see `TokenStream.tee`.
    """

    def __init__(self, stream: Any, lag: int, policy: Policy) -> None:
        if type(lag) is not int or lag < 1:
            raise ValueError(f"tee(lag) takes a number of at least 1, not {lag!r}.")
        if policy not in ("block", "raise"):
            raise ValueError(f'tee(policy) must be "block" or "raise", not {policy!r}.')
        self.stream = stream
        self.buffers: dict[int, Buffer] = {}
        self._so_far = Result()
        self._lag = lag
        self._policy = policy
        self._branches = 0
        self._held: tuple[float, float | None] = (0.0, None)

    def branch(self) -> "_Branch":
        """One more branch; it begins with what came before."""
        number, self._branches = self._branches, self._branches + 1
        self.buffers[number] = Buffer(self._so_far.events())
        return _Branch(self, number)

    def begin(self, branches: "Tee[Any]") -> None:
        """Put what was read before the split into the result of each branch; a late branch begins with it."""
        for event in self.stream.result.events():
            self._so_far.add(event)
            for branch in branches:
                branch.result.add(event)

    def own(self, number: int, reader: Reader) -> Buffer:
        """The buffer of a branch, which `reader` reads now."""
        buffer = self.buffers.get(number)
        if buffer is None:
            raise StreamClosed("This branch was closed.")
        buffer.reader = reader
        if buffer.failed is not None and not buffer:
            raise buffer.failed
        return buffer

    def give(self, event: Event) -> None:
        self._so_far.add(event)
        for buffer in list(self.buffers.values()):
            if buffer.failed is None:
                buffer.events.append(event)

    def room(self) -> bool:
        """Whether the next event may be read for all: no branch is too far behind, or the policy is not to wait."""
        behind = self._behind()
        if self._policy == "raise":
            for buffer in behind:
                buffer.failed = self._exceeded("This branch is", "another", "read faster")
            return True
        return not behind

    def _behind(self) -> list[Buffer]:
        return [each for each in list(self.buffers.values()) if each.failed is None and len(each.events) >= self._lag]

    def patience(self, buffer: Buffer) -> float:
        """The time until which this branch waits before it looks again, while nothing may be read because others are
        behind.

        Raises:
            StreamLimitExceeded: no other thread or task reads those.
        """
        now = self.now()
        seconds, since = self._held
        if since is None:
            self._held = seconds, now
        if buffer.since is None:
            buffer.since = now
        if now < buffer.since + PATIENCE:
            return buffer.since + PATIENCE
        if self._hopeless(buffer.reader):
            raise self._exceeded("Another branch is", "this one", "read both at once, or close the one nobody reads")
        return now + PATIENCE

    def _hopeless(self, reader: Reader | None) -> bool:
        """Whether the branches that `reader` waits for have no other reader."""
        behind = self._behind()
        readers = [each.reader for each in behind if each.reader is not None]
        return bool(behind) and not any((reader is None or each.beside(reader)) and each.alive for each in readers)

    def go_on(self) -> None:
        """The source is read again."""
        seconds, since = self._held
        if since is not None:
            self._held = seconds + self.now() - since, None

    def held(self) -> tuple[float, bool]:
        """For how many seconds the source was not read because a branch was too far behind; and whether that is so now.
        May be called from any thread."""
        seconds, since = self._held
        return (seconds, False) if since is None else (seconds + self.now() - since, True)

    def now(self) -> float:
        """The time, by the stream's clock."""
        raise NotImplementedError

    def _exceeded(self, who: str, whom: str, what: str) -> StreamLimitExceeded:
        text = f"{who} {self._lag} events behind {whom}: {what}, or give tee() a larger lag."
        return StreamLimitExceeded(text, limit="tee")

    def end(self, raised: BaseException) -> Exception:
        """The error that the stream ended with, as a new object for each branch."""
        error = raised if isinstance(raised, UnsupportedSource) else failure(raised, wire=False)
        # a user's class may need any arguments
        mine = type(error).__new__(type(error), *error.args)
        vars(mine).update(vars(error))
        mine.__cause__ = error.__cause__
        return mine


class _Branch:
    """A branch as a source: what a driver reads."""

    memory = False
    wire = False

    def __init__(self, hub: Any, number: int) -> None:
        self.reader: Reader | None = None  # for whom, if the stream's own thread or task reads ahead
        self._hub = hub
        self._number = number
        self.decoder: Any = Relay(hub)
        self.name = f"a branch of {hub.stream!r}"

    def read(self) -> Any:
        """The next event; for the async hub, an awaitable of it."""
        return self._hub.read(self._number, self.reader)

    def interrupt(self) -> None:
        self._hub.leave(self._number)

    def close(self) -> None:
        self._hub.leave(self._number)

    async def aclose(self) -> None:
        await self._hub.leave(self._number)

    def __del__(self) -> None:
        self._hub.drop(self._number)


class _SyncHub(Hub):
    """The branch that first needs an event reads it, in its own thread; the others wait for it."""

    def __init__(self, stream: TokenStream, lag: int, policy: Policy) -> None:
        super().__init__(stream, lag, policy)
        self._monitor = stream._clock.monitor()
        self._fetching = False

    def branch(self) -> "_Branch":
        with self._monitor.lock:  # other threads may be reading
            return super().branch()

    def now(self) -> float:
        return self.stream._now()  # type: ignore[no-any-return]

    def read(self, number: int, reader: Reader | None) -> Event:
        reader = reader or _running.thread()
        with self._monitor.lock:
            buffer = self.own(number, reader)
            while not buffer:
                if self._fetching:
                    self._monitor.wait(inf, lambda: not self._fetching or self._has(number))
                elif self._may_fetch(number, buffer):
                    self._fetch()
                buffer = self.own(number, reader)
            if len(buffer.events) == self._lag:
                self._monitor.notify()
            return buffer.pop()

    def _has(self, number: int) -> bool:
        """Whether that branch has something to look at: an event, or that it was closed."""
        return bool(self.buffers.get(number, True))

    def _may_fetch(self, number: int, buffer: Buffer) -> bool:
        if self.room():
            return True
        self._monitor.wait(self.patience(buffer), lambda: self._fetching or self._has(number) or self.room())
        return False

    def _fetch(self) -> None:
        """Read the next event for all. The caller holds the lock; it is released during the read."""
        try:
            self._fetching = True
            self.go_on()
            event: Event | None = self._monitor.released(self.stream._advance)
            if event is not None:
                self.give(event)
        except Exception as exc:
            raise (self.end(exc) if self.stream._core.ended else exc) from exc.__cause__
        except BaseException as exc:
            self.stream._abandon(exc)  # perhaps not every branch got what was read
            error = self.stream._core.error
            if error is not None and error.__cause__ is None:
                error.__cause__ = exc  # for the others
            raise
        finally:
            self._fetching = False
            self._monitor.notify()
        if event is None:
            raise StopIteration

    def leave(self, number: int) -> None:
        with self._monitor.lock:
            if self.buffers.pop(number, None) is None:
                return
            last = not self.buffers
            self._monitor.notify()
        if last:
            self.stream.close()

    drop = leave


class Tee(tuple[_Stream, ...], Generic[_Stream]):
    """The branches of a stream."""

    _hub: Hub

    def join(self) -> _Stream:
        """Add one more branch. It begins with what came before, each text in one piece; then it gets what the others
        get.

        Raises:
            StreamClosed: all the branches were closed.
        """
        hub = self._hub
        if not hub.buffers:
            raise StreamClosed("All the branches were closed; there is nothing to join.")
        late: _Stream = _stream(hub)
        return late


class _Clocks(Stall):
    """The stall clocks of a branch; they stop while it waits for another branch that is too far behind."""

    __slots__ = ("_hub",)

    def __init__(self, hub: Hub) -> None:
        super().__init__()
        self._hub = hub

    def heard(self, now: float) -> None:
        super().heard(now - self._hub.held()[0])

    def held(self, now: float) -> None:
        super().held(now - self._hub.held()[0])

    def waiting(self, now: float) -> float:
        seconds, holds = self._hub.held()
        until = super().waiting(now - seconds) + seconds
        return max(until, now + GLANCE) if holds else until


def _stream(hub: Hub) -> Any:
    return type(hub.stream)(Core(require=None, stall=_Clocks(hub)), hub.branch())


def split(stream: Any, hub: type[Hub], n: int, lag: int, policy: Policy) -> Any:
    """Split a stream into `n` branches that share a hub of this class."""
    if type(n) is not int or n < 1:
        raise ValueError(f"tee(n) takes a number of at least 1, not {n!r}.")
    inner = copy.copy(stream)
    inner._reading = threading.Lock()
    shared = hub(inner, lag, policy)
    stream._retire("This stream was split: go on with the branches that tee() gave")
    branches: Tee[Any] = Tee(_stream(shared) for _ in range(n))
    branches._hub = shared
    shared.begin(branches)
    if inner._paused:
        inner.resume()
        for branch in branches:
            branch.pause()  # only the branches can be resumed from now on
    return branches


def tee(stream: TokenStream, n: int, lag: int, policy: Policy) -> Tee[TokenStream]:
    """Split a stream into `n`; see `TokenStream.tee`."""
    if stream._reading.locked():
        raise StreamBusy("The stream is just being read; split it before or after.")
    return split(stream, _SyncHub, n, lag, policy)  # type: ignore[no-any-return]
