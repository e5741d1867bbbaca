"""typestream: everything a language model says, as one stream.

`stream` reads what is live or local, `replay` what is complete, `generate` drives a model of yours, and `wrap` paces an
existing loop in place. Nothing is imported before it is needed: neither openai nor an event loop comes with this.
"""

TYPE_CHECKING = False  # typing costs as much to import as all of this
if TYPE_CHECKING:
    from typing import Any

    from typestream import errors, events, pacing, render, sources, testing, transforms
    from typestream._async import AsyncTokenStream
    from typestream._open import first_of, generate, replay, stream
    from typestream._stall import Timeout
    from typestream._sync import TokenStream
    from typestream._wrap import wrap
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

_HOMES = {
    "AsyncTokenStream": "_async",
    "Limits": "decode._limits",
    "Recording": "sources.recording",
    "Result": "result",
    "Timeout": "_stall",
    "TokenStream": "_sync",
    "first_of": "_open",
    "generate": "_open",
    "replay": "_open",
    "stream": "_open",
    "wrap": "_wrap",
}
_MODULES = ("errors", "events", "pacing", "render", "sources", "testing", "transforms")


def __getattr__(name: str) -> "Any":
    from importlib import import_module

    if name in _MODULES:
        return import_module(f"typestream.{name}")
    if name not in __all__:
        raise AttributeError(f"module 'typestream' has no attribute {name!r}")
    home = _HOMES.get(name) or ("events" if name in import_module("typestream.events").__all__ else "errors")
    found = globals()[name] = getattr(import_module(f"typestream.{home}"), name)
    return found


def __dir__() -> "list[str]":
    return sorted({*globals(), *__all__})
