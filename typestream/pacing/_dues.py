"""When the waiting pieces are due: what a policy says of them, kept until something is known that it did not know.

Rules: a piece is due `delay` seconds after the one before it was *due*, never after it happened to be shown; it is
never due before it arrived; what is decided anew is never due in the past.
"""

from collections.abc import Iterable
from math import inf
from random import Random

from typestream.pacing._policy import Moment, Pacing, Planning
from typestream.pacing._waiting import Batch, Waiting

__all__ = ("Dues",)


class Dues:
    """A policy at work in one stream.

    Args:
        policy: says how long after the previous piece each is due.
        waiting: the pieces.

    Attributes:
        plannable: whether it is known beforehand when pieces are due, as long as nothing happens.
        adaptive: whether that changes when something does.
        moment: what the policy is told.
        last: when the last piece that was shown was due.
    """

    def __init__(self, policy: Pacing, waiting: Waiting) -> None:
        self._waiting = waiting
        self._start: float | None = None  # of stream time: from the first arrival, without pauses
        self._news = -inf  # when the pace was last told something
        self._earliest = -inf
        self._known: list[float] = []  # of the first waiting pieces, as far as the policy was asked
        self.last = -inf
        self.moment = Moment("", 0, -inf, 0.0, waiting, False, Random(policy.seed))
        self._adopt(policy)

    def _adopt(self, policy: Pacing) -> None:
        self._policy = policy
        self._pace = policy.start()
        self.adaptive = policy.adaptive
        self.plannable = isinstance(self._pace, Planning) or (policy.timeless and not policy.adaptive)
        self._known.clear()

    # -- what happens

    def begin(self, now: float) -> None:
        """The first text has come, if this is the first time; stream time counts from there."""
        if self._start is None:
            self._start = now

    def arrived(self, batches: Iterable[Batch], now: float) -> None:
        """These wait, too, from now on."""
        start = self._start or 0.0
        for batch in batches:
            batch.since = batch.arrived - start
            self._pace.arrived(len(batch.texts), batch.since)
        self._learned(now)

    def ended(self, now: float) -> None:
        """Nothing more will arrive."""
        self.moment.ended = True
        self._pace.ended(self._at(now))
        self._learned(now)

    def _learned(self, now: float) -> None:
        """Something is known now that was not; what is due in the future may come sooner, but never in the past."""
        self._news = now
        if self.adaptive:
            if self._known and self._known[0] > now:
                self._known.clear()
                self._earliest = now
            del self._known[1:]

    def change(self, policy: Pacing, now: float) -> None:
        """Go on with another policy."""
        self._adopt(policy)
        self.moment.random = Random(policy.seed)
        self._tell(now)

    def resume(self, seconds: float, now: float) -> None:
        """So long was the stream paused, until now: what was due is due that much later, and what arrived in that time
        counts as arrived now."""
        self.last += seconds
        self._news = min(self._news + seconds, now)
        if self._start is not None:
            self._start = min(self._start + seconds, now)
        for batch in self._waiting.batches:
            if batch.arrived > now - seconds - 1e-9:  # in the very moment of the pause, too: it is read in between
                batch.arrived = now
            batch.since = min(batch.since, self._at(now))
        if self.adaptive:
            self._adopt(self._policy)
            self._tell(now)
        else:
            self._known = [due + seconds for due in self._known]

    def _tell(self, now: float) -> None:
        """Tell a new pace what has happened; it cannot change the past."""
        self._earliest = self._news = now
        for batch in self._waiting.batches:
            if batch.texts:
                self._pace.arrived(len(batch.texts) - batch.next, batch.since)
        if self.moment.ended:
            self._pace.ended(self._at(now))

    def _at(self, now: float) -> float:
        return now - self._start if self._start is not None else 0.0

    # -- one piece

    @property
    def soonest(self) -> float:
        """When the next piece is due, where that is known already; inf where it is not."""
        return self._known[0] if self._known else inf

    def next(self, arrived: float, text: str) -> float:
        """When the next piece is due."""
        if self._known:
            return self._known[0]
        due = arrived if self.moment.count == 0 else self._asked(arrived, text)
        self._known.append(due)
        return due

    def _asked(self, arrived: float, text: str) -> float:
        """When the policy wants that shown."""
        delay = self._pace.delay(text, self._now())
        if not 0 <= delay < inf:
            raise ValueError(f"{self._policy!r} gave a delay of {delay} seconds; it must be 0 or more.")
        due = self.last + float(delay)  # max() is spelt out: it is asked for every piece
        if due < arrived:
            due = arrived
        return due if due > self._earliest else self._earliest

    def _now(self) -> Moment:
        """The moment at which the next piece is asked about. Who shows it late is not the policy's concern."""
        moment, start = self.moment, self._start or 0.0
        last, news = self.last, self._news
        moment.due = last - start
        moment.now = (news if news > last else last) - start
        return moment

    def shown(self, text: str, due: float) -> None:
        """That piece was shown, which was due then at the latest: what is skipped or flushed, sooner than was known."""
        known = self._known.pop(0) if self._known else due
        self.last = max(self.last, min(known, due))
        self.moment.previous = text
        self.moment.count += 1

    # -- many pieces

    def ahead(self, texts: list[str]) -> list[float]:
        """When these, which have arrived and are the next, are due, as far as that is known beforehand."""
        gaps = self._gaps(texts)  # before `known` is looked at: what is planned anew is gone from there
        known = self._known
        due = known[-1] if known else self.last
        for gap in gaps:
            if not 0 <= gap < inf:
                break  # it is refused when it is that piece's turn
            due += float(gap)  # the same as in `_asked`: all of these have arrived, and none is due yet
            known.append(due)
        return known

    def _gaps(self, texts: list[str]) -> list[float]:
        """The delays before those of these of which it is not known when they are due."""
        if isinstance(self._pace, Planning):
            self._known.clear()
            return self._pace.delays(len(texts), self._now())
        moment, delay = self.moment, self._pace.delay
        previous, number = moment.previous, moment.count
        gaps: list[float] = []
        try:
            for at, text in enumerate(texts):
                if at >= len(self._known):
                    gaps.append(delay(text, moment))
                moment.previous = text
                moment.count += 1
        except Exception:
            pass  # it is asked again when it is that piece's turn
        moment.previous, moment.count = previous, number
        return gaps

    def shown_ahead(self, texts: list[str]) -> None:
        """These, 1 at least, were shown of what `ahead` was asked about."""
        shown = len(texts)
        self.last = self._known[shown - 1]
        del self._known[:shown]
        self.moment.previous = texts[-1]
        self.moment.count += shown
