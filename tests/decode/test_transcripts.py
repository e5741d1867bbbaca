"""Recorded answers of real services: the same text and tool calls as the official SDKs make of them."""

from typing import Any

import pytest

from tests.decode.data import as_sdk, body, transcripts, wire_items
from tests.decode.fold import Folded, fold, values
from typestream.decode.wire import WireDecoder

ERRORS = {
    "gemini__generateContent__google-gemini-2-5-flash__d0749cb4.ndjson",
    "groq__chat.completions__test-tool-use-failed-error-streaming-with-text__952e74de.sse",
}
# Not answers to a prompt: other protocols that happen to be in the collection.
FOREIGN = ("mcp__", "assistants__", "speech-translation", "transcriptions__", "replicate__")
# Its deltas are not how its own final text begins: what was sent cannot be taken back.
CONTRADICTS_ITSELF = "openai__responses__openai-shell-container-1-chunks__e8295026.sse"
# No finish reason in the recording, only [DONE].
UNCONFIRMED = ("variant-b__72d88d01", "multiple-choices-proxy", "snowflake__chat.completions")


def _ids(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["file"] for entry in entries]


def _own(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [entry for entry in entries if not any(name in entry["file"] for name in FOREIGN)]


ALL = _own(transcripts())
CHAT, RESPONSES, MESSAGES = (transcripts(api) for api in ("chat.completions", "responses", "messages"))


def _wire(entry: dict[str, Any]) -> Folded:
    kind = "text/event-stream" if entry["framing"] == "sse" else "application/x-ndjson"
    return fold([body(entry)], WireDecoder(kind))


@pytest.mark.parametrize("entry", ALL, ids=_ids(ALL))
def test_no_error_that_is_not_in_it(entry: dict[str, Any]) -> None:
    folded = _wire(entry)
    assert (folded.error is not None) == (entry["file"] in ERRORS)
    if folded.error is None:
        unconfirmed = any(name in entry["file"] for name in UNCONFIRMED)
        assert folded.completion == ("unconfirmed" if unconfirmed else "complete")
        assert len(folded.starts()) == 1
        assert folded.events[0] in folded.starts() or folded.events[0].kind == "prompt_filter_results"


def _calls(folded: Folded, index: int = 0) -> list[tuple[Any, Any, Any]]:
    return [(call["id"], call["name"], values(call["arguments"])) for call in folded.calls(index)]


@pytest.mark.parametrize("entry", CHAT, ids=_ids(CHAT))
def test_chat_as_the_sdk_accumulates_it(entry: dict[str, Any]) -> None:
    from openai import omit
    from openai.lib.streaming.chat import ChatCompletionStreamState

    items = [item for item in wire_items(body(entry).decode("utf-8", "replace")) if item != "[DONE]"]
    state: Any = ChatCompletionStreamState(input_tools=omit, response_format=omit)
    try:
        for item in items:
            state.handle_chunk(as_sdk(item))
        snapshot = state.current_completion_snapshot
    except Exception as error:
        pytest.skip(f"the SDK cannot accumulate it: {type(error).__name__}")
    folded = fold(items)
    if folded.error is not None:
        return
    for choice in snapshot.choices:
        message = choice.message
        if isinstance(message.content, str | None):
            assert folded.text(choice.index) == (message.content or "")
        assert folded.refusal(choice.index) == (message.refusal or "")
        theirs = [(c.id, c.function.name, values(c.function.arguments or "")) for c in message.tool_calls or []]
        assert _calls(folded, choice.index) == theirs
    if snapshot.usage is not None and entry["provider"] == "openai":
        assert folded.usage() == {
            "input": snapshot.usage.prompt_tokens,
            "output": snapshot.usage.completion_tokens,
            "total": snapshot.usage.total_tokens,
        }


@pytest.mark.parametrize("entry", RESPONSES, ids=_ids(RESPONSES))
@pytest.mark.parametrize("form", ["dict", "sdk"])
def test_responses_as_its_final_response_has_it(entry: dict[str, Any], form: str) -> None:
    items = [item for item in wire_items(body(entry).decode("utf-8", "replace")) if item != "[DONE]"]
    folded = fold(as_sdk(item) for item in items) if form == "sdk" else fold(items)
    ends = ("response.completed", "response.incomplete")
    last = next((as_sdk(item) for item in items if item["type"] in ends), None)
    response = getattr(last, "response", None)
    if response is None or not response.output:
        pytest.skip("no final response with its output")
    if entry["file"] == CONTRADICTS_ITSELF:
        assert any(getattr(event, "kind", None) == "output" for event in folded.events)
        return
    text = "".join(p.text for i in response.output if i.type == "message" for p in i.content if p.type == "output_text")
    assert folded.text() == text
    calls = [i for i in response.output if i.type in ("function_call", "custom_tool_call")]
    theirs = [(c.call_id, c.name, values(c.arguments if c.type == "function_call" else c.input)) for c in calls]
    assert sorted(map(repr, _calls(folded))) == sorted(map(repr, theirs))


@pytest.mark.parametrize("entry", MESSAGES, ids=_ids(MESSAGES))
def test_messages_as_the_sdk_accumulates_it(entry: dict[str, Any]) -> None:
    pytest.importorskip("anthropic")
    from anthropic._models import construct_type
    from anthropic.lib.streaming._messages import accumulate_event
    from anthropic.types import RawMessageStreamEvent

    items = [item for item in wire_items(body(entry).decode("utf-8", "replace")) if item.get("type") != "ping"]
    stops = [place for place, item in enumerate(items) if item["type"] == "message_stop"]
    items = items[: stops[0] + 1] if stops else items  # some recordings hold several answers
    events = [construct_type(type_=RawMessageStreamEvent, value=item) for item in items]
    message: Any = None
    pieces: dict[int, bytes] = {}
    try:
        for event in events:
            message = accumulate_event(event=event, current_snapshot=message, json_bufs=pieces)
    except Exception as error:
        pytest.skip(f"the SDK cannot accumulate it: {type(error).__name__}")
    for folded in (fold(items), fold(events)):
        text = "".join(block.text for block in message.content if block.type == "text")
        thoughts = "".join(block.thinking for block in message.content if block.type == "thinking")
        assert folded.text() == text
        assert folded.reasoning() == thoughts
        tools = [block for block in message.content if block.type == "tool_use"]
        ours = _calls(folded)
        if all(isinstance(args, dict) or not args for _, _, args in ours):  # arguments cut off are no JSON
            assert [(id, name, args or {}) for id, name, args in ours] == [(t.id, t.name, t.input) for t in tools]
        assert folded.finish() == message.stop_reason
        assert folded.usage()["output"] == message.usage.output_tokens  # type: ignore[index]


@pytest.mark.parametrize("entry", RESPONSES, ids=_ids(RESPONSES))
def test_a_whole_answer_says_what_its_stream_said(entry: dict[str, Any]) -> None:
    items = [item for item in wire_items(body(entry).decode("utf-8")) if item != "[DONE]"]
    folded = fold(items)
    whole = next((item["response"] for item in items if item["type"] == "response.completed"), None)
    if whole is None or entry["file"] == CONTRADICTS_ITSELF or not whole.get("output"):
        pytest.skip("it does not hold its whole answer")
    again = fold([whole])
    assert (again.text(), again.finish(), again.usage()) == (folded.text(), folded.finish(), folded.usage())
    assert _calls(again) == _calls(folded)
