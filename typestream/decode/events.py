"""More APIs that stream events by name: Cohere's chat (v2 and v1), Bedrock's converse, Gemini's interactions."""

from typing import Any

from typestream.decode._base import Decoded, get
from typestream.decode._fields import arguments, fields, is_record, items, number, string, usage_of
from typestream.decode._state import Base
from typestream.decode.chat import citation
from typestream.errors import StreamServerError
from typestream.events import Citation, Other, ReasoningDelta, TextDelta, Usage

__all__ = ("BedrockDecoder", "CohereDecoder", "CohereV1Decoder", "InteractionsDecoder")


class CohereDecoder(Base):
    """Complete with `message-end`. Wire format: Cohere's `V2ChatStreamResponse`; the tool plan is reasoning."""

    def record(self, item: Any, raw: Any, out: Decoded) -> None:
        kind, delta = get(item, "type"), get(item, "delta")
        message = get(delta, "message")
        if kind in ("content-start", "content-delta"):
            content = get(message, "content")
            self.say(ReasoningDelta, get(content, "thinking"), raw, out)
            self.say(TextDelta, get(content, "text"), raw, out)
        elif kind == "tool-plan-delta":
            self.say(ReasoningDelta, get(message, "tool_plan"), raw, out)
        elif kind in ("tool-call-start", "tool-call-delta"):
            call = get(message, "tool_calls")
            function = get(call, "function")
            name, args = get(function, "name"), get(function, "arguments")
            self.calls.piece(get(item, "index"), get(call, "id"), name, args, 0, raw, out)
        elif kind == "citation-start":
            self._cite(get(message, "citations"), raw, out)
        elif kind == "message-end":
            tokens = get(get(delta, "usage"), "tokens")
            self.count(usage_of(tokens, raw), out)
            self.confirm()
            self.finish(get(delta, "finish_reason"), raw, out)
            if get(delta, "error"):
                out.append(StreamServerError(str(get(delta, "error")), body=get(delta, "error")))
        elif kind not in ("message-start", "content-end", "tool-call-end", "citation-end") and isinstance(kind, str):
            out.append(Other(kind, raw=raw))
        self.fail(item, out)
        self.opening.open(get(item, "id"), None, out, raw)

    @staticmethod
    def _cite(cited: Any, raw: Any, out: Decoded) -> None:
        source = next(iter(items(get(cited, "sources"))), None)
        document = get(source, "document")
        title = string(get(document, "title")) or string(get(source, "id"))
        start, end = number(get(cited, "start")), number(get(cited, "end"))
        if is_record(cited):
            url = string(get(document, "url"))
            out.append(Citation(url, title, string(get(cited, "text")), start, end, raw=raw))


class CohereV1Decoder(Base):
    """Complete with `stream-end`, which repeats the answer and ends the stream. Wire format: Cohere's
    `StreamedChatResponse`, the chat API before v2."""

    KINDS = (
        "stream-start", "search-queries-generation", "search-results", "text-generation", "citation-generation",
        "tool-calls-generation", "tool-calls-chunk", "stream-end", "debug",
    )  # fmt: skip

    def record(self, item: Any, raw: Any, out: Decoded) -> None:
        kind, response = get(item, "event_type"), get(item, "response")
        if kind == "text-generation":
            self.say(TextDelta, get(item, "text"), raw, out)
        elif kind == "tool-calls-generation":
            for place, call in enumerate(items(get(item, "tool_calls"))):
                self.calls.piece(place, None, get(call, "name"), get(call, "parameters"), 0, raw, out)
        elif kind == "citation-generation":
            for one in items(get(item, "citations")):
                start, end = number(get(one, "start")), number(get(one, "end"))
                out.append(Citation(None, None, string(get(one, "text")), start, end, raw=raw))
        elif kind == "stream-end":
            self.count(usage_of(get(get(response, "meta"), "tokens"), raw), out)
            self.confirm()
            self.finish(get(item, "finish_reason"), raw, out)
            self.ended = True
        elif kind != "stream-start" and isinstance(kind, str):
            out.append(Other(kind, raw=raw))
        self.fail(item, out)
        self.opening.open(get(item, "generation_id") or get(response, "generation_id"), None, out, raw)


class BedrockDecoder(Base):
    """Complete with `messageStop`. Wire format: `ConverseStreamOutput`, one event per item, named by its only key."""

    KINDS = ("messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop")

    @staticmethod
    def failed(item: Any) -> str | None:
        """The exception that an item is."""
        return next((name for name, one in fields(item).items() if name.endswith("Exception") and is_record(one)), None)

    def record(self, item: Any, raw: Any, out: Decoded) -> None:
        kind = self.failed(item)
        if kind is not None:
            failed = get(item, kind)
            out.append(StreamServerError(string(get(failed, "message")) or kind, body=failed, code=kind))
            return
        begun, block, stop = (get(item, name) for name in ("contentBlockStart", "contentBlockDelta", "messageStop"))
        tool = get(get(begun, "start"), "toolUse")
        if is_record(tool):
            place = get(begun, "contentBlockIndex")
            self.calls.piece(place, get(tool, "toolUseId"), get(tool, "name"), None, 0, raw, out)
        _rest(get(begun, "start"), ("toolUse",), raw, out)
        delta = get(block, "delta")
        if is_record(delta):
            self._delta(delta, get(block, "contentBlockIndex"), raw, out)
        if is_record(stop):
            self.confirm()
            self.finish(get(stop, "stopReason"), raw, out)
        self.count(usage_of(get(get(item, "metadata"), "usage"), raw), out)
        self.fail(item, out)
        self.opening.open(None, None, out, raw)

    def _delta(self, delta: Any, place: Any, raw: Any, out: Decoded) -> None:
        reasoning, tool = get(delta, "reasoningContent"), get(delta, "toolUse")
        self.say(TextDelta, get(delta, "text"), raw, out)
        self.say(ReasoningDelta, get(reasoning, "text"), raw, out)
        if is_record(tool):
            self.calls.piece(place, None, None, get(tool, "input"), 0, raw, out)
        _rest(reasoning, ("text",), raw, out)
        _rest(delta, ("text", "reasoningContent", "toolUse"), raw, out)


def _rest(record: Any, known: tuple[str, ...], raw: Any, out: Decoded) -> None:
    out += [Other(name, raw=raw) for name, value in fields(record).items() if name not in known and value]


class InteractionsDecoder(Base):
    """Complete with `interaction.completed`, which ends the stream. Wire format: Gemini's interactions API."""

    def __init__(self) -> None:
        super().__init__()
        self._steps: dict[Any, Any] = {}

    def record(self, item: Any, raw: Any, out: Decoded) -> None:
        kind, place = get(item, "event_type"), number(get(item, "index"))
        interaction = get(item, "interaction")
        if kind in ("step.start", "content.start"):
            step = get(item, "step") or get(item, "content")
            self._steps[place] = get(step, "type")
            self._step(step, place, raw, out)
        elif kind in ("step.delta", "content.delta"):
            self._step(get(item, "delta"), place, raw, out)
        elif kind in ("interaction.completed", "interaction.complete"):
            self._count(get(interaction, "usage"), raw, out)
            self.confirm()
            self.finish(get(interaction, "status"), raw, out)
            self.ended = True
        elif not str(kind).endswith((".created", ".start", ".stop", ".status_update")) and kind != "error":
            out.append(Other(str(kind), raw=raw))
        self.fail(item, out)
        self.opening.open(get(interaction, "id"), get(interaction, "model"), out, raw)

    def _step(self, step: Any, place: Any, raw: Any, out: Decoded) -> None:
        kind = get(step, "type")
        inner = get(step, "content")
        text = string(get(step, "text")) or (string(get(inner, "text")) if is_record(inner) else None)
        if get(step, "name") is not None or get(step, "arguments") is not None:
            if kind in ("function_call", "arguments_delta"):
                args = get(step, "arguments")
                args = "" if args == {} else arguments(args)  # empty at the start, the text of it comes in deltas
                self.calls.piece(place, get(step, "id"), get(step, "name"), args, 0, raw, out)
            else:
                out.append(Other(str(kind), raw=raw))
        elif text:
            thought = str(kind).startswith("thought") or self._steps.get(place) == "thought"
            self.say(ReasoningDelta if thought else TextDelta, text, raw, out)
        elif get(step, "annotations"):
            for one in items(get(step, "annotations")):
                out.append(citation(one, 0, raw) or Other("annotations", raw=raw))
        elif kind not in ("thought", "model_output", "text", None):
            out.append(Other(str(kind), raw=raw))

    def _count(self, counts: Any, raw: Any, out: Decoded) -> None:
        names = ("input_", "output_", "", "cached_", "thought_")
        given, output, total, cached, thoughts = (number(get(counts, f"total_{name}tokens")) for name in names)
        if given is not None or output is not None or total is not None:
            self.count(Usage(given, output, total, cached, thoughts, raw=raw), out)
