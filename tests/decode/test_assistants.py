"""OpenAI's other streams of text: runs of assistants, and transcriptions."""

import json
from typing import Any

import pytest

from tests.decode.data import as_object, as_sdk
from tests.decode.fold import Folded, fold
from typestream.decode.wire import WireDecoder
from typestream.errors import StreamServerError
from typestream.events import Citation, Other, RefusalDelta, TextDelta, ToolCallDelta

RUN = {"id": "run_1", "object": "thread.run", "model": "m", "usage": None}
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def event(name: str, **data: Any) -> dict[str, Any]:
    return {"event": f"thread.{name}", "data": data}


def content(text: str, annotations: Any = ()) -> list[Any]:
    return [{"index": 0, "type": "text", "text": {"value": text, "annotations": list(annotations)}}]


def piece(text: str, id: str = "msg_1") -> dict[str, Any]:
    return event("message.delta", id=id, delta={"content": content(text)})


def over(status: str, **more: Any) -> dict[str, Any]:
    return event(f"run.{status}", **{**RUN, "status": status, **more})


def wire(items: list[Any]) -> Folded:
    body = "".join(f"event: {item['event']}\ndata: {json.dumps(item['data'])}\n\n" for item in items)
    return fold([body.encode()], WireDecoder("text/event-stream"))


READ: dict[str, Any] = {
    "dict": fold,
    "sdk": lambda items: fold(map(as_sdk, items)),
    "object": lambda items: fold(map(as_object, items)),
    "wire": wire,
}
START = [event("run.created", **RUN), event("message.created", id="msg_1", content=[])]
HELLO = [*START, piece("Hello"), piece(" world")]
WHOLE = event("message.completed", id="msg_1", content=content("Hello world"))
OVER: dict[str, tuple[Any, str, str]] = {
    "completed": (over("completed", usage=USAGE), "completed", "complete"),
    "incomplete": (over("incomplete", incomplete_details={"reason": "max_tokens"}), "max_tokens", "complete"),
    "cancelled": (over("cancelled"), "cancelled", "complete"),
}


@pytest.mark.parametrize("read", READ)
@pytest.mark.parametrize("name", OVER)
@pytest.mark.parametrize("items", [[*HELLO, WHOLE], [*START, WHOLE]], ids=["in pieces", "only whole"])
def test_a_run_gives_its_text_and_how_it_ended(items: list[Any], name: str, read: str) -> None:
    end, reason, completion = OVER[name]
    folded = READ[read]([*items, end])
    assert (folded.text(), folded.finish(), folded.completion) == ("Hello world", reason, completion)
    assert (folded.starts()[0].id, folded.starts()[0].model) == ("run_1", "m")
    assert folded.usage() == ({"input": 1, "output": 2, "total": 3} if name == "completed" else None)


@pytest.mark.parametrize("read", READ)
@pytest.mark.parametrize("status", ["failed", "expired"])
def test_a_run_that_failed_is_an_error(status: str, read: str) -> None:
    folded = READ[read]([*HELLO, over(status, last_error={"code": "server_error", "message": "oops"})])
    assert isinstance(folded.error, StreamServerError)
    assert (str(folded.error), folded.text(), folded.completion) == ("oops", "Hello world", "incomplete")


@pytest.mark.parametrize("read", READ)
@pytest.mark.parametrize("in_pieces", [True, False])
def test_the_calls_that_a_run_waits_for(in_pieces: bool, read: str) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    details = {"type": "tool_calls", "tool_calls": [{"index": 0, **call}]}
    step = event("run.step.delta", id="step_1", delta={"step_details": details})
    end = over("requires_action", required_action={"submit_tool_outputs": {"tool_calls": [call]}})
    folded = READ[read]([*START, *([step] if in_pieces else []), end])
    assert folded.calls() == [{"id": "c1", "name": "f", "arguments": "{}"}]
    assert (folded.finish(), folded.completion) == ("requires_action", "complete")


def test_what_else_a_run_says_is_told() -> None:
    cited = {"type": "file_citation", "text": "[1]", "file_citation": {"file_id": "f"}}
    parts = [{"type": "image_file"}, {"type": "refusal", "refusal": "No"}, *content("a", [cited, {"url": "http://a"}])]
    code = {"step_details": {"tool_calls": [{"type": "code_interpreter"}]}}
    said = event("message.delta", id="msg_1", delta={"content": parts})
    folded = fold([*START, said, event("run.step.delta", delta=code), event("run.queued")])
    assert [one for one in folded.events[2:] if type(one) is not ToolCallDelta] == [
        Other("thread.message.created"), Other("image_file"), RefusalDelta("No"), TextDelta("a"), Other("annotation"),
        Citation("http://a"), Other("code_interpreter"), Other("thread.run.queued"),
    ]  # fmt: skip
    assert folded.completion == "incomplete"


HEARD = {"type": "transcript.text.done", "text": "Hello", "logprobs": [1, 2]}
TRANSCRIPTS: dict[str, tuple[list[Any], int]] = {
    "in pieces": ([("Hel", [1]), ("lo", [2])], 2),
    "a piece is missing": ([("Hel", [1])], 1),
    "only whole": ([], 2),
}


@pytest.mark.parametrize("form", [dict, as_sdk, as_object])
@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_a_transcription(name: str, form: Any) -> None:
    pieces, count = TRANSCRIPTS[name]
    items = [{"type": "transcript.text.delta", "delta": text, "logprobs": logprobs} for text, logprobs in pieces]
    folded = fold(form(item) for item in [*items, {**HEARD, "usage": {**USAGE, "type": "tokens"}}])
    assert (folded.text(), folded.completion, folded.finish()) == ("Hello", "complete", None)
    assert folded.usage() == {"input": 1, "output": 2, "total": 3}
    assert sum(len(one.logprobs or ()) for one in folded.events if type(one) is TextDelta) == count
    assert fold(items).completion == "incomplete"


def test_a_transcription_that_says_otherwise_is_told() -> None:
    folded = fold([{"type": "transcript.text.delta", "delta": "Hallo"}, {"type": "transcript.text.segment"}, HEARD])
    assert (folded.text(), folded.events[-2:]) == (
        "Hallo",
        [Other("transcript.text.segment"), Other("transcript.text.done")],
    )
