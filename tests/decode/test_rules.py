"""The rules for chunks beyond the catalogue: one short stream each."""

from collections import OrderedDict, UserDict, UserList, defaultdict
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

import typestream
from tests.decode.data import as_object, as_sdk
from tests.decode.fold import fold, values
from typestream.decode import choose
from typestream.events import Citation, Finish, Other, Start, TextDelta, ToolCallDelta, Usage
from typestream.result import Result, ToolCall


def chunk(content: Any = None, reason: Any = None, index: Any = 0, **more: Any) -> dict[str, Any]:
    extra = {name: more.pop(name) for name in list(more) if name in ("usage", "citations", "error", "x", "id", "model")}
    delta = more if content is None else {"content": content, **more}
    return {"id": "c", "model": "m", "choices": [{"index": index, "delta": delta, "finish_reason": reason}], **extra}


def tool(*calls: dict[str, Any]) -> dict[str, Any]:
    return chunk(tool_calls=list(calls))


def call(name: Any = None, args: Any = None, id: Any = None, index: Any = None) -> dict[str, Any]:
    return {"id": id, "index": index, "function": {"name": name, "arguments": args}}


# -- chat


def test_start_comes_once_and_late_names_are_not_lost() -> None:
    items: list[Any] = [{"choices": [{"delta": {"content": "a"}}]}, chunk("b"), chunk("c", "stop")]
    assert fold(items).starts() == [Start(None, None), Start("c", "m")]
    assert fold([chunk("a"), chunk("b", "stop")]).starts() == [Start("c", "m")]


@pytest.mark.parametrize(
    ("pieces", "expect"),
    [
        ([call("f", "{}"), call("f", "{}")], [(None, "f", "{}"), (None, "f", "{}")]),
        ([call("f", "{"), call(None, "}")], [(None, "f", "{}")]),
        ([call("f", "{}", "1"), call("g", "{}", "2")], [("1", "f", "{}"), ("2", "g", "{}")]),
        ([call("f", "", "1"), call(None, "{}", "1")], [("1", "f", "{}")]),
        ([call("f", "{", "1", 0), call("f", "}", "1", 0)], [("1", "f", "{}")]),
        ([call("f", "{}", "1", 0), call("f", "{}", "1", 0)], [("1", "f", "{}")]),
        ([call("f", "{}", None, 0), call("g", "{}", None, 0)], [(None, "f", "{}"), (None, "g", "{}")]),
        ([call("f", "", "1", 0), call(None, "{", "other", 0), call(None, "}", "", 0)], [("1", "f", "{}")]),
        ([call("f", "{", "1", 0), call("g", "{", "2", 1), call(None, "}", None, 0), call(None, "}", None, 1)],
         [("1", "f", "{}"), ("2", "g", "{}")]),
        ([call("f", "{}", "1", 5), call("g", "[]", "2", 3)], [("1", "f", "{}"), ("2", "g", "[]")]),
        # a name in pieces, said again, said so far
        ([call("edit_ex", "", "1", 0), call("isting_file", "", None, 0), call(None, "{}", None, 0)],
         [("1", "edit_existing_file", "{}")]),
        ([call("edit_ex", "", "1", 0), call("isting_file", "{", "1", 0), call(None, "}", None, 0)],
         [("1", "edit_existing_file", "{}")]),
        ([call("get", "", "1", 0), call("get_", "", "1", 0), call("get_it", "", "1", 0), call("get_it", "{}", "1", 0)],
         [("1", "get_it", "{}")]),
        ([call("f", "{", "1", 0), call("g", "}", "1", 0)], [("1", "f", "{}")]),
        # the whole arguments again
        ([call("f", "", "1", 0), call(None, '{"a":1}', None, 0), call(None, '{"a":1}', None, 0)],
         [("1", "f", '{"a":1}')]),
        ([call("f", '{"a"', "1", 0), call(None, ":1}", None, 0), call(None, ' {"a": 1}', "1", 0)],
         [("1", "f", '{"a":1}')]),
        ([call("f", '{"b":2,"a":1}', None, 0), call("f", '{\n  "a": 1,\n  "b": 2\n}', "1", 0)],
         [("1", "f", '{"b":2,"a":1}')]),
        ([call("f", "{}", "1", 0), call(None, "{}", None, 0)], [("1", "f", "{}")]),
        # pieces that look like it and are none
        ([call("f", "{}", "1", 0), call(None, '{"a":1}', None, 0)], [("1", "f", '{}{"a":1}')]),
        ([call("f", '{"a":1}', "1", 0), call(None, '{"a":true}', None, 0)], [("1", "f", '{"a":1}{"a":true}')]),
        ([call("f", '{"a":{}', "1", 0), call(None, "}", None, 0)], [("1", "f", '{"a":{}}')]),
        ([call("f", "[{}", "1", 0), call(None, ",", None, 0), call(None, "{}", None, 0), call(None, "]", None, 0)],
         [("1", "f", "[{},{}]")]),
        # one call at many indices
        ([call("f", "", "1", 0), call("f", '{"a":1}', "1", 1), call("f", '{"a":1}', "1", 2)], [("1", "f", '{"a":1}')]),
        ([call("f", "", "1", 0), call("f", '{"a"', "1", 1), call("f", ":1}", "1", 2)], [("1", "f", '{"a":1}')]),
        ([call("f", "", "1", 0), call(None, '{"a"', None, 1), call(None, ":1}", None, 2)], [("1", "f", '{"a":1}')]),
        ([call("f", "", "1"), call(None, "{", None, 0), call(None, "}", None, 0)], [("1", "f", "{}")]),
        ([call("f", "", "1", "0"), call(None, "{", None, 0), call(None, "}", None, 0.0)], [("1", "f", "{}")]),
        ([call("f", "", "1", 0.0), call("g", "", "2", 1.0), call(None, "{}", None, 0.0), call(None, "[]", None, 1.0)],
         [("1", "f", "{}"), ("2", "g", "[]")]),
        # many calls of one id, of none
        ([call("f", '{"a":1}', "x", 0), call("f", '{"a":2}', "x", 1)],
         [("x", "f", '{"a":1}'), ("x", "f", '{"a":2}')]),
        ([call("f", "", "x", 0), call("g", "", "x", 1), call(None, "{}", None, 0), call(None, "[]", None, 1)],
         [("x", "f", "{}"), ("x", "g", "[]")]),
        ([call("f", '{"a":1}', "x"), call("f", '{"a":2}', "x")], [("x", "f", '{"a":1}'), ("x", "f", '{"a":2}')]),
        ([call("f", '{"a":1}', None, 0), call("f", '{"a":2}', None, 0)],
         [(None, "f", '{"a":1}'), (None, "f", '{"a":2}')]),
        ([call("f", '{"a":1}', "null", 0), call("g", '{"b":1}', "null", 0)],
         [(None, "f", '{"a":1}'), (None, "g", '{"b":1}')]),
        ([call("f", '{"a"', "1"), call(None, ":1}", "null")], [("1", "f", '{"a":1}')]),
        ([call(None, "{}", None, 0), call(None, '{"a":1}', None, 1)], [(None, None, "{}"), (None, None, '{"a":1}')]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("together", [False, True])
def test_which_call_a_piece_belongs_to(pieces: list[Any], expect: list[Any], together: bool) -> None:
    items = [tool(*pieces)] if together else [tool(piece) for piece in pieces]
    found = fold([*items, chunk(reason="tool_calls")]).calls()
    assert [(one["id"], one["name"], one["arguments"]) for one in found] == expect


def test_text_after_stop_counts_only_if_it_finishes_again() -> None:
    folded = fold([chunk("a"), chunk(reason="stop"), chunk("junk")])
    assert folded.text() == "a"
    assert folded.events[-1] == Other("after_finish")
    assert folded.completion == "complete"
    assert fold([chunk("a"), chunk(reason="stop"), chunk("b"), chunk(reason="stop")]).text() == "ab"
    assert fold([chunk("a", "stop"), chunk("b", "stop")]).text() == "ab"


def test_a_name_in_pieces_is_one_in_the_result() -> None:
    result = Result()
    for event in fold([tool(call("edit_ex", "", "1", 0)), tool(call("isting", "{}", "1", 0))]).events:
        result.add(event)
    result.add(ToolCallDelta(0, None, "edit_existing", "", 0))  # as who says it with every piece
    assert result.tool_calls == [ToolCall("1", "edit_existing", "{}")]


def test_free_text_may_repeat_itself() -> None:
    def custom(text: str, **more: Any) -> dict[str, Any]:
        return tool({"index": 0, "custom": {"input": text}, **more})

    (found,) = fold([custom("{}", id="1"), custom("\n"), custom("{}"), custom("{}")]).calls()
    assert found["arguments"] == "{}\n{}{}"


def test_a_call_in_both_forms_is_one() -> None:
    both = {"function_call": {"name": "f", "arguments": "{"}, "tool_calls": [call("f", "{", "1", 0)]}
    more = {"function_call": {"arguments": "}"}, "tool_calls": [call(None, "}", None, 0)]}
    folded = fold([chunk(**both), chunk(reason="tool_calls", **more)])
    assert folded.calls() == [{"id": "1", "name": "f", "arguments": "{}"}]


@pytest.mark.parametrize(
    "first",
    [chunk(reason="stop"), chunk("", "stop", role="assistant"), chunk(reason="stop", reasoning_content="hm"),
     chunk(reason="stop", tool_calls=[{"index": 0, "function": {"name": "f", "arguments": "{}"}}])],
)  # fmt: skip
def test_stop_before_any_text_ends_nothing(first: Any) -> None:
    folded = fold([first, chunk("4"), chunk("2")])
    assert (folded.text(), folded.finish(), folded.completion) == ("42", "stop", "complete")
    assert Other("after_finish") not in folded.events


@pytest.mark.parametrize("end", [[], ["[DONE]"]])
def test_a_choice_that_begins_after_the_others_ended_must_finish_too(end: list[Any]) -> None:
    def legacy(text: str, reason: Any = None, index: int = 0) -> dict[str, Any]:
        choice = {"index": index, "text": text, "finish_reason": reason}
        return {"object": "text_completion", "choices": [choice]}

    for make in (chunk, legacy):
        cut = [make("a"), make("", "stop"), make("x", None, 1)]
        assert fold([*cut, *end]).completion == ("unconfirmed" if end else "incomplete")
        folded = fold([*cut, make("y", "length", 1), *end])
        assert (folded.text(1), folded.finish(1), folded.completion) == ("xy", "length", "complete")


def test_a_choice_that_was_begun_must_finish() -> None:
    assert fold([chunk("a"), chunk("x", index=1), chunk(reason="stop")]).completion == "incomplete"
    assert fold([chunk("a"), chunk("x", index=1), chunk(reason="stop"), "[DONE]"]).completion == "unconfirmed"


def test_another_finish_reason_is_told() -> None:
    folded = fold([chunk("a", "length"), chunk(reason="stop")])
    assert folded.finish() == "length"
    assert Other("finish_reason") in folded.events


@pytest.mark.parametrize("junk", [None, "", "x", 42, 1.5, True, [], {}, [None], b"x"])
def test_junk_between_chunks_is_harmless(junk: Any) -> None:
    folded = fold([chunk("a"), junk, chunk("b", "stop")])
    assert (folded.text(), folded.completion, folded.error) == ("ab", "complete", None)


def test_usage_counts_when_it_changes_and_zeros_do_not_undo_it() -> None:
    counts = {"prompt_tokens": 1, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}}
    zeros = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    folded = fold([chunk("a", usage=counts), chunk("b", usage=counts), chunk(reason="stop", usage=zeros)])
    assert [event for event in folded.events if type(event) is Usage] == [Usage(1, 2, 3, 1, None)]
    folded = fold([chunk("a"), chunk("b", usage={"prompt_tokens": 5}), chunk("c", "stop")])
    assert folded.usage() == {"input": 5, "output": None, "total": None}


def test_citations_and_extras_once() -> None:
    more: dict[str, Any] = {"citations": ["https://a"], "x": 1}
    note = {
        "type": "url_citation",
        "url_citation": {"url": "https://b", "title": "B", "start_index": 0, "end_index": 1},
    }
    folded = fold([chunk("a", **more), chunk("b", annotations=[note], **more), chunk(reason="stop", **more)])
    found = [event for event in folded.events if type(event) is Citation]
    assert found == [Citation("https://a"), Citation("https://b", "B", None, 0, 1)]
    assert folded.events.count(Other("x")) == 1


def test_log_probabilities_of_a_token_without_text_go_with_the_next() -> None:
    first, second = chunk("", role="assistant"), chunk("é")
    first["choices"][0]["logprobs"] = {"content": [{"token": "\\xc3"}]}
    second["choices"][0]["logprobs"] = {"content": [{"token": "\\xa9"}]}
    (delta,) = (event for event in fold([first, second]).events if type(event) is TextDelta)
    assert [entry["token"] for entry in delta.logprobs] == ["\\xc3", "\\xa9"]


def test_log_probabilities_of_what_is_no_text_are_told_by_themselves() -> None:
    first, second = chunk("", reasoning_content="hm"), chunk("é")
    first["choices"][0]["logprobs"] = {"content": [{"token": "hm"}]}
    second["choices"][0]["logprobs"] = {"content": [{"token": "é"}]}
    events = fold([first, second]).events
    (delta,) = (event for event in events if type(event) is TextDelta)
    assert [entry["token"] for entry in delta.logprobs] == ["é"]
    assert [event.raw for event in events if event == Other("logprobs", 0)] == [first]


def test_log_probabilities_of_a_legacy_completion() -> None:
    logprobs = {"tokens": ["a", "b"], "token_logprobs": [-1, -2], "top_logprobs": [{"x": -3}]}
    item = {"object": "text_completion", "choices": [{"text": "ab", "logprobs": logprobs, "finish_reason": "stop"}]}
    (delta,) = (event for event in fold([item]).events if type(event) is TextDelta)
    assert [(entry["token"], entry["logprob"]) for entry in delta.logprobs] == [("a", -1), ("b", -2)]
    assert delta.logprobs[0]["top_logprobs"] == [{"token": "x", "logprob": -3, "bytes": None}]


F = {"id": "1", "function": {"name": "f", "arguments": '{"a":1}'}}
WHOLE = {"content": "ab", "reasoning_content": "hm", "tool_calls": [F], "refusal": None}


@pytest.mark.parametrize("delta", [None, {}, {"content": ""}])
@pytest.mark.parametrize(
    "pieces",
    [[], [chunk("", role="assistant")], [chunk("a"), chunk("b")], [chunk("", reasoning_content="hm")],
     [tool(F)], [tool(call("f", '{"a"', "1", 0))], [tool(call("f", "", None, 0)), tool(call(None, '{"a":1}', None, 0))],
     [chunk(**WHOLE)]],
)  # fmt: skip
def test_a_whole_message_fills_what_the_deltas_left_out(delta: Any, pieces: list[Any]) -> None:
    last = {"choices": [{"index": 0, "delta": delta, "message": WHOLE, "finish_reason": "stop"}]}
    folded = fold([*pieces, last])
    assert (folded.text(), folded.reasoning(), folded.completion) == ("ab", "hm", "complete")
    assert folded.calls() == [{"id": "1", "name": "f", "arguments": '{"a":1}'}]


def test_the_calls_of_a_whole_message_that_are_news() -> None:
    message = {"tool_calls": [F, {"id": "2", "function": {"name": "g", "arguments": "{}"}}]}
    last = {"choices": [{"message": message, "finish_reason": "tool_calls"}]}
    for first in (F, call("f", '{"a":1}', "another", 0)):
        assert [one["name"] for one in fold([tool(first), last]).calls()] == ["f", "g"]
    legacy = {"function_call": {"name": "f", "arguments": "{}"}}
    folded = fold([chunk(**legacy), {"choices": [{"message": legacy, "finish_reason": "stop"}]}])
    assert folded.calls() == [{"id": None, "name": "f", "arguments": "{}"}]


def test_a_whole_text_beside_an_empty_delta() -> None:
    for pieces in ([], [chunk("", role="assistant")], [chunk("a"), chunk("b")]):
        last = {"choices": [{"index": 0, "delta": {}, "text": "ab", "finish_reason": "stop"}]}
        assert fold([*pieces, last]).text() == "ab"


def test_a_message_that_grows_with_its_deltas_is_a_repetition() -> None:
    said, items = "", []
    for text in ("", "a", "b"):
        items.append(chunk(text))
        items[-1]["choices"][0]["message"] = {"content": said + "ahead"}
        said += text
    assert fold([*items, chunk(reason="stop")]).text() == "ab"


def test_a_whole_message_after_its_deltas_is_a_repetition() -> None:
    whole = {"choices": [{"index": 0, "message": {"content": "ab"}, "finish_reason": "stop"}]}
    assert fold([chunk("a"), chunk("b"), whole]).text() == "ab"


# -- errors


@pytest.mark.parametrize(
    ("item", "message", "code"),
    [
        ({"error": {"message": "m", "code": 5}}, "m", 5),
        ({"error": "m"}, "m", None),
        ({"error": {"error": {"message": "m", "code": "c"}}}, "m", "c"),
        ({"error": [{"message": "m"}, {"message": "n"}]}, "m; n", None),
        ({"error": True, "message": "m", "code": 5}, "m", 5),
        ({"errors": [{"message": "m", "code": 7}]}, "m", 7),
        ({"object": "error", "message": "m", "code": 40303}, "m", 40303),
        ({"detail": "m"}, "m", None),
        ({"detail": [{"loc": ["body"], "msg": "m"}]}, "m", None),
        ({"type": "error", "message": "m", "code": "c"}, "m", "c"),
        ({"type": "error", "code": "c"}, "error", "c"),
        ({"message": "m", "code": 5}, "m", 5),
        ([{"error": {"message": "m", "code": 503, "status": "UNAVAILABLE"}}], "m", 503),
        ({"choices": [{"error": {"message": "m", "code": 502}, "finish_reason": "error"}]}, "m", 502),
        ({"x_groq": {"error": "m"}, "choices": []}, "m", None),
        ({"base_resp": {"status_code": 1008, "status_msg": "m"}, "choices": None}, "m", 1008),
        ({"base_resp": {"status_code": 1008, "status_msg": "m"}, "choices": []}, "m", 1008),
        ({"error_type": "BadRequestError", "error_message": "m", "choices": None}, "m", None),
        ({"error_code": 17, "error_msg": "m", "id": "as-1"}, "m", 17),
        ({"code": 500, "msg": "m", "success": False}, "m", 500),
    ],
)
@pytest.mark.parametrize("form", [lambda item: item, as_object])
def test_every_form_of_an_error(item: Any, message: str, code: Any, form: Any) -> None:
    for items in ([form(item)], [chunk("par"), form(item)]):
        folded = fold(items)
        assert folded.text() == ("par" if len(items) == 2 else "")
        assert folded.error is not None
        assert (str(folded.error), getattr(folded.error, "code", None)) == (message, code)


@pytest.mark.parametrize(
    "error",
    [None, "", {}, [], False, 0, [{}], {"message": None, "code": None}, {"message": "", "code": 0, "details": []},
     {"message": "", "type": "", "param": "", "code": None, "inner": {"message": " "}}],
)  # fmt: skip
@pytest.mark.parametrize("form", [lambda item: item, as_object, as_sdk])
def test_no_error_is_no_error(error: Any, form: Any) -> None:
    folded = fold([form(chunk("a", error=error)), form(chunk("b", "stop", error=error))])
    assert (folded.error, folded.text(), folded.completion) == (None, "ab", "complete")


@pytest.mark.parametrize(
    "item",
    [{"base_resp": {"status_code": 0, "status_msg": ""}, "choices": []}, {"code": 0, "message": "Success"},
     {"error_code": 0, "error_msg": "Success"}, {"msg": "process_starts"}, {"msg": "m", "success": True}],
)  # fmt: skip
def test_a_report_of_success_is_no_error(item: Any) -> None:
    folded = fold([chunk("a"), item, chunk("b", "stop")])
    assert (folded.error, folded.text(), folded.completion) == (None, "ab", "complete")


# -- what dicts and objects are made of


class Attributes(dict[str, Any]):
    """As some SDKs have it: an attribute that is not there is a missing key."""

    def __getattr__(self, name: str) -> Any:
        return self[name]


def remade(value: Any, kind: Any) -> Any:
    if isinstance(value, dict):
        return kind({name: remade(one, kind) for name, one in value.items()})
    return [remade(one, kind) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("kind", [OrderedDict, lambda value: defaultdict(lambda: None, value), Attributes])
@pytest.mark.parametrize("first", [[], [chunk("so ")]])
def test_a_dict_of_any_kind(kind: Any, first: list[Any]) -> None:
    items = [chunk("a", x={"y": 1}), tool(call("f", {"b": 1}, "1", 0)), chunk("b", "stop", usage={"total_tokens": 3})]
    folded = fold([*first, *(remade(item, kind) for item in items)])
    assert (folded.text(), folded.completion) == ("so ab" if first else "ab", "complete")
    assert folded.calls() == [{"id": "1", "name": "f", "arguments": '{"b": 1}'}]
    assert folded.usage() == {"input": None, "output": None, "total": 3}


class Nothing:
    pass


@pytest.mark.parametrize(
    ("args", "expect"),
    [(Nothing(), {}), (SimpleNamespace(), {}), (SimpleNamespace(a=Nothing()), {"a": {}}),
     (MappingProxyType({"a": 1}), {"a": 1}),
     ({"a": UserDict(b=1), "c": UserList([1, (2,)])}, {"a": {"b": 1}, "c": [1, [2]]})],
)  # fmt: skip
def test_arguments_of_any_kind(args: Any, expect: Any) -> None:
    (found,) = fold([tool(call("f", args)), chunk(reason="tool_calls")]).calls()
    assert values(found["arguments"]) == expect


def test_numbers_as_strings() -> None:
    items = [chunk("a", index="0"), chunk("x", index="1"), chunk(reason="stop", index="0")]
    counts = {"prompt_tokens": "7", "completion_tokens": "2", "total_tokens": "", "cached_tokens": "many"}
    folded = fold([*items, chunk(reason="length", index="1", usage=counts)])
    assert (folded.text(0), folded.text(1), folded.finish(1)) == ("a", "x", "length")
    assert folded.events[-1] == Usage(7, 2, 9)


# -- Responses


def delta(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": text, **more}


def finished(text: str, kind: str = "response.completed", **more: Any) -> dict[str, Any]:
    output = [{"type": "message", "content": [{"type": "output_text", "text": text}]}]
    return {"type": kind, "response": {"status": kind.partition(".")[2], "output": output, **more}}


CREATED = {"type": "response.created", "response": {"id": "r", "model": "m"}}


def test_done_fills_what_the_deltas_left_out() -> None:
    done = {"type": "response.output_text.done", "output_index": 0, "content_index": 0, "text": "Hello"}
    assert fold([CREATED, delta("Hel"), done, done, finished("Hello")]).text() == "Hello"
    assert fold([CREATED, delta("Hel"), finished("Hello")]).text() == "Hello"
    assert fold([CREATED, done, finished("Hello")]).text() == "Hello"


def test_what_cannot_be_reconciled_is_told() -> None:
    folded = fold([CREATED, delta("other"), finished("Hello")])
    assert folded.text() == "other"
    assert Other("output") in folded.events


def test_a_resumed_stream_is_whole_or_what_came_of_it() -> None:
    assert fold([delta("l"), delta("o"), finished("Hello")]).text() == "Hello"
    assert fold([delta("l"), delta("o")]).text() == "lo"
    assert fold([delta("lo"), {"type": "error", "message": "boom", "sequence_number": 9}]).text() == "lo"
    args = {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": "1}"}
    item = {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a":1}'}
    end = {"type": "response.completed", "response": {"status": "completed", "output": [item]}}
    assert fold([args, end]).calls() == [{"id": "c", "name": "f", "arguments": '{"a":1}'}]


def test_a_failed_response_is_an_error_with_its_text() -> None:
    folded = fold([CREATED, delta("par"), finished("part", "response.failed", error={"code": "c", "message": "m"})])
    assert folded.text() == "part"
    assert folded.error is not None
    assert (str(folded.error), getattr(folded.error, "code", None)) == ("m", "c")
    assert folded.completion == "incomplete"


def test_nothing_is_read_after_the_terminal_event() -> None:
    assert fold([CREATED, delta("a"), finished("a"), delta("junk")]).text() == "a"


def test_every_event_type_of_the_sdk_is_known_or_told() -> None:
    from typing import get_args

    from openai.types.responses.response_stream_event import ResponseStreamEvent

    for kind in (
        get_args(cls.model_fields["type"].annotation)[0] for cls in get_args(get_args(ResponseStreamEvent)[0])
    ):
        decoder = choose(CREATED)
        assert decoder is not None
        decoder.decode(CREATED, None)
        for event in decoder.decode({"type": kind}, None):
            if type(event) is Other:
                assert event.kind == kind


# -- others


def test_anthropic_errors_have_their_type_for_a_code() -> None:
    folded = fold([{"type": "message_start", "message": {"id": "m"}},
                   {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}])  # fmt: skip
    assert folded.error is not None
    assert (str(folded.error), getattr(folded.error, "code", None)) == ("Overloaded", "overloaded_error")


OTHERS: dict[str, tuple[list[Any], str, list[Any]]] = {
    "cohere": (
        [
            {"type": "message-start", "id": "1", "delta": {"message": {"role": "assistant"}}},
            {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "Hi"}}}},
            {"type": "tool-call-start", "index": 0,
             "delta": {"message": {"tool_calls": {"id": "t", "function": {"name": "f", "arguments": ""}}}}},
            {"type": "tool-call-delta", "index": 0,
             "delta": {"message": {"tool_calls": {"function": {"arguments": '{"a":1}'}}}}},
            {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": {"tokens": {"input_tokens": 1}}}},
        ],
        "COMPLETE",
        [("t", "f", {"a": 1})],
    ),
    "bedrock": (
        [
            {"messageStart": {"role": "assistant"}},
            {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "Hi"}}},
            {"contentBlockStart": {"contentBlockIndex": 1, "start": {"toolUse": {"toolUseId": "t", "name": "f"}}}},
            {"contentBlockDelta": {"contentBlockIndex": 1, "delta": {"toolUse": {"input": '{"a":1}'}}}},
            {"messageStop": {"stopReason": "tool_use"}},
            {"metadata": {"usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}}},
        ],
        "tool_use",
        [("t", "f", {"a": 1})],
    ),
    "gemini": (
        [
            {"candidates": [{"content": {"parts": [{"text": "Hi"}]}}]},
            {"candidates": [{"content": {"parts": [{"functionCall": {"id": "t", "name": "f", "args": {"a": 1}}}]},
                             "finishReason": "STOP"}]},
        ],
        "STOP",
        [("t", "f", {"a": 1})],
    ),
    "ollama": (
        [
            {"model": "m", "message": {"content": "Hi"}, "done": False},
            {"model": "m", "message": {"tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]},
             "done": True, "done_reason": "stop"},
        ],
        "stop",
        [(None, "f", {"a": 1})],
    ),
    "langchain": (
        [
            ({"type": "AIMessageChunk", "content": "H"}, {"langgraph_node": "x"}),
            {"type": "AIMessageChunk", "content": [{"type": "text", "text": "i"}],
             "tool_call_chunks": [{"index": 0, "id": "t", "name": "f", "args": '{"a":'}]},
            {"type": "AIMessageChunk", "content": "", "tool_call_chunks": [{"index": 0, "args": "1}"}],
             "response_metadata": {"finish_reason": "stop"}},
        ],
        "stop",
        [("t", "f", {"a": 1})],
    ),
    "tgi": (
        [
            {"token": {"text": "H", "special": False}},
            {"token": {"text": "i", "special": False}},
            {"token": {"text": "</s>", "special": True}, "generated_text": "Hi",
             "details": {"finish_reason": "eos_token"}},
        ],
        "eos_token",
        [],
    ),
    "llama.cpp": ([{"content": "Hi", "stop": False}, {"content": "", "stop": True, "stop_type": "eos"}], "eos", []),
    "KoboldCpp": ([{"token": "Hi", "finish_reason": None}, {"token": "", "finish_reason": "stop"}], "stop", []),
    "Baidu": (
        [
            {"id": "as", "object": "chat.completion", "sentence_id": 0, "is_end": False, "result": "H",
             "finish_reason": "normal"},
            {"id": "as", "object": "chat.completion", "sentence_id": 1, "is_end": True, "result": "i",
             "finish_reason": "normal", "usage": {"prompt_tokens": 1, "completion_tokens": 2}},
        ],
        "normal",
        [],
    ),
    "Cohere v1": (
        [
            {"event_type": "stream-start", "generation_id": "g"},
            {"event_type": "text-generation", "text": "Hi"},
            {"event_type": "tool-calls-generation", "tool_calls": [{"name": "f", "parameters": {"a": 1}}]},
            {"event_type": "stream-end", "finish_reason": "COMPLETE",
             "response": {"text": "Hi", "meta": {"tokens": {"input_tokens": 1, "output_tokens": 2}}}},
        ],
        "COMPLETE",
        [(None, "f", {"a": 1})],
    ),
    "DashScope": (
        [
            {"output": {"choices": [{"message": {"content": "H"}, "finish_reason": "null"}]}, "request_id": "r"},
            {"output": {"choices": [{"message": {"content": "i"}, "finish_reason": "stop"}]}, "request_id": "r",
             "usage": {"input_tokens": 1, "output_tokens": 2}},
        ],
        "stop",
        [],
    ),
    "DashScope, text": (
        [
            {"output": {"text": "H", "finish_reason": "null"}, "usage": {"input_tokens": 1, "output_tokens": 1}},
            {"output": {"text": "i", "finish_reason": "stop"}, "usage": {"input_tokens": 1, "output_tokens": 2}},
        ],
        "stop",
        [],
    ),
    "sse library": (
        [{"event": "message", "data": '{"choices":[{"delta":{"content":"Hi"}}]}'}, {"data": ""},
         {"data": '{"choices":[{"delta":{},"finish_reason":"stop"}]}'}, {"data": "[DONE]"}],
        "stop",
        [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("form", [lambda item: item, as_object])
def test_other_formats(name: str, form: Any) -> None:
    items, reason, calls = OTHERS[name]
    folded = fold(tuple(map(form, item)) if isinstance(item, tuple) else form(item) for item in items)
    assert folded.error is None
    assert folded.text() == "Hi"
    assert Finish(reason) in folded.events
    assert [(one["id"], one["name"], values(one["arguments"])) for one in folded.calls()] == calls
    assert folded.completion == "complete"
    assert len(folded.starts()) == 1


@pytest.mark.parametrize("name", ["Baidu", "Cohere v1", "DashScope", "DashScope, text"])
@pytest.mark.parametrize("form", [lambda item: item, as_object])
def test_counts_of_other_formats(name: str, form: Any) -> None:
    assert fold(map(form, OTHERS[name][0])).usage() == {"input": 1, "output": 2, "total": 3}


def test_an_end_that_is_said_in_every_item_is_none() -> None:
    assert fold(OTHERS["Baidu"][0][:1]).completion == "incomplete"


def test_calls_and_counts_of_workers_ai() -> None:
    calls = [{"name": "f", "arguments": {"a": 1}}, {"name": "f", "arguments": {"a": 2}}]
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    folded = fold([{"response": "Hi", "p": "x"}, {"response": None, "tool_calls": calls, "usage": usage}])
    assert [(one["name"], values(one["arguments"])) for one in folded.calls()] == [("f", {"a": 1}), ("f", {"a": 2})]
    assert (folded.text(), folded.usage()) == ("Hi", {"input": 1, "output": 2, "total": 3})


def test_fields_that_a_small_format_does_not_know_are_told_once() -> None:
    items = [{"response": "H", "x": 1}, {"response": "i", "x": 1}, {"response": "!", "x": 2, "y": None}]
    assert [event.kind for event in fold(items).events if type(event) is Other] == ["x", "x"]


def test_what_bedrock_says_of_tools_of_its_own_is_told() -> None:
    items = [
        {"contentBlockStart": {"contentBlockIndex": 0, "start": {"toolResult": {"toolUseId": "t"}}}},
        {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"toolResult": [{"text": "r"}]}}},
        {"contentBlockDelta": {"contentBlockIndex": 1, "delta": {"reasoningContent": {"signature": "s"}}}},
    ]
    kinds = [event.kind for event in fold(items).events if type(event) is Other]
    assert kinds == ["toolResult", "toolResult", "signature"]


@pytest.mark.parametrize("first", [True, False])
def test_every_exception_of_bedrock_is_an_error(first: bool) -> None:
    items = [] if first else [{"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "Hi"}}}]
    folded = fold([*items, {"modelTimeoutException": {"message": "slow"}}])
    assert folded.error is not None
    assert (str(folded.error), getattr(folded.error, "code", None)) == ("slow", "modelTimeoutException")


def test_a_tool_whose_input_comes_twice() -> None:
    block = {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}
    piece = {"type": "input_json_delta", "partial_json": '{"a":1}'}
    items: list[Any] = [
        {"type": "message_start", "message": {"id": "m"}},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_delta", "index": 0, "delta": piece},
        {"type": "content_block_stop", "index": 0},
    ]
    assert fold(items).calls() == [{"id": "t", "name": "f", "arguments": '{"a":1}'}]
    assert [values(one["arguments"]) for one in fold(items[:2]).calls()] == [{"a": 1}]


def anthropic(*events: dict[str, Any], reason: Any = "tool_use", **usage: Any) -> list[Any]:
    counts = {"input_tokens": 7, "output_tokens": 1}
    return [
        {"type": "message_start", "message": {"id": "m", "usage": counts}},
        *events,
        *([{"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage}] if reason else []),
    ]


def block(args: Any, id: str = "t", index: int = 0) -> dict[str, Any]:
    tool = {"type": "tool_use", "id": id, "name": "f", "input": args}
    return {"type": "content_block_start", "index": index, "content_block": tool}


STOP_BLOCK = {"type": "content_block_stop", "index": 0}


@pytest.mark.parametrize(
    ("events", "expect"),
    [
        (anthropic(block({}), STOP_BLOCK), ["{}"]),
        (anthropic(block({})), ["{}"]),
        (anthropic(block({}), reason=None), [""]),
        (anthropic(block({}), STOP_BLOCK, reason=None), ["{}"]),
        (anthropic(block({"a": 1}), block({"b": 2}, "u")), ['{"a": 1}', '{"b": 2}']),
        (anthropic(block(None), STOP_BLOCK), [""]),
    ],
)
@pytest.mark.parametrize("form", [lambda item: item, as_object])
def test_a_tool_whose_input_comes_with_its_block(events: list[Any], expect: list[str], form: Any) -> None:
    assert [one["arguments"] for one in fold(map(form, events)).calls()] == expect


def test_a_zero_does_not_undo_what_anthropic_has_read() -> None:
    assert fold(anthropic(input_tokens=0, output_tokens=2)).usage() == {"input": 7, "output": 2, "total": 9}
    assert fold(anthropic(output_tokens=0)).usage() == {"input": 7, "output": 0, "total": 7}


def test_a_thought_of_anthropic_under_another_name() -> None:
    thought = {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "text": "hm"}}
    assert fold(anthropic(thought)).reasoning() == "hm"


@pytest.mark.parametrize("form", [lambda item: item, as_object])
def test_what_langchain_hands_on(form: Any) -> None:
    def message(content: Any, **more: Any) -> dict[str, Any]:
        return {"type": "AIMessageChunk", "content": content, "additional_kwargs": more}

    summary = {"summary": [{"type": "summary_text", "text": "h"}]}
    note = {"type": "url_citation", "url": "https://a"}
    items = [
        message([{"type": "reasoning", **summary}, {"type": "reasoning", "encrypted": "x"}]),
        message("", reasoning=summary),
        message([{"type": "text", "text": "Hi", "annotations": [note, {"type": "file"}]}]),
        message([{"type": "refusal", "refusal": "N"}]),
        message("", refusal="o"),
    ]
    folded = fold(map(form, items))
    assert (folded.reasoning(), folded.text(), folded.refusal()) == ("hh", "Hi", "No")
    assert [event for event in folded.events if type(event) is Citation] == [Citation("https://a")]
    assert [event for event in folded.events if type(event) is Other] == [Other("reasoning"), Other("annotations")]


@pytest.mark.parametrize(
    "names", [("thought", "finishReason", "usageMetadata"), ("thought", "finish_reason", "usage_metadata")]
)
def test_thoughts_of_gemini(names: tuple[str, str, str]) -> None:
    thought, reason, usage = names
    parts = [{"text": "hm", thought: True}, {"text": "Hi", thought: None}]
    folded = fold([{"candidates": [{"content": {"parts": parts}, reason: "STOP"}], usage: {"totalTokenCount": 3}}])
    assert (folded.reasoning(), folded.text(), folded.finish()) == ("hm", "Hi", "STOP")


def gemini(call: Any = None, reason: Any = None, index: int = 0, text: Any = None) -> dict[str, Any]:
    part = {"text": text} if call is None else {"functionCall": call}
    return {"candidates": [{"content": {"parts": [part]}, "finishReason": reason, "index": index}]}


def part_of(path: str, **value: Any) -> dict[str, Any]:
    return {"partialArgs": [{"jsonPath": path, **value}], "willContinue": True}


OPEN, STOP = {"name": "f", "willContinue": True}, gemini({}, "STOP")


def test_a_candidate_that_begins_late_must_finish_too() -> None:
    items = [gemini(text="a", reason="STOP"), gemini(text="x", index=1)]
    assert fold(items).completion == "incomplete"
    assert fold([*items, gemini(text="y", reason="STOP", index=1)]).completion == "complete"


@pytest.mark.parametrize(
    ("pieces", "expect"),
    [
        ([part_of("$.b", numberValue=50), part_of("$.c", stringValue="warm")], {"b": 50, "c": "warm"}),
        ([part_of("$.c", stringValue="w", willContinue=True), part_of("$.c", stringValue="w")], {"c": "ww"}),
        ([part_of("$.a.b[0]", boolValue=True), part_of("$.a.b[1]['x y']", nullValue="NULL_VALUE")],
         {"a": {"b": [True, {"x y": None}]}}),
        ([part_of("$.c", willContinue=True), part_of("$.c", stringValue="w")], {"c": "w"}),
        ([], {}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", [lambda item: item, as_object])
@pytest.mark.parametrize("close", [True, False])
def test_arguments_in_parts(pieces: list[Any], expect: Any, form: Any, close: bool) -> None:
    items = [gemini(OPEN), *map(gemini, pieces), *([STOP] if close else [])]
    folded = fold(map(form, items))
    assert [(one["name"], values(one["arguments"])) for one in folded.calls()] == [("f", expect)]


def test_two_calls_with_arguments_in_parts() -> None:
    one, two = part_of("$.a", numberValue=1), {**part_of("$.b", numberValue=2), "name": "g"}
    folded = fold([gemini(OPEN), gemini(one), gemini({}), gemini(two), STOP])
    assert [(call["name"], values(call["arguments"])) for call in folded.calls()] == [("f", {"a": 1}), ("g", {"b": 2})]
    assert fold([gemini({})]).calls() == []


@pytest.mark.parametrize("path", ["$", "$..b", "$.*", "$.a[999999999]", "b", None, "$.a.b", "$" + ".a" * 9999])
def test_arguments_that_cannot_be_put_together_are_told(path: Any) -> None:
    folded = fold([gemini(OPEN), gemini(part_of("$.a", numberValue=1)), gemini(part_of(path, stringValue="x")), STOP])
    assert folded.calls() == [{"id": None, "name": "f", "arguments": ""}]
    assert Other("partialArgs") in folded.events


def test_stray_text_in_a_wrapper_decides_nothing() -> None:
    items = [{"type": "agent_updated_stream_event"}, "stray", {"type": "raw_response_event", "data": CREATED}]
    folded = fold([*items, {"type": "raw_response_event", "data": finished("Hi")}])
    assert (folded.text(), folded.completion) == ("Hi", "complete")


def test_an_array_of_wrapped_chunks() -> None:
    items = [{"data": chunk("H")}, {"data": chunk("i", "stop")}]
    assert fold([items]).text() == "Hi"
    assert fold([{"data": items}]).text() == "Hi"


def test_log_probabilities_of_a_refusal_are_not_lost():
    choice = {"index": 0, "delta": {"refusal": "No"}, "logprobs": {"content": None, "refusal": [{"token": "No"}]}}
    _start, *events = typestream.stream([{"choices": [choice]}], require=None).events()
    assert [type(event).__name__ for event in events] == ["RefusalDelta", "Other"]
    assert (events[1].kind, events[1].raw["choices"][0]["logprobs"]["refusal"]) == ("logprobs", [{"token": "No"}])
