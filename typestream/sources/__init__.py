"""Sources that need more than iterating: HTTP bodies, recordings, the autoregressive loop, local models.

`typestream.sources.transformers` and its like are imported when they are first named.
"""

from typing import Any

__all__ = ()

_MODULES = frozenset({"generate", "recording", "tokens", "transformers", "xllamacpp"})


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        from importlib import import_module

        return import_module(f"typestream.sources.{name}")
    raise AttributeError(f"module 'typestream.sources' has no attribute {name!r}")
