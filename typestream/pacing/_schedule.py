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

TICK = 0.005
"""The least time between two emissions, seconds; above 200 pieces a second nobody sees a difference."""


class Schedule:
    """One stream's queue of pieces, and when each is due.

    Args:
        policy: says how long after the previous piece each is due.
        order: what an event that is not text does: `"barrier"` waits until all text before it was shown, `"flush"`
            has that text shown at once.
    """

    def __init__(self, policy: Pacing, order: Order = "barrier") -> None:
        self.waiting = 0
        self._order = order
        self._queue: deque[tuple[float, Event]] = deque()
        self._arrivals: deque[float] = deque()  # of the waiting text pieces, for the policy
        self._rush = 0  # so many entries at the head of the queue are due at once
        self._segmenters: dict[int, tuple[Segmenter, TextDelta]] = {}
        self._previous = ""
        self._count = 0
        self._start: float | None = None
        self._latest = -inf
        self._last_due = -inf
        self._last_shown = -inf
        self._head_due: float | None = None
        self._skipping = self._ended = False
        self._adopt(policy)

    def _adopt(self, policy: Pacing) -> None:
        self._policy = policy
        self._pace = policy.start()
        self._random = Random(policy.seed)
        self._segmenter: Callable[[], Segmenter] = segmenter(policy.per)
        self._head_due = None

    def change(self, policy: Pacing, now: float) -> None:
        """Go on with another policy; pieces that wait already stay as they were cut."""
        self._flush_segmenters(now)
        self._adopt(policy)
        self._pace.arrived(self.waiting, self._at(now))
        if self._ended:
            self._pace.ended(self._at(now))

    def feed(self, event: Event, now: float) -> None:
        """An event has arrived."""
        now = self._clamp(now)
        if type(event) is TextDelta and not self._skipping:
            if self._start is None:
                self._start = now
            self._cut(event, now)
            return
        self._flush_segmenters(now)
        if self._order == "flush":
            self._rush = len(self._queue)
        self._queue.append((now, event))

    def end(self, now: float) -> None:
        """Nothing more will arrive."""
        now = self._clamp(now)
        self._flush_segmenters(now)
        self._ended = True
        self._pace.ended(self._at(now))
        self._head_due = None

    def skip(self) -> None:
        """Everything is due at once from now on."""
        self._flush_segmenters(self._latest)
        self._skipping = True

    def shift(self, seconds: float) -> None:
        """So long was the stream paused: what was due in that time is due that much later."""
        self._last_due += seconds
        self._head_due = None

    def poll(self, now: float) -> Event | float | None:
        """What is due now; or when the next piece is; or None, when nothing waits."""
        now = self._clamp(now)
        shown: list[TextDelta] = []
        while self._queue:
            event = self._queue[0][1]
            if type(event) is not TextDelta:
                if shown:
                    break
                self._pop()
                return event
            if shown and shown[0].index != event.index:
                break
            due = self._due(event.text, now)
            if not shown and due > now:
                return due
            if due > now:
                break
            self._pop()
            self._arrivals.popleft()
            self._show(event.text, due)
            shown.append(event)
        return _join(shown) if shown else None

    def _due(self, text: str, now: float) -> float:
        arrived = self._queue[0][0]
        if self._rush or self._skipping:
            return min(now, max(arrived, self._last_due))
        if self._head_due is None:
            if self._count == 0:
                self._head_due = arrived
            else:
                delay = self._pace.delay(text, self._moment(now))
                if not 0 <= delay < inf:
                    raise ValueError(f"{self._policy!r} gave a delay of {delay} seconds; it must be 0 or more.")
                self._head_due = max(arrived, self._last_due + delay)
        # within a tick of the last emission a piece waits for company
        return self._head_due if self._head_due <= self._last_shown else max(self._head_due, self._last_shown + TICK)

    def _moment(self, now: float) -> Moment:
        return Moment(
            previous=self._previous,
            count=self._count,
            due=self._at(self._last_due),
            now=self._at(now),
            arrivals=[self._at(at) for at in self._arrivals] if self._policy.adaptive else self._arrivals,
            ended=self._ended,
            random=self._random,
        )

    def _show(self, text: str, due: float) -> None:
        if self._head_due is not None:
            self._last_due = self._head_due
        else:
            self._last_due = max(self._last_due, due)
        self._last_shown = max(self._last_shown, due)
        self._head_due = None
        self._previous = text
        self._count += 1
        self.waiting -= 1

    def _pop(self) -> None:
        self._queue.popleft()
        self._rush = max(0, self._rush - 1)

    def _cut(self, delta: TextDelta, now: float) -> None:
        if self._policy.per == "delta":
            self._enqueue([delta], now)
            return
        cutter = self._segmenters.get(delta.index)
        if cutter is None:
            cutter = (self._segmenter(), delta)
        self._segmenters[delta.index] = (cutter[0], delta)
        pieces = [recut(delta, piece) for piece in cutter[0].feed(delta.text)]
        if delta.logprobs is not None and pieces:
            pieces[-1] = recut(delta, pieces[-1].text, delta.logprobs)
        self._enqueue(pieces, now)

    def _flush_segmenters(self, now: float) -> None:
        for cutter, delta in self._segmenters.values():
            self._enqueue([recut(delta, piece) for piece in cutter.flush()], now)
        self._segmenters.clear()

    def _enqueue(self, pieces: list[TextDelta], now: float) -> None:
        for piece in pieces:
            self._queue.append((now, piece))
            self._arrivals.append(now)
        self.waiting += len(pieces)
        if pieces:
            self._pace.arrived(len(pieces), self._at(now))
            if self._policy.adaptive:
                self._head_due = None

    def _at(self, now: float) -> float:
        return now - self._start if self._start is not None else 0.0

    def _clamp(self, now: float) -> float:
        # a clock that jumps back must not make anything wait twice
        self._latest = max(self._latest, now)
        return self._latest


def _join(pieces: list[TextDelta]) -> TextDelta:
    if len(pieces) == 1:
        return pieces[0]
    logprobs: list[Any] = [entry for piece in pieces for entry in piece.logprobs or ()]
    return recut(pieces[-1], "".join([piece.text for piece in pieces]), logprobs or None)
