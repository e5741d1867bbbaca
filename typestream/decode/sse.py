"""Server-sent events: bytes in, events out.

Rules, from the HTML standard, 9.2.6 "Interpreting an event stream": a line ends with LF, CR or CRLF and with nothing
else; a blank line dispatches; an event that the blank line never reached does not exist.
Memory is bounded by the limits; the work is linear in the bytes however they were cut.
"""

from typing import NamedTuple

from typestream.decode._limits import Limits
from typestream.errors import StreamLimitExceeded

__all__ = ("SSEDecoder", "ServerSentEvent")

_BOM = b"\xef\xbb\xbf"
_SLICE = 64 * 1024  # a feed is taken in pieces of this size: splitting costs eight bytes of list per line
_UNLIMITED = 1 << 62


class ServerSentEvent(NamedTuple):
    """One dispatched event.

    Attributes:
        event: its type, `"message"` where none was given.
        data: its data lines, joined with LF.
        id: the last event id as of this event; `""` where there is none.
        retry: the reconnection time as of this event, in milliseconds; None until the stream has set one.
    """

    event: str = "message"
    data: str = ""
    id: str = ""
    retry: int | None = None


_event = ServerSentEvent._make


class SSEDecoder:
    """Cuts a `text/event-stream` body into its events, whatever pieces it comes in.

    Args:
        limits: `line` and `event` apply, in bytes.
        bare: also give the lines that are no field of the standard's (a server's error message, mostly), in their
            place, as events whose `event` is `""`, a type the standard never produces.

    Attributes:
        last_event_id: what a client would send as `Last-Event-ID` to go on from here.
        retry: the reconnection time in milliseconds, or None.
        error: the limit that was passed, or None; nothing is decoded after it.
    """

    def __init__(self, limits: Limits | None = None, *, bare: bool = False) -> None:
        limits = limits or Limits()
        self.last_event_id = ""
        self.retry: int | None = None
        self.error: StreamLimitExceeded | None = None
        self._bare = bare
        self._max_line = _UNLIMITED if limits.line is None else limits.line
        self._max_event = _UNLIMITED if limits.event is None else limits.event
        self._head: bytes | None = b""  # what may still become a byte order mark; None once that is settled
        self._skip_lf = False  # the last byte was CR: an LF now belongs to it
        self._tail = bytearray()  # the line that has not ended yet
        self._between = False  # the last byte ended an event
        self._most = min(self._max_line, self._max_event)
        self._out: list[ServerSentEvent] = []
        self._reset()

    def _reset(self) -> None:
        self._data: bytes | bytearray | None = None
        self._event = b""
        self._id: str | None = None
        self._size = 0

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """The events that end in `data`.

        Raises:
            StreamLimitExceeded: a line or an event is too long. What was dispatched before it in the same `data` is
                returned first, and the next call raises.
        """
        if self._head is not None:
            data = self._after_bom(data)
        if len(data) <= _SLICE:
            self._feed(data)
        else:
            for start in range(0, len(data), _SLICE):
                self._feed(data[start : start + _SLICE])
        self._between = not (self._tail or self._size or self._skip_lf or self._head is not None or self.error)
        return self._take()

    def whole(self, data: bytes) -> bytes | None:
        """The data of the one event that `data` is, a line of data and nothing else, as servers write it; None where it
        is anything else, to be fed."""
        if (
            self._between
            and data.startswith(b"data: ")
            and data.endswith(b"\n\n")
            and data.find(b"\n") == len(data) - 2 <= self._most
            and b"\r" not in data
        ):
            return data[6:-2]
        return None

    def flush(self) -> list[ServerSentEvent]:
        """The end of the body: an event without its blank line is dropped, as the standard says."""
        self._reset()
        self._tail.clear()
        return self._take()

    def pending(self) -> ServerSentEvent | None:
        """The event that `flush` would drop, as if its blank line had come; None where there is no data."""
        data, event = self._data, self._event
        line = bytes(self._tail)
        if line.startswith(b"data:"):
            value = _value(line, 5)
            data = value if data is None else bytes(data) + b"\n" + value
        return None if data is None else ServerSentEvent(_text(event) or "message", _text(data), "", self.retry)

    def partial_line(self) -> bytes:
        """The line that has not ended yet."""
        return bytes(self._tail)

    def _take(self) -> list[ServerSentEvent]:
        out, self._out = self._out, []
        if self.error is not None and not out:
            raise self.error
        return out

    def _after_bom(self, data: bytes) -> bytes:
        data = (self._head or b"") + data
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._head = data
            return b""
        self._head = None
        return data.removeprefix(_BOM)

    def _feed(self, data: bytes) -> None:
        if not data or self.error is not None:
            return
        if self._skip_lf and data[0] == 10:
            data = data[1:]
        self._skip_lf = data.endswith(b"\r")
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if b"\n" not in data:
            self._tail += data
            self._check(len(self._tail))
            return
        lines = data.split(b"\n")
        if self._tail:
            self._tail += lines[0]
            lines[0] = bytes(self._tail)
            self._tail.clear()
        rest = lines.pop()
        self._lines(lines)
        self._tail += rest
        self._check(len(rest))

    def _lines(self, lines: list[bytes]) -> None:
        for line in lines:
            if not line:
                self._dispatch()
                continue
            size = len(line)
            if size > self._max_line or size + self._size > self._max_event:
                self._check(size)
                return
            if line.startswith(b"data: "):
                self._size += size
                self._add(line[6:])
            else:
                self._field(line, size)

    def _field(self, line: bytes, size: int) -> None:
        name, colon, _ = line.partition(b":")
        if not name:
            return  # a comment
        value = _value(line, len(name) + 1) if colon else b""
        if name == b"data":
            self._add(value)
        elif name == b"event":
            self._event = value
        elif name == b"id":
            if b"\0" not in value:
                self._id = _text(value)
        elif name == b"retry":
            if value.isdigit() and size < 100:  # bytes.isdigit knows ASCII digits only
                self.retry = int(value)
            return
        else:
            if self._bare:
                self._out.append(ServerSentEvent("", _text(line)))
            return
        self._size += size

    def _add(self, value: bytes) -> None:
        if self._data is None:
            self._data = value
            return
        if type(self._data) is bytes:
            self._data = bytearray(self._data)
        self._data += b"\n"
        self._data += value

    def _dispatch(self) -> None:
        if self._id is not None:
            self.last_event_id = self._id
        if self._data is not None:
            event = _text(self._event) if self._event else "message"
            self._out.append(_event((event, _text(self._data), self.last_event_id, self.retry)))
            self._data = None
        self._event = b""
        self._id = None
        self._size = 0

    def _check(self, line: int) -> None:
        if line > self._max_line:
            self._exceed("line", self._max_line)
        elif line + self._size > self._max_event:
            self._exceed("event", self._max_event)

    def _exceed(self, limit: str, size: int) -> None:
        self.error = StreamLimitExceeded(f"The stream sent one {limit} of more than {size:,} bytes.", limit=limit)
        self._tail.clear()
        self._reset()


def _value(line: bytes, start: int) -> bytes:
    return line[start + 1 :] if line[start : start + 1] == b" " else line[start:]


def _text(data: bytes | bytearray) -> str:
    # No line end is part of a UTF-8 sequence, so decoding line by line is the standard's decoding of the whole.
    return data.decode("utf-8", "replace")
