"""What `per=` means: a name, a pattern or a maker becomes a maker of segmenters, one for each stream."""

import re
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any, TypeGuard

from typestream.pacing._graphemes import Graphemes
from typestream.pacing._policy import Segmenter
from typestream.pacing._units import Lines, Matches, Sentences, Words

__all__ = ("check_per", "segmenter")


class _Deltas:
    """As the source cut it."""

    def feed(self, text: str) -> list[str]:
        return [text] if text else []

    def flush(self) -> list[str]:
        return []


_MAKERS: dict[object, Callable[[], Segmenter]] = {
    "grapheme": Graphemes,
    "word": Words,
    "sentence": Sentences,
    "line": Lines,
    "delta": _Deltas,
}


def _is_segmenter(per: object) -> TypeGuard[Segmenter]:
    return callable(getattr(per, "feed", None)) and callable(getattr(per, "flush", None))


def check_per(per: object) -> None:
    """Refuse what does not say how to cut text.

    Raises:
        ValueError: `per` is no unit, pattern, maker or segmenter, or a pattern that matches an empty string.
    """
    if isinstance(per, str):
        good = per in _MAKERS
    elif isinstance(per, re.Pattern):
        good = isinstance(per.pattern, str)
        if good and per.search("") is not None:
            raise ValueError(f"per must not match an empty string, as the pattern {per.pattern!r} does.")
    else:
        good = callable(per) or _is_segmenter(per)
    if not good:
        names = ", ".join(f'"{name}"' for name in _MAKERS)
        raise ValueError(
            f"per must be one of {names}, a compiled pattern of str, or a callable that makes a Segmenter, not {per!r}."
        )


def segmenter(per: Any) -> Callable[[], Segmenter]:
    """A maker of segmenters for `per`; what `check_per` accepts. A segmenter itself is copied for each stream."""
    check_per(per)
    if isinstance(per, re.Pattern) or (isinstance(per, str) and per != "delta"):
        import wcwidth  # noqa: F401  its 50 ms are spent before the stream begins, not at its first token
    if isinstance(per, str):
        return _MAKERS[per]
    if isinstance(per, re.Pattern):
        return partial(Matches, per)
    if isinstance(per, type) or not _is_segmenter(per):
        maker: Callable[[], Segmenter] = per
        return maker
    return partial(deepcopy, per)
