"""What decoders remember of a stream: how it opened, which tool calls are open, what was sent already."""

import json
import zlib
from collections.abc import Hashable
from typing import Any

from typestream.decode._base import Completion, Decoded
from typestream.decode._fields import arguments, fields, filled, is_record, number, real, server_error, string, view
from typestream.events import Event, Finish, Other, ReasoningDelta, Start, TextDelta, ToolCallDelta, Usage

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
        self.calls = Calls()
        self._usage: Usage | None = None
        self._finished = False
        self._seen: dict[Any, Any] = {}  # other fields, so that what is repeated in every item is said once

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

    def reopen(self) -> None:
        """It is not: another choice has begun."""
        self.completion = "incomplete"

    def say(self, kind: type[TextDelta] | type[ReasoningDelta], text: Any, raw: Any, out: Decoded) -> None:
        """Say a text, if it is one."""
        if string(text):
            out.append(kind(text, raw=raw))

    def finish(self, reason: Any, raw: Any, out: Decoded) -> None:
        """Say the first finish reason."""
        found = real(reason)
        if found and not self._finished:
            self._finished = True
            out.append(Finish(found, raw=raw))

    def fail(self, item: Any, out: Decoded) -> bool:
        """Say the error that an item reports; whether there is one."""
        error = server_error(item)
        out += [] if error is None else [error]
        return error is not None

    def extras(self, record: Any, known: frozenset[str], index: int | None, raw: Any, out: Decoded) -> None:
        """Say the other fields of a record."""
        for name, value in fields(record).items():
            if name not in known and filled(value) and self._seen.get((name, index)) != value:
                self._seen[(name, index)] = value
                out.append(Other(name, index or 0, raw=raw))

    def count(self, usage: Usage | None, out: Decoded) -> None:
        """Say the counts if they are news. Nothing but zeros is no news once something was counted."""
        if usage is None or usage == self._usage:
            return
        if self._usage is not None and not (usage.input or usage.output or usage.total):
            return
        self._usage = usage
        out.append(usage)


class _Call:
    __slots__ = ("arguments", "id", "name", "size")

    def __init__(self) -> None:
        self.id: str | None = None
        self.name: str | None = None
        self.arguments: list[str] = []
        self.size = 0

    def add(self, text: str) -> None:
        self.arguments.append(text)
        self.size += len(text)

    def text(self) -> str:
        return "".join(self.arguments)

    def said(self, text: str) -> bool:
        """Whether a piece says all of the arguments again, maybe spaced in another way: nothing can follow a whole
        JSON object, so it is no piece of it."""
        if not self._closed or self.size > 4 * len(text):
            return False
        again = _object(text)
        return again is not None and again == _object(self.text())

    def is_over(self, text: str) -> bool:
        """Whether the arguments are whole, so that this piece, which begins an object, is not of them."""
        begins = self._closed and text.lstrip().startswith("{")
        return begins and _object(self.text()) is not None and not self.said(text)

    @property
    def _closed(self) -> bool:
        return bool(self.arguments) and self.arguments[-1].rstrip().endswith("}")

    def rest_of_name(self, name: str | None) -> str | None:
        """What a name adds to the one so far; None where it says that again, or comes too late to."""
        if name is None or self.name is None:
            return name
        if self.size or name == self.name:
            return None
        return name.removeprefix(self.name)


class Calls:
    """The tool calls of one choice, and to which of them a piece belongs.

    A new id *and* name at a used index opens another call; without an index a new id does, or a name when the open
    call has a name and arguments already. What has neither an id nor a name goes on with the last call. Until there
    are arguments a name may come in pieces. Repeats of an id, a name or the whole call are ignored.
    """

    __slots__ = ("_at", "_calls")

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._at: dict[Hashable, int] = {}  # the source's index -> number of the call there now

    def __len__(self) -> int:
        return len(self._calls)

    def piece(
        self,
        at: Any,
        id: Any,
        name: Any,
        args: Any,
        index: int,
        raw: Any,
        out: "Decoded | list[Event]",
        *,
        free: bool = False,
    ) -> None:
        """Add the event of one piece, if it says anything new. The arguments are JSON, unless they are `free` text."""
        at, id, name, text = _place(at), _id(id), string(name), arguments(args)
        if not (id or name or text):
            return
        number = self._find(at, id, name, text)
        if number is None:
            number = len(self._calls)
            self._calls.append(_Call())
        if at is not None:
            self._at[at] = number
        again = not free and self._calls[number].said(text)
        self._add(number, id, name, "" if again else text, index, raw, out)

    def whole(self, place: int, id: Any, name: Any, args: Any, index: int, raw: Any, out: Decoded) -> None:
        """Add what was not said yet of a whole call, the one at that place among all of the answer."""
        known = self._by_id(_id(id))
        number = place if known is None else known
        if number >= len(self._calls):
            self.piece(None, id, name, args, index, raw, out)
            return
        call, name, text = self._calls[number], string(name), arguments(args)
        name = name if name and name.startswith(call.name or "") else None
        said = call.text()
        self._add(number, _id(id), name, text[len(said) :] if text.startswith(said) else "", index, raw, out)

    def _add(
        self,
        number: int,
        id: str | None,
        name: str | None,
        text: str,
        index: int,
        raw: Any,
        out: "Decoded | list[Event]",
    ) -> None:
        call = self._calls[number]
        id, name = id if call.id is None else None, call.rest_of_name(name)
        if not (id or name or text):
            return
        call.id = call.id or id
        if name:
            call.name = (call.name or "") + name
        if text:
            call.add(text)
        out.append(ToolCallDelta(number, id, name, text, index, raw=raw))

    def _find(self, at: Hashable, id: str | None, name: str | None, text: str) -> int | None:
        """The number of the call that a piece goes on with, None for a new one."""
        known, used = self._by_id(id), at is not None and at in self._at
        if known is not None and name:
            call = self._calls[known]
            if call.is_over(text) or not (used or at is None or call.name in (None, name)):
                known = None  # another call of the same id
        if used:
            number = self._at[at]
            return known if self._opens(self._calls[number], id, name, text) else number
        if id:
            if known is not None or name or at is not None or not self._calls or self._calls[-1].id:
                return known
            return len(self._calls) - 1  # the id of a call that began without one
        if not self._calls or (at is not None and name):
            return None
        last = self._calls[-1]
        if not name:
            return None if last.is_over(text) and at is not None else len(self._calls) - 1
        return None if last.name and (last.size or name != last.name) else len(self._calls) - 1

    @staticmethod
    def _opens(call: _Call, id: str | None, name: str | None, text: str) -> bool:
        if not name:
            return False
        if id and call.id:
            return id != call.id
        return bool(call.name and call.size and (call.name != name or call.is_over(text)))

    def _by_id(self, id: str | None) -> int | None:
        if id is None:
            return None
        for place in range(len(self._calls) - 1, -1, -1):
            if self._calls[place].id == id:
                return place
        return None


def _id(id: Any) -> str | None:
    id = string(id)
    return None if id in ("null", "None") else id


def _place(at: Any) -> Hashable:
    """A source's index: some write one and the same as an integer, a float or a string."""
    found = number(at)
    return found if found is not None else string(at)


def _object(text: str) -> str | None:
    """A JSON object in one spelling, for comparison; None where the text is none."""
    if not (text.lstrip().startswith("{") and text.rstrip().endswith("}")):
        return None
    try:
        return json.dumps(json.loads(text), sort_keys=True)
    except (ValueError, RecursionError):
        return None


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
