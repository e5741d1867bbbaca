"""Pacing policies side by side on one recording: a table of what each makes of it, and a plot.

Everything is computed in virtual time from the recorded arrivals; the plot is an SVG that follows the light or dark
setting of whoever looks at it.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import IO

from typestream.pacing import Instant, Pacing, Smooth, Steady
from typestream.pacing._graphemes import Graphemes
from typestream.pacing._metrics import Metrics, Timed, measure
from typestream.pacing._policies import Added
from typestream.pacing._simulate import in_order, paced, texts
from typestream.sources.recording import Recording

__all__ = ("POLICIES", "Comparison", "Row", "compare")

POLICIES: tuple[Pacing, ...] = (Instant(), Smooth(), Steady(80.0))
"""What is compared where nothing is said."""

_LONGEST = 24 * 60 * 60.0


@dataclass(frozen=True)
class Row:
    """One policy: what it showed when, `[(seconds, text), …]`, and how good that is."""

    policy: Pacing
    shown: Timed
    metrics: Metrics


@dataclass(frozen=True)
class Comparison:
    """What policies make of one recording; times are seconds since the first event of the recording.

    Attributes:
        arrivals: the recorded text of choice 0, `[(seconds, text), …]`.
        end: when the source ended; where the recording broke off, when its last event came.
        rows: one for each policy, in the order they were given.
    """

    arrivals: Timed
    end: float
    rows: Sequence[Row]

    def table(self) -> str:
        """A line for each policy; lengths of time in milliseconds, `jump` in graphemes."""
        head = ("policy", "first", "lag p95", "lag max", "variation", "freeze", "jump", "tail", "total")
        lines = [head, *(_cells(row) for row in self.rows)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
        return "".join(
            "  ".join([line[0].ljust(widths[0]), *(cell.rjust(widths[i + 1]) for i, cell in enumerate(line[1:]))])
            + "\n"
            for line in lines
        )

    def svg(self) -> str:
        """The plot: how much had arrived, and how much each policy had shown, over time."""
        from typestream._plot import Curve, plot

        curves = [Curve("arrivals", _counted(self.arrivals))]
        for row in self.rows:
            got = row.metrics
            note = f"{_name(row.policy)}: lag at most {got.lag_max * 1000:,.0f} ms, variation {got.variation:.2f}"
            curves.append(Curve(note, _counted(row.shown)))
        return plot(curves, "graphemes")


def compare(
    recording: "Recording | str | os.PathLike[str] | IO[str]", policies: Sequence[Pacing] = POLICIES
) -> Comparison:
    """What policies make of a recording's text (choice 0), in virtual time; the other events come between it, as in the
    stream.

    Args:
        recording: a `Recording`, the path of one, or an open text file.
        policies: the policies.

    Raises:
        OSError: the path cannot be opened.
        ValueError: it is no recording, there is no text in it, or it is longer than a day, or is at a policy's pace.
    """
    if not isinstance(recording, Recording):
        recording = Recording.load(recording)
    if not all(abs(at) <= _LONGEST for at in (recording.ended or 0.0, *(at for at, _ in recording.events))):
        raise ValueError("This recording is longer than a day: no pace can be told of it.")
    came = in_order(recording.events)
    arrivals = texts(came)
    if not arrivals:
        raise ValueError("There is no text in this recording, and so nothing to compare.")
    end = came[-1][0] if recording.ended is None else max(recording.ended, came[-1][0])
    rows: list[Row] = []
    for policy in policies:
        shown = texts(paced(came, policy, end))
        if shown[-1][0] > end + _LONGEST:
            raise ValueError(f"{_name(policy)} takes longer than a day for this recording.")
        rows.append(Row(policy, shown, measure(arrivals, shown, end, _graphemes)))
    return Comparison(arrivals, end, rows)


def _graphemes(text: str) -> list[str]:
    segmenter = Graphemes()
    return segmenter.feed(text) + segmenter.flush()


def _counted(rows: Timed) -> list[tuple[float, int]]:
    """How many graphemes there were in all, at each time."""
    counted: list[tuple[float, int]] = []
    segmenter, done = Graphemes(), 0
    for at, piece in rows:
        done += len(segmenter.feed(piece))
        counted.append((at, done + bool(segmenter.held)))
    return counted


def _cells(row: Row) -> tuple[str, ...]:
    got = row.metrics
    first, p95, most, freeze, tail, total = (
        f"{round(seconds * 1000):,} ms"
        for seconds in (got.first, got.lag_p95, got.lag_max, got.freeze, got.tail, got.total)
    )
    return _name(row.policy), first, p95, most, f"{got.variation:.2f}", freeze, str(got.jump), tail, total


def _name(policy: Pacing) -> str:
    """The policy as it might be written: its first argument, and the others that are not as usual."""
    if isinstance(policy, Added):
        return f"{_name(policy.first)} + {_name(policy.second)}"
    if not is_dataclass(policy):
        return repr(policy)
    given = [field for field in fields(policy) if field.init and field.repr]
    told = [field for i, field in enumerate(given) if i == 0 or getattr(policy, field.name) != field.default]
    return f"{type(policy).__name__}({', '.join(f'{field.name}={getattr(policy, field.name)!r}' for field in told)})"
