"""When a match may still begin: from a regular expression, one that finds where an unfinished match of it may stand.

Rules: for a sequence `abc` a text may end before `a`, inside it, or after it inside `bc`, and so on into every part;
where in doubt the answer is "it may", which costs time and never safety. The parts come from the standard library's
own parser of regular expressions, which is not public; whatever it does not say in a known way raises `Unknown`.
"""

import re
from importlib import import_module
from typing import Any

__all__ = ("Unknown", "looks_back", "unfinished")

_END = r"\Z"
_ANYTHING = r"[\s\S]*"
_CLASSES = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
}
_LOCAL_FLAGS = (
    (re.IGNORECASE, "i"),
    (re.MULTILINE, "m"),
    (re.DOTALL, "s"),
    (re.ASCII, "a"),
    (re.UNICODE, "u"),
)


class Unknown(Exception):
    """The expression has a part whose unfinished form is not known."""


def unfinished(pattern: "re.Pattern[str]") -> "re.Pattern[str]":
    """An expression whose first match in a text begins where the first match of `pattern` may still begin or grow
    when more text comes; at the very end of the text where there is none.

    Raises:
        Unknown: it cannot be told.
    """
    try:
        flags = pattern.flags & ~re.VERBOSE
        return re.compile(f"(?:{_sequence(list(_parsed(pattern)))})|{_END}", flags & ~re.DEBUG)
    except _ERRORS as error:
        raise Unknown(str(error)) from error


def looks_back(pattern: "re.Pattern[str]") -> int:
    """How many characters before a match its look-behinds may look at, at most.

    Raises:
        Unknown: it cannot be told.
    """
    try:
        return _behind(_parsed(pattern))
    except _ERRORS as error:
        raise Unknown(str(error)) from error


_ERRORS = (re.error, RecursionError, OverflowError, ValueError, TypeError, KeyError)


def _parsed(pattern: "re.Pattern[str]") -> Any:
    try:
        parser: Any = import_module("re._parser")
    except ImportError:  # before Python 3.11
        parser = import_module("sre_parse")
    return parser.parse(pattern.pattern, pattern.flags)


def _behind(part: Any) -> int:
    if part is None or isinstance(part, int):
        return 0
    if isinstance(part, tuple) and str(part[0]) in ("ASSERT", "ASSERT_NOT") and part[1][0] < 0:
        return int(part[1][1].getwidth()[1]) + _behind(part[1][1])
    return sum(_behind(each) for each in part)


def _sequence(parts: list[Any]) -> str:
    """The unfinished form of one part after the other. `(?!)` matches nothing."""
    found = "(?!)"
    for part in reversed(parts):
        found = f"{_part(part)}|{_full(part)}(?:{found})"
    return found


def _part(part: Any) -> str:
    """Where a text may end in or before one part, as an alternative."""
    name, value = str(part[0]), part[1]
    if name in ("LITERAL", "NOT_LITERAL", "ANY", "IN", "GROUPREF"):
        return _END if name != "GROUPREF" else _ANYTHING + _END
    if name == "AT":
        return r"\n?\Z" if str(value) in _AT_END else "(?!)"
    if name in ("ASSERT", "ASSERT_NOT"):
        return _sequence(list(value[1])) if value[0] > 0 else "(?!)"
    if name == "SUBPATTERN":
        return _flagged(value, _sequence(list(value[3])))
    if name == "ATOMIC_GROUP":
        return _sequence(list(value))
    if name == "BRANCH":
        return "|".join(_sequence(list(each)) for each in value[1])
    if name == "GROUPREF_EXISTS":
        return "|".join(_sequence(list(each)) for each in value[1:] if each is not None)
    if name in _REPEATS:
        _, high, inner = value
        return f"{_repeated(inner, 0, None if _endless(high) else high - 1)}(?:{_sequence(list(inner))})"
    raise Unknown(f"The part {name} of a regular expression is not known.")


_REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")
_AT_END = ("AT_END", "AT_END_STRING", "AT_END_LINE", "AT_BOUNDARY", "AT_NON_BOUNDARY")


def _full(part: Any) -> str:
    """The part as a whole, or something that matches wherever it does."""
    name, value = str(part[0]), part[1]
    if name == "LITERAL":
        return re.escape(chr(value))
    if name == "NOT_LITERAL":
        return f"[^{_in_class(value)}]"
    if name == "ANY":
        return "."
    if name == "IN":
        return f"[{''.join(_member(each) for each in value)}]"
    if name in ("AT", "ASSERT", "ASSERT_NOT"):
        return ""
    if name == "GROUPREF":
        return _ANYTHING
    if name == "SUBPATTERN":
        return _flagged(value, _all(value[3]))
    if name == "ATOMIC_GROUP":
        return f"(?:{_all(value)})"
    if name == "BRANCH":
        return f"(?:{'|'.join(_all(each) for each in value[1])})"
    if name == "GROUPREF_EXISTS":
        return f"(?:{'|'.join(_all(each or []) for each in value[1:])})"
    if name in _REPEATS:
        low, high, inner = value
        return _repeated(inner, low, None if _endless(high) else high)
    raise Unknown(f"The part {name} of a regular expression is not known.")


def _all(parts: Any) -> str:
    return "".join(_full(part) for part in parts)


def _endless(high: Any) -> bool:
    return str(high) == "MAXREPEAT"


def _repeated(inner: Any, low: int, high: int | None) -> str:
    return f"(?:{_all(inner)}){{{low},{'' if high is None else max(high, low)}}}"


def _flagged(value: Any, inner: str) -> str:
    """A group's own flags, as in `(?i:…)`, kept."""
    _, added, removed, _ = value
    on = "".join(letter for flag, letter in _LOCAL_FLAGS if added & flag)
    off = "".join(letter for flag, letter in _LOCAL_FLAGS if removed & flag)
    return f"(?{on}{'-' + off if off else ''}:{inner})"


def _in_class(code: int) -> str:
    return f"\\U{code:08x}"


def _member(member: Any) -> str:
    name, value = str(member[0]), member[1]
    if name == "NEGATE":
        return "^"
    if name == "LITERAL":
        return _in_class(value)
    if name == "RANGE":
        return f"{_in_class(value[0])}-{_in_class(value[1])}"
    return _CLASSES[str(value)]
