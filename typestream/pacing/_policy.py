"""What a pacing policy is: a frozen value that says how long to wait before a piece of text is shown.

A policy never sees a clock, never sleeps and is never async. It may be shared between streams: whatever changes while
a stream runs lives in the `Pace` that `start()` makes, one per stream.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

__all__ = ("HOLD", "Moment", "Pace", "Pacing", "Per", "Planning", "Segmenter")

HOLD = 0.2
"""Seconds that the undecided end of the text may wait, where nothing else is said."""


class Segmenter(Protocol):
    """Cuts text into pieces, the same however the text was cut before; one per stream and choice."""

    def feed(self, text: str) -> list[str]:
        """The pieces that no continuation can change any more."""
        ...

    def flush(self) -> list[str]:
        """What was held back, at the end of the text."""
        ...


Per: TypeAlias = Literal["grapheme", "word", "sentence", "line", "delta"]


@dataclass(slots=True)
class Moment:
    """What a policy may know when it is asked. All times are seconds since the first piece arrived, pauses left out.
    It is the stream's own and changes with it: what is to be remembered must be copied.

    Attributes:
        previous: the piece shown before, `""` at first.
        count: how many pieces were shown before.
        due: when the previous piece was due.
        now: when that was, or, where that is later, when something last arrived: what has been heard of by then, the
            policy may go by. Whether the reader is late is not its concern.
        arrivals: when each waiting piece arrived, the one in question first; never empty; to be read only.
        ended: whether the source has ended, and nothing follows the waiting pieces.
        random: this stream's own generator, seeded with the policy's `seed`.
    """

    previous: str
    count: int
    due: float
    now: float
    arrivals: Sequence[float]
    ended: bool
    random: random.Random


class Pace(Protocol):
    """A policy at work in one stream."""

    def arrived(self, pieces: int, at: float) -> None:
        """So many pieces have arrived at that time."""
        ...

    def ended(self, at: float) -> None:
        """The source has ended."""
        ...

    def delay(self, piece: str, moment: Moment) -> float:
        """How many seconds after the previous piece was due `piece` is due."""
        ...


class Planning:
    """A pace that adapts, and can say beforehand what it would answer as long as nothing arrives."""

    def delays(self, pieces: int, moment: Moment) -> list[float]:
        """What `delay` would say of so many pieces in turn, the next first; none of them counts as shown by that."""
        raise NotImplementedError


class Pacing:
    """Subclass this, write `delay`, and you have a policy of your own.

    Attributes:
        per: what a piece is: `"grapheme"`, `"word"`, `"sentence"`, `"line"`, `"delta"` (as the source cut it), or a
            callable that makes a `Segmenter`.
        seed: seeds the random generator that `delay` is given; None for another one each time.
        read_ahead: whether the policy needs the true arrival times, and so the source read while it waits.
        adaptive: whether the answer of `delay` changes when more arrives, so that it must be asked again.
        timeless: whether `delay` looks at the pieces, their count and `random` alone: at no time, nor at what waits or
            whether the source has ended. Then it is asked about many pieces beforehand, which makes many streams at
            once cheaper. A subclass with a `delay` or `start` of its own has to say so again.
        hold: how many seconds the undecided end of the text (a letter that a combining mark may follow, half a word)
            may wait for what follows, where the source is read ahead; without read-ahead it waits for the next delta.
    """

    __slots__ = ()

    per: object = "grapheme"
    seed: int | None = None
    read_ahead: bool = False
    adaptive: bool = False
    timeless: bool = False
    hold: float = HOLD

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if vars(cls).keys() & {"delay", "start"} and "timeless" not in vars(cls):
            cls.timeless = False  # what another class says of its `delay` need not be true of this one

    def delay(self, piece: str, moment: Moment) -> float:
        """How many seconds after the previous piece was due `piece` is due; never negative. The first piece is due
        when it arrives, whatever is said here."""
        raise NotImplementedError(f"{type(self).__name__} must define delay(piece, moment)")

    def start(self) -> Pace:
        """The policy at work in one stream; a policy that keeps nothing from piece to piece needs no other."""
        return _Stateless(self)

    def __add__(self, other: "Pacing") -> "Pacing":
        from typestream.pacing._policies import Added

        return Added(self, other) if isinstance(other, Pacing) else NotImplemented


class _Stateless:
    def __init__(self, policy: Pacing) -> None:
        self.delay = policy.delay

    def arrived(self, pieces: int, at: float) -> None: ...

    def ended(self, at: float) -> None: ...
