"""JSON off the wire: one text to its value, and a body of values without a framing of their own to its texts.

Rules: a value is given once its last byte is there, and never before; what is between values and is none of
`, [ ]` or white space is given as it is, up to the end of its line, for `parse` to judge.
"""

import json
import re
from typing import Any, NoReturn

try:
    from jiter import from_json as _fast
except ImportError:  # it comes with the SDK, today
    _fast = json.loads

from typestream.decode._limits import Limits
from typestream.errors import StreamError, StreamLimitExceeded, StreamProtocolError

__all__ = ("JsonSplitter", "parse")


def _integer(digits: str) -> int | str:
    # Python refuses to convert integers of more than some 4,300 digits; nobody counts with them, so the digits do.
    try:
        return int(digits)
    except ValueError:
        return digits


_lenient = json.JSONDecoder(strict=False, parse_int=_integer)


def parse(text: str | bytes) -> Any:
    """The value of a JSON text; in bytes, what is not UTF-8 becomes U+FFFD.

    Accepted beyond the standard, because servers send it and it does no harm: `NaN` and `Infinity` (log-probabilities),
    raw control characters in strings, integers too long for Python, as their digits.

    Raises:
        ValueError: it is no JSON, or nested too deeply.
    """
    try:
        return _fast(text.encode() if isinstance(text, str) else text)
    except (ValueError, RecursionError):
        pass  # again with the decoder that forgives: halves of surrogate pairs, control characters, depth
    try:
        return _lenient.decode(text if isinstance(text, str) else text.decode("utf-8", "replace"))
    except RecursionError:
        _too_deep()


def _too_deep() -> NoReturn:
    raise ValueError("nested too deeply") from None


# Up to the next bracket, over every string that is all there.
_RUN = re.compile(rb'[^{}\[\]"]*(?:"[^"\\]*(?:\\.[^"\\]*)*"[^{}\[\]"]*)*', re.DOTALL)
_INSIDE = re.compile(rb'["\\]')
_BETWEEN = re.compile(rb"[^\s,\x1e]")
_QUOTE = 0x22
_DEPTH = 1000  # past this, Python's parser would give up anyway
_SLICE = 64 * 1024  # what a regular expression may have to go back over
_LINE_END = re.compile(rb"[\r\n]")


class JsonSplitter:
    """Cuts a body into its JSON values: one per line, one after the other, one over many lines, or in one array.

    Args:
        limits: `event` bounds a value, in bytes.

    Attributes:
        error: the limit that was passed, or None; nothing is given after it.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.error: StreamError | None = None
        self._limit = (limits or Limits()).event
        self._value = bytearray()  # the value, or the line of something else, that has not ended yet
        self._base = 0  # the depth at which values are: 1 in an array
        self._depth = 0
        self._string = self._escape = self._junk = False

    def feed(self, data: bytes) -> list[bytes]:
        """The texts of the values that end in `data`."""
        out: list[bytes] = []
        for start in range(0, len(data), _SLICE):
            piece, at = data[start : start + _SLICE], 0
            while at < len(piece) and self.error is None:
                at = self._step(piece, at, out)
        return out

    def rest(self) -> bytes:
        """What has not ended; `b""` at a proper end."""
        return bytes(self._value)

    @property
    def in_value(self) -> bool:
        """Whether a value has begun and not ended."""
        return self._depth > self._base

    def _step(self, data: bytes, at: int, out: list[bytes]) -> int:
        if self._junk:
            return self._to_line_end(data, at, out)
        if self._string:
            return self._in_string(data, at)
        if self.in_value:
            return self._in_value(data, at, out)
        return self._between(data, at)

    def _between(self, data: bytes, at: int) -> int:
        found = _BETWEEN.search(data, at)
        if found is None:
            return len(data)
        at, char = found.start(), found[0]
        if char == b"[" and self._base == 0:
            self._base = self._depth = 1
            return at + 1
        if char == b"]" and self._base == 1:
            self._base = self._depth = 0
            return at + 1
        if char in (b"{", b"["):
            self._depth += 1
            self._keep(data, at, at + 1)
            return at + 1
        self._junk = True
        return at

    def _in_value(self, data: bytes, at: int, out: list[bytes]) -> int:
        start = at
        while (at := _RUN.match(data, at).end()) < len(data):  # type: ignore[union-attr]  # it matches nothing, too
            char = data[at]
            at += 1
            if char == _QUOTE:  # a string that goes on after this piece
                self._string = True
                break
            self._depth += 1 if char in b"{[" else -1
            if self._depth > _DEPTH:
                message = "The stream sent JSON that is nested too deeply."
                self.error = StreamProtocolError(message, excerpt=bytes(self._value[:200]) + data[start : start + 200])
                return len(data)
            if self._depth == self._base:
                self._keep(data, start, at)
                self._give(out)
                return at
        return self._keep(data, start, at)

    def _in_string(self, data: bytes, at: int) -> int:
        if self._escape:
            self._escape = False
            return self._keep(data, at, at + 1)
        found = _INSIDE.search(data, at)
        if found is None:
            return self._keep(data, at, len(data))
        if found[0] == b'"':
            self._string = False
        else:
            self._escape = True
        return self._keep(data, at, found.end())

    def _to_line_end(self, data: bytes, at: int, out: list[bytes]) -> int:
        found = _LINE_END.search(data, at)
        end = len(data) if found is None else found.start()
        self._keep(data, at, end)
        if found is not None:
            self._junk = False
            self._give(out)
        return end

    def _keep(self, data: bytes, start: int, end: int) -> int:
        if self._limit is not None and len(self._value) + end - start > self._limit:
            message = f"The stream sent one event of more than {self._limit:,} bytes."
            self.error = StreamLimitExceeded(message, limit="event")
            self._value.clear()
        else:
            self._value += data[start:end]
        return end

    def _give(self, out: list[bytes]) -> None:
        out.append(bytes(self._value).rstrip(b", \t"))
        self._value.clear()
