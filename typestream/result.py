"""The fold of a stream's events into the answer; linear in the stream, whatever the size of its pieces.

A `Result` is live while its stream runs and final once the stream has ended.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from typestream._json import event_from_dict, jsonable, snake
from typestream.decode._base import Completion
from typestream.events import (
    Citation,
    Event,
    Finish,
    ReasoningDelta,
    RefusalDelta,
    Start,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from typestream.timing import Timing

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletion

    from typestream.pacing._run import Run

__all__ = ("Choice", "Result", "ToolCall")

_T = TypeVar("_T")
_E = TypeVar("_E", Usage, Citation)


class _Text:
    """Text that grows by small pieces: kept once, joined when somebody looks."""

    __slots__ = ("_full", "_joined", "_pieces", "_run")

    def __init__(self) -> None:
        self._pieces: list[str | Run] = []
        self._joined = 0  # so many at the beginning are many joined
        self._run = 0  # where the last run stands
        self._full = 1024  # when there are so many the others are joined, too

    def add(self, piece: str) -> None:
        pieces = self._pieces
        pieces.append(piece)
        if len(pieces) >= self._full:
            # in one step, for who looks from another thread
            pieces[self._joined :] = ["".join(map(str, pieces[self._joined :]))]
            self._joined += 1
            self._full += 1

    def follow(self, run: "Run") -> None:
        """What is shown of that comes next."""
        pieces, before = self._pieces, self._run
        if before < len(pieces):  # else it is joined with others
            pieces[before] = str(pieces[before])
        self._run = len(pieces)
        pieces.append(run)

    def __str__(self) -> str:
        return "".join(map(str, self._pieces.copy()))


class ToolCall:
    """One call of a tool that the model asks for.

    Attributes:
        id: the source's name for the call, to answer it with; None where it gave none.
        name: the tool; None where it gave none.
        arguments: JSON text, as the model wrote it, valid or not.
    """

    __slots__ = ("_arguments", "id", "name")

    def __init__(self, id: str | None = None, name: str | None = None, arguments: str = "") -> None:
        self.id = id
        self.name = name
        self._arguments = _Text()
        if arguments:
            self._arguments.add(arguments)

    @property
    def arguments(self) -> str:
        return str(self._arguments)

    def to_dict(self) -> dict[str, Any]:
        """The call as JSON-ready data."""
        return {"id": self.id, "name": self.name, "arguments": self.arguments}

    def __eq__(self, other: object) -> bool:
        return self.to_dict() == other.to_dict() if isinstance(other, ToolCall) else NotImplemented

    def __repr__(self) -> str:
        return f"ToolCall(id={self.id!r}, name={self.name!r}, arguments={self.arguments!r})"


class Choice:
    """One of the answers of a stream; most have one.

    Attributes:
        index: the source's number for it.
        tool_calls: in the order in which they were opened.
        finish_reason: the source's own word, None until it came.
        logprobs: one entry a token, in the source's shape; empty where it sent none.
    """

    __slots__ = ("_reasoning", "_refusal", "_text", "finish_reason", "index", "logprobs", "tool_calls")

    def __init__(self, index: int = 0) -> None:
        self.index = index
        self._text, self._reasoning, self._refusal = _Text(), _Text(), _Text()
        self.tool_calls: list[ToolCall] = []
        self.finish_reason: str | None = None
        self.logprobs: list[Any] = []

    @property
    def text(self) -> str:
        """The answer so far."""
        return str(self._text)

    @property
    def reasoning(self) -> str:
        """What the model thought so far."""
        return str(self._reasoning)

    @property
    def refusal(self) -> str:
        """The refusal so far."""
        return str(self._refusal)

    def to_dict(self) -> dict[str, Any]:
        """The choice as JSON-ready data."""
        return {
            "index": self.index,
            "text": self.text,
            "reasoning": self.reasoning,
            "refusal": self.refusal,
            "tool_calls": [call.to_dict() for call in self.tool_calls],
            "finish_reason": self.finish_reason,
            "logprobs": jsonable(self.logprobs),
        }

    def __eq__(self, other: object) -> bool:
        return self.to_dict() == other.to_dict() if isinstance(other, Choice) else NotImplemented

    def __repr__(self) -> str:
        return f"Choice(index={self.index}, text={self.text!r}, finish_reason={self.finish_reason!r})"


class Result:
    """The answer: what a stream has delivered so far, or in all.

    Attributes:
        id: the source's name for the answer, None where it gave none.
        model: the model that answered, None where the source did not say.
        choices: every choice that something was heard of, by index.
        usage: the last token counts that came, or None.
        citations: in order.
        completion: `"complete"` when the source said that the answer is whole, `"unconfirmed"` when it only said
            that it was done, `"incomplete"` while the stream runs and when it broke off.
        timing: when the pieces came and when they were shown.
    """

    __slots__ = ("choices", "citations", "completion", "id", "model", "timing", "usage")

    def __init__(self) -> None:
        self.id: str | None = None
        self.model: str | None = None
        self.choices: list[Choice] = []
        self.usage: Usage | None = None
        self.citations: list[Citation] = []
        self.completion: Completion = "incomplete"
        self.timing = Timing(self)

    @property
    def text(self) -> str:
        """The answer (of choice 0)."""
        return self.choice().text

    @property
    def reasoning(self) -> str:
        """What the model thought before it answered (choice 0)."""
        return self.choice().reasoning

    @property
    def refusal(self) -> str:
        """The model's refusal (choice 0), `""` where it did not refuse."""
        return self.choice().refusal

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The tools that the model wants called (choice 0)."""
        return self.choice().tool_calls

    @property
    def finish_reason(self) -> str | None:
        """Why the model ended (choice 0), in the source's own word; None until it said so."""
        return self.choice().finish_reason

    def choice(self, index: int = 0) -> Choice:
        """The choice of that index; an empty one where nothing was heard of it."""
        for choice in self.choices:
            if choice.index == index:
                return choice
        return Choice(index)

    def add(self, event: Event) -> None:
        """Take in the next event."""
        kind = type(event)
        if kind is TextDelta:
            choice = self._open(event.index)  # type: ignore[union-attr]
            choice._text.add(event.text)  # type: ignore[union-attr, arg-type]
            if event.logprobs:  # type: ignore[union-attr]
                choice.logprobs.extend(event.logprobs)  # type: ignore[union-attr]
        else:
            self._add_other(event)

    def add_text(self, text: str) -> None:
        """Take in a piece of the answer of choice 0."""
        choices = self.choices
        (choices[0] if choices and choices[0].index == 0 else self._open(0))._text.add(text)

    def follow(self, run: "Run") -> None:
        """What is shown of that is the next text of choice 0."""
        self._open(0)._text.follow(run)
        self.timing.follow(run)

    def _add_other(self, event: Event) -> None:
        match event:
            case ReasoningDelta():
                self._open(event.index)._reasoning.add(event.text)
            case ToolCallDelta():
                self._add_call(event)
            case RefusalDelta():
                self._open(event.index)._refusal.add(event.text)
            case Start():
                self.id, self.model = self.id or event.id, self.model or event.model
            case Usage():
                self.usage = event
            case Finish():
                choice = self._open(event.index)
                choice.finish_reason = choice.finish_reason or event.reason
            case Citation():
                self.citations.append(event)
            case _:
                pass  # what has no name here is in the events, not in the answer

    def _add_call(self, event: ToolCallDelta) -> None:
        calls = self._open(event.index).tool_calls
        while len(calls) <= event.call:
            calls.append(ToolCall())
        call = calls[event.call]
        call.id = call.id or event.id
        if event.name and event.name != call.name:
            call.name = (call.name or "") + event.name
        if event.arguments:
            call._arguments.add(event.arguments)

    def _open(self, index: int) -> Choice:
        choices = self.choices
        if choices and choices[0].index == index:
            return choices[0]
        for choice in choices:
            if choice.index == index:
                return choice
        choice = Choice(index)
        choices.append(choice)
        choices.sort(key=lambda choice: choice.index)
        return choice

    def events(self) -> Iterator[Event]:
        """The answer as events again, each text in one piece: what `replay` plays."""
        if self.id or self.model:
            yield Start(self.id, self.model)
        for choice in self.choices:
            index = choice.index
            if choice.reasoning:
                yield ReasoningDelta(choice.reasoning, index)
            if choice.text:
                yield TextDelta(choice.text, index, list(choice.logprobs) or None)
            if choice.refusal:
                yield RefusalDelta(choice.refusal, index)
            for number, call in enumerate(choice.tool_calls):
                yield ToolCallDelta(number, call.id, call.name, call.arguments, index)
        yield from self.citations
        if self.usage is not None:
            yield self.usage
        for choice in self.choices:
            if choice.finish_reason:
                yield Finish(choice.finish_reason, choice.index)

    def to_dict(self) -> dict[str, Any]:
        """The answer as JSON-ready data; `from_dict` reads it back. Timing is not part of it."""
        return {
            "id": self.id,
            "model": self.model,
            "choices": [choice.to_dict() for choice in self.choices],
            "usage": _record(self.usage) if self.usage is not None else None,
            "citations": [_record(citation) for citation in self.citations],
            "completion": self.completion,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Result":
        """The answer that `to_dict` wrote.

        Raises:
            ValueError: it is something else.
        """
        result = cls()
        try:
            result.id, result.model = _maybe(data["id"]), _maybe(data["model"])
            for entry in data["choices"]:
                result.choices.append(_choice(entry))
            result.usage = _event(Usage, data["usage"]) if data["usage"] else None
            result.citations = [_event(Citation, citation) for citation in data["citations"]]
            result.completion = data["completion"]
            if result.completion not in get_args(Completion):
                raise ValueError(f"no completion is {result.completion!r}")
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError("This is not the data of a typestream Result (Result.to_dict() makes it).") from error
        return result

    def to_json(self) -> str:
        """The answer as JSON text, in ASCII."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, text: str | bytes) -> "Result":
        """The answer that `to_json` wrote.

        Raises:
            ValueError: it is something else.
        """
        data = json.loads(text)
        if not isinstance(data, dict):
            raise ValueError("This is not the data of a typestream Result (Result.to_dict() makes it).")
        return cls.from_dict(data)

    def to_openai(self) -> "ChatCompletion":
        """The answer as the openai SDK's own `ChatCompletion`. What the source did not say stays empty: `created` is
        0, and a finish reason that never came is None; reasoning is in `message.reasoning_content`."""
        from openai.types.chat import ChatCompletion

        from typestream._to_openai import chat_completion

        return ChatCompletion.construct(**chat_completion(self))

    def __eq__(self, other: object) -> bool:
        return self.to_dict() == other.to_dict() if isinstance(other, Result) else NotImplemented

    def __repr__(self) -> str:
        return f"Result(text={self.text!r}, finish_reason={self.finish_reason!r}, completion={self.completion!r})"


def _record(event: Usage | Citation) -> dict[str, Any]:
    return {field.name: getattr(event, field.name) for field in fields(event) if field.name != "raw"}


def _event(kind: type[_E], record: Mapping[str, Any]) -> _E:
    event = event_from_dict({**record, "type": snake(kind.__name__)})
    assert isinstance(event, kind)
    return event


def _of(kind: type[_T], value: Any) -> _T:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"{value!r} is no {kind.__name__}")
    return value


def _maybe(value: Any) -> str | None:
    return None if value is None else _of(str, value)


def _choice(entry: Mapping[str, Any]) -> Choice:
    choice = Choice(_of(int, entry["index"]))
    for builder, name in ((choice._text, "text"), (choice._reasoning, "reasoning"), (choice._refusal, "refusal")):
        if _of(str, entry[name]):
            builder.add(entry[name])
    for call in _of(list, entry["tool_calls"]):
        choice.tool_calls.append(ToolCall(_maybe(call["id"]), _maybe(call["name"]), _of(str, call["arguments"])))
    choice.finish_reason = _maybe(entry["finish_reason"])
    choice.logprobs = list(_of(list, entry["logprobs"]))
    return choice
