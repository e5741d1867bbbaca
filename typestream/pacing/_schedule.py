"""The schedule: events in at their arrival, out when they are due. Pure: every method is told what time it is.

Rules: a piece is due `delay` seconds after the one before it was *due*, never after it happened to be shown; it is
never due before it arrived; pieces that are due together go out together, and never more often than once in `TICK`.
Events that are not text keep their place.
"""

from collections import deque
from collections.abc import Callable
from math import inf
from random import Random
from typing import Any, Literal

from typestream.events import Event, TextDelta, recut
from typestream.pacing._policy import Moment, Pacing, Segmenter
from typestream.pacing._segment import segmenter

__all__ = ("Order", "Schedule")

Order = Literal["barrier", "flush"]

TICK = 0.003
"""The least time between two emissions, seconds; above some 300 pieces a second nobody sees a difference."""

HOLD_LEAST = 0.015
"""Seconds that a grapheme may wait for what could still belong to it, even where nothing has been shown for long."""

FREEZE = 0.2
"""Seconds; a longer pause while a grapheme waits, decided or not, is seen as a freeze."""


class Schedule:
    """One stream's queue of pieces, and when each is due.

    Args:
        policy: says how long after the previous piece each is due.
        order: what an event that is not text does: `"barrier"` waits until all text before it was shown, `"flush"`
            has that text shown at once.

    Attributes:
        waiting: how many pieces wait to be shown.
        rest: when the next piece is due, as long as nothing has happened since that was found out; else -inf.
        last: the last delta that something of was shown.
        logprobs: of what was shown last.
    """

    def __init__(self, policy: Pacing, order: Order = "barrier") -> None:
        self._order = order
        # three in step, since a tuple for each piece is one more object for the garbage collector to look at
        self._queue: deque[Event] = deque()
        self._texts: deque[str | None] = deque()  # of a piece
        self._arrived: deque[float] = deque()
        self._arrivals: deque[float] = deque()  # of the waiting pieces, in stream time
        self._rush = 0  # so many entries at the head of the queue are due at once
        self._cutters: dict[int, _Cutter] = {}
        self._moment = Moment("", 0, -inf, 0.0, self._arrivals, False, Random(policy.seed))
        self._start: float | None = None  # of stream time: from the first arrival, without pauses
        self._latest = -inf
        self._last_due = -inf
        self._last_shown = -inf
        self._head_due: float | None = None
        self.rest = -inf
        self.last = TextDelta("")
        self.logprobs: list[Any] = []
        self._earliest = -inf
        self._skipping = self._resumed = False
        self._adopt(policy)

    @property
    def waiting(self) -> int:
        return len(self._arrivals)

    def _adopt(self, policy: Pacing) -> None:
        self._policy = policy
        self._adaptive = policy.adaptive
        self._pace = policy.start()
        self._segmenter: Callable[[], Segmenter] = segmenter(policy.per)
        self._head_due = None

    # -- what happens

    def feed(self, event: Event, now: float) -> None:
        """An event has arrived."""
        now = self._clamp(now)
        if type(event) is TextDelta:
            self._cut(event, now)
            return
        self._flush_cutters()
        self._queue.append(event)
        self._texts.append(None)
        self._arrived.append(now)
        if self._order == "flush":
            self._rush = len(self._queue)

    def end(self, now: float) -> None:
        """Nothing more will arrive."""
        now = self._clamp(now)
        self._flush_cutters()
        self._moment.ended = True
        self._pace.ended(self._at(now))
        if self._adaptive:
            self._reconsider()

    def skip(self) -> None:
        """Everything is due at once from now on."""
        self.rest = -inf
        self._flush_cutters()
        self._skipping = True

    def shift(self, seconds: float) -> None:
        """So long was the stream paused: what was due in that time is due that much later, and what arrived in that
        time counts as arrived at its end."""
        self.rest = -inf
        self._last_due += seconds
        if self._start is not None:
            self._start += seconds
        if self._adaptive:
            self._head_due = None
            self._resumed = True
        elif self._head_due is not None:
            self._head_due += seconds

    def change(self, policy: Pacing, now: float) -> None:
        """Go on with another policy; pieces that wait already stay as they were cut."""
        now = self._clamp(now)
        if policy.per != self._policy.per:
            self._flush_cutters()
        self._adopt(policy)
        self._moment.random = Random(policy.seed)
        self._tell()

    def _tell(self) -> None:
        """Tell a new pace what has happened; it cannot change the past."""
        self._earliest = self._latest
        for at in self._arrivals:
            self._pace.arrived(1, at)
        if self._moment.ended:
            self._pace.ended(self._at(self._latest))

    def _clamp(self, now: float) -> float:
        # a clock that jumps back must not make anything wait twice
        if now > self._latest:
            self._latest = now
        self.rest = -inf
        if self._resumed:
            self._resumed = False
            latest = self._at(self._latest)
            for i, at in enumerate(self._arrivals):
                self._arrivals[i] = min(at, latest)
            self._pace = self._policy.start()
            self._tell()
        return self._latest

    def _at(self, now: float) -> float:
        return now - self._start if self._start is not None else 0.0

    def _reconsider(self) -> None:
        """Something is known now that was not; what is due in the future may come sooner, but never in the past."""
        if self._head_due is not None and self._head_due > self._latest:
            self._head_due = None
            self._earliest = self._latest

    # -- what is due

    def poll(self, now: float) -> Event | float | None:
        """What is due now; or when the next piece is; or None, when nothing waits."""
        due = self.text(now)
        return self.event(due) if type(due) is str else due  # type: ignore[return-value]

    def event(self, text: str) -> TextDelta:
        """The event of what `text` gave last."""
        last = self.last
        if last.text == text and (last.logprobs or []) == self.logprobs:
            return last
        return recut(last, text, self.logprobs or None)

    def text(self, now: float) -> str | Event | float | None:
        """The same as `poll`, but of a text only the text; `last` and `logprobs` are then what belongs to it."""
        due = self.rest
        if now < due:
            if now > self._latest:
                self._latest = now
            return due
        if self._resumed or now <= self._latest:
            now = self._clamp(now)
            due = -inf
        else:  # the same, in short
            self._latest = now
            self.rest = -inf
        queue, texts = self._queue, self._texts
        if not queue:
            until = self._held_until()
            if now < until:
                return until if until < inf else None
            self._flush_cutters()
        moment = self._moment
        first: str | None = None
        more: list[str] = []
        self.logprobs = []
        while queue:
            event, text = queue[0], texts[0]
            if text is None or type(event) is not TextDelta:
                if first is not None:
                    break
                self._pop()
                return event
            if first is not None and self.last.index != event.index:
                break
            if due == -inf:
                try:
                    due = self._due(self._arrived[0], text, now)
                except Exception:
                    if first is None:
                        raise
                    break  # what is due already is not lost; the policy will be asked again
            if due > now:
                self.rest = due
                if first is None:
                    return due
                break
            # shown
            head = self._head_due
            if head is not None:
                self._last_due = head
                self._head_due = None
            elif due > self._last_due:
                self._last_due = due
            if due > self._last_shown:
                self._last_shown = due
            moment.previous = text
            moment.count += 1
            self._arrivals.popleft()
            self._pop()
            due = -inf
            self.last = event
            if event.logprobs:
                self.logprobs += event.logprobs
            if first is None:
                first = text
            else:
                more.append(text)
        return first if first is None or not more else first + "".join(more)

    def _due(self, arrived: float, text: str, now: float) -> float:
        if self._rush or self._skipping:
            return min(now, max(arrived, self._last_due))
        due = self._head_due
        if due is None:
            moment = self._moment
            if moment.count == 0:
                due = arrived
            else:
                start, last = self._start or 0.0, self._last_due
                moment.due = last - start
                moment.now = now - start
                delay = self._pace.delay(text, moment)
                if not 0 <= delay < inf:
                    raise ValueError(f"{self._policy!r} gave a delay of {delay} seconds; it must be 0 or more.")
                due = last + delay  # max() is spelt out: it is asked for every piece
                if due < arrived:
                    due = arrived
                if due < self._earliest:
                    due = self._earliest
            self._head_due = due
        # within a tick of the last emission a piece waits for company
        shown = self._last_shown
        return due if due <= shown or due >= shown + TICK else shown + TICK

    def _pop(self) -> None:
        self._queue.popleft()
        self._texts.popleft()
        self._arrived.popleft()
        if self._rush:
            self._rush -= 1

    # -- what a piece is

    def _cut(self, delta: TextDelta, now: float) -> None:
        if self._start is None:
            self._start = now
        if self._skipping or self._policy.per == "delta":
            self._enqueue([(now, delta.text, delta)])
            return
        cutter = self._cutters.get(delta.index)
        if cutter is None:
            cutter = self._cutters[delta.index] = _Cutter(self._segmenter())
        self._enqueue(cutter.feed(delta, now))

    def _flush_cutters(self) -> None:
        if self._cutters:
            for cutter in self._cutters.values():
                self._enqueue(cutter.flush())
            self._cutters.clear()

    def _held_until(self) -> float:
        """When what is undecided goes out as it is; only where the source is read meanwhile can it be waited for."""
        if not self._cutters or not self._policy.read_ahead:
            return inf
        since = min(cutter.since for cutter in self._cutters.values())
        until = since + self._policy.hold
        if self._policy.per == "grapheme":
            until = min(until, max(since + HOLD_LEAST, self._last_shown + FREEZE))
        return until

    def _enqueue(self, pieces: list[tuple[float, str, TextDelta]]) -> None:
        if not pieces:
            return
        for at, text, event in pieces:
            self._queue.append(event)
            self._texts.append(text)
            self._arrived.append(at)
        start = self._start or 0.0
        first, last = pieces[0][0] - start, pieces[-1][0] - start
        if first == last:
            self._arrivals.extend([last] * len(pieces))
            self._pace.arrived(len(pieces), last)
        else:
            arrivals = [arrived - start for arrived, _, _ in pieces]
            older = sum(at < last for at in arrivals)
            self._arrivals.extend(arrivals)
            self._pace.arrived(older, first)
            self._pace.arrived(len(pieces) - older, last)
        if self._adaptive:
            self._reconsider()


class _Cutter:
    """A choice's segmenter, and when the text that it holds arrived."""

    def __init__(self, segmenter: Segmenter) -> None:
        self.since = inf
        self._segmenter = segmenter
        self._held = 0  # characters
        self._delta: TextDelta | None = None
        self._logprobs: list[Any] = []

    def feed(self, delta: TextDelta, now: float) -> list[tuple[float, str, TextDelta]]:
        before, since = self._held, self.since
        pieces = self._segmenter.feed(delta.text)
        self._delta = delta
        self._held += len(delta.text) - sum(map(len, pieces))
        self.since = now if self._held else inf
        if delta.logprobs:
            self._logprobs += delta.logprobs
        entries: list[tuple[float, str, TextDelta]] = []
        for piece in pieces:
            before -= len(piece)
            entries.append((since if before >= 0 else now, piece, delta))
        return self._annotated(entries)

    def flush(self) -> list[tuple[float, str, TextDelta]]:
        assert self._delta is not None
        return self._annotated([(self.since, piece, self._delta) for piece in self._segmenter.flush()])

    def _annotated(self, entries: list[tuple[float, str, TextDelta]]) -> list[tuple[float, str, TextDelta]]:
        arrived, text, delta = entries[-1] if entries else (0.0, "", None)
        if delta is not None and (self._logprobs or delta.logprobs):
            entries[-1] = (arrived, text, recut(delta, text, self._logprobs or None))
            for at, (since, piece, _) in enumerate(entries[:-1]):
                entries[at] = (since, piece, recut(delta, piece))
            self._logprobs = []
        return entries
