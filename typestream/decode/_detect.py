"""Which decoder a stream needs, from the structure of its first telling item."""

from typing import Any

from typestream.decode._base import Decoder, get
from typestream.decode._fields import is_record, server_error
from typestream.decode.chat import ChatDecoder
from typestream.decode.text import BYTES, EventDecoder, TextDecoder
from typestream.errors import UnsupportedSource

__all__ = ("choose",)


def choose(item: Any) -> Decoder | None:
    """The decoder for a stream with this item; None where the item says nothing (None, `""`, `{}`, a ping)."""
    if item is None or (isinstance(item, str | dict | list | tuple | bytes) and not item):
        return None
    if isinstance(item, str):
        return TextDecoder()
    if isinstance(item, BYTES):
        return TextDecoder()
    if type(item).__module__ == "typestream.events":
        return EventDecoder()
    if is_record(item):
        if get(item, "choices") is not None or get(item, "object") in ("chat.completion.chunk",):
            return ChatDecoder()
        if server_error(item) is not None:
            return ChatDecoder()
    raise UnsupportedSource(f"cannot read {type(item).__name__}")
