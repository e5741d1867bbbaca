"""What a policy makes of an arrival trace, in virtual time."""

from collections.abc import Sequence
from math import inf

from typestream.events import TextDelta
from typestream.pacing._policies import Instant
from typestream.pacing._policy import Pacing
from typestream.pacing._recorded import AsRecorded
from typestream.pacing._schedule import Schedule

__all__ = ("simulate",)


def simulate(
    arrivals: Sequence[tuple[float, str]], policy: Pacing, end: float | None = None
) -> list[tuple[float, str]]:
    """What a stream shows of an arrival trace at a policy's pace, in virtual time: `[(seconds, text), …]`.

    As in a stream, a source that is not read ahead is read when nothing waits any more, and with `Instant` there is
    no schedule at all. For `AsRecorded` the trace is the recording, replayed: a higher speed shows it sooner.

    Args:
        arrivals: when each text arrives, in seconds, in order; one that claims to be earlier comes with the one before.
        policy: the pacing policy.
        end: when the source ends; with its last arrival where nothing is said.
    """
    came: list[tuple[float, str]] = []
    for at, text in arrivals:
        if text:
            came.append((max(float(at), came[-1][0]) if came else float(at), text))
    if isinstance(policy, Instant) or not came:
        return came
    if isinstance(policy, AsRecorded):
        start = came[0][0]
        return [(start + (at - start) / policy.speed, text) for at, text in came]
    return _scheduled(came, policy, came[-1][0] if end is None else max(float(end), came[-1][0]))


def _scheduled(came: list[tuple[float, str]], policy: Pacing, end: float) -> list[tuple[float, str]]:
    schedule = Schedule(policy)
    shown: list[tuple[float, str]] = []
    now = came[0][0]

    def run(until: float) -> float:
        """Show what is due before then; when there is nothing more to do."""
        at = now
        while True:
            due = schedule.poll(at)
            if isinstance(due, TextDelta):
                shown.append((at, due.text))
            elif isinstance(due, float) and due < until:
                at = due
            else:
                return at

    for at, text in [*came, (end, "")]:
        if not policy.read_ahead:
            now = max(run(inf), at)
        elif at > now:  # what arrives at the same time arrives together
            run(at)
            now = at
        if text:
            schedule.feed(TextDelta(text), now)
    schedule.end(now)
    run(inf)
    return shown
