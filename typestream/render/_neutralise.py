"""Text made safe to show: nothing in it can move the cursor, change colours, hide or reorder what is read.

Rules: the character that would introduce an effect is replaced by a visible one and nothing after it is dropped, so
what was sent can be read; LF and TAB stay; CR LF becomes LF; everything else, combining marks and joiners included, is
left as it is. `ESC` is shown as ␛, the other control characters as their control pictures (U+2400 ff.), the C1 and the
bidirectional controls as `\\u` escapes, a lone surrogate as U+FFFD.
"""

import re
from typing import Final

from typestream.decode._surrogates import mend

__all__ = ("Neutraliser", "neutralise")

_BIDI: Final = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
_PICTURES: Final[dict[int, str]] = {
    **{code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\n\t"},
    0x7F: "\u2421",
    **{code: f"\\u{code:04x}" for code in (*range(0x80, 0xA0), *_BIDI)},
}
# As ranges: a pattern that finds none is what nearly every piece of text costs.
_UNSAFE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def neutralise(text: str) -> str:
    """A whole text made safe. It is never shorter than what can be seen of it, and safe to be given again."""
    if _UNSAFE.search(text) is None:
        return text
    return mend(text.replace("\r\n", "\n")).translate(_PICTURES)


class Neutraliser:
    """The same for text that comes in pieces: `feed` them, then `flush`. The result does not depend on the cut.

    At most one character is held back: a CR, which a LF may follow, or the first half of a surrogate pair.
    """

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = ""

    @property
    def held(self) -> int:
        """How many characters are held back."""
        return len(self._held)

    def feed(self, piece: str) -> str:
        """What is safe to show now."""
        if self._held:
            piece, self._held = self._held + piece, ""
        if piece and (piece[-1] == "\r" or "\ud800" <= piece[-1] <= "\udbff"):
            piece, self._held = piece[:-1], piece[-1]
        return neutralise(piece)

    def flush(self) -> str:
        """What was held back."""
        held, self._held = self._held, ""
        return neutralise(held)
