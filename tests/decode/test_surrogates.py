"""A character cut in two halves is one character again, wherever it was cut."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typestream.decode import JoinSurrogates
from typestream.decode._surrogates import mend
from typestream.errors import StreamServerError
from typestream.events import Finish, ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta

UNITS = st.text(
    st.characters(codec=None, categories=["Cs", "Lu", "So"]) | st.sampled_from("a😀\ud83d\ude00"), max_size=12
)
MAKE: list[Any] = [
    lambda text: TextDelta(text),
    lambda text: TextDelta(text, 1),
    lambda text: ReasoningDelta(text),
    lambda text: RefusalDelta(text),
    lambda text: ToolCallDelta(2, arguments=text),
]


def _said(events: list[Any]) -> str:
    return "".join(e.arguments if type(e) is ToolCallDelta else e.text for e in events)


def _cut(text: str, cuts: list[int]) -> list[str]:
    places = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    return [text[a:b] for a, b in itertools.pairwise(places)]


@pytest.mark.parametrize("make", MAKE)
@given(text=UNITS, cuts=st.lists(st.integers(0, 12)))
def test_the_same_wherever_it_is_cut(make: Any, text: str, cuts: list[int]) -> None:
    join = JoinSurrogates()
    events = [event for piece in _cut(text, cuts) for event in join.feed([make(piece)])] + join.flush()
    assert _said(events) == mend(text)
    assert not any("\ud800" <= char <= "\udfff" for char in _said(events))


@given(parts=st.lists(st.tuples(st.integers(0, len(MAKE) - 1), UNITS), max_size=8))
def test_channels_do_not_mix(parts: list[tuple[int, str]]) -> None:
    join = JoinSurrogates()
    out = [event for which, text in parts if text for event in join.feed([MAKE[which](text)])] + join.flush()
    for which, make in enumerate(MAKE):
        like = make("")
        mine = [e for e in out if type(e) is type(like) and e.index == like.index]
        assert _said(mine) == mend("".join(text for other, text in parts if other == which))


def test_the_very_same_list_where_nothing_is_to_mend() -> None:
    events: list[Any] = [TextDelta("plain"), Finish("stop")]
    assert JoinSurrogates().feed(events) is events


def test_a_half_comes_out_before_the_end_of_its_choice_and_no_other() -> None:
    join = JoinSurrogates()
    assert join.feed([TextDelta("a\ud83d")]) == [TextDelta("a")]
    assert join.feed([Finish("stop", 1)]) == [Finish("stop", 1)]
    assert join.feed([Finish("stop")]) == [TextDelta("�"), Finish("stop")]
    assert join.flush() == []


def test_a_half_comes_out_before_an_error() -> None:
    join = JoinSurrogates()
    join.feed([TextDelta("\ud83d")])
    error = StreamServerError("boom")
    assert join.feed([error]) == [TextDelta("�"), error]


def test_the_log_probabilities_of_a_joined_character_stay() -> None:
    join = JoinSurrogates()
    assert join.feed([TextDelta("\ud83d", 0, [1])]) == []
    (event,) = join.feed([TextDelta("\ude00", 0, [2])])
    assert isinstance(event, TextDelta)
    assert (event.text, event.logprobs) == ("😀", [1, 2])


def test_the_name_of_a_call_is_said_once() -> None:
    join = JoinSurrogates()
    out = join.feed([ToolCallDelta(0, "c", "f", "\ud83d")]) + join.feed([ToolCallDelta(0, arguments="\ude00")])
    assert out == [ToolCallDelta(0, "c", "f", ""), ToolCallDelta(0, None, None, "😀")]
