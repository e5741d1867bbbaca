"""Deltas cut into pieces, which stay together as they came: what waits to be shown."""

from math import inf
from typing import Any

from typestream.events import Event, TextDelta, recut
from typestream.pacing._policy import Segmenter

__all__ = ("Batch", "Cutter")


class Batch:
    """Pieces of one delta that arrived together; or an event that is no text, which has none.

    Attributes:
        event: what they are pieces of; of its log probabilities, what belongs to the only piece.
        texts: the pieces.
        next: how many of them were shown.
        arrived: when, seconds.
        since: the same in stream time.
    """

    __slots__ = ("arrived", "event", "next", "since", "texts")

    def __init__(self, event: Event, texts: list[str], arrived: float) -> None:
        self.event = event
        self.texts = texts
        self.next = 0
        self.arrived = arrived
        self.since = 0.0


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
        since, pieces = self.since, self._segmenter.feed(delta.text)
        old, before = 0, self._held
        for piece in pieces:  # those that were there, but for knowing where they end
            before -= len(piece)
            if before < 0:
                break
            old += 1
        self._delta = delta
        self._held += len(delta.text) - sum(map(len, pieces))
        self.since = now if self._held else inf
        if delta.logprobs:
            self._logprobs += delta.logprobs
        return self._batches((pieces[:old], since), (pieces[old:], now))

    def flush(self) -> list[Batch]:
        """What was held back."""
        return self._batches((self._segmenter.flush(), self.since))

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
