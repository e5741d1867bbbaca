"""Hostile and odd texts, of our own making, and what may never come out of a renderer."""

import base64
import json
import re
from pathlib import Path
from typing import NamedTuple

__all__ = ("CASES", "Case", "forbidden", "in_order")

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
