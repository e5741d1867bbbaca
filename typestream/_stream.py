"""What both twins share: everything that does not wait.

Controls may be called from any thread: they are queued here, and the reader carries them out before it asks its core
what to do next.
"""

import os
from collections import deque
from collections.abc import Callable
from typing import IO, Any, Final

from typing_extensions import Self

from typestream._core import Core, Done, Wait
from typestream._stall import Timeout
from typestream.errors import StallTimeout
from typestream.events import Event
from typestream.pacing import Order, Pacing, Smooth
from typestream.pacing._segment import segmenter
from typestream.result import Result
from typestream.transforms import Chain, Transform

__all__ = ("LAG", "Command", "StreamBase")

Command = Callable[[Core, float], None]

LAG: Final = 16384
"""How many events one branch of a tee may be behind another."""


class StreamBase:
    """A stream's configuration and controls; see `TokenStream` and `AsyncTokenStream`."""

    _source: Any

    def __init__(self, core: Core) -> None:
        self._core = core
        self._commands: deque[Command] = deque()
        self._started = self._released = self._paused = False

    @property
    def result(self) -> Result:
        """The answer so far: exactly what was delivered; final once the stream has ended."""
        return self._core.result

    def paced(self, policy: Pacing | None = None, *, order: Order = "barrier") -> Self:
        """Show this stream's text at a pace. May be called again while it runs, to change the pace.

        Args:
            policy: how long each piece waits; by default `Smooth()`.
            order: what to do with an event that is not text: `"barrier"`, hold it until all text before it was shown;
                `"flush"`, show that text at once.

        Raises:
            TypeError: `policy` is no `Pacing`.
            ValueError: `order` or the policy's `per` is unknown.
        """
        chosen = Smooth() if policy is None else policy
        if not isinstance(chosen, Pacing):
            raise TypeError(f"paced() takes a pacing policy, such as pacing.Steady(40), not {_name(chosen)}.")
        if order not in ("barrier", "flush"):
            raise ValueError(f'order must be "barrier" or "flush", not {order!r}.')
        segmenter(chosen.per)
        return self._do(lambda core, now: core.pace(chosen, order, now))

    def through(self, *transforms: Transform | Callable[[], Transform]) -> Self:
        """Pass each event of this stream through the transforms, one after another.

        Args:
            transforms: objects with `feed` and `flush`, each for this stream alone, or callables that make them.

        Raises:
            TypeError: something else was passed.
        """
        chain = Chain(*transforms)
        return self._do(lambda core, now: core.through(chain))

    def timeout(self, first: float | None = None, between: float | None = None, total: float | None = None) -> Self:
        """Set the stall clocks, in seconds. They run only while the stream waits for its source, and only new content
        stops them: pings and empty deltas do not.

        Args:
            first: until the first piece.
            between: between two pieces.
            total: all waits together.

        Raises:
            ValueError: a limit is not a positive number.
        """
        clocks = Timeout(first, between, total)
        if hasattr(self._source, "timeouts"):  # it has clocks of its own, for each attempt
            self._source.timeouts = clocks
            return self
        return self._do(lambda core, now: core.timeouts(clocks))

    def recorded(self, target: "str | os.PathLike[str] | IO[str]") -> Self:
        """Record this stream as it flows: JSON Lines, each event with its arrival time in seconds, as the source said
        it: before any transform, whichever was asked for first. Call it before the first read if you can. Later, what
        came before is written at once, in few pieces; if it went through transforms or a pace, it is not written at
        all, and the recording is one of an incomplete answer.

        Args:
            target: a path, opened for writing now, or an open text file, which stays open.

        Raises:
            OSError: the path cannot be opened.
            TypeError: `target` is something else.
        """
        from typestream.sources.http import origin
        from typestream.sources.recording import Recorder

        source = self._source
        recorder = Recorder(target, lambda: origin(getattr(source, "opened", None)))
        return self._do(lambda core, now: core.record(recorder, now))

    def skip(self) -> Self:
        """Show the rest without a pace: what waits at once, and what is still to come as it arrives."""
        return self._do(lambda core, now: core.skip())

    def pause(self) -> Self:
        """Deliver nothing until `resume`."""
        self._paused = True
        return self._do(lambda core, now: core.pause(now))

    def resume(self) -> Self:
        """Go on where `pause` held."""
        self._paused = False
        return self._do(lambda core, now: core.resume(now))

    def stop(self) -> Self:
        """End now and keep what was delivered; no error is raised. The next read closes the source; a read that is
        blocked does so at once."""
        self._do(lambda core, now: core.stop(now))
        self._interrupt()
        return self

    def _ready_event(self) -> Event | None:
        """The next event, if it can be delivered without waiting for anything."""
        action = self._core.poll(self._now())
        return None if isinstance(action, (Wait, Done)) else action

    def _do(self, command: Command) -> Self:
        self._commands.append(command)
        self._wake()
        return self

    def _obey(self, now: float) -> None:
        while self._commands:
            self._core.obey(self._commands.popleft(), now)

    def _absorb(self, kind: str, value: Any, at: float) -> None:
        """Give the core what the source gave."""
        source, core = self._source, self._core
        if source.decoder is not None:  # opening the source has shown it
            core.use(source.decoder, wire=source.wire)
            source.decoder = None
        if kind == "item":
            core.feed(value, at)
        elif kind == "end":
            core.end(at)
        else:
            core.fail(value, at)

    def _got(self, kind: str, value: Any) -> None:
        """Obey the commands, then give the core what the source just gave."""
        now = self._now()
        self._obey(now)
        self._absorb(kind, value, now)

    def _reconsider(self) -> None:
        """The source was closed. If closing showed that the stall was in the body of an error status, raise that
        error."""
        refused = getattr(self._source, "refused", None)
        if refused is not None and type(self._core.error) is StallTimeout:
            refused.__cause__, refused.result = self._core.error, self.result
            self._core.error = refused

    def _retire(self, why: str) -> None:
        """Everything this stream had now belongs to another stream."""
        result = self._core.result
        self._core.settle()
        self._core = Core()
        self._core.result = result
        self._core.close(0.0, why)
        self._commands = deque()
        self._released = True

    def __repr__(self) -> str:
        state = "ended" if self._core.ended else "open"
        return f"<{type(self).__name__} of {self._source.name}, {state}>"

    def _now(self) -> float:
        """The stream's time."""
        raise NotImplementedError

    def _wake(self) -> None:
        """Make the reader that waits look again."""
        raise NotImplementedError

    def _interrupt(self) -> None:
        """Wake a read of the source that is under way, if there is one."""
        raise NotImplementedError


def _name(thing: object) -> str:
    return thing.__name__ if isinstance(thing, type) else type(thing).__name__
