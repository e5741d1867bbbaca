"""What may be said in public about a stream that broke off, or an answer that was cut."""

from typing import Final

from typestream._json import snake
from typestream.errors import StreamError

__all__ = ("BROKE_OFF", "code_of", "cut_by", "public_message")

BROKE_OFF: Final = "The answer broke off."
_MESSAGES: Final = {
    "StallTimeout": "The answer broke off: nothing more came in time.",
    "StreamLimitExceeded": "The answer broke off: it was longer than is allowed.",
}


def code_of(error: StreamError | None) -> str:
    """The error's class in snake case, for programs; `"stream_error"` if there is no error object."""
    return snake("StreamError" if error is None else type(error).__name__)


def public_message(error: StreamError | None) -> str:
    """One sentence for the reader of the answer. The error's own message may quote a server, so it is not used."""
    return BROKE_OFF if error is None else _MESSAGES.get(type(error).__name__, BROKE_OFF)


# finish reasons of all APIs -> the Responses API's name
_CUT: Final = {
    **dict.fromkeys(
        ("length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded"),
        "max_output_tokens",
    ),
    **dict.fromkeys(
        (
            *("content_filter", "content_filtered", "safety", "image_safety", "recitation", "language", "blocklist"),
            *("prohibited_content", "spii", "guardrail_intervened", "sensitive"),
        ),
        "content_filter",
    ),
    "insufficient_system_resource": "insufficient_system_resource",
}


def cut_by(reason: str | None) -> str | None:
    """What cut a finished answer, by its finish reason: `"max_output_tokens"`, `"content_filter"` or another name; None
    if nothing did."""
    return _CUT.get((reason or "").casefold())
