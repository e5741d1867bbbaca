"""The policies that keep nothing from piece to piece."""

from dataclasses import dataclass, field
from math import isfinite

from typestream.pacing._policy import Moment, Pace, Pacing
from typestream.pacing._segment import check_per

__all__ = ("Added", "Instant", "Pause", "Steady")


def check(name: str, value: float, *, zero: bool = False) -> None:
    """Refuse what is no positive number, in one sentence."""
    good = isinstance(value, (int, float)) and isfinite(value) and (value > 0 or (zero and value == 0))
    if not good:
        raise ValueError(f"{name} must be a {'number of 0 or more' if zero else 'positive number'}, not {value!r}.")


@dataclass(frozen=True, slots=True)
class Instant(Pacing):
    """As it comes: the same pieces, no read-ahead, no copy."""

    per: object = field(default="delta", init=False, repr=False)

    def delay(self, piece: str, moment: Moment) -> float:
        return 0.0


@dataclass(frozen=True, slots=True)
class Steady(Pacing):
    """A constant rate.

    Args:
        rate: pieces a second.
        per: what a piece is.
    """

    rate: float = 40.0
    per: object = "grapheme"
    timeless = True

    def __post_init__(self) -> None:
        check("Steady(rate)", self.rate)
        check_per(self.per)

    def delay(self, piece: str, moment: Moment) -> float:
        return 1.0 / self.rate


@dataclass(frozen=True, slots=True)
class Pause(Pacing):
    """A longer wait after certain characters; meant to be added to another policy: `Steady(40) + Pause()`.

    Args:
        after: the characters; a piece that ends in one of them (white space aside) is followed by the pause.
        seconds: how long.
    """

    after: str = ".!?。！？"
    seconds: float = 0.3
    timeless = True

    def __post_init__(self) -> None:
        check("Pause(seconds)", self.seconds, zero=True)
        if not isinstance(self.after, str):
            raise ValueError(f"Pause(after) must be the characters to pause after, as a str, not {self.after!r}.")

    def delay(self, piece: str, moment: Moment) -> float:
        before, ahead = moment.previous, piece[:1]
        if before[-1:] not in self.after:  # it may pause after white space, too
            before = before.rstrip()
        end = before[-1:]
        if not end or end not in self.after or ahead in self.after:
            return 0.0  # of "?!" or "..." only the last
        # the point in 3.14 ends nothing
        spaced = len(before) < len(moment.previous) or end.isspace() or ahead.isspace() or not end.isascii()
        return self.seconds if spaced or not ahead.isalnum() else 0.0


@dataclass(frozen=True, slots=True)
class Added(Pacing):
    """Two policies, one delay after the other; made by `+`. Pieces are cut as the first one says."""

    first: Pacing
    second: Pacing
    per: object = field(init=False, repr=False)
    seed: int | None = field(init=False, repr=False)
    read_ahead: bool = field(init=False, repr=False)
    adaptive: bool = field(init=False, repr=False)
    timeless: bool = field(init=False, repr=False)
    hold: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        from typestream.pacing._recorded import AsRecorded

        if isinstance(self.first, AsRecorded) or isinstance(self.second, AsRecorded):
            raise TypeError("AsRecorded cannot be added to another policy: it shows every event when it came.")
        put = object.__setattr__
        put(self, "per", self.first.per)
        put(self, "seed", self.second.seed if self.first.seed is None else self.first.seed)
        put(self, "read_ahead", self.first.read_ahead or self.second.read_ahead)
        put(self, "adaptive", self.first.adaptive or self.second.adaptive)
        put(self, "timeless", self.first.timeless and self.second.timeless)
        put(self, "hold", min(self.first.hold, self.second.hold))

    def delay(self, piece: str, moment: Moment) -> float:
        return self.first.delay(piece, moment) + self.second.delay(piece, moment)

    def start(self) -> Pace:
        return _AddedPace(self.first.start(), self.second.start())


class _AddedPace:
    def __init__(self, *paces: Pace) -> None:
        self._paces = paces

    def arrived(self, pieces: int, at: float) -> None:
        for pace in self._paces:
            pace.arrived(pieces, at)

    def ended(self, at: float) -> None:
        for pace in self._paces:
            pace.ended(at)

    def delay(self, piece: str, moment: Moment) -> float:
        return sum(pace.delay(piece, moment) for pace in self._paces)
