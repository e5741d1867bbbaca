"""What a Responses stream has said of its parts and of its calls, and which of them an event goes on with.

Rules: a call is known by its item's id, then by its `call_id`, then by its `output_index`: servers get each of them
wrong, but hardly two at once; what one of them says is not believed where the call's name or arguments gainsay it.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

from typestream.decode._base import Decoded
from typestream.decode._state import Sent
from typestream.events import Event, ToolCallDelta

__all__ = ("Call", "Maker", "OutputCalls", "Part")

Maker = Callable[[str, Any, Any], Event]


class Part:
    """One part of the answer, or the arguments of one call: what was sent of it, what is held back."""

    __slots__ = ("agreed", "held", "refused", "sent", "start", "total")

    def __init__(self, held: bool, total: Sent | None = None) -> None:
        self.sent = Sent()
        self.total = total  # of the channel, over all parts
        self.held: list[tuple[str, Event]] | None = [] if held else None
        self.start: tuple[str, Event] | None = None  # what was in the announcement
        self.agreed = 0  # so many characters of the deltas are those of the start, -1 where they go on with it
        self.refused: int | None = None  # the hash of a whole that does not fit

    def begin(self, text: str, event: Event) -> None:
        """What an announcement has of it already. Deltas may repeat it or go on with it: as long as both can be, they
        are held back."""
        if not self.sent.length and not self.held:
            self.start, self.held = (text, event), []

    def add(self, text: str, event: Event, out: Decoded) -> None:
        if self.held is not None:
            self.held.append((text, event))
            if self.start is not None and not self._repeats(self.start[0], text):
                self.agreed = -1
                self.release(out)
            return
        self.sent.add(text)
        if self.total is not None:
            self.total.add(text)
        out.append(event)

    def _repeats(self, start: str, text: str) -> bool:
        at = self.agreed
        self.agreed = at + len(text)
        return at >= len(start) or start.startswith(text, at) or text.startswith(start[at:])

    def fill(self, whole: str, make: Maker, raw: Any, out: Decoded) -> bool:
        """Send what is missing of the whole; whether what was sent is how it begins, or was said not to be."""
        rest = self.sent.rest(whole)
        if rest is None:
            refused, self.refused = self.refused, hash(whole)
            return refused == self.refused
        held, self.held, self.start = self.held or [], None, None
        tail = "".join(text for text, _ in held)
        if not tail or not rest.endswith(tail):
            held = [] if rest else held
            tail = ""
        head = rest[: len(rest) - len(tail)]
        if head:
            self.add(head, make(head, raw, None), out)
        for text, event in held:
            self.add(text, event, out)
        return True

    def release(self, out: Decoded) -> None:
        """Send what was held back: nothing tells the whole."""
        held, self.held = self.held or [], None
        start, self.start = self.start, None
        if start is not None and self.agreed < len(start[0]):
            held = [start, *held] if self.agreed < 0 else [start]
        for text, event in held:
            self.add(text, event, out)


class Call(Part):
    """`place` is the `output_index` that it was opened at; `item` its item's id, `id` the `call_id`."""

    __slots__ = ("done", "id", "item", "name", "number", "place")

    def __init__(self, held: bool, number: int, place: int) -> None:
        super().__init__(held)
        self.number = number
        self.place = place
        self.item: str | None = None
        self.id: str | None = None
        self.name: str | None = None
        self.done = False  # its item is

    def begin(self, text: str, event: Event) -> None:
        """Nothing can follow whole JSON: deltas then take its place."""
        held = self.held
        super().begin(text, event)
        if self.start is not None and is_json(text):
            self.held = held

    def add(self, text: str, event: Event, out: Decoded) -> None:
        if self.held is None:
            self.start = None
        super().add(text, event, out)

    def make(self, text: str, raw: Any, _: Any) -> Event:
        return ToolCallDelta(self.number, arguments=text, raw=raw)

    def fits(self, name: str | None, text: str) -> bool:
        """Whether an item of that name, with these whole arguments, can be this call."""
        if name and self.name and name != self.name:
            return False
        rest = self.sent.rest(text)
        return rest == "" or (rest is not None and not self.done) or not text


def is_json(text: str) -> bool:
    """Whether a text is a whole JSON value."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


class OutputCalls:
    """The calls of a stream, in the order in which they were opened."""

    def __init__(self) -> None:
        self._calls: list[Call] = []

    def __iter__(self) -> Iterator[Call]:
        return iter(self._calls)

    def open(self, held: bool, place: int | None) -> Call:
        call = Call(held, len(self._calls), -1 if place is None else place)
        self._calls.append(call)
        return call

    def of_arguments(self, item_id: str | None, call_id: str | None, place: int | None, whole: bool) -> Call | None:
        """The call that a piece of arguments, or the whole of them, belongs to; None for one nobody announced."""
        for call in reversed(self._calls):
            if item_id and call.item == item_id and call.place == place:
                return call
        return self._last(
            (lambda call: call.item == item_id) if item_id else None,
            (lambda call: call.id == call_id) if call_id else None,
            lambda call: (whole or not call.done) and place in (None, call.place),
        )

    def begun(self, item_id: str | None, call_id: str | None, place: int | None) -> Call | None:
        """The call that an item announces again, or that its arguments have opened; None for a new one."""

        def elsewhere(call: Call) -> bool:
            return None not in (item_id, call.item) and call.item != item_id

        return self._last(
            (lambda call: call.id == call_id and (call.place == place or not (call.done or elsewhere(call))))
            if call_id
            else None,
            (lambda call: call.item == item_id and None in (call.id, call_id)) if item_id else None,
            lambda call: (
                call.place == place
                and not call.done
                and (call.id is None or (call_id is None and None in (call.item, item_id)))
            ),
        )

    def ended(
        self, item_id: str | None, call_id: str | None, place: int | None, name: str | None, text: str
    ) -> Call | None:
        """The call that a finished item is the whole of; None for one that was not heard of."""

        def here(call: Call) -> bool:
            return call.place == place

        def unnamed(call: Call) -> bool:
            return call.id is None or call_id is None

        return self._last(
            (lambda call: call.item == item_id and here(call) and call.fits(name, text)) if item_id else None,
            (lambda call: call.id == call_id and (here(call) or call.fits(name, text))) if call_id else None,
            (lambda call: call.item == item_id and (here(call) or unnamed(call)) and call.fits(name, text))
            if item_id
            else None,
            lambda call: here(call) and (not call.done or unnamed(call)) and call.fits(name, text),
        )

    def repeated(
        self, left: list[Call], item_id: str | None, call_id: str | None, name: str | None, text: str
    ) -> Call | None:
        """The call that an item of a whole Response repeats, taken from those that none has repeated yet: ids may be
        used twice, and some servers make new ones for it."""
        for same in (
            lambda call: call_id is not None and call.id == call_id,
            lambda call: item_id is not None and call.item == item_id,
            lambda call: call.id is None,
            lambda call: name is not None and call.name == name and call.sent.rest(text) == "",
        ):
            found = next(filter(same, left), None)
            if found is not None:
                left.remove(found)
                return found
        return None

    def _last(self, *same: Callable[[Call], bool] | None) -> Call | None:
        for one in filter(None, same):
            for call in reversed(self._calls):
                if one(call):
                    return call
        return None
