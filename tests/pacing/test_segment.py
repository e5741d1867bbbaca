"""What each `per=` makes of a text, and what holds for all of them."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from typestream.pacing import Segmenter
from typestream.pacing._segment import check_per, segmenter

PERS: list[object] = ["grapheme", "word", "sentence", "line", "delta", re.compile(r"\S+\s+"), re.compile("[,;]|.(?=b)")]
CUT_BY_US = [per for per in PERS if per != "delta"]

# what tears clusters, words and sentences when it is cut in the wrong place
MARKS = [*"\u0301\u200d\ufe0f👩🏽🇫🇷क\u094dष\u0600\u0903\u1100\u1161\u11ab가\ud83d\ude00"]
UNSPACED = [*"世界。，！」「“”…—ーｱสក", "ว\u0e31"]
SPACES = ["\r\n", " \u0301", "\x85", "\xa0", "\u3000", "\ufeff", "\u200b", "\x1c"]
POINTS = ["Dr. ", "e.g. ", "3.14", "2. ", "U.S. "]
AWKWARD = st.sampled_from([*"ab I.!?\n\r\t\"'()*,;1", *MARKS, *UNSPACED, *SPACES, *POINTS])
TEXTS = st.lists(AWKWARD | st.characters(codec=None), max_size=40).map("".join)


def cut(per: object, *deltas: str) -> list[str]:
    maker: Segmenter = segmenter(per)()
    pieces = [piece for delta in deltas for piece in maker.feed(delta)]
    return pieces + maker.flush()


@given(st.sampled_from(PERS), st.lists(TEXTS, max_size=6))
def test_nothing_is_lost_and_no_piece_is_empty(per: object, deltas: list[str]) -> None:
    pieces = cut(per, *deltas)
    assert "".join(pieces) == "".join(deltas)
    assert "" not in pieces


@settings(max_examples=300)
@given(st.sampled_from(CUT_BY_US), TEXTS, st.data())
def test_the_pieces_do_not_depend_on_the_cut(per: object, text: str, data: st.DataObject) -> None:
    ends = sorted(data.draw(st.sets(st.integers(0, len(text)))))
    deltas = [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]
    whole = cut(per, text)
    assert cut(per, *deltas) == whole
    assert cut(per, *text) == whole


@given(st.sampled_from(CUT_BY_US), TEXTS, TEXTS)
def test_what_went_out_holds_for_every_continuation(per: object, text: str, continuation: str) -> None:
    early = segmenter(per)().feed(text)
    assert cut(per, text + continuation)[: len(early)] == early


@given(st.sampled_from(CUT_BY_US), TEXTS)
def test_no_piece_ends_inside_a_grapheme(per: object, text: str) -> None:
    assert [grapheme for piece in cut(per, text) for grapheme in cut("grapheme", piece)] == cut("grapheme", text)


@given(st.sampled_from(CUT_BY_US), TEXTS, TEXTS)
def test_after_flush_it_begins_anew(per: object, first: str, second: str) -> None:
    one = segmenter(per)()
    assert one.feed(first) + one.flush() == cut(per, first)
    assert one.feed(second) + one.flush() == cut(per, second)


@pytest.mark.parametrize(
    ("per", "limit"), [("grapheme", 256), ("word", 1024), ("sentence", 4096), ("line", 4096), (re.compile("§"), 1024)]
)
@pytest.mark.parametrize("endless", ["x", "\u0301", "👩\u200d", "क\u094d", " ", "\u1100", "世\u0301", "ax\u0301"])
@pytest.mark.parametrize("size", [1, 700, 6_000])
def test_what_is_held_is_bounded(per: object, limit: int, endless: str, size: int) -> None:
    """So the work is linear: a segmenter looks again at most at what it holds, and at a delta in blocks."""
    text = endless * (6_000 // len(endless))
    one, out, fed = segmenter(per)(), 0, 0
    for start in range(0, len(text), size):
        fed += len(text[start : start + size])
        pieces = one.feed(text[start : start + size])
        assert max(map(len, pieces), default=0) <= limit
        out += sum(map(len, pieces))
        assert fed - out <= limit + 256  # the piece, and the cluster that may or may not belong to it
    assert "".join(cut(per, text)) == text


@pytest.mark.parametrize("endless", ["x", "\u0301", "👩\u200d", "a\u0301"])
@pytest.mark.parametrize("per", ["grapheme", "word", "sentence", "line"])
def test_the_work_on_an_endless_run_is_linear(per: str, endless: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import wcwidth

    seen = [0]

    def counting(text: str) -> list[str]:
        seen[0] += len(text)
        return list(real(text))

    real = wcwidth.iter_graphemes
    monkeypatch.setattr(wcwidth, "iter_graphemes", counting)
    text = endless * (60_000 // len(endless))
    cut(per, text)
    # whole: in blocks of 1,024 code points, each cut afresh every 256
    assert seen[0] <= 6 * len(text)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        ("hey", ["h", "e", "y"]),
        ("a\r\nb\r", ["a", "\r\n", "b", "\r"]),
        ("e\u0301👨\u200d👩\u200d👧🇫🇷🇩🇪", ["e\u0301", "👨\u200d👩\u200d👧", "🇫🇷", "🇩🇪"]),
        ("क्षि가", ["क्षि", "가"]),
        ("a\ud83db\ude00", ["a", "\ud83d", "b", "\ude00"]),  # halves are kept as they are
    ],
)
def test_graphemes(text: str, pieces: list[str]) -> None:
    assert cut("grapheme", text) == pieces


def test_only_a_grapheme_that_may_grow_is_held() -> None:
    one = segmenter("grapheme")()
    assert one.feed("ab") == ["a"]
    assert one.feed("\n") == ["b", "\n"]
    assert one.feed("\r") == []
    assert one.feed("é") == ["\r"]
    assert one.flush() == ["é"]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Hello, world!", ["Hello, ", "world!"]),
        ("  two  spaces\n\nthen ", ["  two  ", "spaces\n\n", "then "]),
        (" \n ", [" \n "]),
        ("don't re-read 3.14%", ["don't ", "re-read ", "3.14%"]),
        ("a\xa0b\u3000c\x85d", ["a\xa0", "b\u3000", "c\x85d"]),
        ("世界。你好", ["世", "界。", "你", "好"]),
        ("他说：「你好！」 然后", ["他", "说：", "「你", "好！」 ", "然", "后"]),
        ("GPT模型2.0版（新）OK", ["GPT", "模", "型", "2.0", "版", "（新）", "OK"]),
        ("你好,OK (世)", ["你", "好,", "OK ", "(世)"]),
        ('こんにちは “世界” "世界"', ["こ", "ん", "に", "ち", "は ", "“世", "界” ", '"世', '界"']),
        ("한국어 단어", ["한국어 ", "단어"]),
        ("สวัสดี ครับ", ["ส", "วั", "ส", "ดี ", "ค", "รั", "บ"]),
        ("ok 👩\u200d👧👍 good", ["ok ", "👩\u200d👧👍 ", "good"]),
        ("a \u0301b", ["a \u0301b"]),  # a space with a mark is a character like any other
    ],
)
def test_words(text: str, pieces: list[str]) -> None:
    assert cut("word", text) == pieces


def test_a_word_goes_out_when_the_next_begins() -> None:
    one = segmenter("word")()
    assert one.feed("Hello") == []
    assert one.feed(" ") == []
    assert one.feed("w") == ["Hello "]
    assert one.feed("世") == ["w"]
    assert one.feed("，") == []
    assert one.feed("界") == ["世，"]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("One. Two! Three? Four", ["One. ", "Two! ", "Three? ", "Four"]),
        ("It is 3.14, see a.b?c=d. It helps.", ["It is 3.14, see a.b?c=d. ", "It helps."]),
        ("Dr. Smith, e.g. Mr. J. R. R. T., left. OK.", ["Dr. Smith, e.g. Mr. J. R. R. T., left. ", "OK."]),
        (
            "The U.S. Senate met at 9 a.m. sharp. So do I. Yes.",
            ["The U.S. Senate met at 9 a.m. sharp. ", "So do I. ", "Yes."],
        ),
        ("See fig. 3, no. 5. He said no. Then", ["See fig. 3, no. 5. ", "He said no. ", "Then"]),
        ("1. First. 2. Second.\n3. Third.", ["1. First. ", "2. Second.\n", "3. Third."]),
        ('He said "Stop now!" and left. (She did.) "Oh."', ['He said "Stop now!" and left. ', "(She did.) ", '"Oh."']),
        ("Wait... what?! Really… yes. **Bold.** Plain", ["Wait... what?! ", "Really… yes. ", "**Bold.** ", "Plain"]),
        ("今天好。我们去「真的？」然后！！ 好", ["今天好。", "我们去「真的？」", "然后！！ ", "好"]),
        ("no stop\nsame sentence\n\nNew one", ["no stop\nsame sentence\n\n", "New one"]),
        ("Windows\r\n\r\nNew", ["Windows\r\n\r\n", "New"]),
        ("so  what\t\tnow", ["so  what\t\tnow"]),
        ("什么！…好", ["什么！…", "好"]),
        ("क्या? हाँ। ठीक", ["क्या? ", "हाँ। ", "ठीक"]),
        ("  \n\n One. ", ["  \n\n One. "]),
    ],
)
def test_sentences(text: str, pieces: list[str]) -> None:
    assert cut("sentence", text) == pieces


def test_how_far_a_sentence_looks_back_does_not_depend_on_the_cut() -> None:
    text = "xA.B.C.D.E.F.G. Then"
    assert cut("sentence", text) == cut("sentence", *text) == ["xA.B.C.D.E.F.G. ", "Then"]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("a\nb\r\nc\rd", ["a\n", "b\r\n", "c\r", "d"]),
        ("\n\n", ["\n", "\n"]),
        ("a\vb\x85c\u2028d", ["a\vb\x85c\u2028d"]),
    ],
)
def test_lines(text: str, pieces: list[str]) -> None:
    assert cut("line", text) == pieces


def test_a_line_goes_out_with_its_line_feed() -> None:
    one = segmenter("line")()
    assert one.feed("a\n") == ["a\n"]
    assert one.feed("b\r") == []
    assert one.feed("\n") == ["b\r\n"]


@pytest.mark.parametrize(
    ("pattern", "text", "pieces"),
    [
        (r"\S+\s+", "one two  three", ["one ", "two  ", "three"]),
        ("_", "Hello_, world!", ["Hello_", ", world!"]),
        (".", "a👩\u200d👧b", ["a", "👩\u200d👧", "b"]),
        ("e", "ne\u0301e!", ["ne\u0301", "e", "!"]),  # through the grapheme in which the match ends
        ("(?=x)", "xaxb", ["xa", "xb"]),
        (r"\b(?=x)", "ab x", ["ab ", "x"]),
    ],
)
def test_patterns(pattern: str, text: str, pieces: list[str]) -> None:
    assert cut(re.compile(pattern), text) == pieces


class Pairs:
    def __init__(self) -> None:
        self.text = ""

    def feed(self, text: str) -> list[str]:
        self.text += text
        pairs = [self.text[at : at + 2] for at in range(0, len(self.text) - 1, 2)]
        self.text = self.text[2 * len(pairs) :]
        return pairs

    def flush(self) -> list[str]:
        return [self.text] if self.text else []


@pytest.mark.parametrize("per", [Pairs, lambda: Pairs(), Pairs()])
def test_a_segmenter_of_your_own_is_made_for_each_stream(per: object) -> None:
    check_per(per)
    maker = segmenter(per)
    one, other = maker(), maker()
    assert one.feed("abc") == ["ab"]
    assert other.feed("xyz") == ["xy"]
    assert (one.flush(), other.flush()) == (["c"], ["z"])


@pytest.mark.parametrize("per", ["foo", "", None, 3, re.compile(b"x"), ["word"]])
def test_anything_else_is_refused_in_one_sentence(per: object) -> None:
    with pytest.raises(
        ValueError, match=r'^per must be one of "grapheme", "word", "sentence", "line", "delta", .*not '
    ):
        check_per(per)
    with pytest.raises(ValueError, match=r"^per must be one of "):
        segmenter(per)


def test_a_pattern_that_matches_nothing_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^per must not match an empty string, as the pattern 'x\?' does\.$"):
        check_per(re.compile("x?"))
