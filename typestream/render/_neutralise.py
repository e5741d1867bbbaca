"""Makes text safe to show: nothing in it can move the cursor, change colours, or hide or reorder text.

Rules: the character that would start an effect is replaced by a visible one, and nothing after it is dropped, so all
that was sent can be read. LF and TAB stay, CR LF becomes LF, and everything else, including combining marks and
joiners, is left as it is. `ESC` is shown as ␛, the other control characters as their control pictures (U+2400 ff.), the
C1 and the bidirectional controls as `\\u` escapes, a lone surrogate as U+FFFD.
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
# As ranges, for speed: for nearly every piece of text, a search that finds nothing is the whole cost.
_UNSAFE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def neutralise(text: str) -> str:
    """Make a whole text safe to show. No visible character is lost, and neutralising the result again changes
    nothing."""
    if _UNSAFE.search(text) is None:
        return text
    return mend(text.replace("\r\n", "\n")).translate(_PICTURES)


class Neutraliser:
    """Makes text that comes in pieces safe to show: `feed` the pieces, then `flush`. Where the text is cut does not
    matter.

    At most one character is held back: a CR, because an LF may follow, or the first half of a surrogate pair.
    """

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = ""

    @property
    def held(self) -> int:
        """How many characters are held back."""
        return len(self._held)

    def feed(self, piece: str) -> str:
        """The text that is safe to show now."""
        if self._held:
            piece, self._held = self._held + piece, ""
        if piece and (piece[-1] == "\r" or "\ud800" <= piece[-1] <= "\udbff"):
            piece, self._held = piece[:-1], piece[-1]
        return neutralise(piece)

    def flush(self) -> str:
        """The text that was held back."""
        held, self._held = self._held, ""
        return neutralise(held)
