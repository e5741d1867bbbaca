"""The schedule: events in at their arrival, out when they are due. Pure: every method is told what time it is.

Rules: pieces that are due together go out together, and never more often than once in `TICK`; events that are not text
keep their place; a clock that jumps back makes nothing wait twice.
"""

from collections.abc import Callable
from itertools import count
from math import inf
from typing import Any, Literal

from typestream.events import Citation, Event, Other, Start, TextDelta, Usage, recut
from typestream.pacing._cutter import Cutter
from typestream.pacing._dues import Dues
from typestream.pacing._policy import Pacing, Segmenter
from typestream.pacing._run import Run
from typestream.pacing._segment import segmenter
from typestream.pacing._waiting import Batch, Waiting

__all__ = ("Order", "Schedule")

Order = Literal["barrier", "flush"]

TICK = 0.003
"""The least time between two emissions, seconds; above some 300 pieces a second nobody sees a difference."""

HOLD_LEAST = 0.015
"""Seconds that a grapheme may wait for what could still belong to it, even where nothing has been shown for long."""

FREEZE = 0.2
"""Seconds; a longer pause while a grapheme waits, decided or not, is seen as a freeze."""

AHEAD = 64
"""For so many pieces a policy is asked at once, at the most."""

ASIDE = (Start, Usage, Citation, Other)
"""What is no part of the text, and tears no word or cluster: it comes after the piece that has the last of what came
before it."""

_turns = count(1)
"""Streams that begin together shall not all ask at the same time: the first run of each has another length."""


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
        self._latest = -inf
        self._last_shown = -inf  # when the last emission was due
        self._run: Run | None = None
        self._length = 1 + next(_turns) % AHEAD  # of the next run, at most
        self._rest = -inf  # when the next piece is due, as long as nothing has happened since that was found out
        self._last = TextDelta("")  # the last delta that something of was shown
        self._logprobs: list[Any] = []  # of what was shown last
        self._aside: list[Batch] = []  # events behind the text that is held
        self._skipping = False
        self._dues = Dues(policy, self._waiting)
        self._adopt(policy)

    @property
    def waiting(self) -> int:
        """How many pieces wait to be shown."""
        self.settle()
        return self._waiting.pieces

    @property
    def backlog(self) -> int:
        """How many pieces, or other events, wait: whichever are more."""
        return max(self.waiting, len(self._waiting.batches))

    def _adopt(self, policy: Pacing) -> None:
        self._policy = policy
        self._hold = float(policy.hold)
        self._segmenter: Callable[[], Segmenter] = segmenter(policy.per)

    # -- what happens

    def feed(self, event: Event, now: float) -> None:
        """An event has arrived."""
        now = self._clamp(now)
        if type(event) is TextDelta:
            self._cut(event, now)
            return
        held = [cutter.since < inf for cutter in self._cutters.values()]
        if type(event) in ASIDE and self._order == "barrier" and held == [True]:
            self._aside.append(Batch(event, [], now))
            return
        self._flush_cutters()
        self._waiting.add(Batch(event, [], now))
        if self._order == "flush":
            self._rush = len(self._waiting.batches)

    def end(self, now: float) -> None:
        """Nothing more will arrive."""
        now = self._clamp(now)
        self._flush_cutters()
        self._dues.ended(now)

    def skip(self) -> None:
        """Everything is due at once from now on."""
        self.settle()
        self._rest = -inf
        self._flush_cutters()
        self._skipping = True

    def resume(self, seconds: float, now: float) -> None:
        """So long was the stream paused, until now: what was due in that time is due that much later, and what arrived
        in that time counts as arrived now."""
        now = self._clamp(now)
        for cutter in self._cutters.values():
            cutter.resume(seconds, now)
        self._dues.resume(seconds, now)

    def change(self, policy: Pacing, order: Order, now: float) -> None:
        """Go on with another policy, even after `skip`; pieces that wait already stay as they were cut."""
        now = self._clamp(now)
        self._skipping = False
        self._order = order
        if order == "flush":
            events = (at for at, batch in enumerate(self._waiting.batches, 1) if not batch.texts)
            self._rush = max(events, default=0)
        if policy.per != self._policy.per:
            self._flush_cutters()
        self._adopt(policy)
        self._dues.change(policy, now)

    def _clamp(self, now: float) -> float:
        self.settle()
        if now > self._latest:
            self._latest = now
        self._rest = -inf
        return self._latest

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
        """What `poll` gives, but of a text event only the text; `_last` and `_logprobs` hold what belongs to it."""
        if self._run is not None:
            self.settle()
        due = self._rest
        if now < due:
            if now > self._latest:
                self._latest = now
            return due
        if now <= self._latest:
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
            self._flush_cutters(now)
        dues = self._dues
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
            dues.shown(text, due)
            if due > self._last_shown:
                self._last_shown = due
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
            return min(now, max(arrived, self._dues.last))
        due = self._dues.next(arrived, text)
        # within a tick of the last emission a piece waits for company
        shown = self._last_shown
        return due if due <= shown or due >= shown + TICK else shown + TICK

    def _pop(self) -> None:
        self._waiting.batches.popleft()
        if self._rush:
            self._rush -= 1

    # -- many pieces at once

    def run(self) -> Run | None:
        """The next texts, where it is known beforehand when they are due, and none is due within a tick of another. To
        be asked for when all that is due by now was shown, and again when all of these were, or when it is over."""
        self.settle()
        if not self._dues.plannable or not self._dues.moment.count or not self._waiting.pieces:
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
        nearest = self._last_shown + TICK
        texts = self._waiting.ahead(self._length)
        if not texts or self._dues.soonest < nearest:
            return [], []
        dues = self._dues.ahead(texts)
        planned = 0
        for due in dues[: len(texts)]:
            if due < nearest:
                break
            nearest = due + TICK
            planned += 1
        return dues[:planned], texts[:planned]

    def settle(self) -> None:
        """What was shown of a run was shown, and the run is over."""
        run, self._run = self._run, None
        if run is None:
            return
        run.over = True
        shown = run.shown
        # what adapts is asked again when something arrives, and shall not be asked in vain for long
        self._length = min(AHEAD, max(2, 2 * shown)) if self._dues.adaptive else AHEAD
        if not shown:
            return
        self._dues.shown_ahead(run.texts[:shown])
        self._last_shown = self._dues.last
        self._last, self._logprobs = self._waiting.shown(shown), []

    # -- what a piece is

    def _cut(self, delta: TextDelta, now: float) -> None:
        self._dues.begin(now)
        if self._skipping or self._policy.per == "delta":
            if delta.text or delta.logprobs:
                self._enqueue([Batch(delta, [delta.text], now)])
            return
        cutter = self._cutters.get(delta.index)
        if cutter is None:
            if self._aside:  # that is of another choice
                self._flush_cutters()
            cutter = self._cutters[delta.index] = Cutter(self._segmenter())
        batches = cutter.feed(delta, now)
        if batches and self._aside:  # what was held is in the first piece
            first = batches[0]
            self._enqueue([Batch(first.event, first.texts[:1], first.arrived)])
            self._let_go()
            rest = [Batch(first.event, first.texts[1:], first.arrived)] if len(first.texts) > 1 else []
            batches = [*rest, *batches[1:]]
        self._enqueue(batches)

    def _flush_cutters(self, now: float = inf) -> None:
        """What is undecided goes out as it is; all of it, or what is held for long enough by then."""
        for index, cutter in list(self._cutters.items()):
            if self._until(cutter) <= now:
                self._enqueue(cutter.flush())
                del self._cutters[index]
        if not self._cutters:
            self._let_go()

    def _let_go(self) -> None:
        self._waiting.batches.extend(self._aside)
        self._aside.clear()

    def _held_until(self) -> float:
        """When what is undecided goes out as it is; only where the source is read meanwhile can it be waited for."""
        if not self._cutters or not self._policy.read_ahead:
            return inf
        return min(map(self._until, self._cutters.values()))

    def _until(self, cutter: Cutter) -> float:
        until = cutter.since + self._hold
        if self._policy.per == "grapheme":
            until = min(until, max(cutter.since + HOLD_LEAST, self._last_shown + FREEZE))
        return until

    def _enqueue(self, batches: list[Batch]) -> None:
        for batch in batches:
            self._waiting.add(batch)
        if batches:
            self._dues.arrived(batches, self._latest)
