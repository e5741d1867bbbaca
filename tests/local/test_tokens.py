"""Token ids → text: what comes in pieces is what `decode` makes of the whole, and no piece has half a character."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typestream.sources.tokens import Detokenizer

WORDS = [b" the", b" of", b"ing", "é".encode(), b"\xf0\x9f", b"\x91\x8d", b"\xe2\x82", b"\xac!", b"a\xe2", b""]
TOKENS = [bytes([byte]) for byte in range(256)] + WORDS
TEXT = "The naïve 日本語 café costs 5 €… 👍🏽 and 👩‍👩‍👧‍👦.\n"


class Decoder:
    """A byte-level tokenizer's `decode`; counts its work. Ids of `special` are not shown."""

    def __init__(self, special: int = -1) -> None:
        self.special = special
        self.work = 0

    def decode(self, ids: list[int]) -> str:
        self.work += len(ids)
        return b"".join(TOKENS[each] for each in ids if each != self.special).decode("utf-8", "replace")


def metaspace(ids: list[int]) -> str:
    """As SentencePiece's: a word's space comes first, and that of the text's first word is dropped."""
    words = ["▁", "▁the", "▁", "s", "▁old", "\ufffd"]
    return "".join(words[each % len(words)] for each in ids).replace("▁", " ").removeprefix(" ")


def fed(detokenizer: Detokenizer, ids: list[int]) -> str:
    return "".join([*map(detokenizer.feed, ids), detokenizer.flush()])


IDS = st.lists(st.integers(0, len(TOKENS) - 1), max_size=200)
ODD = st.lists(st.sampled_from([0x80, 0xE2, 0xF0, 0x9F, 0xFF, 65, 260, 261, 262, 263, 264, 265]), max_size=200)


@given(IDS | ODD, st.integers(-1, len(TOKENS) - 1))
def test_the_pieces_are_the_whole(ids, special):
    assert fed(Detokenizer(Decoder(special)), ids) == Decoder(special).decode(ids)


@given(IDS | ODD, st.lists(st.integers(0, 200), max_size=5))
def test_several_ids_at_once_are_the_same(ids, cuts):
    detokenizer = Detokenizer(Decoder())
    places = [0, *sorted(cuts), len(ids)]
    text = "".join(detokenizer.feed(ids[a:b]) for a, b in pairwise(places)) + detokenizer.flush()
    assert text == Decoder().decode(ids)


@given(st.lists(st.integers(0, 5), max_size=100))
def test_the_first_word_s_space_alone_is_dropped(ids):
    assert fed(Detokenizer(metaspace), ids) == metaspace(ids)


class CleansUp:
    """As a tokenizer of words that takes spaces out again, before punctuation and around `'`."""

    clean_up_tokenization_spaces = True
    words = ("he", "said", "'", "yes", ".", "do", "n't", "!", "no")

    def decode(self, ids: list[int], **options: Any) -> str:
        text = " ".join(self.words[each] for each in ids)
        for spaced in (" .", " !", " n't"):
            text = text.replace(spaced, spaced.lstrip())
        return text.replace(" ' ", "'")


CLEANS_UP = CleansUp()
WORD_IDS = st.lists(st.integers(0, len(CleansUp.words) - 1), max_size=30)


@pytest.mark.parametrize("decode", [CLEANS_UP, CLEANS_UP.decode, partial(CLEANS_UP.decode, skip=True)])
@given(WORD_IDS)
def test_spaces_that_are_taken_out_again(decode, ids):
    assert fed(Detokenizer(decode), ids) == CLEANS_UP.decode(ids)


@given(WORD_IDS)
def test_no_letter_is_lost_where_nobody_says_that_spaces_are_taken_out(ids):
    """What was shown stays shown; what comes after it is whole."""
    text = fed(Detokenizer(lambda ids: CLEANS_UP.decode(ids)), ids)
    assert text.replace(" ", "") == CLEANS_UP.decode(ids).replace(" ", "")


@given(st.text(), st.sampled_from([bytes, str]))
def test_no_piece_has_half_a_character(text, kind):
    data = text.encode()
    detokenizer = Detokenizer(Decoder() if kind is str else lambda ids: bytes(ids))
    pieces = [detokenizer.feed(byte) for byte in data]
    assert "".join(pieces) + detokenizer.flush() == text
    assert all("\ufffd" not in piece for piece in pieces) or "\ufffd" in text


def test_a_character_comes_with_its_last_byte():
    detokenizer = Detokenizer(Decoder())
    pieces = [detokenizer.feed(byte) for byte in TEXT.encode()]
    assert [piece for piece in pieces if piece] == list(TEXT)
    assert pieces[:3] == ["T", "h", "e"]


@given(st.lists(st.binary(max_size=3)))
def test_decoders_that_give_bytes(chunks):
    detokenizer = Detokenizer(lambda ids: b"".join(chunks[each] for each in ids))
    assert fed(detokenizer, list(range(len(chunks)))) == b"".join(chunks).decode("utf-8", "replace")


@pytest.mark.parametrize(
    "ids",
    [list(TEXT.encode()), [0x80], [0xFF], [0xE2, 0x82], [0xF0, 0x9F, 0x91], [256, 70, 257]],
    ids=["text", "continuations", "never valid", "cut in two", "cut in three", "special"],
)
def test_the_work_is_linear(ids):
    def work(repeats: int) -> int:
        decoder = Decoder(special=70)
        fed(Detokenizer(decoder), ids * repeats)
        return decoder.work

    few, many = work(200), work(2000)
    assert many < 11 * few
    assert many < 60 * 2000 * len(ids)


def test_a_flushed_detokenizer_begins_again():
    detokenizer = Detokenizer(Decoder())
    assert detokenizer.feed([0xE2, 0x82]) == ""
    assert detokenizer.flush() == "\ufffd"
    assert detokenizer.feed([65]) == "A"
    assert detokenizer.flush() == ""


def test_options_are_passed_on():
    seen: list[Any] = []

    def decode(ids: list[int], **options: bool) -> str:
        seen.append(options)
        return "x" * len(ids)

    assert Detokenizer(decode, skip_special_tokens=True).feed(1) == "x"
    assert seen == [{"skip_special_tokens": True}]


@pytest.mark.parametrize("call", [lambda: Detokenizer(5), lambda: Detokenizer(Decoder()).feed(["a"])])  # type: ignore[list-item]
def test_what_it_does_not_take(call: Callable[[], Any]):
    with pytest.raises((TypeError, AttributeError)):
        call()
