"""The core of a stream: decode → transform → pace → result. No clock, no await, no thread.

Rules: the driver feeds it what the source gave (`feed`, `end`, `fail`), asks what to do (`poll`), and tells it the time
at every call. It answers with an event to deliver, a `Wait`, or `DONE`; after `DONE` there may be an `error` to raise.
What was decoded before a failure is delivered before it.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from math import inf
from typing import Any, Final, NamedTuple, TypeAlias

from typestream._decoding import Decoding, Require
from typestream._failures import failure
from typestream._stall import Stall, Timeout, progress
from typestream._tap import Tap, both, of_a_part
from typestream.decode._base import Completion, Decoded, Decoder, undecodable
from typestream.decode._surrogates import mended
from typestream.errors import (
    StallTimeout,
    StreamClosed,
    StreamConnectionError,
    StreamError,
    StreamTruncated,
    UnsupportedSource,
)
from typestream.events import Event, TextDelta, plain
from typestream.pacing._policies import Instant
from typestream.pacing._policy import Pacing
from typestream.pacing._recorded import AsRecorded, RecordedSchedule
from typestream.pacing._run import Run
from typestream.pacing._schedule import Order, Schedule
from typestream.result import Result
from typestream.transforms import Chain, Transform

__all__ = ("DONE", "NEED_INPUT", "Action", "Core", "Done", "Wait")

GRACE: Final = 0.1
"""Seconds to wait for what may follow the marker that says the answer is whole."""

LATE: Final = 16
"""How many reads without content may follow the end of the answer: where reads never wait, no clock would end them."""

LATE_BYTES: Final = 16384
"""How many reads without content may follow a finish reason: the rest may come byte by byte."""

READ_AHEAD: Final = 16384
"""How many pieces, or other events, may wait to be shown before the source is no longer read ahead."""


class Wait(NamedTuple):
    """Nothing to deliver until the time `until`, or until something changes; `input` says whether the source may be
    read meanwhile."""

    until: float
    input: bool


class Done:
    """The stream has ended; there may be an error to raise."""


NEED_INPUT: Final = Wait(inf, True)
HOLD: Final = Wait(inf, False)
DONE: Final = Done()
Action: TypeAlias = Event | Wait | Done


class Core:
    """One stream, without its source.

    Args:
        require: what must have been seen for the end of the source to be the end of the answer: `"terminal"`, any
            marker that says so; `"finish_reason"`, a finish reason; None, nothing.
        stall: the stall clocks, if they are to run in a way of their own.
    """

    def __init__(self, *, require: Require = "terminal", stall: Stall | None = None) -> None:
        self.result = Result()
        self.error: StreamError | UnsupportedSource | None = None
        self.ended = False
        self._tap: Tap | None = None
        self._transform: Transform | None = None
        self._require: Require = require
        self._decoding = Decoding()
        self._plain = True  # no tap, no transform, no pace: what is decoded is ready
        self.ready: deque[Event] = deque()  # decoded, to be delivered at once
        self._schedule: Schedule | RecordedSchedule | None = None
        self.read_ahead = False
        self._source_ended = False
        self._failed: StreamError | UnsupportedSource | None = None
        self.raised: BaseException | None = None  # by the source itself
        self._paused_at: float | None = None
        self._stall = Stall() if stall is None else stall
        self._late = 0

    # -- what the source gives

    def use(self, decoder: Decoder, *, wire: bool = False) -> None:
        """Use this decoder from the start. `wire` says that the source is a connection, which is read only a moment
        longer after the answer's end marker."""
        self._decoding.use(decoder, wire)

    def feed(self, item: Any, now: float) -> None:
        """The source gave an item."""
        if self._stall.armed:
            self._stall.heard(now)
        if self._source_ended:
            return
        try:
            self._decoded(self._decoding.feed(item), now)
        except Exception as exc:
            self._not_decoded(item, exc, now)

    def _decoded(self, decoded: Decoded, now: float) -> None:
        decoding = self._decoding
        if decoded:
            self._take(decoding.join(decoded), now)
        if self._source_ended:
            return
        if not decoding.whole:
            if self._stall.grace is not None:  # it was: another choice has begun
                self._stall.go_on()
                self._late = 0
            return
        ended = decoding.decoder.ended  # type: ignore[union-attr]
        if not decoding.wire:
            if ended:
                self.end(now)
            return
        self._stall.grace, self._stall.armed = GRACE, True
        self._late = 0 if decoded and not ended else self._late + 1
        if self._late > (LATE if ended else LATE_BYTES):
            self.end(now)

    def _not_decoded(self, item: Any, exc: Exception, now: float) -> None:
        if isinstance(exc, UnsupportedSource):
            self._close_input(exc, now)
        else:
            self._decoded([undecodable(item, exc)], now)

    # -- the short way: an item that needs no further work is delivered as it comes

    @property
    def direct(self) -> bool:
        """Whether the next item may go to `text` or `event` instead of `feed`: no event waits, nothing is half decoded,
        and no transform, pace, recording or stall clock applies."""
        return (
            self._plain
            and not self.ready
            and not self._source_ended
            and self._paused_at is None
            and not self._stall.armed
            and self._decoding.idle
        )

    def text(self, item: Any, now: float) -> str | None:
        """The text of an item that is a piece of the answer and nothing else. This call delivers it, mostly without
        making an event of it. Anything else is fed, and gives None; then look at `direct` again."""
        try:
            said = self._decoding.brief(item, item)
        except Exception as exc:
            self._not_decoded(item, exc, now)
            return None
        if type(said) is str:
            self.result.add_text(said)
            self.result.timing.passed(len(said), now)
            return said
        event = self._at_once(said, now)  # type: ignore[arg-type]
        return event.text if event is not None and event.index == 0 and event.text else None

    def event(self, item: Any, now: float) -> TextDelta | None:
        """The event of an item that is a piece of the answer and nothing else, delivered by this call; else None, see
        `text`."""
        try:
            decoded = self._decoding.decoder.decode(item, item)  # type: ignore[union-attr]
        except Exception as exc:
            self._not_decoded(item, exc, now)
            return None
        return self._at_once(decoded, now)

    def _at_once(self, decoded: Decoded, now: float) -> TextDelta | None:
        event = decoded[0] if len(decoded) == 1 else None
        decoder = self._decoding.decoder
        goes_on = decoder is not None and decoder.completion == "incomplete"
        if type(event) is TextDelta and goes_on and (event.text.isascii() or mended(event.text)):
            self.result.add(event)
            self.result.timing.passed(len(event.text), now)
            return event
        self._decoded(decoded, now)
        return None

    def end(self, now: float) -> None:
        """The source ended normally."""
        if self._stall.armed:
            self._stall.heard(now)
        if self._source_ended:
            return
        self._take(self._decoding.end(), now)
        if self._source_ended:  # a transform or an error in what was held back ended it
            return
        self.result.completion, error = self._decoding.verdict(self._require)
        self._close_input(error, now)

    def fail(self, exc: BaseException, now: float) -> None:
        """The source raised."""
        if self._stall.armed:
            self._stall.heard(now)
        if self._source_ended:
            return
        self.raised = exc
        error = exc if isinstance(exc, UnsupportedSource) else failure(exc, wire=self._decoding.wire)
        if self._decoding.whole and isinstance(error, (StreamConnectionError, StallTimeout)):
            self.end(now)  # the answer was there before the connection broke
        else:
            self._break_off(error, now)

    def _break_off(self, error: StreamError | UnsupportedSource, now: float) -> None:
        """The source failed; what its decoder still holds is delivered."""
        held, error = self._decoding.break_off(error)
        self._take(held, now)
        if not self._source_ended:
            self._close_input(error, now)

    # -- decode → transform → pace

    def _take(self, decoded: Decoded, now: float) -> None:
        for event in decoded:
            if self._source_ended:
                return
            if isinstance(event, StreamError):
                self._close_input(event, now)
            else:
                self._arrive(event, now)

    def _arrive(self, event: Event, now: float) -> None:
        size = progress(event)
        if size is not None:
            if self._stall.armed:
                self._stall.progress(size)
            if size:
                self.result.timing.arrived(size, now)
        try:
            if self._tap is not None:
                self._tap(event, now)
            self._transformed(event, now)
        except Exception as exc:
            self._broken(exc)

    def _transformed(self, event: Event, now: float) -> None:
        transform = self._transform
        if transform is None:
            self._queue(event, now)
            return
        for changed in transform.feed(event):
            ours = plain(changed, changed)
            if ours is None:
                raise TypeError(f"A transform gives events, not {type(changed).__name__}.")
            self._queue(ours, now)
        if transform.ended:
            self.result.completion = "complete"
            self._close_input(None, now)

    def _broken(self, exc: Exception) -> None:
        """A transform, a policy or a recording raised: what it held back is dropped."""
        self._transform = self._schedule = self._tap = None
        self._settle()
        self.read_ahead = False
        self.result.completion = "incomplete"
        self._source_ended = True
        self._failed = self._failed or failure(exc, wire=False, of="A transform, a pacing policy or a recording")

    def _queue(self, event: Event, now: float) -> None:
        if self._schedule is None:
            self.ready.append(event)
            return
        if type(event) is TextDelta:
            self.result.timing.queued(len(event.text), now)
        self._schedule.feed(event, now)

    def _close_input(self, error: StreamError | UnsupportedSource | None, now: float) -> None:
        """Read no more: what the transforms hold back comes out, then what the schedule holds."""
        self._source_ended = True
        self._failed = error
        try:
            if self._tap is not None:
                self._tap(self._outcome(error), now)
            transform = self._transform
            if transform is not None and not transform.ended:
                for event in transform.flush() if error is None else transform.abort():
                    self._queue(event, now)
            if self._schedule is not None:
                self._schedule.end(now)
        except Exception as exc:
            self._broken(exc)

    # -- what to do now

    def poll(self, now: float) -> Action:
        """What to do now."""
        if self._paused_at is not None:
            return DONE if self.ended else HOLD
        if self.ready:
            return self._deliver(self.ready.popleft(), now)
        if self.ended:
            return DONE
        try:
            due = self._schedule.poll(now) if self._schedule is not None else None
        except Exception as exc:
            self._broken(exc)
            due = None
        return self._answer(due, now)

    def run(self) -> Run | None:
        """The next texts to show and their times, if nothing else is to be done in between; else None."""
        schedule = self._schedule
        run = schedule.run() if type(schedule) is Schedule and self._paused_at is None else None
        if run is not None:
            self.result.follow(run)
        return run

    def more(self, now: float) -> str:
        """The text that is due together with the last text of a run, which was just shown; `""` if there is none."""
        schedule = self._schedule
        if type(schedule) is not Schedule or self._paused_at is not None or not schedule.goes_on(now):
            return ""
        event = self.poll(now)
        assert type(event) is TextDelta
        return event.text

    def _answer(self, due: Event | float | None, now: float) -> Action:
        if due is None:
            return self._finish() if self._source_ended else self._need_input(now)
        if isinstance(due, (int, float)):
            if self._stall.armed:
                self._stall.held(now)  # the stream waits for its own pace, not for the source
            return Wait(due, self.has_room)
        return self._deliver(due, now)

    @property
    def paced(self) -> bool:
        """Whether what was decoded waits for its time."""
        return self._schedule is not None

    @property
    def has_room(self) -> bool:
        """Whether to read more before the waiting events have been shown."""
        if not self.read_ahead or self._source_ended or self._schedule is None:
            return False
        return self._schedule.backlog < READ_AHEAD

    def _deliver(self, event: Event, now: float) -> Action:
        if self._stall.armed:
            self._stall.held(now)
        result = self.result
        try:
            result.add(event)
            if type(event) is TextDelta:
                result.timing.shown(len(event.text), now)
        except Exception as exc:  # an event of a transform that is none
            self._broken(exc)
            return self.poll(now)
        return event

    def _need_input(self, now: float) -> Action:
        self.result.timing.opened(now)
        if not self._stall.armed:
            return NEED_INPUT
        until = self._stall.waiting(now)
        if until == inf:
            return NEED_INPUT
        if now < until:
            return Wait(until, True)
        self._give_up(now)
        return self.poll(now)

    def _give_up(self, now: float) -> None:
        """The wait that `poll` asked for has run out: the source is not read any more."""
        if self._stall.grace is not None:
            self.end(now)  # whole already: what is still open does not matter
        else:
            self._break_off(self._stall.timeout(), now)

    def _finish(self) -> Done:
        self.ended = True
        self.error = self._failed
        if isinstance(self.error, StreamError):
            self.error.result = self.result
        return DONE

    # -- controls

    def obey(self, command: "Callable[[Core, float], None]", now: float) -> None:
        """Carry out a command. If a policy, a segmenter or a recording raises, the stream ends in that error."""
        try:
            command(self, now)
        except Exception as exc:
            if not self.ended:
                self._broken(exc)

    def pace(self, policy: Pacing, order: Order, now: float) -> None:
        """From now on, show text as `policy` says."""
        if self.ended:
            return
        self.read_ahead = policy.read_ahead
        if isinstance(self._schedule, Schedule) and not isinstance(policy, AsRecorded):
            self._schedule.change(policy, order, now)
            return
        schedule = None if isinstance(policy, Instant) else _schedule(policy, order)
        if isinstance(schedule, RecordedSchedule) and isinstance(self._schedule, RecordedSchedule):
            schedule.follow(self._schedule, now if self._paused_at is None else self._paused_at)
        waiting = [*self._drained(now), *self.ready]
        self.ready.clear()
        self._schedule = schedule
        self.result.timing.paced(schedule is not None)
        self._settle()
        for event in waiting:
            self._queue(event, now)
        if self._source_ended and self._schedule is not None:
            self._schedule.end(now)

    def _drained(self, now: float) -> Iterator[Event]:
        """The events that wait in the schedule, which is not used after this."""
        if self._schedule is not None:
            self._schedule.skip()
            while isinstance(event := self._schedule.poll(now), Event):
                yield event

    def through(self, *transforms: Transform) -> None:
        """Also pass events through these, after the transforms that are already there."""
        before = () if self._transform is None else (self._transform,)
        self._transform = Chain(*before, *transforms)
        self._settle()

    def record(self, tap: Tap, now: float) -> None:
        """Tell `tap` of each event as it arrives, and of the end; first of what has already arrived. If that is no
        longer known, the recording counts as part of an answer."""
        before = self._before()
        told = of_a_part(tap) if before is None else tap
        for event in before or ():
            told(event, now)
        if self._source_ended:
            told(self._outcome(self.error if self.ended else self._failed), now)
            return
        self._tap = told if self._tap is None else both(self._tap, told)
        self._settle()

    def _before(self) -> list[Event] | None:
        """What has arrived by now; None if it was changed, or waits to be shown."""
        shown = list(self.result.events())
        if self._transform is None and self._schedule is None:
            return [*shown, *self.ready]
        return None if shown or self.result.timing.deltas else []

    def _outcome(self, error: Exception | None) -> Exception | Completion:
        """How the source ended, for a recording: a stream may end well before it, or without the whole answer."""
        completion, _ = self._decoding.verdict(None)
        if error is None and "incomplete" in (completion, self.result.completion):
            return StreamTruncated("The source ended before the answer did, or was left.")
        return error or completion

    def _settle(self) -> None:
        self._plain = self._tap is None and self._transform is None and self._schedule is None

    def timeouts(self, limits: Timeout) -> None:
        """Set the stall clocks."""
        self._stall.limit(limits, begun=self.result.timing.deltas > 0)

    def demand(self, require: Require) -> None:
        """Set what must have been seen at the end."""
        self._require = require

    def waited(self, seconds: float) -> None:
        """Count the seconds for which the source was waited for before there was a stream."""
        self._stall.spent(seconds)

    def skip(self) -> None:
        """Show at once what waits, and from now on everything as it comes."""
        if self._schedule is not None:
            self.read_ahead = False
            self._schedule.skip()

    def pause(self, now: float) -> None:
        """Deliver nothing until `resume`."""
        if self._paused_at is None:
            self._paused_at = now
            self._stall.held(now)

    def settle(self) -> None:
        """What `run` gave is no longer valid."""
        if type(self._schedule) is Schedule:
            self._schedule.settle()

    def resume(self, now: float) -> None:
        """Go on where `pause` held."""
        paused_at, self._paused_at = self._paused_at, None
        if paused_at is not None and self._schedule is not None:
            self._schedule.resume(now - paused_at, now)

    def stop(self, now: float) -> None:
        """End now, without an error; what was delivered stays the result."""
        if not self.ended:
            self._end_early("The reader stopped the stream before it had ended.", now)

    def close(self, now: float, why: str = "This stream was closed before it had ended") -> None:
        """Close the stream; if it has not ended, reading on is an error."""
        if not self.ended:
            self.error = self._end_early(f"{why}; nothing more can be read from it.", now)

    def _end_early(self, why: str, now: float) -> StreamClosed:
        error = StreamClosed(why)
        error.result = self.result
        tap = None if self._source_ended else self._tap
        if (self._schedule is not None and self._schedule.waiting) or self.ready:
            self.result.completion = "incomplete"  # the answer was whole, what was shown of it is not
        self._source_ended = self.ended = True
        self._schedule = None
        self.ready.clear()
        if tap is not None:
            with suppress(Exception):  # a recording that cannot be written has no end, as after a crash
                tap(error, now)
        return error


def _schedule(policy: Pacing, order: Order) -> Schedule | RecordedSchedule:
    return RecordedSchedule(policy) if isinstance(policy, AsRecorded) else Schedule(policy, order)
