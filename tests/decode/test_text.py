"""Text as it is: strings, bytes, events; and what cannot be read at all."""

import itertools
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.decode.fold import fold
from typestream.decode import choose
from typestream.errors import UnsupportedSource
from typestream.events import Finish, Start, TextDelta


@given(data=st.binary(max_size=24) | st.text(max_size=12).map(str.encode), cuts=st.lists(st.integers(0, 24)))
def test_bytes_are_the_same_text_wherever_they_are_cut(data: bytes, cuts: list[int]) -> None:
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    pieces = [data[a:b] for a, b in itertools.pairwise(places)]
    folded = fold(pieces)
    whole = fold([data])
    assert folded.text() == whole.text()
    assert folded.completion == whole.completion
    assert data.decode("utf-8", "replace").startswith(folded.text())


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_every_kind_of_bytes(kind: Any) -> None:
    assert fold([kind("é".encode())]).text() == "é"


def test_an_end_inside_a_character_is_no_end() -> None:
    folded = fold([b"ok ", b"\xf0\x9f"])
    assert folded.text() == "ok "
    assert folded.completion == "incomplete"


def test_strings_after_half_a_character() -> None:
    assert fold([b"\xf0\x9f", "a", b"\x98"]).text() == "�a�"


def test_nothing_says_nothing() -> None:
    for item in (None, "", b"", bytearray(), {}, [], (), {"type": "ping"}):
        assert choose(item) is None
    assert fold([None, "", "a", None, "", "b"]).events == [Start(), TextDelta("a"), TextDelta("b")]


def test_events_pass_through() -> None:
    events = [TextDelta("a"), Finish("stop")]
    folded = fold(events)
    assert folded.events == events
    assert folded.completion == "complete"


class _Scalar:
    """As numpy's: a number that is no int."""

    __slots__ = ()


@pytest.mark.parametrize("item", [[1, 2], ["a", "b"], (1,), {1}, _Scalar(), object, {"foo": 1}, print])
def test_what_cannot_be_read_is_refused_by_name(item: Any) -> None:
    with pytest.raises(UnsupportedSource, match="give str, bytes, typestream's own events, or chunks"):
        choose(item)


@pytest.mark.parametrize("item", [7, 1.5, True])
def test_a_number_is_refused_with_what_to_do_about_it(item: Any) -> None:
    with pytest.raises(UnsupportedSource, match=f"a stream of {type(item).__name__}, a number.*token ids"):
        choose(item)


def test_the_refusal_names_the_type() -> None:
    with pytest.raises(UnsupportedSource, match=r"a stream of .*test_text\._Scalar;"):
        choose(_Scalar())
    with pytest.raises(UnsupportedSource, match=r"dict with the keys \['foo'\]"):
        choose({"foo": 1})


def test_objects_without_a_known_field_are_refused() -> None:
    with pytest.raises(UnsupportedSource):
        choose(SimpleNamespace(a=1))
