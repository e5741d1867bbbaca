"""Deltas cut into pieces, and when each arrived: the undecided end of one belongs to the next."""

from math import inf
from typing import Any

from typestream.events import TextDelta, recut
from typestream.pacing._policy import Segmenter
from typestream.pacing._waiting import Batch

__all__ = ("Cutter",)


class Cutter:
    """A choice's segmenter, and when the text that it holds arrived.

    Attributes:
        since: when that was; inf where it holds none.
    """

    def __init__(self, segmenter: Segmenter) -> None:
        self.since = inf
        self._segmenter = segmenter
        self._held = 0  # characters
        self._delta = TextDelta("")
        self._logprobs: list[Any] = []

    def feed(self, delta: TextDelta, now: float) -> list[Batch]:
        """What is decided by now."""
        since, pieces = self.since, list(filter(None, self._segmenter.feed(delta.text)))
        old, before = 0, self._held
        for piece in pieces:  # those that were there, but for knowing where they end
            before -= len(piece)
            if before < 0:
                break
            old += 1
        self._delta = delta
        self._held += len(delta.text) - sum(map(len, pieces))
        if self._held < 0:
            raise ValueError(f"{type(self._segmenter).__name__} gave more text than it was fed.")
        self.since = now if self._held else inf
        if delta.logprobs:
            self._logprobs += delta.logprobs
        return self._batches((pieces[:old], since), (pieces[old:], now))

    def resume(self, seconds: float, now: float) -> None:
        """So long was the stream paused, until now."""
        if self.since < inf:
            self.since = min(self.since + seconds, now)

    def flush(self) -> list[Batch]:
        """What was held back."""
        pieces = list(filter(None, self._segmenter.flush()))
        if sum(map(len, pieces)) != self._held:
            raise ValueError(f"{type(self._segmenter).__name__} does not give back all the text that it was fed.")
        return self._batches((pieces, self.since))

    def _batches(self, *groups: tuple[list[str], float]) -> list[Batch]:
        delta = self._delta
        plain = recut(delta, delta.text) if delta.logprobs else delta
        batches = [Batch(plain, texts, at) for texts, at in groups if texts]
        if batches and self._logprobs:
            last = batches[-1]
            text = last.texts.pop()
            if not last.texts:
                batches.pop()
            batches.append(Batch(recut(delta, text, self._logprobs), [text], last.arrived))
            self._logprobs = []
        return batches
