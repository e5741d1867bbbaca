"""`Typist`: text as a person types it."""

from dataclasses import dataclass, field
from math import exp

from typestream.pacing._policies import check
from typestream.pacing._policy import Moment, Pace, Pacing
from typestream.pacing._segment import check_per

__all__ = ("Typist",)

SIGMA = 0.444
"""Of the logarithm of a gap: with a mean of 239 ms and a standard deviation of 112 ms (Dhakal et al.), ln(1 + cv²)."""

WORD, CLAUSE, SENTENCE = 1.4, 2.2, 3.0
"""How much longer the gap is before the first letter of a word, of a clause, of a sentence."""

COMMON = 1.15
"""The mean of those over English prose, to begin with."""

SETTLE = 60.0
"""Characters in which what was typed too fast or too slowly is made good."""

SOONER, LATER = -0.7, 0.3
"""By how much of a gap at most: sooner still than the pauses make it later where there is nothing but punctuation."""

BEHIND = 2.0
"""Seconds of typing that may wait before a typist who catches up hurries."""


@dataclass(frozen=True, slots=True)
class Typist(Pacing):
    """A person typing: log-normal gaps, longer before words and after punctuation, the asked mean kept.

    The spread of the gaps is that of 168,000 volunteers in V. Dhakal, A. M. Feit, P. O. Kristensson and
    A. Oulasvirta, "Observations on Typing from 136 Million Keystrokes", CHI 2018; that gaps are longer where a word
    begins, T. A. Salthouse, "Perceptual, Cognitive, and Motoric Aspects of Transcription Typing", Psychological
    Bulletin 99 (1986); how much longer they are here, and after punctuation, is chosen by eye.

    Args:
        wpm: words a minute, a word being five characters.
        seed: the same seed gives the same gaps; None gives others each time.
        per: what a piece is; a longer piece takes as long as its characters.
        catch_up: whether to type faster while more than some two seconds' worth waits. The source is then read ahead.
    """

    wpm: float = 240.0
    seed: int | None = None
    per: object = "grapheme"
    catch_up: bool = False
    read_ahead: bool = field(init=False, repr=False, compare=False)
    timeless: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check("Typist(wpm)", self.wpm)
        check_per(self.per)
        object.__setattr__(self, "read_ahead", self.catch_up)
        object.__setattr__(self, "timeless", not self.catch_up)

    def start(self) -> Pace:
        return _TypistPace(12.0 / self.wpm, self.per == "grapheme", self.catch_up)


class _TypistPace:
    def __init__(self, mean: float, single: bool, catch_up: bool) -> None:
        self._mean = mean  # seconds a character
        self._single = single
        self._catch_up = catch_up
        self._ahead = 0.0  # characters typed sooner than the mean allows
        self._pause = 1.0  # how much longer the next word's first gap is

    def arrived(self, pieces: int, at: float) -> None: ...

    def ended(self, at: float) -> None: ...

    def delay(self, piece: str, moment: Moment) -> float:
        characters = 1 if self._single else len(piece)
        spread = SIGMA / characters**0.5
        # the mean of a log-normal variable is exp(mu + sigma²/2)
        gap = characters * exp(moment.random.gauss(-spread * spread / 2, spread))
        gap *= self._longer(moment.previous, piece) if self._single else 1.0
        gap *= 1 + max(SOONER, min(LATER, self._ahead / SETTLE))
        self._ahead += characters - gap
        seconds = gap * self._mean
        if self._catch_up:
            waits = len(moment.arrivals) * characters * self._mean
            seconds *= min(1.0, BEHIND / waits)
        return seconds

    def _longer(self, previous: str, piece: str) -> float:
        """The gap before this grapheme, in mean gaps."""
        end = previous[-1:]
        if end.isspace():
            if piece.isspace():
                return 1 / COMMON
            pause, self._pause = max(self._pause, WORD), 1.0
            return pause / COMMON
        if end in _SENTENCE or end in _CLAUSE:
            self._pause = SENTENCE if end in _SENTENCE else CLAUSE
        elif end.isalnum():
            self._pause = 1.0
        return (self._pause if end in _WIDE else 1.0) / COMMON


_SENTENCE = frozenset(".!?…。！？")
_CLAUSE = frozenset(",;:、，；：")
_WIDE = frozenset("…。！？、，；：")  # no space follows these, so the pause comes at once
