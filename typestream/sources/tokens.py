"""Token ids → text, as they come.

Rules: what `feed` gives, joined, and then `flush`, is what `decode` makes of all ids at once; a character is given when
its last byte is there, never half of it; the work is linear in the tokens, since only the last few are decoded again.

Ids are decoded together with those before them, as a tokenizer may treat the first token of a text differently (a
leading space that it drops). U+FFFD at the end stands for a character that is not whole yet, or for bytes that are
none: it is held back until what follows has told which. So is a space that a tokenizer may yet clean up.
"""

import codecs
import re
from collections.abc import Iterable
from itertools import islice
from operator import index
from typing import Any, Final, SupportsIndex

__all__ = ("Detokenizer",)

HELD: Final = 3
"""How many bytes of a character can wait for the last."""

WINDOW: Final = 8
"""How many ids are decoded again with each new one, about."""

LIMIT: Final = 64
"""How many where the text never comes to a whole character."""

_UNCLEAN = re.compile(r"(?: [ 'nvr]{0,2}|')\Z")
"""What the `clean_up_tokenization` of transformers may yet take a space out of, which it does before `.?!,`, `n't`,
`'m`, `'s`, `'ve` and `'re`, and around `'`."""


class Detokenizer:
    """Makes text of token ids, piece by piece.

    Args:
        decode: gives the text, or the bytes, of a list of ids; or a tokenizer, which has a `decode` that does.
        options: passed on to it with every call, such as `skip_special_tokens=True`.

    Raises:
        TypeError: it is neither.
    """

    def __init__(self, decode: Any, **options: Any) -> None:
        call: Any = decode if isinstance(decode, type) else getattr(decode, "decode", decode)  # bytes has one, too
        if not callable(call):
            kind = type(decode).__name__
            raise TypeError(f"A Detokenizer takes a tokenizer or a callable that decodes a list of ids, not {kind}.")
        self._call: Any = call
        self._options = options
        self._cleans = _cleans(decode, options)
        self._reset()

    def _reset(self) -> None:
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._ids: list[int] = []
        self._text = ""  # what they decode to
        self._shown = 0  # how much of it was given
        self._whole = 0  # the last but one place between the ids where no character was open
        self._limit = LIMIT

    def feed(self, ids: SupportsIndex | Iterable[SupportsIndex]) -> str:
        """The text that one more id, or several, bring; empty where a character is not whole yet.

        Raises:
            TypeError: an id is no whole number.
        """
        new = _listed(ids)
        text = self._decode(self._ids + new)
        if isinstance(text, bytes):
            return self._utf8.decode(text)  # of the new ids alone: no others are kept
        if text == self._text and (text or len(self._ids) >= LIMIT) and not self._decode(new):
            return ""  # a special token that is not shown
        if not text.startswith(self._text[: self._shown]) and not text.endswith("\ufffd"):
            self._shown = _place(text, self._text[: self._shown])
        self._ids += new
        self._text = text
        settled = len(text) - self._open(text)
        piece = text[self._shown : settled]
        self._shown = max(self._shown, settled)
        if settled == len(text):
            self._forget()
        elif len(self._ids) >= self._limit:
            piece += self._cut()
        return piece

    def flush(self) -> str:
        """What was held back, once no more ids come; the next `feed` begins another text."""
        rest = self._text[self._shown :] or self._utf8.decode(b"", True)
        self._reset()
        return rest

    def _decode(self, ids: list[int]) -> str | bytes:
        text: str | bytes = self._call(ids, **self._options)
        return text

    def _open(self, text: str) -> int:
        """How many characters at the end may still change. A tokenizer with byte tokens makes U+FFFD of a whole run of
        them, of characters that were shown, too, while the last is not whole."""
        unclean = _UNCLEAN.search(text) if self._cleans else None
        return len(unclean[0]) if unclean else len(text) - len(text.rstrip("\ufffd"))

    def _forget(self) -> None:
        """The text ends in a whole character: only a few ids are still needed, as company for the next."""
        if len(self._ids) >= WINDOW and self._whole:
            kept = self._ids[self._whole :]
            text = self._decode(kept)
            if not text:
                return  # no company: nothing but a space that is dropped where it comes first
            self._ids, self._text, self._shown = kept, str(text), len(text)
        self._whole = len(self._ids)

    def _cut(self) -> str:
        """The ids go on and on without a whole character at their end: drop those before a place where the text can be
        cut without changing it, and give what is held of theirs."""
        for place in range(len(self._ids) - HELD - 1, len(self._ids) - 4 * HELD, -1):
            before, after = str(self._decode(self._ids[:place])), str(self._decode(self._ids[place:]))
            if len(after) > HELD and self._text in (f"{before}{after}", f"{before} {after}"):
                cut = len(self._text) - len(after)
                piece = self._text[self._shown : cut]
                self._ids, self._text, self._shown = self._ids[place:], after, max(0, self._shown - cut)
                self._whole, self._limit = 0, LIMIT
                return piece
        self._limit *= 2
        return ""


def _cleans(decode: Any, options: dict[str, Any]) -> bool:
    """Whether spaces may yet be taken out: so says the call, or else the tokenizer, also that of a bound method."""
    options = {**getattr(decode, "keywords", {}), **options}
    decode = getattr(decode, "func", decode)
    asked = options.get("clean_up_tokenization_spaces")
    tokenizer = getattr(decode, "__self__", decode)
    return bool(getattr(tokenizer, "clean_up_tokenization_spaces", False) if asked is None else asked)


def _place(text: str, shown: str) -> int:
    """Where a text goes on that does not begin with what was shown: behind the same letters, where only spaces were
    taken out of them; else behind as many characters."""
    letters = "".join(shown.split())
    if not "".join(text.split()).startswith(letters):
        return len(shown)
    ends = (place for place, each in enumerate(text, 1) if not each.isspace())
    return next(islice(ends, len(letters) - 1, None)) if letters else 0


def _listed(ids: Any) -> list[int]:
    try:
        return [index(ids)]
    except TypeError:  # asked for forgiveness: looking whether it is a SupportsIndex takes longer than all the rest
        return [index(each) for each in ids]
