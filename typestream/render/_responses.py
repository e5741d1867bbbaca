"""The Responses API's stream of events: the answer as items of an output, each opened, filled and closed.

Rules: reasoning and message items are closed when something else begins; a tool call stays open to the end, since its
arguments may come in turns with those of others, and opens when its name and its id are known and its arguments or
something else begins, else at the end; an answer of which nothing said that it is whole has no terminal event.
Wire format: OpenAI's `ResponseStreamEvent`.
"""

from typing import Any

from typestream._json import jsonable
from typestream._to_openai import usage_record
from typestream.events import (
    Citation,
    Event,
    ReasoningDelta,
    RefusalDelta,
    Start,
    TextDelta,
    ToolCallDelta,
)
from typestream.render._failure import cut_by
from typestream.result import Result

__all__ = ("ResponsesWire",)

_Chunks = list[dict[str, Any]]
# kind of part -> the item it stands in, the field it fills, the name of its events, the name of its place in the item
_PARTS = {
    "output_text": ("message", "text", "response.output_text", "content_index"),
    "refusal": ("message", "refusal", "response.refusal", "content_index"),
    "summary_text": ("reasoning", "text", "response.reasoning_summary_text", "summary_index"),
}


class _Item:
    """An item of the output, and the pieces of what is being filled in it, joined only when it is closed."""

    def __init__(self, place: int, item: dict[str, Any]) -> None:
        self.place = place
        self.item = item
        self.part: dict[str, Any] | None = None
        self.pieces: list[str] = []
        self.logprobs: list[Any] = []

    @property
    def parts(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.item["summary" if self.item["type"] == "reasoning" else "content"]
        return found


class ResponsesWire:
    """Events as `response.*` objects; choice 0 only, since a Response has one answer."""

    def __init__(self, created: int) -> None:
        self._response: dict[str, Any] = {
            "id": "",
            "object": "response",
            "created_at": created,
            "status": "in_progress",
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "model": "",
            "output": [],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": None,
        }
        self._sequence = 0
        self._begun = False
        self._open: _Item | None = None
        self._calls: dict[int, _Item] = {}
        self._early: dict[int, list[ToolCallDelta]] = {}

    def feed(self, event: Event) -> _Chunks:
        if isinstance(event, Start):
            self._response["id"] = event.id or self._response["id"]
            self._response["model"] = event.model or self._response["model"]
            return self._begin()
        if getattr(event, "index", 0) != 0:
            return []
        if isinstance(event, TextDelta):
            return self._begin() + self._delta("output_text", event.text, event.logprobs)
        if isinstance(event, RefusalDelta):
            return self._begin() + self._delta("refusal", event.text)
        if isinstance(event, ReasoningDelta):
            return self._begin() + self._delta("summary_text", event.text)
        if isinstance(event, ToolCallDelta):
            return self._begin() + self._call(event)
        return self._begin() + self._cite(event) if isinstance(event, Citation) and event.url else []

    def finish(self, result: Result) -> _Chunks:
        chunks = self._begin() + self._close()
        for number in list(self._early):
            chunks += self._open_call(number)
        for call in self._calls.values():
            chunks += self._close_call(call)
        if result.completion == "unconfirmed":
            return chunks
        why = cut_by(result.finish_reason)
        status = "completed" if why is None else "incomplete"
        self._response.update(status=status, incomplete_details=None if why is None else {"reason": why})
        self._response["usage"] = None if result.usage is None else usage_record(result.usage)
        return [*chunks, self._event(f"response.{status}", response=self._response)]

    def error(self, error: dict[str, Any]) -> dict[str, Any]:
        # `error` as well as the documented fields: with it the SDK raises, without it would hand on an event.
        return self._event("error", code=error["code"], message=error["message"], param=None, error=error)

    def _event(self, kind: str, **fields: Any) -> dict[str, Any]:
        self._sequence += 1
        return {"type": kind, "sequence_number": self._sequence - 1, **fields}

    def _begin(self) -> _Chunks:
        if self._begun:
            return []
        self._begun = True
        return [
            self._event(f"response.{kind}", response={**self._response, "output": []})
            for kind in ("created", "in_progress")
        ]

    # -- text, refusal, reasoning

    def _delta(self, kind: str, text: str, logprobs: Any = None) -> _Chunks:
        home, _, name, place = _PARTS[kind]
        chunks: _Chunks = []
        if self._open is None or self._open.item["type"] != home:
            chunks += self._close() + self._open_known() + self._open_item(home)
        opened = self._open
        assert opened is not None
        if opened.part is None or opened.part["type"] != kind:
            chunks += self._close_part(opened) + self._open_part(opened, kind)
        opened.pieces.append(text)
        more = {"logprobs": jsonable(logprobs) or []} if kind == "output_text" else {}
        opened.logprobs += more.get("logprobs", ())
        delta = self._event(f"{name}.delta", **_at(opened), **{place: len(opened.parts) - 1}, delta=text, **more)
        return [*chunks, delta]

    def _open_item(self, home: str) -> _Chunks:
        number = len(self._response["output"])
        item: dict[str, Any] = {"type": home, "id": f"item_{number}"}
        if home == "message":
            item.update(role="assistant", status="in_progress", content=[])
        else:
            item.update(summary=[])
        self._open = self._add(item)
        return [self._event("response.output_item.added", output_index=number, item=_copied(item))]

    def _add(self, item: dict[str, Any]) -> _Item:
        self._response["output"].append(item)
        return _Item(len(self._response["output"]) - 1, item)

    def _open_part(self, opened: _Item, kind: str) -> _Chunks:
        _, field, _, place = _PARTS[kind]
        opened.part = {"type": kind, field: ""}
        if kind == "output_text":
            opened.part["annotations"] = []
        opened.parts.append(opened.part)
        name = "response.reasoning_summary_part" if kind == "summary_text" else "response.content_part"
        where = {**_at(opened), place: len(opened.parts) - 1}
        return [self._event(f"{name}.added", **where, part=_copied(opened.part))]

    def _close_part(self, opened: _Item) -> _Chunks:
        part = opened.part
        if part is None:
            return []
        _, field, name, place = _PARTS[part["type"]]
        part[field] = "".join(opened.pieces)
        where = {**_at(opened), place: len(opened.parts) - 1}
        more: dict[str, Any] = {"logprobs": opened.logprobs} if part["type"] == "output_text" else {}
        if opened.logprobs:
            part["logprobs"] = opened.logprobs
        opened.part, opened.pieces, opened.logprobs = None, [], []
        outer = "response.reasoning_summary_part" if part["type"] == "summary_text" else "response.content_part"
        return [
            self._event(f"{name}.done", **where, **{field: part[field]}, **more),
            self._event(f"{outer}.done", **where, part=_copied(part)),
        ]

    def _close(self) -> _Chunks:
        opened, self._open = self._open, None
        if opened is None:
            return []
        chunks = self._close_part(opened)
        if opened.item["type"] == "message":
            opened.item["status"] = "completed"
        return [*chunks, self._event("response.output_item.done", output_index=opened.place, item=_copied(opened.item))]

    def _cite(self, event: Citation) -> _Chunks:
        chunks: _Chunks = []
        if self._open is None or self._open.item["type"] != "message":
            chunks += self._close() + self._open_known() + self._open_item("message")
        opened = self._open
        assert opened is not None
        if opened.part is None or opened.part["type"] != "output_text":
            chunks += self._close_part(opened) + self._open_part(opened, "output_text")
        assert opened.part is not None
        cited: dict[str, Any] = {"type": "url_citation", "url": event.url, "title": event.title or ""}
        cited.update(start_index=event.start, end_index=event.end)
        opened.part["annotations"].append(cited)
        return [
            *chunks,
            self._event(
                "response.output_text.annotation.added",
                **_at(opened),
                content_index=len(opened.parts) - 1,
                annotation_index=len(opened.part["annotations"]) - 1,
                annotation=cited,
            ),
        ]

    # -- tool calls

    def _call(self, event: ToolCallDelta) -> _Chunks:
        chunks = self._close()
        if event.call not in self._calls:
            if event.call not in self._early:
                chunks += self._open_known()
            self._early.setdefault(event.call, []).append(event)
            # a name may come in pieces, until there are arguments
            return chunks + self._open_call(event.call) if self._knows(event.call, "arguments") else chunks
        call = self._calls[event.call]
        if event.name and event.name != call.item["name"]:
            call.item["name"] += event.name
        return chunks + self._arguments(call, event.arguments)

    def _knows(self, number: int, *more: str) -> bool:
        return all(any(getattr(each, name) for each in self._early[number]) for name in ("id", "name", *more))

    def _open_known(self) -> _Chunks:
        """The calls that something else comes after: each has its place in the order, also without arguments."""
        return [chunk for number in list(self._early) if self._knows(number) for chunk in self._open_call(number)]

    def _open_call(self, number: int) -> _Chunks:
        place, early = len(self._response["output"]), self._early.pop(number)
        item: dict[str, Any] = {"type": "function_call", "id": f"item_{place}"}
        item["call_id"] = next((each.id for each in early if each.id), item["id"])  # clients tell calls apart by it
        item["name"] = "".join(each.name or "" for each in early)
        item.update(arguments="", status="in_progress")
        call = self._calls[number] = self._add(item)
        added = self._event("response.output_item.added", output_index=call.place, item=_copied(item))
        return [added, *self._arguments(call, "".join(each.arguments for each in early))]

    def _arguments(self, call: _Item, text: str) -> _Chunks:
        if not text:
            return []
        call.pieces.append(text)
        return [self._event("response.function_call_arguments.delta", **_at(call), delta=text)]

    def _close_call(self, call: _Item) -> _Chunks:
        call.item.update(arguments="".join(call.pieces), status="completed")
        done = {"arguments": call.item["arguments"], "name": call.item["name"]}
        return [
            self._event("response.function_call_arguments.done", **_at(call), **done),
            self._event("response.output_item.done", output_index=call.place, item=_copied(call.item)),
        ]


def _at(opened: _Item) -> dict[str, Any]:
    return {"item_id": opened.item["id"], "output_index": opened.place}


def _copied(value: dict[str, Any]) -> dict[str, Any]:
    """As it is now: the original goes on being filled."""
    return {key: list(entry) if isinstance(entry, list) else entry for key, entry in value.items()}
