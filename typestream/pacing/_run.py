"""Texts that are shown one by one without a look at anything else."""

from array import array

__all__ = ("Run",)


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
