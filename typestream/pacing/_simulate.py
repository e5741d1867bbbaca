"""What a policy makes of an arrival trace, in virtual time."""

from collections.abc import Sequence
from math import inf

from typestream.events import TextDelta
from typestream.pacing._policy import Pacing
from typestream.pacing._schedule import Schedule

__all__ = ("simulate",)


def simulate(
    arrivals: Sequence[tuple[float, str]], policy: Pacing, end: float | None = None
) -> list[tuple[float, str]]:
    """What a policy makes of an arrival trace, in virtual time: `[(seconds, text), …]`.

    Args:
        arrivals: when each text arrives, in seconds, in order.
        policy: the pacing policy.
        end: when the source ends; with its last arrival where nothing is said.
    """
    schedule = Schedule(policy)
    shown: list[tuple[float, str]] = []

    def run(until: float) -> None:
        now = last
        while True:
            due = schedule.poll(now)
            if due is None or (isinstance(due, float) and due >= until):
                return
            if isinstance(due, float):
                now = due
            elif isinstance(due, TextDelta):
                shown.append((now, due.text))

    last = arrivals[0][0] if arrivals else 0.0
    for at, text in arrivals:
        if at > last:  # what arrives at the same time arrives together
            run(at)
            last = at
        if text:
            schedule.feed(TextDelta(text), last)
    if end is not None and end > last:
        run(end)
        last = end
    schedule.end(last)
    run(inf)
    return shown
