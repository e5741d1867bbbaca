"""The fold of a stream: what it keeps, what it turns into, what it costs."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

import typestream
from typestream import (
    Citation,
    Finish,
    Other,
    ReasoningDelta,
    RefusalDelta,
    Result,
    Start,
    TextDelta,
    ToolCallDelta,
    Usage,
)

EVENTS = [
    Start("id-1", "m"),
    ReasoningDelta("because "),
    ReasoningDelta("of it"),
    TextDelta("Hel", logprobs=[{"token": "Hel", "logprob": -0.5}]),
    TextDelta("other", 1),
    TextDelta("lo"),
    ToolCallDelta(0, "call-1", "look", '{"a":'),
    ToolCallDelta(0, arguments="1}"),
    ToolCallDelta(1, "call-2", "now"),
    RefusalDelta("No.", 1),
    Citation("https://example.org", "Example", "lo", 3, 5),
    Usage(7, 2, 9, cached=3, reasoning=1),
    Other("noise"),
    Finish("tool_calls"),
    Finish("stop", 1),
    Finish("later"),
]


@pytest.fixture
def result():
    return typestream.stream(EVENTS).collect()


def test_everything_is_kept(result):
    assert (result.id, result.model) == ("id-1", "m")
    assert (result.text, result.reasoning, result.refusal) == ("Hello", "because of it", "")
    assert [(call.id, call.name, call.arguments) for call in result.tool_calls] == [
        ("call-1", "look", '{"a":1}'),
        ("call-2", "now", ""),
    ]
    assert result.finish_reason == "tool_calls"
    assert [(c.index, c.text, c.refusal, c.finish_reason) for c in result.choices] == [
        (0, "Hello", "", "tool_calls"),
        (1, "other", "No.", "stop"),
    ]
    assert result.usage == Usage(7, 2, 9, cached=3, reasoning=1)
    assert [citation.url for citation in result.citations] == ["https://example.org"]
    assert result.choices[0].logprobs == [{"token": "Hel", "logprob": -0.5}]
    assert result.completion == "complete"


def test_json_and_back(result):
    text = result.to_json()
    assert text.isascii()
    assert Result.from_json(text) == result
    assert Result.from_dict(json.loads(text)).to_dict() == result.to_dict()


def test_replay_of_a_result_is_the_result(result):
    assert typestream.replay(result).collect() == result


def test_a_partial_result_is_replayed_as_partial():
    with pytest.raises(typestream.StreamTruncated) as caught:
        typestream.stream([{"choices": [{"index": 0, "delta": {"content": "half"}}]}]).collect()
    partial = caught.value.result
    assert (partial.text, partial.completion) == ("half", "incomplete")
    again = typestream.replay(Result.from_json(partial.to_json())).collect()
    assert (again.text, again.completion) == ("half", "incomplete")


def test_to_openai(result):
    made = result.to_openai()
    assert isinstance(made, ChatCompletion)
    message = made.choices[0].message
    assert message.content == "Hello"
    assert message.reasoning_content == "because of it"
    assert [call.function.arguments for call in message.tool_calls] == ['{"a":1}', ""]
    assert message.annotations[0].url_citation.url == "https://example.org"
    assert made.usage.prompt_tokens_details.cached_tokens == 3
    assert made.usage.completion_tokens_details.reasoning_tokens == 1
    assert made.choices[1].message.refusal == "No."
    assert typestream.replay(made).collect().tool_calls == result.tool_calls
    json.loads(made.model_dump_json())


def test_nothing_is_invented():
    made = Result().to_openai()
    assert (made.choices, made.usage) == ([], None)
    only_text = typestream.replay("a").collect().to_openai()
    assert only_text.choices[0].finish_reason is None
    assert only_text.usage is None


@pytest.mark.parametrize("bad", ["[]", "{}", '{"id": 1}', "null", '{"id":null,"model":null,"choices":[{}]}'])
def test_what_is_no_result_is_refused(bad):
    with pytest.raises(ValueError, match="not the data of a typestream Result"):
        Result.from_json(bad)


OF_ANOTHER_TYPE: list[tuple[list[Any], Any]] = [  # where, and what stands there
    (["completion"], "bogus"),
    (["completion"], ["complete"]),
    (["id"], 5),
    (["choices", 0, "index"], "0"),
    (["choices", 0, "index"], True),
    (["choices", 0, "text"], 5),
    (["choices", 0, "reasoning"], 0),
    (["choices", 0, "finish_reason"], 3),
    (["choices", 0, "logprobs"], {}),
    (["choices", 0, "tool_calls"], [{"id": "c", "name": "f", "arguments": {}}]),
    (["usage"], {"input": "x"}),
    (["citations"], [{"url": 5}]),
]


@pytest.mark.parametrize(("where", "value"), OF_ANOTHER_TYPE)
def test_a_value_of_another_type_is_refused(where, value):
    data = typestream.replay("a").collect().to_dict()
    inner: Any = data
    for step in where[:-1]:
        inner = inner[step]
    inner[where[-1]] = value
    with pytest.raises(ValueError, match="not the data of a typestream Result"):
        Result.from_json(json.dumps(data))


@given(st.lists(st.tuples(st.sampled_from([0, 1]), st.text(max_size=3)), max_size=40))
def test_the_text_does_not_depend_on_when_it_is_looked_at(pieces):
    looked, unseen = Result(), Result()
    for index, text in pieces:
        for result in (looked, unseen):
            result.add(TextDelta(text, index))
        assert isinstance(looked.text, str)
        assert looked.choice(1).text is not None
    assert looked == unseen


def test_an_answer_is_kept_once_whatever_the_size_of_its_pieces():
    result = Result()
    for _ in range(10_000):
        result.add(TextDelta("ab"))
    parts = result.choices[0]._text
    assert len(parts._pieces) < 1100
    assert result.text == "ab" * 10_000


def test_timing_keeps_arrival_and_display_apart():
    from typestream.testing import VirtualClock, script

    with VirtualClock():
        stream = typestream.stream(script([(1.0, "ab"), (1.5, "cd")])).paced(typestream.pacing.Steady(1))
        timing = stream.collect().timing
    assert timing.first_token == 1.0
    assert timing.first_shown is not None
    assert timing.shown_duration >= 4.0
    assert timing.lag_max >= 2.0
    assert timing.deltas == 2


def test_a_message_without_calls_can_be_sent_back():
    """Some servers refuse `"tool_calls": null`."""
    made = typestream.replay("Hello").collect().to_openai()
    assert "tool_calls" not in made.choices[0].message.model_dump(exclude_unset=True)


def test_how_fast_it_arrived_counts_from_the_first_piece():
    from typestream.testing import VirtualClock, script

    with VirtualClock():
        timing = typestream.stream(script([(1.0, "abc"), (1.5, "de"), (3.0, "fghi")])).collect().timing
    assert (timing.first_token, timing.longest_gap, timing.mean_gap) == (1.0, 1.5, 1.0)
    assert timing.characters_per_second == 3.0  # six in two seconds
    assert timing.tokens_per_second == 1.0
