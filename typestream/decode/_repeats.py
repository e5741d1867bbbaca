"""The JSON text of one chunk after the other, of which only the piece of the answer in it is new.

Rules: a text is recognised only where, before and behind its piece, it is character for character one that was
parsed; a piece with a quote or a backslash in it is for the parser; whatever else comes, all of it is forgotten.
"""

from collections.abc import Callable
from typing import Final

__all__ = ("Repeats",)

_TRIES: Final = 4  # with servers that write something new into every chunk (a number, padding), learning is given up


class Repeats:
    """Reads the pieces of chunks that are like the last one without parsing them."""

    __slots__ = ("_head", "_least", "_tail", "_tries")

    def __init__(self) -> None:
        self._head = self._tail = ""
        self._least = 0
        self._tries = _TRIES

    def piece(self, text: str) -> str | None:
        """The piece in a chunk that is like the last one; None in any other, and where nothing was learnt."""
        if len(text) <= self._least or not (text.startswith(self._head) and text.endswith(self._tail)):
            return None
        piece = text[len(self._head) : len(text) - len(self._tail)]
        if not self._head or '"' in piece or "\\" in piece:
            return None
        self._tries = _TRIES
        return piece

    def learn(self, text: str, piece: str, read: Callable[[str], str | None]) -> None:
        """`text` was parsed, and `piece` is the piece in it. Where it stands is tried out: the same text with another
        piece at that place has to give that other piece.

        Args:
            text: the JSON text of a chunk.
            piece: what it has to say, and nothing else.
            read: the piece that a JSON text has and nothing else; None where that is not certain.
        """
        if self._tries <= 0 or (self._head and text.startswith(self._head) and text.endswith(self._tail)):
            return  # given up, or like the last one but for a piece that only the parser can read
        self._tries -= 1
        at = text.find(f'"{piece}"') + 1
        head, tail = text[:at], text[at + len(piece) :]
        if at and read(f"{head}{piece}.{tail}") == f"{piece}.":
            self._head, self._tail, self._least = head, tail, len(head) + len(tail)

    def forget(self) -> None:
        """Something else came, after which the same text may mean something else."""
        self._head = ""
        self._least = 0
