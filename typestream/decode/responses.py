"""The Responses API: its events, and a whole Response.

Rules: dispatch on `type`, never on class; deltas are counted by `(output_index, content_index)`, and what repeats them
(`*.done`, `output_item.done`, the terminal event) only fills gaps; what a reasoning item says twice, as its summary and
as its text, is said once, by the first of them; a tool call's id is its `call_id`, and which call an event goes on with
is decided in `_output`; the terminal event ends the stream, whatever the transport does.

A stream that does not begin with its beginning was resumed: the deltas of a part whose start was not seen are held
back until something tells the whole part, so that the text stays exact; at an early end they are given as they are.
Wire format: OpenAI's `ResponseStreamEvent`.
"""

from functools import partial
from typing import Any

from typestream.decode._base import Decoded, get
from typestream.decode._fields import arguments, fields, is_record, items, number, server_error, string, usage_of
from typestream.decode._output import Call, Maker, OutputCalls, Part
from typestream.decode._state import Base, Sent
from typestream.decode.chat import citation
from typestream.errors import StreamServerError
from typestream.events import Event, Finish, Other, ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta

__all__ = ("ResponsesDecoder",)

# channel -> how an event of it is made
_MAKE: dict[str, Maker] = {
    "text": lambda text, raw, logprobs: TextDelta(text, 0, logprobs, raw=raw),
    "refusal": lambda text, raw, _: RefusalDelta(text, raw=raw),
    "summary": lambda text, raw, _: ReasoningDelta(text, raw=raw),
    "thought": lambda text, raw, _: ReasoningDelta(text, raw=raw),
}
# event type without ".delta" or ".done" -> channel, the index within the item, the field of the whole
_CHANNELS = {
    "response.output_text": ("text", "content_index", "text"),
    "response.text": ("text", "content_index", "text"),
    "response.refusal": ("refusal", "content_index", "refusal"),
    "response.reasoning_summary_text": ("summary", "summary_index", "text"),
    "response.reasoning_summary": ("summary", "summary_index", "text"),
    "response.reasoning_text": ("thought", "content_index", "text"),
    "response.reasoning": ("thought", "content_index", "text"),
}
_ARGUMENTS = {"response.function_call_arguments": "arguments", "response.custom_tool_call_input": "input"}
_CALLS = ("function_call", "custom_tool_call")
_BEGIN = ("response.created", "response.queued", "response.in_progress")
_END = ("response.completed", "response.incomplete", "response.failed", "response.cancelled", "response.done")
_SILENT = ("keepalive", "ping")
# event type without ".added" or ".done" -> the channel of the part, unless its type is another's; the index
_PARTS = {
    "response.content_part": ("text", "content_index"),
    "response.reasoning_part": ("thought", "content_index"),
    "response.reasoning_summary_part": ("summary", "summary_index"),
}
_THOUGHTS = ("summary", "thought")
_FIELDS = {"message": (("content", "text"),), "reasoning": (("summary", "summary"), ("content", "thought"))}
_PART_TYPES = {"refusal": "refusal", "summary_text": "summary", "reasoning_text": "thought"}
_TEXTS = (*_PART_TYPES, "output_text", "text")


class ResponsesDecoder(Base):
    """Complete with the terminal event, `response.failed` excepted."""

    def __init__(self) -> None:
        super().__init__()
        self._begun = False
        self._begun_items: set[Any] = set()
        self._parts: dict[tuple[str, int, int], Part] = {}
        self._totals = {channel: Sent() for channel in _MAKE}
        self._calls = OutputCalls()
        self._thinks: dict[int, str] = {}  # output_index -> the channel that spoke first
        self._said: set[Any] = set()  # citations and items of other kinds

    def record(self, item: Any, raw: Any, out: Decoded) -> None:
        kind = get(item, "type")
        response = get(item, "response")
        if not isinstance(kind, str) or not self._event(kind, item, raw, out):
            error = server_error(item)
            if error is not None:
                out += [*self.end(), error]
                self.ended = True
            elif kind in _BEGIN:
                self._begun = True
            elif kind in _END or get(item, "object") == "response":
                response = response if is_record(response) else item
                self._terminal(kind, response, raw, out)
            elif isinstance(kind, str) and kind not in _SILENT:
                out.append(Other(kind, raw=raw))
        self.opening.open(get(response, "id"), get(response, "model"), out, raw)

    def end(self) -> Decoded:
        """What was held back, as it came: nothing told the whole."""
        out: Decoded = []
        for part in [*self._parts.values(), *self._calls]:
            part.release(out)
        return out

    def _event(self, kind: str, item: Any, raw: Any, out: Decoded) -> bool:
        """Handle what belongs to an item of the output; whether it did."""
        stem, _, ending = kind.rpartition(".")
        output_index = number(get(item, "output_index")) or 0
        if ending in ("delta", "done") and stem in _CHANNELS:
            channel, place, whole = _CHANNELS[stem]
            key = (channel, output_index, number(get(item, place)) or 0)
            if ending == "delta":
                self._delta(key, item, raw, out)
            else:
                self._whole(key, get(item, whole), get(item, "logprobs"), kind, raw, out)
        elif ending in ("added", "done") and stem in _PARTS:
            channel, place = _PARTS[stem]
            key = (channel, output_index, number(get(item, place)) or 0)
            self._content(get(item, "part"), key, kind, raw, out)
        elif ending in ("delta", "done") and stem in _ARGUMENTS:
            done = ending == "done"
            text = arguments(get(item, _ARGUMENTS[stem] if done else "delta"))
            self._call(self._call_of(item, done), get(item, "call_id"), get(item, "name"), text, done, raw, out)
        elif kind == "response.output_text.annotation.added":
            self._citation(get(item, "annotation"), raw, out)
        elif stem == "response.output_item":
            self._item_event(kind, get(item, "item"), output_index, raw, out)
        else:
            return False
        return True

    # -- text ------------------------------------------------------------------------------------------------------

    def _part(self, key: tuple[str, int, int]) -> Part:
        part = self._parts.get(key)
        if part is None:
            held = not self._begun and key[1] not in self._begun_items
            part = self._parts[key] = Part(held, self._totals[key[0]])
        return part

    def _delta(self, key: tuple[str, int, int], item: Any, raw: Any, out: Decoded) -> None:
        delta = get(item, "delta")
        if is_record(delta):
            delta = get(delta, "text")
        if isinstance(delta, str) and delta and (key[0] == "text" or self._speaks(key, raw, out)):
            self._part(key).add(delta, _MAKE[key[0]](delta, raw, _filled(get(item, "logprobs"))), out)

    def _whole(self, key: tuple[str, int, int], whole: Any, logprobs: Any, kind: str, raw: Any, out: Decoded) -> None:
        if not isinstance(whole, str) or not whole or not self._speaks(key, raw, out):
            return
        part, make = self._part(key), _MAKE[key[0]]
        if not part.sent.length and not part.held:  # else some of the tokens were told already
            make = partial(_with_logprobs, make, _filled(logprobs))
        if not part.fill(whole, make, raw, out):
            out.append(Other(kind, raw=raw))  # what was sent cannot be taken back: the difference is there to see

    def _speaks(self, key: tuple[str, int, int], raw: Any, out: Decoded) -> bool:
        """Whether a channel is not the second of its item to say what was thought."""
        channel, output_index, _ = key
        if channel not in _THOUGHTS or self._thinks.setdefault(output_index, channel) == channel:
            return True
        out.append(Other("reasoning", raw=raw))
        return False

    def _content(self, part: Any, key: tuple[str, int, int], kind: str, raw: Any, out: Decoded) -> None:
        """A part in whole, or what the event that announces it has of it."""
        channel, text = _said(part, key[0])
        key = (channel, *key[1:])
        if kind.endswith(".done"):
            self._whole(key, text, get(part, "logprobs"), kind, raw, out)
            what = string(get(part, "type"))
            if what and what not in _TEXTS and not text:
                self._once(what, str(key), raw, out)
        elif text and self._speaks(key, raw, out):
            self._part(key).begin(text, _MAKE[channel](text, raw, None))
        for one in items(get(part, "annotations")):
            self._citation(one, raw, out)

    def _citation(self, annotation: Any, raw: Any, out: Decoded) -> None:
        found = citation(annotation, 0, raw)
        if found is None:
            if is_record(annotation):
                out.append(Other("annotation", raw=raw))
        elif found not in self._said:
            self._said.add(found)
            out.append(found)

    # -- items of the output ---------------------------------------------------------------------------------------

    def _item_event(self, event: str, item: Any, output_index: int, raw: Any, out: Decoded) -> None:
        if not is_record(item):
            return
        kind, done = get(item, "type"), event.endswith(".done")
        if not done:
            self._begun_items.add(output_index)
        if kind in _CALLS:
            self._call_item(item, output_index, done, raw, out)
        elif kind in ("message", "reasoning"):
            for field, channel in _FIELDS[kind]:
                for place, part in enumerate(_parts(get(item, field))):
                    self._content(part, (channel, output_index, place), event, raw, out)
            if done:
                self._sealed(item, raw, out)
        elif done:
            self._other_item(item, raw, out)

    def _sealed(self, item: Any, raw: Any, out: Decoded) -> None:
        """Thoughts that only the server can read, to be given back to it."""
        sealed = string(get(item, "encrypted_content"))
        if sealed:
            self._once("encrypted_content", string(get(item, "id")) or sealed, raw, out)

    def _once(self, kind: str, key: str | None, raw: Any, out: Decoded) -> None:
        if key is None or (kind, key) not in self._said:
            self._said.add((kind, key))
            out.append(Other(kind, raw=raw))

    def _other_item(self, item: Any, raw: Any, out: Decoded) -> None:
        self._once(string(get(item, "type")) or "item", string(get(item, "id")), raw, out)

    def _open_call(self, place: int) -> Call:
        return self._calls.open(not self._begun and place not in self._begun_items, place)

    def _call_of(self, item: Any, whole: bool) -> Call:
        """The call an arguments event belongs to; one that nothing announced is opened by it."""
        place, item_id = number(get(item, "output_index")), string(get(item, "item_id"))
        call = self._calls.of_arguments(item_id, string(get(item, "call_id")), place, whole)
        if call is None:
            call = self._open_call(place or 0)
            call.item = item_id
        return call

    def _call_item(self, item: Any, place: int, done: bool, raw: Any, out: Decoded) -> None:
        item_id, call_id, name, text = _named(item)
        if done:
            call = self._calls.ended(item_id, call_id, place, name, text)
        else:
            call = self._calls.begun(item_id, call_id, place)
        self._say_item(call or self._open_call(place), item, done, raw, out)

    def _say_item(self, call: Call, item: Any, done: bool, raw: Any, out: Decoded) -> None:
        item_id, call_id, name, text = _named(item)
        call.item, call.done = item_id or call.item, call.done or done
        self._call(call, call_id or item_id, name, text if done else "", done, raw, out)
        if text and not done:
            call.begin(text, call.make(text, raw, None))

    def _call(self, call: Call, id: Any, name: Any, text: str, done: bool, raw: Any, out: Decoded) -> None:
        new_id = string(id) if call.id is None else None
        new_name = string(name) if call.name is None else None
        if new_id or new_name:
            call.id, call.name = call.id or new_id, call.name or new_name
            out.append(ToolCallDelta(call.number, new_id, new_name, raw=raw))
        if not done and text:
            call.add(text, call.make(text, raw, None), out)
        elif text and not call.fill(text, call.make, raw, out):
            out.append(Other("tool_call", raw=raw))

    # -- the end ---------------------------------------------------------------------------------------------------

    def _terminal(self, kind: Any, response: Any, raw: Any, out: Decoded) -> None:
        if self._parts or any(self._calls):
            self._fill_all(response, raw, out)
        else:
            self._play(response, raw, out)
        self.count(usage_of(get(response, "usage"), raw), out)
        status = string(get(response, "status"))
        if status in ("in_progress", "queued") and kind not in _END:
            return  # a whole Response that is not whole yet
        self.ended = True
        error = server_error({"error": get(response, "error")})
        if error is not None or status == "failed" or kind == "response.failed":
            out.append(error or StreamServerError("the response failed", body=get(response, "error")))
            return
        self.confirm()
        reason = string(get(get(response, "incomplete_details"), "reason"))
        reason = reason or status or (str(kind).rpartition(".")[2] if kind in _END else None)
        if reason:
            out.append(Finish(reason, raw=raw))

    def _play(self, response: Any, raw: Any, out: Decoded) -> None:
        """A whole Response of which nothing was said yet, in its own order."""
        for place, item in enumerate(items(get(response, "output"))):
            if get(item, "type") in _CALLS:
                self._match_call(item, [], raw, out)
            else:
                self._item_event("response.output_item.done", item, place, raw, out)
        if not any(channel == "text" for channel, _, _ in self._parts):
            self._whole(("text", 0, 0), fields(response).get("output_text"), None, "output", raw, out)

    def _fill_all(self, response: Any, raw: Any, out: Decoded) -> None:
        """Fill the gaps from a whole Response, by the whole text of each channel: its indices need not be the
        stream's own."""
        whole: dict[str, str] = dict.fromkeys(_MAKE, "")
        left = list(self._calls)
        thinks = list(self._thinks.values())
        for place, item in enumerate(items(get(response, "output"))):
            kind = get(item, "type")
            if kind in _CALLS:
                self._match_call(item, left, raw, out)
            elif kind == "message":
                for part in _parts(get(item, "content")):
                    channel, text = _said(part, "text")
                    whole[channel] += text or ""
                    for one in items(get(part, "annotations")):
                        self._citation(one, raw, out)
            elif kind == "reasoning":
                self._thoughts(item, self._thinks.get(place), thinks, whole, raw, out)
                self._sealed(item, raw, out)
            elif is_record(item):
                self._other_item(item, raw, out)
        whole["text"] = whole["text"] or string(fields(response).get("output_text")) or ""
        for call in left:
            call.release(out)
        # Thoughts first, then what was answered: the order they were written in.
        for channel in ("summary", "thought", "text", "refusal"):
            self._fill_channel(channel, whole[channel], raw, out)

    def _thoughts(
        self, item: Any, first: str | None, thinks: list[str], whole: dict[str, str], raw: Any, out: Decoded
    ) -> None:
        """What was thought, of the channel that spoke in the stream: `first`, or the next of `thinks`."""
        said: dict[str, str] = dict.fromkeys(_THOUGHTS, "")
        for field, default in _FIELDS["reasoning"]:
            for part in _parts(get(item, field)):
                channel, text = _said(part, default)
                if channel in said:
                    said[channel] += text or ""
        if any(said.values()):
            following = thinks.pop(0) if thinks else None
            first = first or following or next(channel for channel in _THOUGHTS if said[channel])
            whole[first] += said.pop(first)
            if any(said.values()):
                self._once("reasoning", string(get(item, "id")), raw, out)

    def _fill_channel(self, channel: str, whole: str, raw: Any, out: Decoded) -> None:
        parts = [part for key, part in self._parts.items() if key[0] == channel]
        total = self._totals[channel]
        if not whole or total.rest(whole) is None:
            for part in parts:
                part.release(out)
            if whole and channel not in _THOUGHTS:
                out.append(Other("output", raw=raw))
            return
        rest = Part(held=True)
        rest.sent = total
        rest.held = [piece for part in parts for piece in part.held or ()]
        for part in parts:
            part.held = part.start = None
        rest.fill(whole, _MAKE[channel], raw, out)

    def _match_call(self, item: Any, left: list[Call], raw: Any, out: Decoded) -> None:
        call = self._calls.repeated(left, *_named(item))
        if call is None:
            call = self._calls.open(False, None)
        self._say_item(call, item, True, raw, out)


def _filled(logprobs: Any) -> Any:
    return logprobs if isinstance(logprobs, list) and logprobs else None


def _with_logprobs(make: Maker, logprobs: Any, text: str, raw: Any, _: Any) -> Event:
    return make(text, raw, logprobs)


def _named(item: Any) -> tuple[str | None, str | None, str | None, str]:
    """A call's item: its id, its `call_id`, its name, its arguments."""
    text = get(item, "arguments")
    text = arguments(get(item, "input") if text is None else text)
    return string(get(item, "id")), string(get(item, "call_id")), string(get(item, "name")), text


def _parts(content: Any) -> list[Any]:
    return [content] if isinstance(content, str) else items(content)


def _said(part: Any, channel: str) -> tuple[str, str | None]:
    """The channel of a part, and its text; `channel` is where one belongs whose type says nothing else."""
    if isinstance(part, str):
        return channel, part
    kind = get(part, "type")
    channel = _PART_TYPES.get(kind if isinstance(kind, str) else "", channel)
    return channel, string(get(part, "refusal" if channel == "refusal" else "text"))
