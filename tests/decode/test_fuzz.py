"""Whatever JSON-like values come, decoders raise nothing, say nothing unknown, and end."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.decode.data import as_object
from typestream.decode import JoinSurrogates, choose
from typestream.decode.chat import ChatDecoder
from typestream.errors import StreamError, UnsupportedSource
from typestream.events import Event

SEEDS: dict[str, Any] = {
    "chat": {"choices": [{"index": 0, "delta": {"content": "a"}}]},
    "responses": {"type": "response.created", "response": {}},
    "anthropic": {"type": "message_start", "message": {}},
    "ollama": {"model": "m", "message": {"content": "a"}, "done": False},
    "gemini": {"candidates": []},
    "cohere": {"type": "message-start", "id": "1"},
    "bedrock": {"messageStart": {"role": "assistant"}},
    "interactions": {"event_type": "interaction.created"},
    "pydantic-ai": {"event_kind": "part_start"},
    "langchain": {"type": "AIMessageChunk", "content": ""},
    "llamaindex": {"delta": "a", "text": "a"},
    "llama.cpp": {"content": "a", "stop": False},
    "mistral": {"data": {"choices": []}},
    "agents": {"type": "agent_updated_stream_event"},
}
NAMES = sorted(
    {
        "choices",
        "index",
        "delta",
        "message",
        "content",
        "finish_reason",
        "usage",
        "error",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "id",
        "model",
        "text",
        "reasoning",
        "reasoning_content",
        "reasoning_details",
        "thinking",
        "logprobs",
        "tokens",
        "annotations",
        "citations",
        "url",
        "refusal",
        "function_call",
        "x_groq",
        "type",
        "response",
        "output",
        "summary",
        "item",
        "item_id",
        "output_index",
        "content_index",
        "part",
        "call_id",
        "input",
        "status",
        "incomplete_details",
        "reason",
        "content_block",
        "partial_json",
        "stop_reason",
        "candidates",
        "parts",
        "thought",
        "functionCall",
        "args",
        "usageMetadata",
        "done",
        "done_reason",
        "data",
        "chunk",
        "custom",
        "object",
        "detail",
        "errors",
        "code",
        "delta_kind",
        "part_kind",
        "event_kind",
        "event_type",
        "step",
        "interaction",
        "token",
        "prompt_tokens",
        "completion_tokens",
        "input_tokens",
    }
)
TYPES = [
    "response.output_text.delta",
    "response.output_text.done",
    "response.output_item.added",
    "response.output_item.done",
    "response.content_part.done",
    "response.completed",
    "response.failed",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.reasoning_summary_text.delta",
    "response.output_text.annotation.added",
    "error",
    "function_call",
    "message",
    "reasoning",
    "output_text",
    "refusal",
    "content_block_start",
    "content_block_delta",
    "message_delta",
    "content_block_stop",
    "message_stop",
    "text_delta",
    "tool_use",
    "input_json_delta",
    "content-delta",
    "tool-call-delta",
    "message-end",
    "part_start",
    "part_delta",
    "text",
    "thinking",
    "tool-call",
    "step.delta",
    "step.start",
    "AIMessageChunk",
    "raw_response_event",
]
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.sampled_from(TYPES)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=20,
)


@pytest.mark.parametrize("name", SEEDS)
@settings(max_examples=100, deadline=None)
@given(items=st.lists(VALUES, max_size=4), objects=st.booleans())
def test_nothing_breaks_a_decoder(name: str, items: list[Any], objects: bool) -> None:
    decoder, join = choose(SEEDS[name]), JoinSurrogates()
    assert decoder is not None
    out: list[Any] = list(decoder.decode(SEEDS[name], None))
    for item in items:
        value = as_object(item) if objects else item
        try:
            out += join.feed(decoder.decode(value, value))
        except (UnsupportedSource, ValueError):  # what is in a wrapper is of no kind that can be read, or no JSON
            assert name in ("mistral", "agents")
    out += join.feed(decoder.end()) + join.flush()
    assert decoder.completion in ("complete", "unconfirmed", "incomplete")
    for event in out:
        assert isinstance(event, Event | StreamError)
        assert repr(event)


class _Slow(ChatDecoder):
    def _plain(self, item: Any, raw: Any) -> None:
        return None


PIECE = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from([None, "assistant"]),
        "content": st.sampled_from([None, "", "a", "bc", 7]),
        "tool_calls": st.sampled_from([None, [], [{"index": 0, "id": "x", "function": {"name": "f"}}]]),
        "refusal": st.sampled_from([None, "", "no"]),
        "reasoning_content": st.sampled_from([None, "hm"]),
    },
)
CHOICE = st.fixed_dictionaries(
    {"delta": PIECE},
    optional={
        "index": st.sampled_from([0, 1, None, True, "0", 1.0]),
        "finish_reason": st.sampled_from([None, "", "stop", "tool_calls"]),
        "logprobs": st.sampled_from([None, {"content": [{"token": "a"}]}]),
        "content_filter_results": st.just({"hate": 1}),
    },
)
CHUNK = st.fixed_dictionaries(
    {"choices": st.lists(CHOICE, min_size=1, max_size=2)},
    optional={
        "id": st.sampled_from(["", "c1", None]),
        "model": st.sampled_from(["", "m"]),
        "usage": st.sampled_from([None, {"prompt_tokens": 1}]),
        "error": st.sampled_from([None, "boom"]),
        "x": st.sampled_from([None, 1]),
    },
)


def _odd(place: str, name: str, value: Any) -> dict[str, Any]:
    """A plain chunk with one oddity."""
    delta: dict[str, Any] = {"content": "a"}
    choice: dict[str, Any] = {"index": 0, "delta": delta, "finish_reason": None}
    top: dict[str, Any] = {"id": "c", "model": "m", "choices": [choice]}
    {"delta": delta, "choice": choice, "top": top}[place][name] = value
    return top


ODD = st.builds(
    _odd,
    st.sampled_from(["delta", "choice", "top"]),
    st.sampled_from(
        [
            "id",
            "model",
            "usage",
            "error",
            "x",
            "moderation",
            "index",
            "finish_reason",
            "logprobs",
            "refusal",
            "tool_calls",
            "role",
        ]
    ),
    st.sampled_from([None, "", "v", 1, {"content": [{"token": "a"}], "prompt_tokens": 1}, [{"id": "1"}]]),
)


@settings(max_examples=300, deadline=None)
@given(chunks=st.lists(CHUNK | ODD, max_size=6), sdk=st.booleans())
def test_the_fast_path_says_what_the_slow_one_says(chunks: list[Any], sdk: bool) -> None:
    from tests.decode.data import as_sdk

    fast, slow = ChatDecoder(), _Slow()
    for chunk in chunks:
        item = as_sdk(chunk) if sdk else chunk
        assert repr(fast.decode(item, None)) == repr(slow.decode(item, None))
        assert fast.completion == slow.completion
    assert fast.end() == slow.end()
