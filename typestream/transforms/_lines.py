"""What the transforms of text share: each choice's text as one line of characters, whatever came between its deltas.

Rules: a `Rewriter` sees the characters of one line and says, in order, what becomes of each stretch of them; what came
between the deltas of a choice keeps its place, and waits behind text that is held back; choices do not wait for each
other.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, Protocol, TypeAlias, cast

from typestream.events import Event, Finish, ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta, Usage
from typestream.transforms._base import Transform

__all__ = ("Lines", "Piece", "Rewriter", "TextEvent")

TextEvent: TypeAlias = TextDelta | ReasoningDelta | RefusalDelta


class Piece(NamedTuple):
    """What the next `length` characters (at least one) of a line become: `text`, and as which kind of event.

    None is the kind as which they came. `Finish` ends the choice here, with `text` as the reason.
    """

    length: int
    text: str
    kind: type[TextEvent | Finish] | None = None


class Rewriter(Protocol):
    """What rewrites one line. The lengths of its pieces add up to what it was fed."""

    def feed(self, text: str) -> list[Piece]: ...

    def flush(self) -> list[Piece]: ...


class _Line:
    """One line: its rewriter, and the pieces that are settled but wait behind something. Counts are characters."""

    def __init__(self, rewriter: Rewriter) -> None:
        self.rewriter = rewriter
        self.ready: deque[Piece] = deque()
        self.came = 0
        self.settled = 0
        self.taken = 0

    def add(self, pieces: list[Piece]) -> None:
        self.ready += pieces
        self.settled += sum(piece.length for piece in pieces)

    def take(self, end: int) -> Piece:
        """The next piece; one that was not changed is cut at `end`."""
        piece = self.ready.popleft()
        room = end - self.taken
        if piece.length > room and len(piece.text) == piece.length and piece.kind is not Finish:
            self.ready.appendleft(Piece(piece.length - room, piece.text[room:], piece.kind))
            piece = Piece(room, piece.text[:room], piece.kind)
        self.taken += piece.length
        return piece


class _Slot(NamedTuple):
    """A place in a choice's order: a delta's characters, up to `end` in its line."""

    line: _Line
    end: int
    delta: Event


class Lines(Transform):
    """A transform of text, one `Rewriter` for each line.

    Args:
        make: makes the rewriter of a line.
        kinds: which kinds of event are rewritten, each of them a line of its own.
        choices: how many choices must have been ended by a `Finish` piece for the stream to end; and of those that have
            begun, all must have ended.
    """

    discards = False
    """Whether what is held back may not be shown when the stream breaks off."""

    def __init__(
        self, make: Callable[[], Rewriter], kinds: tuple[type[Event], ...] = (TextDelta,), choices: int = 1
    ) -> None:
        self._make = make
        self._kinds = kinds
        self._choices = choices
        self._lines: dict[tuple[type[Event], int, int], _Line] = {}
        self._queues: dict[int, deque[Event | _Slot]] = {}
        self._stopped: set[int] = set()
        self._open: set[int] = set()  # choices that have begun and not ended
        self._spoke = 0

    def feed(self, event: Event) -> list[Event]:
        # An event of no choice (usage, start) keeps its place behind the choice that spoke last.
        index = getattr(event, "index", self._spoke)
        if index in self._stopped:
            return [] if hasattr(event, "index") else self.passed(event)
        if type(event) is Finish:
            self._open.discard(index)
        elif hasattr(event, "index"):
            self._open.add(index)
        elif type(event) is Usage:
            self._forget_usage(index)
        self._spoke = index
        queue = self._queues.get(index)
        if queue is None:
            queue = self._queues[index] = deque()
        if type(event) not in self._kinds:
            queue.append(event)
        else:
            self._take(event, index, queue)
        return self._settle(index, queue)

    def flush(self) -> list[Event]:
        for line in self._lines.values():
            line.add(line.rewriter.flush())
        return self._rest()

    def abort(self) -> list[Event]:
        if not self.discards:
            return self.flush()
        for line in self._lines.values():
            line.add([Piece(line.came - line.settled, "")])
        return self._rest()

    def passed(self, event: Event) -> list[Event]:
        """A last look at what goes out, in its final order."""
        return [event]

    def _forget_usage(self, index: int) -> None:
        """Behind this choice is a newer one, which may go out before those behind the others."""
        for other, queue in self._queues.items():
            if other != index:
                self._queues[other] = deque(event for event in queue if type(event) is not Usage)

    def _rest(self) -> list[Event]:
        return [event for index in sorted(self._queues) for event in self._settle(index, self._queues[index])]

    def _take(self, event: Event, index: int, queue: "deque[Event | _Slot]") -> None:
        key = (type(event), index, getattr(event, "call", 0))
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = _Line(self._make())
        if isinstance(event, ToolCallDelta):
            text = event.arguments
            if event.id is not None or event.name is not None or not text:
                queue.append(replace(event, arguments="", raw=None))
                event = replace(event, id=None, name=None, raw=None)
        else:
            text = cast(TextEvent, event).text
        if text:
            line.came += len(text)
            queue.append(_Slot(line, line.came, event))
            line.add(line.rewriter.feed(text))

    def _settle(self, index: int, queue: "deque[Event | _Slot]") -> list[Event]:
        """What is at the head of a choice's queue and no longer waits."""
        out: list[Event] = []
        while queue and not self.ended:
            head = queue[0]
            if not isinstance(head, _Slot):
                out += self.passed(head)
            else:
                self._write(head, out)
                if index in self._stopped:
                    self._leave(queue, out)
                    break
                if head.line.settled < head.end:
                    break
            queue.popleft()
        return out

    def _write(self, slot: _Slot, out: list[Event]) -> None:
        line = slot.line
        while line.ready and line.taken < slot.end:
            piece = line.take(slot.end)
            if piece.kind is Finish:
                index: int = slot.delta.index  # type: ignore[union-attr]
                out += self.passed(Finish(piece.text, index))
                self._stopped.add(index)
                self._open.discard(index)
                return
            if piece.text:
                out += self.passed(_recut(slot.delta, piece))

    def _leave(self, queue: "deque[Event | _Slot]", out: list[Event]) -> None:
        """A choice was ended: drop what else there is of it, and end the stream if it was the last."""
        self.ended = len(self._stopped) >= self._choices and not self._open
        if not self.ended:
            for event in queue:
                if not isinstance(event, _Slot) and not hasattr(event, "index"):
                    out += self.passed(event)
        queue.clear()


def _recut(delta: Event, piece: Piece) -> Event:
    """A delta with other text; itself where nothing changed, without its `raw` and log-probabilities where it did."""
    if isinstance(delta, ToolCallDelta):
        return delta if piece.text == delta.arguments else replace(delta, arguments=piece.text, raw=None)
    kind = piece.kind or type(delta)
    if kind is type(delta) and piece.text == delta.text:  # type: ignore[union-attr]
        return delta
    return kind(piece.text, delta.index)  # type: ignore[arg-type,union-attr]
