"""Segmentation with lookahead (placeholder until the real one lands)."""

from collections.abc import Callable
from typing import Any


class _Chars:
    def feed(self, text: str) -> list[str]:
        return list(text)

    def flush(self) -> list[str]:
        return []


def segmenter(per: Any) -> Callable[[], Any]:
    """A maker of segmenters for `per`."""
    return per if callable(per) else _Chars
