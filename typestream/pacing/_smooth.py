"""`Smooth`: text at the source's own speed, evenly, and never later than the budget allows."""

from collections import deque
from dataclasses import dataclass

from typestream.pacing._policies import check
from typestream.pacing._policy import Moment, Pace, Pacing

__all__ = ("Smooth",)


@dataclass(frozen=True, slots=True)
class Smooth(Pacing):
    """Adaptive: as even as the source allows within a lag budget, which is a contract.

    Args:
        max_lag: seconds after its arrival at which a piece is shown at the latest.
        tail: seconds after the end of the source at which the last piece is shown at the latest.
        per: what a piece is.
    """

    max_lag: float = 0.4
    tail: float = 0.3
    per: object = "grapheme"
    read_ahead = True
    adaptive = True

    def __post_init__(self) -> None:
        check("Smooth(max_lag)", self.max_lag)
        check("Smooth(tail)", self.tail, zero=True)

    def start(self) -> Pace:
        return _SmoothPace(self.max_lag, self.tail)


class _SmoothPace:
    def __init__(self, max_lag: float, tail: float) -> None:
        self._max_lag = max_lag
        self._tail = tail
        self._total = 0
        self._shown = 0
        self._hull: deque[tuple[float, int]] = deque()  # concave: by then, so many pieces must have been shown

    def arrived(self, pieces: int, at: float) -> None:
        self._total += pieces
        self._deadline(at + self._max_lag)

    def ended(self, at: float) -> None:
        self._deadline(at + self._tail)

    def _deadline(self, by: float) -> None:
        hull, total = self._hull, self._total
        while hull and hull[-1][0] >= by:
            hull.pop()
        while len(hull) > 1:
            (t0, n0), (t1, n1) = hull[-2], hull[-1]
            if (n1 - n0) * (by - t1) > (total - n1) * (t1 - t0):
                break
            hull.pop()
        hull.append((by, total))

    def delay(self, piece: str, moment: Moment) -> float:
        shown = self._total - len(moment.arrivals)
        return max(0.0, 1 / max(self._floor(moment.due, shown), 1e-9))

    def _floor(self, at: float, shown: int) -> float:
        """The least rate at which every waiting piece meets its deadline, pieces a second."""
        hull = self._hull
        while hull[0][1] <= shown:
            hull.popleft()
        while True:
            by, total = hull[0]
            if by <= at:
                return 1e9
            slope = (total - shown) / (by - at)
            if len(hull) == 1 or slope * (hull[1][0] - at) >= hull[1][1] - shown:
                return slope
            hull.popleft()
