"""Streams of frameworks: an API's own items in a wrapper, or events of their own.

Rules: what a framework says twice (helper events, parts repeated when they end, snapshots) is counted once; where
there is no terminal marker, the normal end of the iterator is one.
"""

import json
from collections.abc import Callable
from typing import Any

from typestream.decode._base import Completion, Decoded, Decoder, get
from typestream.decode._fields import fields, is_record, items, server_error, string, usage_of
from typestream.decode._state import Base
from typestream.decode.chat import citation
from typestream.events import Other, ReasoningDelta, RefusalDelta, TextDelta, Usage

__all__ = ("LangChainDecoder", "PydanticAIDecoder", "WrappedDecoder", "wrapper_of")

_Pick = Callable[[Any], Any]


def _data(item: Any) -> Any:
    """`{"data": …}`: Mistral's SDK, OpenAI's Agents SDK; as JSON text, an event of some SSE library."""
    data = get(item, "data")
    if not isinstance(data, str):
        return data
    return data if data.strip() in ("", "[DONE]") else json.loads(data)


def _chunk(item: Any) -> Any:
    """`{"type": "chunk", "chunk": …}` of the SDK's chat helper, whose other events repeat it; Bedrock's bytes."""
    chunk = get(item, "chunk")
    body = get(chunk, "bytes")
    return json.loads(bytes(body)) if isinstance(body, bytes | bytearray) else chunk


def _langchain_event(item: Any) -> Any:
    return get(get(item, "data"), "chunk") if get(item, "event") == "on_chat_model_stream" else None


def _dashscope(item: Any) -> Any:
    """DashScope's own API has a chat completion's choices in `output`, and the counts beside it."""
    choices = get(get(item, "output"), "choices")
    named = {"id": get(item, "request_id"), "choices": choices, "usage": get(item, "usage")}
    return None if choices is None else named


def wrapper_of(item: Any) -> _Pick | None:
    """How to take the API's own item out of this one; None where it is not wrapped."""
    kind = get(item, "type")
    if kind in ("raw_response_event", "agent_updated_stream_event", "run_item_stream_event"):
        return _data
    if is_record(get(item, "chunk")):
        return _chunk
    if get(get(item, "output"), "choices") is not None:
        return _dashscope
    event, data = get(item, "event"), get(item, "data")
    if isinstance(event, str) and event.startswith("on_") and get(item, "run_id") is not None:
        return _langchain_event
    inner = data[0] if isinstance(data, list) and data else data
    if kind is None and (is_record(inner) or (isinstance(data, str) and data.lstrip()[:1] in ("{", "["))):
        return _data
    return None


class WrappedDecoder:
    """Decodes what is in the wrapper; what has none is passed over, an error beside it is not."""

    completion: Completion
    ended: bool

    def __init__(self, pick: _Pick, choose: Callable[[Any], Decoder | None]) -> None:
        self.completion = "incomplete"
        self.ended = False
        self._pick = pick
        self._choose = choose
        self._inner: Decoder | None = None

    def decode(self, item: Any, raw: Any) -> Decoded:
        """The events of what is in the wrapper.

        Raises:
            ValueError: it holds text that is no JSON.
            UnsupportedSource: it holds, as its first content, what no decoder knows.
        """
        if isinstance(item, list | tuple):
            return [event for one in item for event in self.decode(one, raw)]
        inner = self._pick(item) if is_record(item) else item
        if inner is None:
            error = server_error(item)
            return [] if error is None else [error]
        if self._inner is None:
            if not is_record(inner) and not isinstance(inner, list | tuple):
                return [Other(type(inner).__name__, raw=raw)]  # no content of an API's item: it decides nothing
            self._inner = self._choose(inner)
        if self._inner is None:
            return []
        return self._after(self._inner, self._inner.decode(inner, raw))

    def end(self) -> Decoded:
        return [] if self._inner is None else self._after(self._inner, self._inner.end())

    def _after(self, inner: Decoder, decoded: Decoded) -> Decoded:
        self.completion, self.ended = inner.completion, inner.ended
        return decoded


class PydanticAIDecoder(Base):
    """pydantic-ai's `PartStartEvent`, `PartDeltaEvent` and so on, by `event_kind`."""

    def record(self, item: Any, raw: Any, out: Decoded) -> None:
        kind = get(item, "event_kind")
        place = get(item, "index")
        if kind == "part_start":
            part = get(item, "part")
            what, text = get(part, "part_kind"), get(part, "content")
            if what == "tool-call":
                name, args = get(part, "tool_name"), get(part, "args")
                self.calls.piece(place, get(part, "tool_call_id"), name, args, 0, raw, out)
            else:
                self._say(what, text, raw, out)
        elif kind == "part_delta":
            delta = get(item, "delta")
            what = get(delta, "part_delta_kind")
            if what == "tool_call":
                name, args = get(delta, "tool_name_delta"), get(delta, "args_delta")
                self.calls.piece(place, get(delta, "tool_call_id"), name, args, 0, raw, out)
            else:
                self._say(what, get(delta, "content_delta"), raw, out)
        elif kind not in ("part_end", "final_result") and isinstance(kind, str):
            out.append(Other(kind, raw=raw))
        if kind is None:
            self.fail(item, out)
        self.opening.open(None, None, out, raw)

    def _say(self, what: Any, text: Any, raw: Any, out: Decoded) -> None:
        if what in ("text", "thinking"):
            self.say(TextDelta if what == "text" else ReasoningDelta, text, raw, out)
        elif isinstance(what, str):
            out.append(Other(what, raw=raw))

    def end(self) -> Decoded:
        self.confirm()
        return []


class LangChainDecoder(Base):
    """LangChain's `AIMessageChunk`, also in LangGraph's `(chunk, metadata)`. Its usage comes in parts to be added:
    that is how its own chunks add up."""

    def record(self, item: Any, raw: Any, out: Decoded) -> None:
        if get(item, "type") not in ("AIMessageChunk", "ai"):
            return
        more = get(item, "additional_kwargs")
        self.say(ReasoningDelta, string(get(more, "reasoning_content")) or _summary(get(more, "reasoning")), raw, out)
        refusal = string(get(more, "refusal"))
        if refusal:
            out.append(RefusalDelta(refusal, raw=raw))
        content = get(item, "content")
        for block in [content] if isinstance(content, str) else items(content):
            self._block(block, raw, out)
        pieces = get(item, "tool_call_chunks")
        for call in items(pieces) or items(get(item, "tool_calls")):
            self.calls.piece(get(call, "index"), get(call, "id"), get(call, "name"), get(call, "args"), 0, raw, out)
        self._count(usage_of(get(item, "usage_metadata"), raw), out)
        self._metadata(get(item, "response_metadata"), raw, out)
        about = get(item, "response_metadata")
        self.opening.open(get(item, "id"), get(about, "model_name") or get(about, "model"), out, raw)

    def _block(self, block: Any, raw: Any, out: Decoded) -> None:
        kind = "text" if isinstance(block, str) else get(block, "type")
        if kind == "text":
            self.say(TextDelta, block if isinstance(block, str) else get(block, "text"), raw, out)
            for one in items(get(block, "annotations")):
                out.append(citation(one, 0, raw) or Other("annotations", raw=raw))
        elif kind in ("thinking", "reasoning"):
            text = string(get(block, "thinking")) or string(get(block, "reasoning")) or _summary(block)
            out.append(ReasoningDelta(text, raw=raw) if text else Other(kind, raw=raw))
        elif kind == "refusal" and string(get(block, "refusal")):
            out.append(RefusalDelta(get(block, "refusal"), raw=raw))
        elif kind not in ("tool_use", "tool_call", "tool_call_chunk", "input_json_delta") and fields(block):
            out.append(Other(string(kind) or "content", raw=raw))

    def _metadata(self, about: Any, raw: Any, out: Decoded) -> None:
        for name in ("finish_reason", "stop_reason", "done_reason"):
            self.finish(get(about, name), raw, out)

    def _count(self, new: Usage | None, out: Decoded) -> None:
        old = self._usage
        if new is not None and old is not None:
            new = Usage(
                _add(old.input, new.input),
                _add(old.output, new.output),
                _add(old.total, new.total),
                _add(old.cached, new.cached),
                _add(old.reasoning, new.reasoning),
                raw=new._raw,  # type: ignore[attr-defined]
            )
        self.count(new, out)

    def end(self) -> Decoded:
        self.confirm()
        return []


def _summary(thought: Any) -> str:
    """The text in the `summary` of a Responses API's reasoning."""
    return "".join(string(get(part, "text")) or "" for part in items(get(thought, "summary")))


def _add(old: int | None, new: int | None) -> int | None:
    return new if old is None else old if new is None else old + new
