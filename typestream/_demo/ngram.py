"""A real if tiny language model: an n-gram model with back-off, trained at start from a novel of 1813.

Rules: tokens carry their spaces, so a text is the plain concatenation of its tokens; the empty token is both the
start and the end of a passage; the same context, seed and temperature give the same token on every Python.

The probabilities are interpolated Kneser-Ney with one discount (Kneser and Ney 1995; in the interpolated form of
Chen and Goodman, "An Empirical Study of Smoothing Techniques for Language Modeling", 1998, section 2.7).
"""

import re
from bisect import bisect
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from random import Random

__all__ = ("NGram", "load", "tokenize")

EDGE = ""
"""The token at both ends of a passage."""

PASSAGE = 60
"""A passage ends with the paragraph that brings it to so many tokens."""

WINDOW = 1000
"""So many characters of the context are looked at: the last few tokens, and whether somebody is speaking."""

LEAST = 240
"""Sooner than after so many characters an answer ends only where nothing else can follow."""

DISCOUNT = 0.6
"""Of each count, so much goes to the shorter contexts; less than the optimum for prediction, for smoother reading."""

_TOKEN = re.compile(r"\n+| ?(?:\w+(?:[’'-]\w+)*|[^\w\s])|\s")
_OPENERS = "\n “‘(—"
_CLOSERS = " ”’)"
_ENDS = (".", "!", "?")


def tokenize(text: str) -> list[str]:
    """The tokens of a text: words and marks with the space before them, and line breaks; joined they are the text."""
    return _TOKEN.findall(text)


def _passages(text: str) -> list[str]:
    """The text's tokens, with an edge at both ends of each passage of a few whole paragraphs."""
    tokens, length = [EDGE], 0
    for paragraph in text.strip().split("\n\n"):
        if length:
            tokens.append("\n\n")
        words = tokenize(paragraph)
        tokens += words
        length += len(words)
        if length >= PASSAGE and paragraph.rstrip(_CLOSERS)[-1:] in _ENDS:
            tokens.append(EDGE)
            length = 0
    return tokens if tokens[-1] == EDGE else [*tokens, EDGE]


class NGram:
    """The model. Make one with `train`.

    Attributes:
        order: the length of the longest n-gram counted.
        vocabulary: how many different tokens it knows, the edge not counted.
    """

    def __init__(self, tables: list[dict[tuple[str, ...], dict[str, int]]]) -> None:
        # tables[n] maps a context of n tokens to how often each token follows; below the top they are Kneser-Ney's
        # continuation counts: after how many different tokens
        self._tables = tables
        total = sum(tables[0][()].values())
        self._words = list(tables[0][()])
        self._unigram = {word: count / total for word, count in tables[0][()].items()}
        self._sharpened: dict[float, tuple[dict[str, float], list[float]]] = {}
        self.order = len(tables)
        self.vocabulary = len(self._words) - 1

    @classmethod
    def train(cls, text: str, order: int = 4) -> "NGram":
        """Count a text's n-grams up to `order`, 2 or more. Raises ValueError for less, or for a text without words."""
        if order < 2:
            raise ValueError(f"NGram.train(order) must be 2 or more, not {order!r}.")
        tokens = _passages(text)
        if len(tokens) < 3:  # the edges alone
            raise ValueError("NGram.train(text) needs a text with at least one word.")
        tokens[:0] = [EDGE] * (order - 2)
        tables: list[dict[tuple[str, ...], dict[str, int]]] = [{} for _ in range(order)]
        grams = Counter(zip(*(tokens[skip:] for skip in range(order)), strict=False))
        for size in range(order - 1, -1, -1):
            table = tables[size]
            for gram, count in grams.items():
                table.setdefault(gram[:-1], {})[gram[-1]] = count
            grams = Counter([gram[1:] for gram in grams])
        return cls(tables)

    def next(self, context: Sequence[str], *, temperature: float = 0.7, rng: Random) -> str | None:
        """The next token after these, or None where the passage ends; temperature 0 takes the likeliest.

        Samples from `probability(...) ** (1 / temperature)`, normalised, with one to a few draws of `rng.random()`.
        """
        seen, rest = self._mix(tuple(context))
        if temperature <= 0:
            return max(seen or self._unigram, key=lambda word: self._blend(seen, rest, word)) or None
        sharp, sums = self._sharpen(temperature)
        power = 1 / temperature
        words = list(seen)
        weights = list(accumulate([self._blend(seen, rest, word) ** power for word in words], initial=0.0))
        # what only the unigrams know comes from their own cumulative sums, which are made once
        scale = rest**power
        unseen = scale * (sums[-1] - _plain_sum(sharp[word] for word in words))
        draw = rng.random() * (weights[-1] + max(unseen, 0.0))
        if words and draw < weights[-1]:
            return words[bisect(weights, draw) - 1] or None
        before = context[-1] if context else EDGE
        for _ in range(1000):
            word = self._words[min(bisect(sums, rng.random() * sums[-1]), len(self._words)) - 1]
            if word not in seen and not _fuses(before, word):
                return word or None
        return None

    def following(self, context: Sequence[str]) -> list[str]:
        """The tokens that followed exactly this context, shorter than `order`, in the text."""
        return list(self._tables[len(context)].get(tuple(context), ()))

    def probability(self, token: str, context: Sequence[str]) -> float:
        """How likely `token` is after these, at temperature 1; the sum over all tokens and the edge is 1."""
        seen, rest = self._mix(tuple(context))
        return self._blend(seen, rest, token) if token in self._unigram else 0.0

    def step(
        self, prompt: str = "", *, temperature: float = 0.7, seed: int | None = None
    ) -> Callable[[str], str | None]:
        """A function from what was written so far, after the prompt, to the next piece or None at the end.

        It keeps nothing between calls: with the same prompt, seed and text it gives the same piece.
        """
        if seed is None:
            seed = Random().getrandbits(32)

        def next_piece(context: str) -> str | None:
            tail = (prompt + context)[-WINDOW:]
            rng = Random(f"{seed}|{prompt}|{len(context)}|{tail}".encode("utf-8", "surrogatepass"))
            tokens = tokenize(tail[-WINDOW // 8 :])
            token: str | None = None
            for size in range(6 * self.order, 5, -1):  # each refusal may shorten the context, and widens the choice
                token = self.next(tokens[-(size // 6) :] or [EDGE], temperature=temperature, rng=rng)
                if not _misplaced(context, tail, token):
                    break
            return token

        return next_piece

    def generate(
        self, prompt: str = "", max_tokens: int | None = None, temperature: float = 0.7, seed: int | None = None
    ) -> Iterator[str]:
        """The tokens that `step` gives, one after the other, until the passage ends or so many were made."""
        step, text, made = self.step(prompt, temperature=temperature, seed=seed), "", 0
        while max_tokens is None or made < max_tokens:
            token = step(text)
            if token is None:
                return
            yield token
            text += token
            made += 1

    def _mix(self, context: tuple[str, ...]) -> tuple[dict[str, float], float]:
        """The share of the longer n-grams in each token's probability, and the weight left to the unigrams."""
        seen: dict[str, float] = {}
        rest = 1.0
        for size in range(min(len(context), self.order - 1), 0, -1):
            key = context[-size:]
            counts = self._tables[size].get(key)
            if counts is None:
                continue
            total = sum(counts.values())
            for word, count in counts.items():
                seen[word] = seen.get(word, 0.0) + rest * (count - DISCOUNT) / total
            rest *= DISCOUNT * len(counts) / total
        return seen, rest

    def _blend(self, seen: dict[str, float], rest: float, word: str) -> float:
        return seen.get(word, 0.0) + rest * self._unigram[word]

    def _sharpen(self, temperature: float) -> tuple[dict[str, float], list[float]]:
        if temperature not in self._sharpened:
            sharp = {word: share ** (1 / temperature) for word, share in self._unigram.items()}
            self._sharpened[temperature] = sharp, list(accumulate(sharp.values(), initial=0.0))
        return self._sharpened[temperature]


def _plain_sum(numbers: Iterator[float]) -> float:
    """A sum rounded at each step: since Python 3.12 `sum` rounds otherwise, and a seed would give another text."""
    total = 0.0
    for number in numbers:
        total += number
    return total


def _fuses(before: str, word: str) -> bool:
    """Whether the two would read as one word, and come back from the tokenizer as one."""
    return word[:1].isalnum() and before[-1:] not in _OPENERS


def _misplaced(answer: str, text: str, token: str | None) -> bool:
    """Whether the token would open speech within speech, close what is not open, end a paragraph within it, or end
    the answer too soon."""
    if token is None and len(answer) < LEAST:
        return True
    if text.rfind("“") > text.rfind("”"):
        return token is None or "“" in token or "\n" in token
    return token is not None and "”" in token


@lru_cache(maxsize=1)
def load() -> NGram:
    """The model of the text that comes with the package; trained at the first call, in about a quarter of a second."""
    return NGram.train(Path(__file__).with_name("pride.txt").read_text(encoding="utf-8"))
