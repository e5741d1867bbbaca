"""Plain text: strings, bytes, or events that are typestream's own already.

Rules: the source's normal end is the terminal marker, there is no other; bytes are UTF-8, cut anywhere; what is not
UTF-8 becomes U+FFFD; a source that ends inside a character was cut short.
"""

import codecs
from typing import Any, ClassVar

from typestream._json import check
from typestream.decode._base import Completion, Decoded
from typestream.decode._surrogates import mended
from typestream.events import Start, TextDelta, plain

__all__ = ("BYTES", "EventDecoder", "TextDecoder")

BYTES = (bytes, bytearray, memoryview)


class TextDecoder:
    """Strings and bytes, also by turns. None and empty pieces are passed over."""

    completion: Completion
    ended: bool
    _takes: ClassVar = "str or bytes"

    def __init__(self) -> None:
        self.completion = "incomplete"
        self.ended = False
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._started = False
        self._open = False  # half a character is held

    def decode(self, item: Any, raw: Any) -> Decoded:
        if type(item) is str or isinstance(item, str):
            text = self._cut() + str.__str__(item) if item else ""  # one of an enumeration has a `str()` of its own
        elif isinstance(item, BYTES):
            text = self._utf8.decode(bytes(item))
            self._open = bool(self._utf8.getstate()[0])
        elif item is None:
            return []
        else:
            raise TypeError(f"a stream of {self._takes} went on with {type(item).__name__}")
        if not text:
            return []
        if self._started:
            return [TextDelta(text, raw=raw)]
        self._started = True
        return [Start(raw=raw), TextDelta(text, raw=raw)]

    def brief(self, item: Any, raw: Any) -> str | Decoded:
        """The events of an item; where it is text that needs nothing done to it, the text itself."""
        if type(item) is str and item and self._started and not self._open and (item.isascii() or mended(item)):
            return item
        return self.decode(item, raw)

    def _cut(self) -> str:
        """Half a character that a string came after."""
        text = self._utf8.decode(b"", True) if self._open else ""
        self._utf8.reset()
        self._open = False
        return text

    def end(self) -> Decoded:
        if not self._open:
            self.completion = "complete"
        return []


class EventDecoder(TextDecoder):
    """Events of ours pass through as they are, also between strings and bytes, which are text."""

    _takes = "events, str or bytes"

    def __init__(self) -> None:
        super().__init__()
        self._started = True  # by an event, or without one

    def decode(self, item: Any, raw: Any) -> Decoded:
        event = plain(item, raw)
        if event is None:
            return super().decode(item, raw)
        check(event)
        if self._open and type(event) is TextDelta:
            return [TextDelta(self._cut()), event]
        return [event]
