"""Words, sentences, lines and matches of a pattern: graphemes joined into longer pieces. `docs/segmentation.md` says
what each is, and what it is not."""

import re
from bisect import bisect_left
from functools import lru_cache
from typing import ClassVar
from unicodedata import category

from typestream.pacing._graphemes import Graphemes, Joined

__all__ = ("Lines", "Matches", "Sentences", "Words")

# ECMAScript's white space, as in the smoothers of the web: NEL (U+0085) and U+001C to U+001F are none, U+FEFF is
_SPACES = frozenset("\t\n\v\f\r \xa0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff\r\n") | {"\r\n"}
_SPACES |= {chr(code) for code in range(0x2000, 0x200B)}
_NEWLINES = frozenset(("\n", "\r", "\r\n"))

# scripts written without spaces: Han, Kana, Bopomofo, Yi and their punctuation; South-East Asia (UAX #14, class SA)
_UNSPACED = re.compile(
    "[\u2e80-\u2fff\u3001-\u312f\u31a0-\u4dbf\u4e00-\ua4cf\uf900-\ufaff\ufe30-\ufe4f\uff01-\uff0f\uff1a-\uff20"
    "\uff3b-\uff40\uff5b-\uff9f\U00016fe0-\U00018dff\U0001b000-\U0001b16f\U00020000-\U0003ffff"
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1950-\u19ff\u1a20-\u1aaf\ua9e0-\ua9ff\uaa60-\uaadf]"
)


# kinds of grapheme, plain numbers for speed; QUOTE is " or ', opening where a piece begins and closing elsewhere
_SPACE, _PLAIN, _OPENING, _CLOSING, _QUOTE = range(5)


@lru_cache(maxsize=4096)
def _kind(first: str) -> tuple[int, bool]:
    """What a grapheme is by its first code point, and whether its script has no spaces."""
    unspaced = _UNSPACED.match(first) is not None
    sort = category(first)
    if first in "\"'":
        return _QUOTE, False
    if sort in ("Ps", "Pi") or first in "¿¡":
        return _OPENING, unspaced
    if sort in ("Pe", "Pf", "Pd", "Pc") or (sort == "Po" and first not in "#&*@\\§¶"):
        return _CLOSING, unspaced
    return _PLAIN, unspaced


class Words(Joined):
    """A word with the white space that follows; where there are no spaces, a character with its punctuation.

    White space at the very beginning belongs to the first word. A word of more than 1,024 code points is cut.
    """

    limit: ClassVar[int] = 1024

    def begin(self) -> None:
        self._last = _SPACE
        self._empty = True  # but for white space
        self._unspaced = False

    def ends(self, following: str) -> bool:
        if following in _SPACES:
            return False
        if self._last == _SPACE:
            return not self._empty
        kind, unspaced = _kind(following[0])
        if kind in (_CLOSING, _QUOTE) or self._last == _OPENING:
            return False
        return unspaced or self._unspaced

    def took(self, grapheme: str) -> None:
        if grapheme in _SPACES:
            self._last = _SPACE
            return
        kind, unspaced = _kind(grapheme[0])
        if kind == _QUOTE:
            kind = _OPENING if self._empty else _CLOSING
        # a comma is as spaced as what it follows: 好,OK
        self._unspaced = unspaced or (self._unspaced and kind == _CLOSING)
        self._last = kind
        self._empty = False


# stops, the stronger the higher: POINT may end a sentence, what is before and after decides; MARK ends one where white
# space follows; FULL ends one by itself
_NONE, _POINT, _MARK, _FULL = range(4)
_STOPS = {
    **dict.fromkeys(".…", _POINT),
    **dict.fromkeys("!?؟۔।॥։။።៕។‽", _MARK),
    **dict.fromkeys("。！？｡．", _FULL),
}
_TITLES = re.compile(
    r"mrs?|ms|dr|prof|ph\.d|st|gen|col|sgt|capt|lt|rev|hon|gov|sen|rep|mt|vs|cf|al|e\.g|i\.e|z\.b|d\.h", re.IGNORECASE
)
_BEFORE_NUMBERS = re.compile(
    r"nos?|nr|pp?|figs?|eqs?|sec|ch|vol|art|ca|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec", re.IGNORECASE
)
_LONGEST = 12  # code points, of an abbreviation with an opening quote or bracket before it
_INITIALS = re.compile(r"(?!I$)[A-Z](\.[A-Z])*")


class Sentences(Joined):
    """A sentence: up to and including its stops, the quotes and brackets that close after them, and white space.

    A point ends none before a small letter, after a title, initials or `e.g.`, or after a number that opens it (`1. `).
    A blank line ends one too. A sentence of more than 4,096 code points is cut.
    """

    def begin(self) -> None:
        self._empty = True
        self._stop = _NONE
        self._closed = False  # a quote or bracket has closed after the stop
        self._spaced = False
        self._newlines = 0
        self._word = ""  # before a point

    def ends(self, following: str) -> bool:
        if self._empty or following in _SPACES:
            return False
        if self._newlines > 1:
            return True
        if self._stop == _FULL:
            return self._spaced or not (following[0] in _STOPS or _closes(following[0]))
        if self._stop == _NONE or not self._spaced:
            return False
        if following[0].islower():
            return self._stop == _MARK and not self._closed
        return self._stop == _MARK or not self._abbreviated(following[0])

    def took(self, grapheme: str) -> None:
        if grapheme in _SPACES:
            self._spaced = True
            self._newlines += grapheme in _NEWLINES
            return
        stop = _STOPS.get(grapheme[0], _NONE)
        if stop != _NONE:
            self._word = self._last_word() if stop == _POINT else ""
            # of "?!" and "?.." the strongest counts
            self._stop = stop if self._spaced or stop > self._stop else self._stop
            self._closed = False
        elif self._stop != _NONE and not self._spaced and _closes(grapheme[0]):
            self._closed = True
        else:
            self._stop = _NONE
        self._empty = self._spaced = False
        self._newlines = 0

    def _last_word(self) -> str:
        """What stands between the last white space and the point that was just taken; nothing if it is long."""
        word = ""
        for grapheme in self._piece[-2 : -_LONGEST - 3 : -1]:
            if grapheme in _SPACES:
                break
            word = grapheme + word
        return word.lstrip("([{\"'“‘„«*_") if len(word) <= _LONGEST else ""

    def _abbreviated(self, following: str) -> bool:
        word = self._word
        if word.isdecimal() and "".join(self._piece).lstrip().startswith(word + "."):
            return True
        if _BEFORE_NUMBERS.fullmatch(word):
            return following.isdecimal()
        return _TITLES.fullmatch(word) is not None or _INITIALS.fullmatch(word) is not None


def _closes(first: str) -> bool:
    return first in "\"'*_" or category(first) in ("Pe", "Pf")


class Lines(Joined):
    """A line with its line break: LF, CR LF or CR. A line of more than 4,096 code points is cut."""

    def ends(self, following: str) -> bool:
        return self._piece[-1] in _NEWLINES

    def feed(self, text: str) -> list[str]:
        pieces = super().feed(text)
        if self._piece and self._piece[-1] in _NEWLINES:  # a lone CR would still be held: it may become CR LF
            pieces.append(self._take())
        return pieces


class Matches:
    """Text up to and including each match of a pattern, and the grapheme it ends in.

    The pattern is searched in what is held after every grapheme, and a match counts once another grapheme follows it;
    so the pieces depend on the text alone. After 1,024 code points without a match all that is held is let go.
    """

    limit: ClassVar[int] = 1024

    def __init__(self, pattern: "re.Pattern[str]") -> None:
        self._search = pattern.finditer
        self._graphemes = Graphemes()
        self._text = ""
        self._ends: list[int] = []  # of the graphemes in it

    def feed(self, text: str) -> list[str]:
        """The pieces that are complete."""
        pieces: list[str] = []
        for grapheme in self._graphemes.feed(text):
            self._add(grapheme, pieces)
        return pieces

    def flush(self) -> list[str]:
        """What was held; what is fed next begins a new piece."""
        pieces: list[str] = []
        for grapheme in self._graphemes.flush():
            self._add(grapheme, pieces)
        if self._text:
            self._cut(pieces, len(self._text))
            pieces += [self._text] if self._text else []
        self._text = ""
        self._ends.clear()
        return pieces

    def _add(self, grapheme: str, pieces: list[str]) -> None:
        if len(self._text) + len(grapheme) > self.limit:
            pieces.append(self._text)
            self._text = ""
            self._ends.clear()
        self._text += grapheme
        self._ends.append(len(self._text))
        self._cut(pieces, len(self._text) - 1)

    def _cut(self, pieces: list[str], last: int) -> None:
        """Take off the pieces that end at `last` or before."""
        while True:
            found = next((match.end() for match in self._search(self._text) if match.end()), last + 1)
            if found > last:
                return
            count = bisect_left(self._ends, found)
            end = self._ends[count]
            if end > last:
                return
            pieces.append(self._text[:end])
            self._text = self._text[end:]
            self._ends = [at - end for at in self._ends[count + 1 :]]
            last -= end
