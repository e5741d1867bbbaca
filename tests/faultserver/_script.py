"""A good stream of each API, event by event: what the faults are made of."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

__all__ = ("APIS", "FULL", "PARTIAL", "Event", "Script", "encode", "whole")

APIS = ("chat", "completions", "responses", "messages")
FIRST = ("Hello", ", wörld", " 🌍")
REST = (" —", " 日本語", "!")
PARTIAL = "".join(FIRST)
FULL = PARTIAL + "".join(REST)


class Event(NamedTuple):
    name: str | None
    data: str


def encode(events: Iterable[Event], eol: str = "\n", space: str = " ") -> list[bytes]:
    """Each event as the bytes of a server-sent event."""
    out = []
    for event in events:
        lines = [f"event:{space}{event.name}"] if event.name else []
        lines += [f"data:{space}{line}" for line in event.data.split("\n")]
        out.append((eol.join(lines) + eol + eol).encode("utf-8", "surrogatepass"))
    return out


def dump(value: Any, ascii_only: bool = False) -> str:
    return json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":"))


class Script:
    """The events of a good stream of one API.

    Args:
        first, rest: the deltas before and after the place where faults happen.
        text: the whole text where it is not all deltas joined; `ascii_only` escapes all other characters.
    """

    def __init__(
        self,
        api: str,
        first: Sequence[str] = FIRST,
        rest: Sequence[str] = REST,
        *,
        text: str | None = None,
        ascii_only: bool = False,
    ) -> None:
        self.api = api
        self._ascii = ascii_only
        self._text = "".join((*first, *rest)) if text is None else text
        parts = {"chat": self._chat, "completions": self._completions}
        parts |= {"responses": self._responses, "messages": self._messages}
        self.opening, self.finish, self.done = parts[api]()
        self.first = [self.delta(piece) for piece in first]
        self.rest = [self.delta(piece) for piece in rest]

    @property
    def half(self) -> list[Event]:
        """Up to the place where faults happen."""
        return self.opening + self.first

    @property
    def end(self) -> list[Event]:
        """From there on."""
        return self.rest + self.finish + self.done

    @property
    def all(self) -> list[Event]:
        return self.half + self.end

    def event(self, value: Any) -> Event:
        """A JSON value as an event of this API."""
        name = value.get("type") if self.api in ("responses", "messages") and type(value) is dict else None
        return Event(name if type(name) is str else None, dump(value, self._ascii))

    def delta(self, text: str) -> Event:
        """A piece of the answer."""
        if self.api == "chat":
            return self.chunk({"content": text})
        if self.api == "completions":
            return self.event(_completion([{"text": text, "index": 0, "logprobs": None, "finish_reason": None}]))
        if self.api == "responses":
            place = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "sequence_number": 4}
            return self.event({"type": "response.output_text.delta", **place, "delta": text, "logprobs": []})
        block = {"type": "text_delta", "text": text}
        return self.event({"type": "content_block_delta", "index": 0, "delta": block})

    def chunk(self, delta: Any, reason: str | None = None, index: int = 0, **more: Any) -> Event:
        """A chunk of a chat completion."""
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}
        return self.event(_chunk([choice], **more))

    def _chat(self) -> tuple[list[Event], list[Event], list[Event]]:
        return [self.chunk({"role": "assistant", "content": ""})], [self.chunk({}, "stop")], [Event(None, "[DONE]")]

    def _completions(self) -> tuple[list[Event], list[Event], list[Event]]:
        last = {"text": "", "index": 0, "logprobs": None, "finish_reason": "stop"}
        return [], [self.event(_completion([last]))], [Event(None, "[DONE]")]

    def _responses(self) -> tuple[list[Event], list[Event], list[Event]]:
        place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
        begun = {**_response("in_progress"), "output": []}
        empty = {"type": "output_text", "text": "", "annotations": []}
        part = {"type": "output_text", "text": self._text, "annotations": []}
        item = {"type": "message", "id": "msg_1", "role": "assistant"}
        opening: list[dict[str, Any]] = [
            {"type": "response.created", "response": begun},
            {"type": "response.in_progress", "response": begun},
            {
                "type": "response.output_item.added",
                "output_index": 0,
                "item": {**item, "status": "in_progress", "content": []},
            },
            {"type": "response.content_part.added", **place, "part": empty},
        ]
        finish: list[dict[str, Any]] = [
            {"type": "response.output_text.done", **place, "text": self._text, "logprobs": []},
            {"type": "response.content_part.done", **place, "part": part},
            {
                "type": "response.output_item.done",
                "output_index": 0,
                "item": {**item, "status": "completed", "content": [part]},
            },
            {"type": "response.completed", "response": _response("completed", self._text)},
        ]
        numbered = [self.event({**value, "sequence_number": at}) for at, value in enumerate(opening + finish)]
        return numbered[: len(opening)], numbered[len(opening) :], []

    def _messages(self) -> tuple[list[Event], list[Event], list[Event]]:
        message = {**_message(""), "content": [], "stop_reason": None}
        opening = [
            {"type": "message_start", "message": message},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        ]
        stop = {"stop_reason": "end_turn", "stop_sequence": None}
        finish = [
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": stop, "usage": {"output_tokens": 6}},
        ]
        return [*map(self.event, opening)], [*map(self.event, finish)], [self.event({"type": "message_stop"})]


def _chunk(choices: Any, **more: Any) -> dict[str, Any]:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "m"}
    return {**head, "choices": choices, **more}


def _completion(choices: Any) -> dict[str, Any]:
    head = {"id": "cmpl-1", "object": "text_completion", "created": 1700000000, "model": "m"}
    return {**head, "choices": choices}


def _response(status: str, text: str = "") -> dict[str, Any]:
    head = {"id": "resp_1", "object": "response", "created_at": 1700000000, "model": "m", "status": status}
    part = {"type": "output_text", "text": text, "annotations": []}
    item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}
    more = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "error": None, "incomplete_details": None}
    return {**head, "output": [item], **more, "metadata": {}, "temperature": 1.0, "top_p": 1.0, "instructions": None}


def _message(text: str) -> dict[str, Any]:
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m"}
    usage = {"input_tokens": 3, "output_tokens": 6}
    content = [{"type": "text", "text": text}]
    return {**head, "content": content, "stop_reason": "end_turn", "stop_sequence": None, "usage": usage}


def whole(api: str, text: str = FULL) -> dict[str, Any]:
    """The answer of an API that was not asked to stream."""
    if api == "chat":
        message = {"role": "assistant", "content": text, "refusal": None}
        choice: dict[str, Any] = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        return {**_chunk([choice]), "object": "chat.completion"}
    if api == "completions":
        return _completion([{"text": text, "index": 0, "logprobs": None, "finish_reason": "stop"}])
    return _response("completed", text) if api == "responses" else _message(text)
