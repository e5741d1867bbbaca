"""What other chunkers make of given inputs, against ours.

`../shared/data/chunking_cases.json`, read if it is there. Three relations are used:

- *same*: the very pieces (white space at the ends aside where the other one drops it);
- *finer*: every cut of theirs is one of ours, white space counted with the piece before it;
- *not comparable*, with the reason.
"""

import json
import re
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from typestream.pacing._segment import check_per, segmenter

DATA = Path(__file__).parents[3] / "shared" / "data" / "chunking_cases.json"
CASES: list[dict[str, Any]] = json.loads(DATA.read_text(encoding="utf-8"))["cases"] if DATA.exists() else []

CUT_DEPENDENT = "it shows where the input was cut: a run of white space is torn between deltas"
TORN = "it shows a torn surrogate pair or cluster, and no ideal is given; ours keeps clusters whole"
FINER = {
    "dictionary words of Japanese or Chinese; ours cuts between characters, without a dictionary": r"segmenter ja|zh$",
    "white space and punctuation are words of their own there": r"segmenter (en )?word|segmenter word:",
    "it never lets go of Chinese; ours cuts between characters": r"Chinese sentence never releases",
    "sentences shorter than ten characters are merged there": r"short sentences merge|CJK full stop",
}
NOT_COMPARABLE = {
    CUT_DEPENDENT: r"keep longer whitespace runs|whitespace run split",
    TORN: r"regex /\./: emoji split|regex /\./u: emoji kept",
    "it cuts after the title in `Dr. Smith`, the other recorded library and ours do not": r"sentence: whole text",
    "its function takes text and returns a piece; ours is a Segmenter": r"callback: empty match throws",
    "it has its own error": r"invalid chunking|regex empty match",
}
OTHER_KINDS = {"simulate_readable_stream", "adaptive_piece_size", "word_boundary", "controller_step", "rate_estimator"}
OTHER_KINDS |= {"debounce", "property"}  # timing, sizes and statements, no segmentation


def reason(case: dict[str, Any], table: dict[str, str]) -> str | None:
    return next((why for why, names in table.items() if re.search(names, case["name"])), None)


def per(case: dict[str, Any]) -> object:
    if case["kind"] == "sentence":
        return "sentence"
    chunking = case["options"]["chunking"]
    if isinstance(chunking, str):
        return chunking
    if "callback" in chunking:
        return re.compile(chunking["callback"].removeprefix("prefix matching "))
    return chunking.get("granularity") or re.compile(chunking["regex"])


def runs(case: dict[str, Any]) -> list[list[str]]:
    """The deltas, those of each text or reasoning part apart; a tool call or another part's delta ends one."""
    found: list[list[str]] = []
    last: object = None
    for chunk in case["input_chunks"]:
        if isinstance(chunk, dict) and chunk["type"] not in ("text-delta", "reasoning-delta"):
            last = last if chunk["type"] == "ping" else None
            continue
        key = "text" if isinstance(chunk, str) else (chunk["type"], chunk["id"])
        if key != last:
            found.append([])
        last = key
        found[-1].append(chunk if isinstance(chunk, str) else chunk["text"])
    return [joined for joined in map(whole_pairs, found) if "".join(joined)]


def whole_pairs(deltas: list[str]) -> list[str]:
    """The halves of a surrogate pair joined, as the core does before it cuts."""
    text = "\0".join(deltas)
    text = re.sub("([\ud800-\udbff])\0([\udc00-\udfff])", r"\1\2\0", text)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass").split("\0")


def ours(case: dict[str, Any]) -> list[str]:
    pieces: list[str] = []
    for run in runs(case):
        one = segmenter(per(case))()
        pieces += [piece for delta in run for piece in one.feed(delta)] + one.flush()
    return pieces


def theirs(case: dict[str, Any]) -> list[str]:
    return [piece for piece in case.get("ideal_chunks", case["expected_chunks"]) if piece]


def is_english_words(case: dict[str, Any]) -> bool:
    return bool(case["options"].get("chunking") == {"segmenter": "en", "granularity": "word"})


def cuts(pieces: list[str]) -> set[int]:
    """After how many characters, white space not counted, a piece ends."""
    return set(accumulate(len("".join(piece.split())) for piece in pieces))


def cases(relation: str) -> list[Any]:
    found = []
    for case in CASES:
        if case["kind"] in OTHER_KINDS:
            continue
        kind = "not" if reason(case, NOT_COMPARABLE) else "finer" if reason(case, FINER) else "same"
        if kind == relation:
            found.append(pytest.param(case, id=case["name"]))
    return found


@pytest.mark.parametrize("case", cases("same"))
def test_the_same_pieces(case: dict[str, Any]) -> None:
    pieces = ours(case)
    if case["kind"] == "sentence":  # the other library drops white space at the ends
        pieces = [piece.strip() for piece in pieces]
    assert pieces == theirs(case)


@pytest.mark.parametrize("case", cases("finer"))
def test_every_cut_of_theirs_is_one_of_ours(case: dict[str, Any]) -> None:
    coarse, fine = theirs(case), ours(case)
    if is_english_words(case):
        coarse, fine = fine, coarse  # theirs are the finer ones
    assert cuts(coarse) <= cuts(fine)


@pytest.mark.parametrize("case", cases("not"))
def test_what_is_not_comparable_still_loses_nothing(case: dict[str, Any]) -> None:
    if case["expected_chunks"] is None:
        if "callback" not in case["name"]:
            with pytest.raises(ValueError, match=r"^per must"):
                check_per(per(case))
        return
    assert "".join(ours(case)) == "".join("".join(run) for run in runs(case))
    assert ours(case) != theirs(case)  # else it belongs to the same


def test_every_case_is_accounted_for() -> None:
    kinds = {case["kind"] for case in CASES}
    assert kinds <= {"smoothstream", "sentence"} | OTHER_KINDS
