"""Unicode's own GraphemeBreakTest, whole and cut anywhere.

`data/GraphemeBreakTest-17.0.0.txt` is Unicode's file as it is (licence beside it). The tables are those of the
installed wcwidth, so what is expected is that of *its* Unicode version. Unicode 18.0 changed rule GB9c: a linker
(virama) joins a consonant that follows even where no consonant stands before it, which changes four rows of this file.
"""

from itertools import combinations
from pathlib import Path

import pytest
import wcwidth

from typestream.pacing._segment import segmenter

TABLE = Path(__file__).parent / "data" / "GraphemeBreakTest-17.0.0.txt"
INSTALLED = tuple(map(int, wcwidth.list_versions()[-1].split(".")[:2]))
CHANGED_IN_18: dict[tuple[str, ...], list[str]] = {
    ("\u094d", "\u0915"): ["\u094d\u0915"],
    ("\u094d\u0308", "\u0915"): ["\u094d\u0308\u0915"],
    ("a\u094d", "\u0924"): ["a\u094d\u0924"],
    ("?\u094d", "\u0924"): ["?\u094d\u0924"],
}

pytestmark = pytest.mark.skipif(
    INSTALLED not in ((17, 0), (18, 0)),
    reason=f"wcwidth has the tables of Unicode {INSTALLED}, and expected results differ between versions",
)


def rows() -> list[list[str]]:
    """The clusters of each row."""
    found: list[list[str]] = []
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        clusters = line.partition("#")[0].replace("×", "").split("÷")[1:-1]
        if clusters:
            found.append(["".join(chr(int(code, 16)) for code in cluster.split()) for cluster in clusters])
    return [CHANGED_IN_18.get(tuple(row), row) if INSTALLED >= (18, 0) else row for row in found]


def cut(*deltas: str) -> list[str]:
    one = segmenter("grapheme")()
    return [piece for delta in deltas for piece in one.feed(delta)] + one.flush()


def test_the_table_is_whole() -> None:
    assert len(rows()) == 766
    assert sum(len(row) for row in rows()) > 1000


def test_every_row_whole_and_cut_anywhere() -> None:
    for row in rows():
        text = "".join(row)
        for count in range(min(len(text), 4)):
            for ends in combinations(range(1, len(text)), count):
                deltas = [text[start:end] for start, end in zip((0, *ends), (*ends, len(text)), strict=True)]
                assert cut(*deltas) == row, deltas
        assert cut(*text) == row


def test_all_rows_as_one_text() -> None:
    """With a line feed between them, which joins nothing but a CR."""
    row_wise = [cluster for row in rows() if not row[-1].endswith("\r") for cluster in [*row, "\n"]]
    text = "".join(row_wise)
    for size in (1, 2, 3, 7, 1000, len(text)):
        assert cut(*(text[at : at + size] for at in range(0, len(text), size))) == row_wise
