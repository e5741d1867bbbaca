"""typestream: everything a language model says, as one stream.

`stream` reads what is live or local, `replay` what is complete, `generate` drives a model of yours, and `wrap` paces an
existing loop in place. Nothing is imported before it is needed: neither openai nor an event loop comes with this.
"""

from typing import TYPE_CHECKING, Any

from typestream import errors, events, pacing
from typestream._open import first_of, generate, replay, stream
from typestream._stall import Timeout
from typestream._sync import TokenStream
from typestream.decode._limits import Limits
from typestream.errors import (
    SourceError,
    StallTimeout,
    StreamBusy,
    StreamClosed,
    StreamConnectionError,
    StreamError,
    StreamLimitExceeded,
    StreamProtocolError,
    StreamServerError,
    StreamTruncated,
    UnsupportedSource,
)
from typestream.events import (
    Citation,
    Event,
    Finish,
    Other,
    ReasoningDelta,
    RefusalDelta,
    Start,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from typestream.result import Result
from typestream.sources.recording import Recording

if TYPE_CHECKING:
    from typestream import render, sources, testing, transforms
    from typestream._async import AsyncTokenStream
    from typestream._wrap import wrap

__all__ = (
    "AsyncTokenStream",
    "Citation",
    "Event",
    "Finish",
    "Limits",
    "Other",
    "ReasoningDelta",
    "Recording",
    "RefusalDelta",
    "Result",
    "SourceError",
    "StallTimeout",
    "Start",
    "StreamBusy",
    "StreamClosed",
    "StreamConnectionError",
    "StreamError",
    "StreamLimitExceeded",
    "StreamProtocolError",
    "StreamServerError",
    "StreamTruncated",
    "TextDelta",
    "Timeout",
    "TokenStream",
    "ToolCallDelta",
    "UnsupportedSource",
    "Usage",
    "errors",
    "events",
    "first_of",
    "generate",
    "pacing",
    "render",
    "replay",
    "sources",
    "stream",
    "testing",
    "transforms",
    "wrap",
)

_LATE = {"AsyncTokenStream": "_async", "wrap": "_wrap"}
_MODULES = frozenset({"render", "sources", "testing", "transforms"})


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _LATE:
        return getattr(import_module(f"typestream.{_LATE[name]}"), name)
    if name in _MODULES:
        return import_module(f"typestream.{name}")
    raise AttributeError(f"module 'typestream' has no attribute {name!r}")
