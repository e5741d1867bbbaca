"""What waits to be shown: pieces, kept as they came."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice, repeat
from typing import overload

from typestream.events import Event, TextDelta

__all__ = ("Batch", "Waiting")


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


class Waiting(Sequence[float]):
    """The queue; as a sequence, when each of its pieces arrived, in stream time.

    Attributes:
        batches: what waits, in order.
        pieces: how many pieces that is.
    """

    __slots__ = ("batches", "pieces")

    def __init__(self) -> None:
        self.batches: deque[Batch] = deque()
        self.pieces = 0

    def __len__(self) -> int:
        return self.pieces

    def __iter__(self) -> Iterator[float]:
        return _arrivals(self.batches)

    def __reversed__(self) -> Iterator[float]:
        return _arrivals(reversed(self.batches))

    @overload
    def __getitem__(self, at: int) -> float: ...

    @overload
    def __getitem__(self, at: slice) -> list[float]: ...

    def __getitem__(self, at: int | slice) -> float | list[float]:
        if isinstance(at, slice):
            return list(self)[at]
        for arrived in islice(self, at, None) if at >= 0 else islice(reversed(self), -at - 1, None):
            return arrived
        raise IndexError("So many pieces do not wait.")

    def add(self, batch: Batch) -> None:
        """That waits, too."""
        self.batches.append(batch)
        self.pieces += len(batch.texts)

    def ahead(self, most: int) -> list[str]:
        """The next pieces, so many at most; up to one that is not of choice 0 alone."""
        texts: list[str] = []
        for batch in self.batches:
            event, left = batch.event, most - len(texts)
            if type(event) is not TextDelta or event.index or event.logprobs or not left:
                break
            texts += batch.texts[batch.next : batch.next + left]
        return texts

    def shown(self, pieces: int) -> TextDelta:
        """So many, 1 at least, of what `ahead` gave are shown; gives what the last of them was of."""
        self.pieces -= pieces
        while True:
            batch = self.batches[0]
            batch.next += pieces
            pieces = batch.next - len(batch.texts)
            if pieces >= 0:
                self.batches.popleft()
            if pieces <= 0:
                assert type(batch.event) is TextDelta
                return batch.event


def _arrivals(batches: Iterable[Batch]) -> Iterator[float]:
    return chain.from_iterable(repeat(batch.since, len(batch.texts) - batch.next) for batch in batches)
