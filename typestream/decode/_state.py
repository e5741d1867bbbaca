"""What decoders remember of a stream: how it opened, which tool calls are open, what was sent already."""

import json
import zlib
from collections.abc import Hashable
from typing import Any

from typestream.decode._base import Completion, Decoded
from typestream.decode._fields import arguments, is_record, string, view
from typestream.events import Event, Other, Start, ToolCallDelta, Usage

__all__ = ("Base", "Calls", "Opening", "Sent")


class Opening:
    """Says `Start` once: with the first id or model, or before the first substance if neither came.

    Only where the other of the two comes later is a second `Start` said, with that one alone."""

    __slots__ = ("_id", "_model", "complete", "started")

    def __init__(self) -> None:
        self.started = False
        self.complete = False  # nothing more can be learnt
        self._id: str | None = None
        self._model: str | None = None

    def open(self, id: Any, model: Any, out: Decoded, raw: Any) -> None:
        """Put a `Start` before what an item gave, if it is time."""
        late_id = string(id) if self._id is None else None
        late_model = string(model) if self._model is None else None
        if late_id or late_model or (not self.started and any(type(event) is not Other for event in out)):
            self._id, self._model = self._id or late_id, self._model or late_model
            self.started = True
            self.complete = self._id is not None and self._model is not None
            out.insert(0, Start(late_id, late_model, raw=raw))

    def settled(self, id: Any, model: Any) -> bool:
        """Whether `open` would say nothing about an item with text."""
        return self.complete or (
            self.started and not (self._id is None and string(id)) and not (self._model is None and string(model))
        )


class Base:
    """A decoder's common part: junk between items, `[DONE]`, arrays of items, usage that only counts when it changes.

    A decoder of ours writes `record(item, raw, out)`, which adds to `out` what a dict or an object says."""

    completion: Completion
    ended: bool

    def __init__(self) -> None:
        self.completion = "incomplete"
        self.ended = False
        self.opening = Opening()
        self._usage: Usage | None = None

    def decode(self, item: Any, raw: Any) -> Decoded:
        """The events of one item. What is no dict and no object is an `Other` named by its type, or nothing."""
        out: Decoded = []
        self._item(item, raw, out, 0)
        return out

    def _item(self, item: Any, raw: Any, out: Decoded, depth: int) -> None:
        if is_record(item):
            self.record(view(item), raw, out)
        elif isinstance(item, list | tuple) and depth < 4:
            for one in item:
                self._item(one, raw, out, depth + 1)
        elif isinstance(item, str) and item.strip() == "[DONE]":
            self.ended = True
            if self.completion == "incomplete" and self.opening.started:
                self.completion = "unconfirmed"
        elif item is not None and item != "" and item != b"":
            out.append(Other(type(item).__name__, raw=raw))

    def record(self, item: Any, raw: Any, out: Decoded) -> None:
        raise NotImplementedError

    def end(self) -> Decoded:
        """What was still held back, at the normal end of the source."""
        return []

    def confirm(self) -> None:
        """A marker was seen that says the answer is whole."""
        self.completion = "complete"

    def count(self, usage: Usage | None, out: Decoded) -> None:
        """Say the counts if they are news. Nothing but zeros is no news once something was counted."""
        if usage is None or usage == self._usage:
            return
        if self._usage is not None and not (usage.input or usage.output or usage.total):
            return
        self._usage = usage
        out.append(usage)


class _Call:
    __slots__ = ("arguments", "id", "name")

    def __init__(self) -> None:
        self.id: str | None = None
        self.name: str | None = None
        self.arguments: list[str] = []

    def whole(self) -> str:
        return "".join(self.arguments)


class Calls:
    """The tool calls of one choice, and to which of them a piece belongs.

    A new id *and* name at a used index opens another call; without an index a new id does, or a name when the open
    call has a name and arguments already. Repeats of an id, a name or the whole call are ignored.
    """

    __slots__ = ("_at", "_calls")

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._at: dict[Hashable, int] = {}  # the source's index -> number of the call there now

    def __len__(self) -> int:
        return len(self._calls)

    def piece(self, at: Any, id: Any, name: Any, args: Any, index: int, raw: Any, out: "Decoded | list[Event]") -> None:
        """Add the event of one piece, if it says anything new."""
        id, name, text = string(id), string(name), arguments(args)
        number = self._find(at if isinstance(at, int | str) and at != "" else None, id, name)
        opened = number is None
        if number is None:
            if not (id or name or text):
                return
            number = len(self._calls)
            self._calls.append(_Call())
        if isinstance(at, int | str) and at != "":
            self._at[at] = number
        call = self._calls[number]
        if text and id and call.id == id and call.name == name and _is_repeat(text, call):
            return
        new_id = id if call.id is None else None
        new_name = name if call.name is None else None
        if not (opened or new_id or new_name or text):
            return
        call.id, call.name = call.id or id, call.name or name
        if text:
            call.arguments.append(text)
        out.append(ToolCallDelta(number, new_id, new_name, text, index, raw=raw))

    def _find(self, at: Any, id: str | None, name: str | None) -> int | None:
        """The number of the call that a piece goes on with, None for a new one."""
        known = self._by_id(id) if id else None
        if at is not None:
            number = self._at.get(at)
            if number is None:
                return known if not name else None  # the same id at another index goes on, unless a name opens
            if self._opens(self._calls[number], id, name):
                return known
            return number
        if id:
            if known is not None or name or not self._calls or self._calls[-1].id:
                return known
            return len(self._calls) - 1  # the id of a call that began without one
        if not self._calls:
            return None
        last = self._calls[-1]
        opens = bool(name and last.name and (last.arguments or name != last.name))
        return None if opens else len(self._calls) - 1

    @staticmethod
    def _opens(call: _Call, id: str | None, name: str | None) -> bool:
        if not name:
            return False
        if id and call.id:
            return id != call.id
        return bool(call.name and call.name != name and call.arguments)

    def _by_id(self, id: str) -> int | None:
        for number in range(len(self._calls) - 1, -1, -1):
            if self._calls[number].id == id:
                return number
        return None


def _is_repeat(text: str, call: _Call) -> bool:
    """Whether a piece says the whole call again: nothing can follow a whole JSON object, so it is no piece of it."""
    if not call.arguments or text != call.whole():
        return False
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


class Sent:
    """How much of a text was sent, so that what a source repeats in whole can fill the gap, in constant memory."""

    __slots__ = ("_sum", "length")

    def __init__(self) -> None:
        self.length = 0
        self._sum = 0

    def add(self, text: str) -> None:
        self.length += len(text)
        self._sum = zlib.crc32(text.encode("utf-8", "surrogatepass"), self._sum)

    def rest(self, whole: str) -> str | None:
        """What of the whole was not sent yet; None where what was sent is not how the whole begins."""
        head = whole[: self.length]
        if len(head) < self.length or zlib.crc32(head.encode("utf-8", "surrogatepass")) != self._sum:
            return None
        return whole[self.length :]
