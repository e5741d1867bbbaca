"""The schedule: events in at their arrival, out when they are due. Pure: every method is told what time it is.

Rules: a piece is due `delay` seconds after the one before it was *due*, never after it happened to be shown; it is
never due before it arrived; pieces that are due together go out together, and never more often than once in `TICK`.
Events that are not text keep their place.
"""

from array import array
from collections.abc import Callable
from itertools import count
from math import inf
from random import Random
from typing import Any, Literal

from typestream.events import Event, TextDelta, recut
from typestream.pacing._cutter import Cutter
from typestream.pacing._policy import Moment, Pacing, Planning, Segmenter
from typestream.pacing._segment import segmenter
from typestream.pacing._waiting import Batch, Waiting

__all__ = ("Order", "Run", "Schedule")

Order = Literal["barrier", "flush"]

TICK = 0.003
"""The least time between two emissions, seconds; above some 300 pieces a second nobody sees a difference."""

HOLD_LEAST = 0.015
"""Seconds that a grapheme may wait for what could still belong to it, even where nothing has been shown for long."""

FREEZE = 0.2
"""Seconds; a longer pause while a grapheme waits, decided or not, is seen as a freeze."""

AHEAD = 64
"""For so many pieces a policy is asked at once, at the most."""

_turns = count(1)
"""Streams that begin together shall not all ask at the same time: the first run of each has another length."""


class Run:
    """Texts of choice 0 that are shown one by one, each at its time, unless something else happens before.

    Whoever shows them writes down here what was shown and when, and nowhere else: with a thousand streams at once it
    is the memory touched that costs. The schedule, the result and its timing look here when they are asked something.

    Attributes:
        times: when each was shown, of those that have been, and when each is due, of the others; seconds.
        texts: as many.
        shown: how many have been.
        over: whether something has happened, and the schedule is to be asked again.
    """

    __slots__ = ("over", "shown", "texts", "times")

    def __init__(self, times: list[float], texts: list[str]) -> None:
        self.times = array("d", times)
        self.texts = texts
        self.shown = 0
        self.over = False

    def take(self, now: float) -> str:
        """The next, shown now, and with it what else is due by now: what is late together goes out together."""
        times, at = self.times, self.shown
        text = self.texts[at]
        times[at] = now
        at += 1
        while at < len(times) and times[at] <= now:
            text += self.texts[at]
            times[at] = now
            at += 1
        self.shown = at
        return text

    def __str__(self) -> str:
        return "".join(self.texts[: self.shown])


class Schedule:
    """One stream's queue of pieces, and when each is due.

    Args:
        policy: says how long after the previous piece each is due.
        order: what an event that is not text does: `"barrier"` waits until all text before it was shown, `"flush"`
            has that text shown at once.
    """

    def __init__(self, policy: Pacing, order: Order = "barrier") -> None:
        self._order = order
        self._waiting = Waiting()
        self._rush = 0  # so many batches at the head of the queue are due at once
        self._cutters: dict[int, Cutter] = {}
        self._moment = Moment("", 0, -inf, 0.0, self._waiting, False, Random(policy.seed))
        self._start: float | None = None  # of stream time: from the first arrival, without pauses
        self._latest = -inf
        self._last_due = -inf
        self._last_shown = -inf
        self._news = -inf  # when the pace was last told something
        self._dues: list[float] = []  # of the first waiting pieces, as far as the policy was asked
        self._run: Run | None = None
        self._length = 1 + next(_turns) % AHEAD  # of the next run, at most
        self._rest = -inf  # when the next piece is due, as long as nothing has happened since that was found out
        self._last = TextDelta("")  # the last delta that something of was shown
        self._logprobs: list[Any] = []  # of what was shown last
        self._earliest = -inf
        self._skipping = self._resumed = False
        self._adopt(policy)

    @property
    def waiting(self) -> int:
        """How many pieces wait to be shown."""
        self.settle()
        return self._waiting.pieces

    def _adopt(self, policy: Pacing) -> None:
        self._policy = policy
        self._adaptive = policy.adaptive
        self._pace = policy.start()
        self._ahead_of_time = isinstance(self._pace, Planning) or (policy.timeless and not policy.adaptive)
        self._segmenter: Callable[[], Segmenter] = segmenter(policy.per)
        self._dues.clear()

    # -- what happens

    def feed(self, event: Event, now: float) -> None:
        """An event has arrived."""
        now = self._clamp(now)
        if type(event) is TextDelta:
            self._cut(event, now)
            return
        self._flush_cutters()
        self._waiting.add(Batch(event, [], now))
        if self._order == "flush":
            self._rush = len(self._waiting.batches)

    def end(self, now: float) -> None:
        """Nothing more will arrive."""
        now = self._clamp(now)
        self._flush_cutters()
        self._moment.ended = True
        self._news = now
        self._pace.ended(self._at(now))
        if self._adaptive:
            self._reconsider()

    def skip(self) -> None:
        """Everything is due at once from now on."""
        self.settle()
        self._rest = -inf
        self._flush_cutters()
        self._skipping = True

    def shift(self, seconds: float) -> None:
        """So long was the stream paused: what was due in that time is due that much later, and what arrived in that
        time counts as arrived at its end."""
        self.settle()
        self._rest = -inf
        self._last_due += seconds
        self._news += seconds
        if self._start is not None:
            self._start += seconds
        if self._adaptive:
            self._dues.clear()
            self._resumed = True
        else:
            self._dues = [due + seconds for due in self._dues]

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
        self._earliest = self._news = self._latest
        for batch in self._waiting.batches:
            if batch.texts:
                self._pace.arrived(len(batch.texts) - batch.next, batch.since)
        if self._moment.ended:
            self._pace.ended(self._at(self._latest))

    def _clamp(self, now: float) -> float:
        self.settle()
        # a clock that jumps back must not make anything wait twice
        if now > self._latest:
            self._latest = now
        self._rest = -inf
        if self._resumed:
            self._resumed = False
            latest = self._at(self._latest)
            for batch in self._waiting.batches:
                batch.since = min(batch.since, latest)
            self._pace = self._policy.start()
            self._tell()
        return self._latest

    def _at(self, now: float) -> float:
        return now - self._start if self._start is not None else 0.0

    def _reconsider(self) -> None:
        """Something is known now that was not; what is due in the future may come sooner, but never in the past."""
        if self._dues and self._dues[0] > self._latest:
            self._dues.clear()
            self._earliest = self._latest
        del self._dues[1:]

    # -- what is due

    def poll(self, now: float) -> Event | float | None:
        """What is due now; or when the next piece is; or None, when nothing waits."""
        due = self._text(now)
        return self._event(due) if type(due) is str else due  # type: ignore[return-value]

    def goes_on(self, now: float) -> bool:
        """Whether `poll` would give text of choice 0 now."""
        self.settle()
        batch = self._waiting.batches[0] if self._waiting.batches else None
        if batch is None or type(batch.event) is not TextDelta or batch.event.index:
            return False
        try:
            return self._due(batch.arrived, batch.texts[batch.next], now) <= now
        except Exception:
            return False  # `poll` will ask again, and say so

    def _event(self, text: str) -> TextDelta:
        """The event of what `_text` gave last."""
        last = self._last
        if last.text == text and (last.logprobs or []) == self._logprobs:
            return last
        return recut(last, text, self._logprobs or None)

    def _text(self, now: float) -> str | Event | float | None:
        """The same as `poll`, but of a text only the text; `_last` and `_logprobs` are then what belongs to it."""
        if self._run is not None:
            self.settle()
        due = self._rest
        if now < due:
            if now > self._latest:
                self._latest = now
            return due
        if self._resumed or now <= self._latest:
            now = self._clamp(now)
            due = -inf
        else:  # the same, in short
            self._latest = now
            self._rest = -inf
        queue = self._waiting.batches
        if not queue:
            until = self._held_until()
            if now < until:
                return until if until < inf else None
            self._flush_cutters()
        moment = self._moment
        first: str | None = None
        more: list[str] = []
        self._logprobs = []
        while queue:
            batch = queue[0]
            event, texts, at = batch.event, batch.texts, batch.next
            if type(event) is not TextDelta:
                if first is not None:
                    break
                self._pop()
                return event
            if first is not None and self._last.index != event.index:
                break
            text = texts[at]
            if due == -inf:
                try:
                    due = self._due(batch.arrived, text, now)
                except Exception:
                    if first is None:
                        raise
                    break  # what is due already is not lost; the policy will be asked again
            if due > now:
                self._rest = due
                if first is None:
                    return due
                break
            # shown
            if self._dues:
                self._last_due = self._dues.pop(0)
            elif due > self._last_due:
                self._last_due = due
            if due > self._last_shown:
                self._last_shown = due
            moment.previous = text
            moment.count += 1
            self._waiting.pieces -= 1
            batch.next = at = at + 1
            if at == len(texts):
                self._pop()
            due = -inf
            self._last = event
            if event.logprobs:
                self._logprobs += event.logprobs
            if first is None:
                first = text
            else:
                more.append(text)
        return first if first is None or not more else first + "".join(more)

    def _due(self, arrived: float, text: str, now: float) -> float:
        if self._rush or self._skipping:
            return min(now, max(arrived, self._last_due))
        if self._dues:
            due = self._dues[0]
        else:
            due = arrived if self._moment.count == 0 else self._asked(arrived, text)
            self._dues.append(due)
        # within a tick of the last emission a piece waits for company
        shown = self._last_shown
        return due if due <= shown or due >= shown + TICK else shown + TICK

    def _asked(self, arrived: float, text: str) -> float:
        """When the policy wants that shown."""
        delay = self._pace.delay(text, self._now())
        if not 0 <= delay < inf:
            raise ValueError(f"{self._policy!r} gave a delay of {delay} seconds; it must be 0 or more.")
        due = self._last_due + delay  # max() is spelt out: it is asked for every piece
        if due < arrived:
            due = arrived
        return due if due > self._earliest else self._earliest

    def _now(self) -> Moment:
        """The moment at which the next piece is asked about. Who shows it late is not the policy's concern."""
        moment, start = self._moment, self._start or 0.0
        last, news = self._last_due, self._news
        moment.due = last - start
        moment.now = (news if news > last else last) - start
        return moment

    def _pop(self) -> None:
        self._waiting.batches.popleft()
        if self._rush:
            self._rush -= 1

    # -- many pieces at once

    def run(self) -> Run | None:
        """The next texts, where it is known beforehand when they are due, and none is due within a tick of another. To
        be asked for when all that is due by now was shown, and again when all of these were, or when it is over."""
        self.settle()
        if not self._ahead_of_time or not self._moment.count or not self._waiting.pieces:
            return None
        if self._order == "flush" or self._skipping:
            return None  # of what an event flushes no policy is asked, so nobody may be asked before
        dues, texts = self._ahead()
        if not dues:
            return None
        self._rest = -inf
        self._run = Run(dues, texts)
        return self._run

    def _ahead(self) -> tuple[list[float], list[str]]:
        """The next pieces that come one by one, and when."""
        dues = self._dues
        nearest = self._last_shown + TICK
        if dues and dues[0] < nearest:
            return [], []
        texts = self._waiting.ahead(self._length)
        if not texts:
            return [], []
        gaps = self._gaps(texts)  # before `dues` is looked at: what is planned anew is gone from there
        due = dues[-1] if dues else self._last_due
        for gap in gaps:
            if not 0 <= gap < inf:
                break  # it is refused when it is that piece's turn
            due += gap  # the same as in `_asked`: all of these have arrived, and none is due yet
            dues.append(due)
        planned = 0
        for due in dues[: len(texts)]:
            if due < nearest:
                break
            nearest = due + TICK
            planned += 1
        return dues[:planned], texts[:planned]

    def _gaps(self, texts: list[str]) -> list[float]:
        """The delays before those of these of which it is not known when they are due."""
        if isinstance(self._pace, Planning):
            self._dues.clear()
            return self._pace.delays(len(texts), self._now())
        moment, delay = self._moment, self._pace.delay
        previous, number = moment.previous, moment.count
        gaps: list[float] = []
        try:
            for at, text in enumerate(texts):
                if at >= len(self._dues):
                    gaps.append(delay(text, moment))
                moment.previous = text
                moment.count += 1
        except Exception:
            pass  # it is asked again when it is that piece's turn
        moment.previous, moment.count = previous, number
        return gaps

    def settle(self) -> None:
        """What was shown of a run was shown, and the run is over."""
        run, self._run = self._run, None
        if run is None:
            return
        run.over = True
        shown = run.shown
        # what adapts is asked again when something arrives, and shall not be asked in vain for long
        self._length = min(AHEAD, max(2, 2 * shown)) if self._adaptive else AHEAD
        if not shown:
            return
        self._last_due = self._last_shown = self._dues[shown - 1]
        del self._dues[:shown]
        self._last, self._logprobs = self._waiting.shown(shown), []
        self._moment.previous = run.texts[shown - 1]
        self._moment.count += shown

    # -- what a piece is

    def _cut(self, delta: TextDelta, now: float) -> None:
        if self._start is None:
            self._start = now
        if self._skipping or self._policy.per == "delta":
            self._enqueue([Batch(delta, [delta.text], now)])
            return
        cutter = self._cutters.get(delta.index)
        if cutter is None:
            cutter = self._cutters[delta.index] = Cutter(self._segmenter())
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

    def _enqueue(self, batches: list[Batch]) -> None:
        if not batches:
            return
        start = self._start or 0.0
        self._news = self._latest
        for batch in batches:
            batch.since = batch.arrived - start
            self._waiting.add(batch)
            self._pace.arrived(len(batch.texts), batch.since)
        if self._adaptive:
            self._reconsider()
