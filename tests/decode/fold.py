"""Events folded into what the tests compare; and the wire split as plainly as can be."""

import json
from typing import Any

from typestream.decode import JoinSurrogates, choose
from typestream.errors import StreamError
from typestream.events import Finish, ReasoningDelta, RefusalDelta, Start, TextDelta, ToolCallDelta, Usage


class Folded:
    def __init__(self) -> None:
        self.events: list[Any] = []
        self.error: StreamError | None = None
        self.completion = "incomplete"

    def _join(self, kind: type, index: int = 0) -> str:
        return "".join(e.text for e in self.events if type(e) is kind and e.index == index)

    def text(self, index: int = 0) -> str:
        return self._join(TextDelta, index)

    def reasoning(self, index: int = 0) -> str:
        return self._join(ReasoningDelta, index)

    def refusal(self, index: int = 0) -> str:
        return self._join(RefusalDelta, index)

    def finish(self, index: int = 0) -> str | None:
        return next((e.reason for e in self.events if type(e) is Finish and e.index == index), None)

    def usage(self) -> dict[str, Any] | None:
        last = next((e for e in reversed(self.events) if type(e) is Usage), None)
        return last and {"input": last.input, "output": last.output, "total": last.total}

    def calls(self, index: int = 0) -> list[dict[str, Any]]:
        calls: dict[int, dict[str, Any]] = {}
        for e in self.events:
            if type(e) is ToolCallDelta and e.index == index:
                call = calls.setdefault(e.call, {"id": None, "name": None, "arguments": ""})
                call["id"] = call["id"] or e.id
                call["name"] = (call["name"] or "") + e.name if e.name else call["name"]
                call["arguments"] += e.arguments
        assert sorted(calls) == list(range(len(calls)))
        return [calls[n] for n in sorted(calls)]

    def starts(self) -> list[Start]:
        return [e for e in self.events if type(e) is Start]


def fold(items: Any, decoder: Any = None) -> Folded:
    """What the core does with items: choose, decode, join, stop at an error or where the decoder has ended."""
    out, join = Folded(), JoinSurrogates()

    def add(decoded: list[Any]) -> None:
        for event in join.feed(decoded):
            if isinstance(event, StreamError):
                out.error = event
                return
            out.events.append(event)

    for item in items:
        decoder = decoder or choose(item)
        if decoder is None:
            continue
        add(decoder.decode(item, item))
        if out.error or decoder.ended:
            break
    if decoder is not None:
        if not out.error:
            add(decoder.end())
            add(join.flush())
        out.completion = decoder.completion
    return out


def values(arguments: str) -> Any:
    """Arguments as a JSON value where they are one, for comparison."""
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments
