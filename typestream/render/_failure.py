"""What may be said in public about a stream that broke off."""

import re
from typing import Final

from typestream.errors import StreamError

__all__ = ("BROKE_OFF", "code_of", "public_message")

BROKE_OFF: Final = "The answer broke off."
_MESSAGES: Final = {
    "StallTimeout": "The answer broke off: nothing more came in time.",
    "StreamLimitExceeded": "The answer broke off: it was longer than is allowed.",
}


def code_of(error: StreamError | None) -> str:
    """The error's class in snake case, for programs; `"stream_error"` where it is not known."""
    name = "StreamError" if error is None else type(error).__name__
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def public_message(error: StreamError | None) -> str:
    """One sentence for whoever reads the answer. The error's own message may quote a server, and stays inside."""
    return BROKE_OFF if error is None else _MESSAGES.get(type(error).__name__, BROKE_OFF)
