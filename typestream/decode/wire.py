"""The body of an HTTP answer: bytes in, events out, whatever the server chose to send.

Rules: the first bytes decide the framing, and the content type only where they leave it open; half an event is never
delivered; after the first error, `[DONE]` or a shape's own end nothing counts any more; no exception leaves here, an
error is the last element of what `decode` and `end` return.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from typestream.decode._base import Completion, Decoded
from typestream.decode._encoding import Decompressor
from typestream.decode._fields import server_error
from typestream.decode._json import JsonSplitter, parse
from typestream.decode._limits import Limits
from typestream.decode._values import Values, reported
from typestream.decode.sse import ServerSentEvent, SSEDecoder
from typestream.errors import StreamError, StreamLimitExceeded, StreamProtocolError, StreamServerError

__all__ = ("Decompressor", "Limits", "WireDecoder")

_BOM = b"\xef\xbb\xbf"
_BODY = 64 * 1024  # of a body that is no stream, this much is read
_FIELDS = (b"data:", b"event:", b"id:", b"retry:")
# What to do with the next bytes, and at the end of them.
_Framing: TypeAlias = "tuple[Callable[[WireDecoder, bytes, Decoded], None], Callable[[WireDecoder, Decoded], None]]"


class WireDecoder:
    """Decodes the body of one HTTP answer: server-sent events, JSON lines, a whole JSON answer, a JSON array, or an
    error where a stream was expected. A `Decoder` whose items are bytes, cut anywhere.

    Args:
        content_type: the answer's content type, or None.
        status: the answer's HTTP status; from 400 on, the body is that of an error.
        encoding: the answer's `Content-Encoding`, where the bytes come as they were on the wire and
            `Decompressor.knows` it; None where somebody else has undone it.
        limits: bounds on what is read; see `Limits`.
        build: makes the source's own object of a decoded JSON value; called only when an event's `raw` is looked at.

    Attributes:
        completion, ended: see `Decoder`.
        detail: what is known of a body that ended too early, a sentence for the error's message, or None.
    """

    def __init__(
        self,
        content_type: str | None,
        *,
        status: int = 200,
        encoding: str | None = None,
        limits: Limits | None = None,
        build: Callable[[Any], Any] | None = None,
    ) -> None:
        self.completion: Completion = "incomplete"
        self.ended = False
        self.detail: str | None = None
        self._limits = limits = limits or Limits()
        self._type = (content_type or "").partition(";")[0].strip().lower()
        self._status = status
        self._read = 0
        self._unpack = Decompressor(encoding, limits).feed if encoding else None
        self._as_it_comes = self._unpack is None and limits.total is None
        self._head = b""  # the first bytes, until they tell the framing
        self._body = bytearray()  # what is no stream
        self._sse = SSEDecoder(limits, bare=True)
        self._json = JsonSplitter(limits)
        self._values = Values(build)
        self._stray: list[str] = []  # the lines that are no field, with nothing said after them
        self._framing: _Framing = (_W._sniff, _W._no_framing) if status < 400 else (_W._text, _W._text_end)

    def decode(self, item: bytes, raw: Any = None) -> Decoded:
        """The events of the next bytes of the body. `raw` is not used: each event carries the JSON value it is of."""
        out: Decoded = []
        data = self._whole(item)
        if data is not None:
            self._values.text(data, "message", out)
            if out:
                self._stray.clear()
            self.completion, self.ended = self._values.completion, self._values.ended
        elif self._unpack is None:
            self._decode(item, out)
        else:
            self._unpacked(self._unpack, item, out)
        return out

    def brief(self, item: bytes, raw: Any = None) -> str | Decoded:
        """The events of some bytes; where these are one event with a piece of the answer and nothing else, its text."""
        data = self._whole(item)
        if data is None:
            return self.decode(item)
        out: Decoded = []
        text = self._values.read(data, "message", out)
        if text is not None or out:
            self._stray.clear()
        if text is not None:
            return text
        self.completion, self.ended = self._values.completion, self._values.ended
        return out

    def _whole(self, item: bytes) -> str | None:
        """The data of the one event without a name that the bytes are, as most servers write it; else None."""
        if self._framing is not _SSE or not self._as_it_comes or self.ended:
            return None
        data = self._sse.whole(item)
        return None if data is None else data.decode("utf-8", "replace")

    def _unpacked(self, unpack: Callable[[bytes], Iterator[bytes]], item: bytes, out: Decoded) -> None:
        try:
            for piece in unpack(item):
                self._decode(piece, out)
                if self.ended:
                    break
        except StreamError as error:
            if not self.ended:
                refused = self._status >= 400
                self._values.fail(_status_error(self._status, bytes(self._body)) if refused else error, out)
                self.ended = True

    def _decode(self, item: bytes, out: Decoded) -> None:
        values = self._values
        if self.ended:
            return
        self._read += len(item)
        limit = self._limits.total
        over = 0 if limit is None else self._read - limit
        self._framing[0](self, item if over <= 0 else item[: max(0, len(item) - over)], out)
        if over > 0 and not values.ended:
            values.fail(StreamLimitExceeded(f"The stream sent more than {limit:,} bytes.", limit="total"), out)
        self.completion, self.ended = values.completion, values.ended

    def end(self) -> Decoded:
        """The body has ended, or no more of it can be had: what the last bytes still say."""
        out: Decoded = []
        values = self._values
        if not values.ended:
            self._framing[1](self, out)
        values.end(out)
        if self._stray and values.completion != "complete" and not values.failed:
            values.fail(_stray_error("\n".join(self._stray)), out)
        if values.unknown and not values.understood:
            self.detail = f"Its events are of no known kind, such as {values.unknown[:80]!r}."
        self.completion, self.ended = values.completion, True
        return out

    # -- which framing

    def _sniff(self, data: bytes, out: Decoded) -> None:
        self._head += data
        start = self._head.removeprefix(_BOM).lstrip(b" \t\r\n\v\f\x1e")
        if not start or _BOM.startswith(start):
            self._head = self._head[-1024:]  # only white space: no need to keep all of it
            return
        if start.startswith((b"{", b"[")):
            self._framing = _W._feed_json, _W._json_end
        elif self._type != "text/event-stream" and not start.startswith((b":", *_FIELDS)):
            if any(field.startswith(start) for field in _FIELDS):
                return
            self._framing = _W._text, _W._text_end
        elif start.startswith(b"<"):
            self._framing = _W._text, _W._text_end
        else:
            self._framing = _SSE
        head, self._head = self._head, b""
        self._framing[0](self, start if start[:1] in b"{[" else head, out)

    def _no_framing(self, out: Decoded) -> None:
        self.detail = "The server answered 204 No Content." if self._status == 204 else "The server sent no body."
        if 300 <= self._status < 400:
            text = f"The server answered with status {self._status}, a redirect that was not followed."
            self._values.fail(StreamServerError(text, status=self._status), out)

    # -- server-sent events

    def _feed_sse(self, data: bytes, out: Decoded) -> None:
        values = self._values
        try:
            events = self._sse.feed(data)
        except StreamLimitExceeded as error:
            values.fail(error, out)
            return
        for name, text, _, _ in events:
            if not name:
                self._no_field(text, out)
            else:
                said = len(out)
                values.text(text, name, out)
                if len(out) > said:
                    self._stray.clear()
            if values.ended:
                return
        if self._sse.error is not None:
            values.fail(self._sse.error, out)

    def _no_field(self, line: str, out: Decoded) -> None:
        name, _, value = line.partition(":")
        if (
            _visible(name).lower() == "data"
        ):  # indented, in capitals, after a mark: ignored, it would be text lost unseen
            self._values.text(value.strip(), "", out)
        else:
            self._stray_line(line, out)

    def _stray_line(self, given: str, out: Decoded) -> None:
        """A line that is no field: JSON that lacks its `data:`, or an error, or nothing of interest."""
        line = text = given.strip()
        if line[:6].lower() == "error:":
            text = line[6:].strip()
        if text.startswith("{"):
            try:
                value = parse(text)
            except ValueError:
                pass
            else:
                self._values.value(value, "" if text is line else "error", out)
                return
        if text is not line:
            self._values.fail(reported(text), out)
        elif line == "[DONE]":
            self._values.text(line, "", out)
        elif "{" in line and self._values.speaks(line[line.index("{") :]):
            message = "The stream sent a piece of the answer in a line that is no field of an event."
            self._values.fail(StreamProtocolError(message, excerpt=line[:200].encode()), out)
        elif line and sum(map(len, self._stray)) < _BODY:
            self._stray.append(given[:_BODY].rstrip())

    def _sse_end(self, out: Decoded) -> None:
        line = self._sse.partial_line()
        if line and not line.startswith((b":", *_FIELDS)) and not any(field.startswith(line) for field in _FIELDS):
            self._stray_line(line.decode("utf-8", "replace"), out)
        event = self._sse.pending()
        if event is not None and not self._values.ended:
            self._half_event(event, out)

    def _half_event(self, event: ServerSentEvent, out: Decoded) -> None:
        """The standard drops an event without its blank line, for it may be half of one. When its JSON is whole and it
        is the one that ends the answer, nothing can be missing: then, and only then, it counts."""
        trial = Values()
        trial.text(event.data, event.event, [])
        if trial.undecodable:
            return
        if trial.ended or trial.completion == "complete" or self.completion == "complete":
            self._values.text(event.data, event.event, out)

    # -- JSON

    def _feed_json(self, data: bytes, out: Decoded) -> None:
        for text in self._json.feed(data):
            done = text.removeprefix(b"data:").strip() in (b"[DONE]", b"DONE]")  # as if these were events
            self._values.text("[DONE]" if done else text.decode("utf-8", "replace"), "", out)
            if self._values.ended:
                return
        if self._json.error is not None:
            self._values.fail(self._json.error, out)

    def _json_end(self, out: Decoded) -> None:
        rest = self._json.rest()
        if self._json.in_value:
            excerpt = rest[:200].decode("utf-8", "replace")
            self.detail = f"Its JSON was cut off: {excerpt!r}."
        elif rest:
            self._values.text(rest.decode("utf-8", "replace"), "", out)

    # -- text, mostly of an error

    def _text(self, data: bytes, out: Decoded) -> None:
        self._body += data[: _BODY - len(self._body)]
        if len(self._body) >= _BODY:
            self._text_end(out)

    def _text_end(self, out: Decoded) -> None:
        status = self._status
        error: StreamError = _unexpected(bytes(self._body), status)
        if status >= 400:
            error = _status_error(status, bytes(self._body))
        self._values.fail(error, out)


_W = WireDecoder
_SSE: _Framing = _W._feed_sse, _W._sse_end


def _status_error(status: int, body: bytes) -> StreamServerError:
    text = body.decode("utf-8", "replace").strip()
    value: Any = text
    try:
        value = parse(text)
    except ValueError:
        pass
    if isinstance(value, list) and value:  # Gemini's
        value = value[0]
    error = reported(value) if text else StreamServerError("no body")
    message = f"The server answered with status {status}: {error}"
    return StreamServerError(message[:1000], status=status, body=error.body, code=error.code)


def _visible(text: str) -> str:
    return "".join(char for char in text if char.isprintable() and not char.isspace())


def _stray_error(text: str) -> StreamError:
    """The error for lines that are no fields: what they report, if they are JSON over many lines, or all of them."""
    try:
        error = server_error(parse(text))
    except ValueError:
        error = None
    return error or _unexpected(text.encode(), None)


def _unexpected(body: bytes, status: int | None) -> StreamError:
    """The error for text where events were expected."""
    excerpt = body[:200].decode("utf-8", "replace").strip()
    if "\ufffd" in excerpt[:-1] or "\0" in excerpt:
        return StreamProtocolError("The server sent something that is neither events nor JSON nor text.", excerpt=body)
    text = body.decode("utf-8", "replace").strip()
    return StreamServerError(f"The server sent text instead of a stream: {excerpt!r}.", status=status, body=text)
