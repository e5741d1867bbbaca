"""The Responses API beyond the catalogue: servers that contradict themselves, and what only some of them say."""

from typing import Any

import pytest

from tests.decode.data import as_object, as_sdk
from tests.decode.fold import Folded, fold
from typestream.events import Citation, Finish, Other, ReasoningDelta, TextDelta, ToolCallDelta

CREATED = {"type": "response.created", "response": {"id": "r", "model": "m"}}
FORMS = {"dict": lambda item: item, "sdk": as_sdk, "object": as_object}


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", **fields}


def completed(*output: Any, **more: Any) -> dict[str, Any]:
    return event("completed", response={"status": "completed", "output": list(output), **more})


def call(id: Any, args: str = "", item: Any = "i1", name: str = "f") -> dict[str, Any]:
    return {"type": "function_call", "id": item, "call_id": id, "name": name, "arguments": args}


def added(item: Any, place: int = 0) -> dict[str, Any]:
    return event("output_item.added", output_index=place, item=item)


def done(item: Any, place: int = 0) -> dict[str, Any]:
    return event("output_item.done", output_index=place, item=item)


def piece(text: str, place: int = 0, **more: Any) -> dict[str, Any]:
    return event("function_call_arguments.delta", output_index=place, delta=text, **more)


def calls(folded: Folded) -> list[tuple[Any, Any, Any]]:
    return [(one["id"], one["name"], one["arguments"]) for one in folded.calls()]


# -- calls: which one an event goes on with

ONE, OTHER_ONE = ("c1", "f", '{"a":1}'), ("c2", "g", '{"b":2}')
F, G = call("c1", '{"a":1}', "i1"), call("c2", '{"b":2}', "i2", "g")
CALLS: dict[str, tuple[list[Any], list[Any]]] = {
    "done at another index": ([added(call("c1")), piece('{"a":1}'), done(F, 1), completed(F)], [ONE]),
    "done twice, at two indices": ([done(F, 0), done(F, 1), completed()], [ONE]),
    "an id used twice": ([done(F, 0), done({**F, "arguments": "{}"}, 1), completed()], [ONE, ("c1", "f", "{}")]),
    "announced again after its end": (
        [added(call("c1")), piece('{"a":1}'), done(F), added(call("c1"), 1), piece("{}", 1), completed()],
        [ONE, ("c1", "f", "{}")],
    ),
    "all at one index, done late": (
        [added(call("c1")), piece('{"a":1}', item_id="i1"), added(call("c2", "", "i2", "g")),
         piece('{"b":2}', item_id="i2"), done(F), done(G), completed(F, G)],
        [ONE, OTHER_ONE],
    ),
    "all at one index, by turns": (
        [added(call("c1")), added(call("c2", "", "i2", "g")), piece('{"a":', item_id="i1"),
         piece('{"b":', item_id="i2"), piece("1}", item_id="i1"), piece("2}", item_id="i2"), completed(F, G)],
        [ONE, OTHER_ONE],
    ),
    "all at one index, only done": ([done(F), done(G), completed(F, G)], [ONE, OTHER_ONE]),
    "pieces at a wrong index": (
        [added(call("c1"), 1), piece('{"a":', item_id="i1"), piece("1}", item_id="i1"), done(F, 1), completed(F)],
        [ONE],
    ),
    "pieces with another item's id": (
        [added(call("c1")), piece('{"a":1}', item_id="new"), done(F), completed(F)],
        [ONE],
    ),
    "pieces without an index": (
        [added(call("c1")), done(F), added(call("c2", "", None, "g"), 1),
         event("function_call_arguments.delta", delta='{"b":2}'), completed(F, G)],
        [ONE, OTHER_ONE],
    ),
    "one id for all items": ([done(F, 0), done({**G, "id": "i1"}, 1), completed()], [ONE, OTHER_ONE]),
    "done with another call_id": (
        [added(call("c1")), piece('{"a":1}'), done(call("new", '{"a":1}')), completed(call("new", '{"a":1}'))],
        [ONE],
    ),
    "done with other ids": ([added(call("c1")), piece('{"a":1}'), done(call("x", '{"a":1}', "y")), completed()], [ONE]),
    "completed with other ids": (
        [added(call("c1")), piece('{"a":1}'), done(F), added(call("c2", "", "i2", "g"), 1), piece('{"b":2}', 1),
         completed(call("x", '{"a":1}', "y"), call("z", '{"b":2}', "w", "g"))],
        [ONE, OTHER_ONE],
    ),
    "one call_id for all": (
        [added(call("c1")), piece('{"a":1}', item_id="i1"), added(call("c1", "", "i2", "g"), 1),
         piece('{"b":2}', 1, item_id="i2"), done(F), done({**G, "call_id": "c1"}, 1),
         completed(F, {**G, "call_id": "c1"})],
        [ONE, ("c1", "g", '{"b":2}')],
    ),
    "one call_id for all, by turns": (
        [added(call("c1")), added(call("c1", "", "i2"), 1), piece('{"a":1}', item_id="i1"), done(F),
         piece("{}", 1, item_id="i2"), done(call("c1", "{}", "i2"), 1), completed(F, call("c1", "{}", "i2"))],
        [ONE, ("c1", "f", "{}")],
    ),
    "one call_id for all, only done after both began": (
        [added(call("c1")), added(call("c1", "", "i2"), 1), done(F), done(call("c1", "{}", "i2"), 1), completed()],
        [ONE, ("c1", "f", "{}")],
    ),
    "pieces before the item": ([piece('{"a":', item_id="i1"), added(call("c1")), piece("1}"), completed(F)], [ONE]),
    "no call_id before the end": (
        [added(call(None)), added(call(None, "", "i2", "g"), 1), piece('{"a":1}'), piece('{"b":2}', 1),
         completed(F, G)],
        [("i1", "f", '{"a":1}'), ("i2", "g", '{"b":2}')],
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", CALLS)
def test_which_call_an_event_goes_on_with(name: str, form: str) -> None:
    items, expect = CALLS[name]
    folded = fold(FORMS[form](item) for item in [CREATED, *items])
    assert calls(folded) == expect
    assert folded.completion == "complete"


def test_other_arguments_than_were_sent_are_told() -> None:
    folded = fold([CREATED, added(call("c1")), piece('{"a":2}'), done(F), completed(F)])
    assert calls(folded) == [("c1", "f", '{"a":2}')]
    assert Other("tool_call") in folded.events


# -- gaps: what only some event says


def message(*texts: str) -> dict[str, Any]:
    return {"type": "message", "content": [{"type": "output_text", "text": text} for text in texts]}


def text(piece: str, place: int = 0) -> dict[str, Any]:
    return event("output_text.delta", output_index=place, content_index=0, delta=piece)


def part(kind: str, said: str) -> dict[str, Any]:
    return event(f"content_part.{kind}", output_index=0, content_index=0, part={"type": "output_text", "text": said})


GAPS: dict[str, tuple[list[Any], str]] = {
    "only in the item that began": ([added(message("Hello")), completed()], "Hello"),
    "only in the part that began": ([part("added", "Hello"), completed()], "Hello"),
    "in both": ([added(message("Hello")), part("added", "Hello"), completed()], "Hello"),
    "deltas go on with it": ([part("added", "Hel"), text("lo"), completed()], "Hello"),
    "deltas repeat it": ([part("added", "Hel"), text("He"), text("llo"), completed()], "Hello"),
    "deltas repeat it and break off": ([part("added", "Hello"), text("He")], "Hello"),
    "deltas begin like it": ([part("added", "He"), text("He"), text("he!"), part("done", "HeHehe!")], "HeHehe!"),
    "deltas turn away from it": ([part("added", "Hello"), text("He"), text("y"), completed()], "HelloHey"),
    "part done": ([part("done", "Hello"), completed()], "Hello"),
    "a second end says more": ([text("Hel"), part("done", "Hel"), part("done", "Hello"), completed()], "Hello"),
    "content is a string": ([completed({"type": "message", "content": "Hello"})], "Hello"),
    "content has strings": ([text("He"), completed({"type": "message", "content": ["He", *message("llo")["content"]]})],
                            "Hello"),
    "only output_text": ([completed(output_text="Hello")], "Hello"),
    "output_text, too": ([completed(message("Hello"), output_text="Hello")], "Hello"),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", GAPS)
def test_gaps_in_the_text(name: str, form: str) -> None:
    items, expect = GAPS[name]
    folded = fold(FORMS[form](item) for item in [CREATED, *items])
    assert folded.text() == expect
    assert Other("output") not in folded.events


def test_what_is_certain_is_not_held_back() -> None:
    folded = fold([CREATED, part("added", "Hel"), text("lo"), text("!")])
    assert [event.text for event in folded.events[1:]] == ["Hel", "lo", "!"]


@pytest.mark.parametrize(
    ("items", "expect"),
    [
        ([added(F), completed()], '{"a":1}'),
        ([added(F), completed(F)], '{"a":1}'),
        ([added(F)], '{"a":1}'),
        ([added(F), piece('{"a":'), piece("1}"), completed()], '{"a":1}'),
        ([added(F), piece('{"a":'), piece("1}"), done(F), completed(F)], '{"a":1}'),
        ([added({**F, "arguments": "{}"}), piece('{"a":'), piece("1}"), completed()], '{"a":1}'),
        ([added({**F, "arguments": '{"a"'}), piece(":1}"), completed()], '{"a":1}'),
        ([added(F), added(F), completed()], '{"a":1}'),
    ],
)
def test_gaps_in_the_arguments(items: list[Any], expect: str) -> None:
    assert calls(fold([CREATED, *items])) == [("c1", "f", expect)]


def test_a_second_text_at_the_same_place_is_told() -> None:
    folded = fold([CREATED, text("A"), part("done", "A"), part("done", "B"), part("done", "B"), completed()])
    assert folded.text() == "A"
    assert folded.events.count(Other("response.content_part.done")) == 1


def test_a_part_that_is_no_text_is_told_once() -> None:
    audio = {"type": "output_audio", "transcript": "Hi"}
    spoken = event("content_part.done", output_index=0, content_index=0, part=audio)
    folded = fold([CREATED, spoken, done({"type": "message", "content": [audio]}), completed()])
    assert folded.events.count(Other("output_audio")) == 1


LOGPROBS = [{"token": "He", "logprob": -1.0}, {"token": "llo", "logprob": -2.0}]
TOLD = {"type": "output_text", "text": "Hello", "logprobs": LOGPROBS}
TEXT_DONE = event("output_text.done", output_index=0, content_index=0, text="Hello", logprobs=LOGPROBS)
PART_DONE = event("content_part.done", output_index=0, content_index=0, part=TOLD)
HE = {**text("He"), "logprobs": LOGPROBS[:1]}
WITH_LOGPROBS: dict[str, tuple[list[Any], int]] = {
    "text done": ([TEXT_DONE, PART_DONE, completed({"type": "message", "content": [TOLD]})], 2),
    "part done": ([PART_DONE, completed()], 2),
    "a whole response": ([completed({"type": "message", "content": [TOLD]})], 2),
    "deltas": ([HE, {**text("llo"), "logprobs": LOGPROBS[1:]}, TEXT_DONE, completed()], 2),
    "a delta is missing": ([HE, TEXT_DONE, completed()], 1),
}


@pytest.mark.parametrize("name", WITH_LOGPROBS)
def test_log_probabilities_are_told_once(name: str) -> None:
    items, count = WITH_LOGPROBS[name]
    folded = fold([CREATED, *items])
    told = [one for event in folded.events if type(event) is TextDelta for one in event.logprobs or ()]
    assert (folded.text(), told) == ("Hello", LOGPROBS[:count])


# -- what was thought


def thought(piece: str, place: int = 0) -> dict[str, Any]:
    return event("reasoning_text.delta", output_index=place, content_index=0, delta=piece)


def summary(piece: str, place: int = 0) -> dict[str, Any]:
    return event("reasoning_summary_text.delta", output_index=place, summary_index=0, delta=piece)


def reasoning(summary: str = "", text: str = "", **more: Any) -> dict[str, Any]:
    summaries = [{"type": "summary_text", "text": summary}] if summary else []
    content = [{"type": "reasoning_text", "text": text}] if text else None
    return {"type": "reasoning", "summary": summaries, "content": content, **more}


BOTH = reasoning("hm", "hm")
SUMMARY_DONE = event(
    "reasoning_summary_part.done", output_index=0, summary_index=0, part={"type": "summary_text", "text": "hm"}
)
THOUGHTS: dict[str, list[Any]] = {
    "text, then summary": [thought("h"), summary("h"), thought("m"), summary("m"), completed()],
    "summary, then text": [summary("hm"), thought("hm"), completed(BOTH)],
    "text, then both": [thought("hm"), done(BOTH), completed(BOTH)],
    "text, then only a summary": [thought("hm"), done(reasoning("hm")), completed(reasoning("hm"))],
    "both at once": [done(BOTH), completed(BOTH)],
    "both at the end": [completed(BOTH)],
    "at another index": [thought("hm", 1), text("!", 2), completed(BOTH, message("!"))],
    "part done": [SUMMARY_DONE, completed()],
    "the item that began": [added(reasoning("", "hm")), completed()],
    "two items": [summary("h"), thought("m", 1), completed(reasoning("h"), reasoning("", "m"))],
    "two items, one only at the end": [thought("h"), completed(reasoning("", "h"), reasoning("m"))],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", THOUGHTS)
def test_what_was_thought_is_said_once(name: str, form: str) -> None:
    folded = fold(FORMS[form](item) for item in [CREATED, *THOUGHTS[name]])
    assert sorted(folded.reasoning()) == ["h", "m"]
    assert folded.text() in ("", "!")


def test_the_other_channel_is_told() -> None:
    folded = fold([CREATED, thought("hm"), summary("short"), completed()])
    assert folded.reasoning() == "hm"
    assert folded.events.count(Other("reasoning")) == 1


def test_thoughts_that_cannot_be_read_are_told_once() -> None:
    sealed = reasoning(id="rs", encrypted_content="gAAA")
    folded = fold([CREATED, done(sealed), completed(sealed)])
    assert folded.events.count(Other("encrypted_content")) == 1


# -- a whole Response


def annotated(said: str, url: str) -> dict[str, Any]:
    cited = {"type": "url_citation", "url": url, "title": "T", "start_index": 0, "end_index": 2}
    return {"type": "message", "content": [{"type": "output_text", "text": said, "annotations": [cited]}]}


OUTPUT = [
    reasoning("hm", id="rs1"),
    annotated("Let me look.", "http://a"),
    {"type": "web_search_call", "id": "ws"},
    F,
    reasoning("aha", id="rs2"),
    annotated("It is 42.", "http://b"),
    {**F, "id": "i3"},  # an id and all else used twice are two calls, where each is an item
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("before", [[], [CREATED]])
def test_a_whole_response_is_said_in_its_order(before: list[Any], form: str) -> None:
    whole = completed(*OUTPUT) if before else {"object": "response", "status": "completed", "output": OUTPUT}
    folded = fold(FORMS[form](item) for item in [*before, whole])
    kinds = (TextDelta, ReasoningDelta, ToolCallDelta, Citation, Other, Finish)
    said = [event for event in folded.events if isinstance(event, kinds)]
    assert said == [
        ReasoningDelta("hm"), TextDelta("Let me look."), Citation("http://a", "T", start=0, end=2),
        Other("web_search_call"), ToolCallDelta(0, "c1", "f"), ToolCallDelta(0, arguments='{"a":1}'),
        ReasoningDelta("aha"), TextDelta("It is 42."), Citation("http://b", "T", start=0, end=2),
        ToolCallDelta(1, "c1", "f"), ToolCallDelta(1, arguments='{"a":1}'), Finish("completed"),
    ]  # fmt: skip
    assert folded.completion == "complete"
