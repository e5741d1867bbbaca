"""OpenAI's three wire formats: each turns an answer's pieces into events as they come, and into the whole object.

Rules: the events and the whole are made of the same pieces, so that they cannot disagree; nothing here does I/O.
The formats are those of OpenAI's API reference and of its Python SDK's types.
"""

from collections.abc import Iterator
from itertools import count
from typing import Any, Protocol

from typestream._demo.answer import Answer, Piece
from typestream._demo.ask import Ask

__all__ = ("Chat", "Completions", "Format", "Responses")

Json = dict[str, Any]
_number = count(1)


def _id(prefix: str) -> str:
    return f"{prefix}{next(_number):024x}"


class Format(Protocol):
    """One answer in one format; `start`, then `piece` for each, then `end`; at any time after that `whole`."""

    def start(self) -> Iterator[Json]: ...

    def piece(self, piece: Piece) -> Iterator[Json]: ...

    def end(self) -> Iterator[Json]: ...

    def whole(self) -> Json: ...


class _Folded:
    """What the formats share: the pieces put together, by choice and call."""

    def __init__(self, ask: Ask, answer: Answer, created: int) -> None:
        self._ask = ask
        self._answer = answer
        self._created = created
        self._texts = [""] * ask.choices
        self._arguments: list[list[str]] = [[] for _ in range(ask.choices)]
        self._call_ids = [[_id("call_") for _ in ask.tools] for _ in range(ask.choices)]

    def _fold(self, piece: Piece) -> bool:
        """Take a piece in; whether it opens a call."""
        if piece.call is None:
            self._texts[piece.choice] += piece.text
            return False
        calls = self._arguments[piece.choice]
        opens = piece.call == len(calls)
        if opens:
            calls.append("")
        calls[piece.call] += piece.text
        return opens

    def _usage(self) -> Json:
        made, given = self._answer.output, self._ask.input
        return {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made}


class Chat(_Folded):
    """Chat completions."""

    def __init__(self, ask: Ask, answer: Answer, created: int) -> None:
        super().__init__(ask, answer, created)
        self._head = {"id": _id("chatcmpl-"), "created": created, "model": ask.model}

    def start(self) -> Iterator[Json]:
        content = None if self._ask.tools else ""
        for index in range(self._ask.choices):
            yield self._chunk(index, {"role": "assistant", "content": content})

    def piece(self, piece: Piece) -> Iterator[Json]:
        opens = self._fold(piece)
        if piece.call is None:
            yield self._chunk(piece.choice, {"content": piece.text})
            return
        delta: Json = {"index": piece.call, "function": {"arguments": piece.text}}
        if opens:
            delta |= {"id": self._call_ids[piece.choice][piece.call], "type": "function"}
            delta["function"]["name"] = self._ask.tools[piece.call].name
        yield self._chunk(piece.choice, {"tool_calls": [delta]})

    def end(self) -> Iterator[Json]:
        for index in range(self._ask.choices):
            yield self._chunk(index, {}, self._answer.finish[index])
        if self._ask.include_usage:
            yield {**self._head, "object": "chat.completion.chunk", "choices": [], "usage": self._usage()}

    def whole(self) -> Json:
        choices = []
        for index, text in enumerate(self._texts):
            message: Json = {"role": "assistant", "content": text or None, "refusal": None}
            if self._ask.tools:
                message["tool_calls"] = [
                    {"id": id, "type": "function", "function": {"name": tool.name, "arguments": arguments}}
                    for id, tool, arguments in zip(
                        self._call_ids[index], self._ask.tools, self._arguments[index], strict=True
                    )
                ]
            finish = self._answer.finish[index]
            choices.append({"index": index, "message": message, "logprobs": None, "finish_reason": finish})
        return {**self._head, "object": "chat.completion", "choices": choices, "usage": self._usage()}

    def _chunk(self, index: int, delta: Json, finish: str | None = None) -> Json:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        chunk: Json = {**self._head, "object": "chat.completion.chunk", "choices": [choice]}
        return chunk | {"usage": None} if self._ask.include_usage else chunk


class Completions(_Folded):
    """Legacy completions."""

    def __init__(self, ask: Ask, answer: Answer, created: int) -> None:
        super().__init__(ask, answer, created)
        self._head = {"id": _id("cmpl-"), "object": "text_completion", "created": created, "model": ask.model}

    def start(self) -> Iterator[Json]:
        yield from ()

    def piece(self, piece: Piece) -> Iterator[Json]:
        self._fold(piece)
        yield {**self._head, "choices": [_completion(piece.choice, piece.text, None)]}

    def end(self) -> Iterator[Json]:
        for index in range(self._ask.choices):
            yield {**self._head, "choices": [_completion(index, "", self._answer.finish[index])]}
        if self._ask.include_usage:
            yield {**self._head, "choices": [], "usage": self._usage()}

    def whole(self) -> Json:
        choices = [_completion(index, text, self._answer.finish[index]) for index, text in enumerate(self._texts)]
        return {**self._head, "choices": choices, "usage": self._usage()}


def _completion(index: int, text: str, finish: str | None) -> Json:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": finish}


class Responses(_Folded):
    """The Responses API: one message, or one item for each function call."""

    def __init__(self, ask: Ask, answer: Answer, created: int) -> None:
        super().__init__(ask, answer, created)
        self._id = _id("resp_")
        self._item_ids = [_id("fc_") for _ in ask.tools] or [_id("msg_")]
        self._sequence = count()
        self._opened = 0

    def start(self) -> Iterator[Json]:
        yield self._event("response.created", response=self._response("in_progress", []))
        yield self._event("response.in_progress", response=self._response("in_progress", []))
        if not self._ask.tools:
            yield self._event("response.output_item.added", output_index=0, item=self._message("in_progress", []))
            yield self._part("response.content_part.added", part=_output_text(""))

    def piece(self, piece: Piece) -> Iterator[Json]:
        opens = self._fold(piece)
        if piece.call is None:
            yield self._part("response.output_text.delta", delta=piece.text, logprobs=[])
            return
        if opens:
            yield from self._close_call(piece.call - 1)
            item = self._call(piece.call, "in_progress")
            yield self._event("response.output_item.added", output_index=piece.call, item=item)
        if piece.text:
            yield self._arguments_event(piece.call, "delta", delta=piece.text)

    def end(self) -> Iterator[Json]:
        if self._ask.tools:
            yield from self._close_call(len(self._ask.tools) - 1)
        else:
            part = _output_text(self._texts[0])
            yield self._part("response.output_text.done", text=self._texts[0], logprobs=[])
            yield self._part("response.content_part.done", part=part)
            yield self._event("response.output_item.done", output_index=0, item=self._message(self._status(), [part]))
        whole = self.whole()
        yield self._event(f"response.{whole['status']}", response=whole)

    def whole(self) -> Json:
        if self._ask.tools:
            output = [self._call(call, "completed") for call in range(len(self._ask.tools))]
        else:
            output = [self._message(self._status(), [_output_text(self._texts[0])])]
        usage = {
            "input_tokens": self._ask.input,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": self._answer.output,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": self._ask.input + self._answer.output,
        }
        return self._response(self._status(), output) | {"usage": usage}

    def _status(self) -> str:
        return "incomplete" if self._answer.finish[0] == "length" else "completed"

    def _event(self, kind: str, **fields: Any) -> Json:
        return {"type": kind, "sequence_number": next(self._sequence), **fields}

    def _part(self, kind: str, **fields: Any) -> Json:
        return self._event(kind, item_id=self._item_ids[0], output_index=0, content_index=0, **fields)

    def _arguments_event(self, call: int, what: str, **fields: Any) -> Json:
        kind = f"response.function_call_arguments.{what}"
        return self._event(kind, item_id=self._item_ids[call], output_index=call, **fields)

    def _close_call(self, call: int) -> Iterator[Json]:
        if call >= 0:
            arguments, name = self._arguments[0][call], self._ask.tools[call].name
            yield self._arguments_event(call, "done", arguments=arguments, name=name)
            yield self._event("response.output_item.done", output_index=call, item=self._call(call, "completed"))

    def _message(self, status: str, content: list[Json]) -> Json:
        return {
            "type": "message",
            "id": self._item_ids[0],
            "role": "assistant",
            "status": status,
            "content": content,
        }

    def _call(self, call: int, status: str) -> Json:
        return {
            "type": "function_call",
            "id": self._item_ids[call],
            "call_id": self._call_ids[0][call],
            "name": self._ask.tools[call].name,
            "arguments": self._arguments[0][call],
            "status": status,
        }

    def _response(self, status: str, output: list[Json]) -> Json:
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created,
            "status": status,
            "model": self._ask.model,
            "output": output,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
            "instructions": None,
            "metadata": {},
            "parallel_tool_calls": True,
            "temperature": self._ask.temperature,
            "tool_choice": "auto",
            "tools": [],
            "top_p": 1.0,
            "usage": None,
        }


def _output_text(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
