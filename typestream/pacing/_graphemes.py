"""Grapheme clusters from text that arrives in pieces, and the base of every coarser segmenter.

Rules: a piece goes out as soon as no continuation can change it, and never before; the pieces do not depend on how the
text was cut; what is held is bounded, so the work is linear in the text whatever the text is.
"""

import re
from collections.abc import Callable, Iterator
from typing import ClassVar

__all__ = ("GRAPHEME_LIMIT", "Graphemes", "Joined")

GRAPHEME_LIMIT = 256
"""Code points: a longer cluster is cut after so many. Unicode's Stream-Safe Text Format (UAX #15) allows 30 marks."""

_BLOCK = 1024  # code points looked at in one go; only a single huge delta takes more than one

_RUNS = re.compile("[A-Za-z0-9]+|[^A-Za-z0-9]")


class Graphemes:
    """Extended grapheme clusters after UAX #29, what a reader calls a character.

    The tables are wcwidth's, of the Unicode version that its `list_versions()` names. The last cluster is held until
    the next one begins, since a combining mark or a joiner may follow; only a control character ends one at once.

    Attributes:
        held: the cluster that may still grow; at most `GRAPHEME_LIMIT` code points.
    """

    def __init__(self) -> None:
        # late, because it costs some 50 ms; segmenter() has imported it before the first text arrives
        from wcwidth import iter_graphemes

        self._split: Callable[[str], Iterator[str]] = iter_graphemes
        self.held = ""

    def feed(self, text: str) -> list[str]:
        """The clusters that are complete."""
        if not text:
            return []
        text = self.held + text
        if text.isascii() and "\r" not in text:
            self.held = text[-1] if text[-1] >= " " else ""
            return list(text[:-1] if self.held else text)
        return self._feed_any(text)

    def feed_runs(self, text: str) -> list[str]:
        """As `feed`, but ASCII letters and digits that follow each other may come as one; `Joined` is faster so."""
        if not (self.held + text).isascii() or "\r" in text or self.held == "\r":
            return self.feed(text)
        text = self.held + text
        self.held = text[-1:] if text[-1:] >= " " else ""
        return _RUNS.findall(text[:-1] if self.held else text)

    def flush(self) -> list[str]:
        """The cluster that was held; what is fed next begins a new one."""
        held, self.held = self.held, ""
        return [held] if held else []

    def _feed_any(self, text: str) -> list[str]:
        done: list[str] = []
        held = ""
        for start in range(0, len(text), _BLOCK):
            done += self._cut(held + text[start : start + _BLOCK])
            held = done.pop()
        if held[-1] < " " and held != "\r":  # GB4: nothing joins a control character but LF a CR
            done.append(held)
            held = ""
        self.held = held
        return done

    def _cut(self, text: str) -> list[str]:
        clusters = list(self._split(text))
        if len(text) <= GRAPHEME_LIMIT or max(map(len, clusters)) <= GRAPHEME_LIMIT:
            return clusters
        clusters.clear()
        start = 0
        while start < len(text):
            # each cut begins afresh, as if the text began there: the same wherever the deltas ended
            for cluster in self._split(text[start:]):
                clusters.append(cluster[:GRAPHEME_LIMIT])
                start += len(clusters[-1])
                if len(cluster) > GRAPHEME_LIMIT:
                    break
        return clusters


class Joined:
    """Joins graphemes into longer pieces; a subclass says where a piece ends.

    `ends(next)` is asked before each grapheme and must not change anything; `took(grapheme)` then keeps the books.
    White space never ends a piece, and any other grapheme must be judged by its first code point alone, since the rest
    may not have come yet; a run of ASCII letters and digits is judged as one grapheme.
    """

    limit: ClassVar[int] = 4096
    """Code points: a longer piece is cut before the grapheme that would exceed it."""

    def __init__(self) -> None:
        self._graphemes = Graphemes()
        self._piece: list[str] = []
        self._size = 0
        self.begin()

    def begin(self) -> None:
        """A new piece begins."""

    def ends(self, following: str) -> bool:
        """Whether the piece so far, never empty, ends before this grapheme."""
        raise NotImplementedError

    def took(self, grapheme: str) -> None:
        """The piece has this grapheme now."""

    def feed(self, text: str) -> list[str]:
        """The pieces that are complete."""
        pieces: list[str] = []
        self._join(self._graphemes.feed_runs(text), pieces)
        ahead = self._graphemes.held
        if ahead and self._piece and self.ends(ahead):
            pieces.append(self._take())
        return pieces

    def flush(self) -> list[str]:
        """What was held; what is fed next begins a new piece."""
        pieces: list[str] = []
        self._join(self._graphemes.flush(), pieces)
        if self._piece:
            pieces.append(self._take())
        return pieces

    def _join(self, graphemes: list[str], pieces: list[str]) -> None:
        for grapheme in graphemes:
            if self._piece and self.ends(grapheme):
                pieces.append(self._take())
            if self._size + len(grapheme) > self.limit:
                self._cut(grapheme, pieces)
                continue
            self._piece.append(grapheme)
            self._size += len(grapheme)
            self.took(grapheme)

    def _cut(self, grapheme: str, pieces: list[str]) -> None:
        """Begin a new piece where the limit is reached: within a run of letters, or before what is one grapheme."""
        room = self.limit - self._size if grapheme.isalnum() and grapheme.isascii() else 0
        if room:
            self._piece.append(grapheme[:room])
        pieces.append(self._take())
        self._join([grapheme[room:]], pieces)

    def _take(self) -> str:
        piece = "".join(self._piece)
        self._piece.clear()
        self._size = 0
        self.begin()
        return piece
