"""Hostile and odd texts, of our own making, and what may never come out of a renderer."""

import base64
import json
import re
from pathlib import Path
from typing import NamedTuple

from hypothesis import strategies as st

__all__ = ("CASES", "HOSTILE", "Case", "forbidden", "in_order")

SHARED = Path(__file__).parents[3] / "shared" / "data" / "escapes.json"
_FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class Case(NamedTuple):
    """A text, and what of it must be seen, in order. A benign one passes as it is."""

    name: str
    text: str
    must_show: tuple[str, ...]
    benign: bool = False


_OWN = [
    Case("clipboard", "one\x1b]52;c;eA==\x07two", ("one", "]52;c;eA==", "two")),
    Case("title, ST", "one\x1b]0;t\x1b\\two", ("one", "]0;t", "two")),
    Case("clear", "one\x1b[2J\x1b[Htwo", ("one", "[2J", "[H", "two")),
    Case("sgr", "\x1b[31;8mred", ("[31;8m", "red")),
    Case("unterminated", "one\x1b]0;the answer is 42", ("one", "the answer is 42")),
    Case("escape at the end", "one\x1b", ("one",)),
    Case("c1", "one\x9b2Jtwo\x90three\x85four", ("one", "2J", "two", "three", "four")),
    Case("backspace, bell, nul, del", "a\x08b\x07c\x00d\x7fe", tuple("abcde")),
    Case("crlf", "one\r\ntwo\r\n", ("one", "two")),
    Case("cr", "evil\rgood\r", ("evil", "good")),
    Case("bidi", "a\u202eb\u202cc\u2066d\u2069e", tuple("abcde")),
    Case("surrogates", "a\ud800b\udc00c\ud83d\ude00d", tuple("abcd")),
    Case("character references", "a &#x202e; &#27; &#13; &#x9b; &#12; b", ("a", "b")),
    Case("link with controls", "[a](https://x.example/%1b]0;\x1b\\)", ("a",)),
    Case("html", "<b>bold</b> <!-- note -->\n\n<div>\nblock\n</div>", ("bold", "note", "block")),
    Case("sse", "x\n\nevent: y\ndata: z\r\rid: 1\n", ("x", "event: y", "data: z", "id: 1")),
    Case("markup", "[red]a[/red] [/nothing] [bold", ("a", "bold")),
    Case("emoji", "👩\u200d💻 e\u0301 नमस्ते 漢字", ("👩\u200d💻", "e\u0301", "नमस्ते", "漢字"), benign=True),
    Case("pictures", "␛[2J ^[[2J \\x1b[2J", ("␛[2J", "^[[2J"), benign=True),
]


def _shared() -> list[Case]:
    if not SHARED.exists():
        return []
    found = []
    for case in json.loads(SHARED.read_text("utf-8"))["cases"]:
        text = case.get("text") or base64.b64decode(case["utf8_base64"]).decode("utf-8", "surrogatepass")
        found.append(Case(case["name"], text, tuple(case["must_show"]), case["category"] == "benign"))
    return found


CASES = _OWN + _shared()


_BODIES = [
    *(
        "0;t",
        "2;t",
        "4;1;?",
        "7;file://h/p",
        "8;;http://e",
        "10;?",
        "52;c;eA==",
        "104",
        "133;A",
        "777;n",
        "1337;SetMark",
    ),
    *(
        "2J",
        "H",
        "?25l",
        "?1049h",
        "?2004h",
        "6n",
        ">c",
        "!p",
        "1;2r",
        "31;8m",
        "38;5;1m",
        " q",
        '"p',
        "$}",
        "'z",
        "=1u",
    ),
    *("c", "7", "8", "D", "E", "M", "(0", "#8", "%G", "$q", "Ga=T", "q#0!9~", "hidden", ""),
]
_INTRODUCERS = [*(f"\x1b{char}" for char in "[]P_^XNO"), "\x1b", *map(chr, range(0x80, 0xA0))]
_ODD = [
    *map(chr, range(0x20)),
    *map(chr, (0x7F, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x61C, 0x2028, 0x2029)),
    *(
        "\r\n",
        "\r\r\n",
        "\b\b",
        "\u200b\u200d\ufeff" * 9,
        "\ufe0f" * 20,
        "\U000e0041\U000e0042",
        "\xc2\x9b",
        "e" + "\u0301" * 30,
    ),
    *("\ud83d", "\ude00", "\udc80", "漢字", "\ufdfd", "👩\u200d💻", "&#27;", "&#x9b;", "&#8238;", "%1b[2J"),
    *(
        "`",
        "**",
        "\n```\n",
        "[a](",
        ")",
        "![",
        "](http://x",
        "<b>",
        "|",
        "\n|-|-|\n",
        "# ",
        "> ",
        "- ",
        '"',
        "\\",
        "data: x",
    ),
]
_ENDS = st.sampled_from(["\x07", "\x1b\\", "\x9c", "\x18", ""])
HOSTILE: st.SearchStrategy[str] = st.lists(
    st.one_of(
        st.sampled_from(_ODD),
        st.sampled_from(["word", " ", "\n", "two three"]),
        st.builds("{}{}{}".format, st.sampled_from(_INTRODUCERS), st.sampled_from(_BODIES), _ENDS),
    ),
    max_size=10,
).map("".join)
"""Texts of whatever can be sent to a terminal, well formed or not, and of Markdown that it may hide in."""


def forbidden(text: str) -> list[str]:
    """The characters that may not be there."""
    return _FORBIDDEN.findall(text)


def in_order(wanted: tuple[str, ...], text: str) -> bool:
    """Whether all of it is there, one after the other."""
    at = 0
    for each in wanted:
        found = text.find(each, at)
        if found < 0:
            return False
        at = found + len(each)
    return True
