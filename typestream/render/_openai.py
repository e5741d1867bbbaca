"""Any stream in OpenAI's wire format, so that its SDK, and whatever else speaks it, can read it.

Rules: nothing is invented: a finish reason, usage, an id or a model that the source did not give is not there; a
stream that broke off ends in an error, which makes the SDK raise `APIError`, and never in `[DONE]`.
Wire formats: https://platform.openai.com/docs/api-reference/chat/streaming, …/completions, …/responses-streaming.
"""

from collections import Counter
from typing import Any, Literal, Protocol

from typestream._json import dumps, jsonable
from typestream._to_openai import usage_record
from typestream.errors import StreamError
from typestream.events import (
    Citation,
    Event,
    Finish,
    ReasoningDelta,
    RefusalDelta,
    Start,
    TextDelta,
    ToolCallDelta,
)
from typestream.render._failure import code_of, public_message
from typestream.render._responses import ResponsesWire
from typestream.result import Result

__all__ = ("OpenAISse",)

Api = Literal["chat", "completions", "responses"]


class _Wire(Protocol):
    def feed(self, event: Event) -> list[dict[str, Any]]: ...

    def finish(self, result: Result) -> list[dict[str, Any]]: ...

    def error(self, error: dict[str, Any]) -> dict[str, Any]: ...


class OpenAISse:
    """Server-sent events as OpenAI's API sends them.

    Args:
        api: `"chat"` (chat completions; reasoning as `reasoning_content`), `"completions"` (text only) or
            `"responses"` (choice 0 only).
        created: when the answer was begun, in seconds since 1970; a renderer has no clock of its own.

    Raises:
        ValueError: there is no such API.
    """

    content_type = "text/event-stream"

    def __init__(self, api: Api = "chat", *, created: int = 0) -> None:
        wires: dict[str, type[Any]] = {"chat": _ChatWire, "completions": _CompletionsWire, "responses": ResponsesWire}
        if api not in wires:
            raise ValueError(f"OpenAISse speaks {', '.join(wires)}, not {api!r}.")
        self._wire: _Wire = wires[api](created)
        self._named = api == "responses"  # only there has each event a name, and no `[DONE]` follows the terminal one

    def feed(self, event: Event) -> str:
        return self._frames(self._wire.feed(event))

    def finish(self, result: Result) -> str:
        if result.completion == "incomplete":
            return self._error(None)
        # that it ended, where there is no event that says it is whole, or none that would say anything else
        done = not self._named or result.completion == "unconfirmed"
        return self._frames(self._wire.finish(result)) + ("data: [DONE]\n\n" if done else "")

    def fail(self, error: StreamError) -> str:
        return self._error(error)

    @staticmethod
    def keep_alive() -> str:
        """A comment, which no reader sees."""
        return ": keep-alive\n\n"

    def _error(self, error: StreamError | None) -> str:
        said = {"message": public_message(error), "type": "server_error", "param": None, "code": code_of(error)}
        return self._frames([self._wire.error(said)])

    def _frames(self, chunks: list[dict[str, Any]]) -> str:
        if self._named:
            return "".join(f"event: {chunk['type']}\ndata: {dumps(chunk)}\n\n" for chunk in chunks)
        return "".join(f"data: {dumps(chunk)}\n\n" for chunk in chunks)


class _ChatWire:
    """`chat.completion.chunk` objects."""

    def __init__(self, created: int) -> None:
        self._head: dict[str, Any] = {"id": "", "object": "chat.completion.chunk", "created": created, "model": ""}
        self._seen: set[int] = set()
        self._cited: Counter[int] = Counter()

    def feed(self, event: Event) -> list[dict[str, Any]]:
        if isinstance(event, Start):
            self._head.update(id=event.id or self._head["id"], model=event.model or self._head["model"])
            return []
        if isinstance(event, TextDelta):
            logprobs = None if event.logprobs is None else {"content": jsonable(event.logprobs), "refusal": None}
            return self._choice(event.index, {"content": event.text}, logprobs=logprobs)
        if isinstance(event, ReasoningDelta):
            return self._choice(event.index, {"reasoning_content": event.text})
        if isinstance(event, RefusalDelta):
            return self._choice(event.index, {"refusal": event.text})
        if isinstance(event, ToolCallDelta):
            return self._choice(event.index, {"tool_calls": [_call(event)]})
        if isinstance(event, Citation) and event.url:
            number = self._cited[event.index]  # which the SDK's helper puts the pieces of a list together by
            self._cited[event.index] += 1
            annotation = {"index": number, "type": "url_citation", "url_citation": _cited(event)}
            return self._choice(event.index, {"annotations": [annotation]})
        if isinstance(event, Finish):
            return self._choice(event.index, {}, finish_reason=event.reason)
        return []

    def finish(self, result: Result) -> list[dict[str, Any]]:
        # Once, at the end: a chunk of usage has no choice, which clients expect of the last one only.
        if result.usage is None:
            return []
        return [{**self._head, "choices": [], "usage": usage_record(result.usage, "prompt", "completion")}]

    def error(self, error: dict[str, Any]) -> dict[str, Any]:
        return {"error": error}

    def _choice(
        self, index: int, delta: dict[str, Any], finish_reason: str | None = None, logprobs: Any = None
    ) -> list[dict[str, Any]]:
        if index not in self._seen:
            self._seen.add(index)
            delta = {"role": "assistant", **delta}
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}
        return [{**self._head, "choices": [choice]}]


class _CompletionsWire(_ChatWire):
    """`text_completion` objects."""

    def __init__(self, created: int) -> None:
        super().__init__(created)
        self._head["object"] = "text_completion"

    def feed(self, event: Event) -> list[dict[str, Any]]:
        return super().feed(event) if isinstance(event, (Start, TextDelta, Finish)) else []

    def _choice(
        self, index: int, delta: dict[str, Any], finish_reason: str | None = None, logprobs: Any = None
    ) -> list[dict[str, Any]]:
        text = delta.get("content", "")
        choice = {"index": index, "text": text, "logprobs": None, "finish_reason": finish_reason}
        return [{**self._head, "choices": [choice]}]


def _call(event: ToolCallDelta) -> dict[str, Any]:
    call: dict[str, Any] = {"index": event.call, "function": {"arguments": event.arguments}}
    if event.id is not None:
        call["id"] = event.id
    if event.name is not None:
        call["type"] = "function"
        call["function"]["name"] = event.name
    return call


def _cited(event: Citation) -> dict[str, Any]:
    cited = {"url": event.url, "title": event.title, "start_index": event.start, "end_index": event.end}
    return {name: value for name, value in cited.items() if value is not None}
