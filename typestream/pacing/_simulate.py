"""What a policy makes of an arrival trace, in virtual time."""

from collections.abc import Iterable, Sequence
from math import inf

from typestream.events import Event, TextDelta
from typestream.pacing._policies import Instant
from typestream.pacing._policy import Pacing
from typestream.pacing._recorded import AsRecorded
from typestream.pacing._schedule import Schedule

__all__ = ("in_order", "paced", "simulate", "texts")


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
    return texts(paced(in_order((at, TextDelta(text)) for at, text in arrivals if text), policy, end))


def in_order(arrivals: Iterable[tuple[float, Event]]) -> list[tuple[float, Event]]:
    """The same, but what claims to have come earlier comes with the one before."""
    came: list[tuple[float, Event]] = []
    for at, event in arrivals:
        came.append((max(float(at), came[-1][0]) if came else float(at), event))
    return came


def texts(events: Iterable[tuple[float, Event]]) -> list[tuple[float, str]]:
    """The texts of choice 0, each with its time."""
    return [(at, event.text) for at, event in events if type(event) is TextDelta and event.text and not event.index]


def paced(came: Sequence[tuple[float, Event]], policy: Pacing, end: float | None) -> list[tuple[float, Event]]:
    """When a stream shows what, of events that arrive in order, at a policy's pace.

    Args:
        came: when each arrives, seconds.
        policy: the pacing policy.
        end: when the source ends; with its last event where nothing is said.
    """
    if isinstance(policy, Instant) or not came:
        return list(came)
    if isinstance(policy, AsRecorded):
        start = came[0][0]
        return [(start + (at - start) / policy.speed, event) for at, event in came]
    return _scheduled(came, policy, came[-1][0] if end is None else float(end))


def _scheduled(came: Sequence[tuple[float, Event]], policy: Pacing, end: float) -> list[tuple[float, Event]]:
    schedule = Schedule(policy)
    shown: list[tuple[float, Event]] = []
    now = came[0][0]

    def run(until: float) -> float:
        """Show what is due before then; when there is nothing more to do."""
        at = now
        while True:
            due = schedule.poll(at)
            if isinstance(due, Event):
                shown.append((at, due))
            elif due is not None and due < until:
                at = due
            else:
                return at

    for at, event in [*came, (end, None)]:
        if not policy.read_ahead:
            now = max(run(inf), at)
        elif at > now:  # what arrives at the same time arrives together
            run(at)
            now = at
        if event is not None:
            schedule.feed(event, now)
    schedule.end(now)
    run(inf)
    return shown
