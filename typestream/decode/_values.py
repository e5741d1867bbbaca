"""What the wire's framings have in common: the JSON values they carry, one after the other, to events.

Rules: what cannot carry an answer (`null`, numbers, strings, pings) is passed over; what should have been JSON and is
not is an error; after an error or `[DONE]` nothing counts.
"""

from collections.abc import Callable
from typing import Any, Final

from typestream.decode._base import Completion, Decoded, Decoder, undecodable
from typestream.decode._fields import server_error, words
from typestream.decode._json import parse
from typestream.decode._repeats import Repeats
from typestream.errors import StreamError, StreamProtocolError, StreamServerError, UnsupportedSource
from typestream.events import Finish, Lazy, Other, ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta

__all__ = ("Values", "reported")

_PINGS = ("ping", "keepalive", "keep-alive", "heartbeat")
_TYPES = ("response.", "message_", "content_block_")
_SPOKEN = (TextDelta, ReasoningDelta, RefusalDelta, ToolCallDelta)
_NOTHING: Final = object()


class Values:
    """Gives each JSON value of a stream to the decoder of its shape, which the first that says something decides.

    Attributes:
        completion, ended: see `Decoder`.
        understood: whether anything was of a known shape.
        unknown: the type of the first value that was of none, or None.
        failed, undecodable: whether it ended in an error, and whether that is a `StreamProtocolError`.
    """

    def __init__(self, build: Callable[[Any], Any] | None = None) -> None:
        self.completion: Completion = "incomplete"
        self.ended = False
        self.understood = False
        self.unknown: str | None = None
        self.failed = self.undecodable = False
        self._build = build
        self._shape: Decoder | None = None
        self._plain: Callable[[Any], str | None] | None = None  # the shape's `text`, where it has one
        self._repeats = Repeats()

    def text(self, text: str, name: str, out: Decoded) -> None:
        """The data of an event called `name` (`"message"` or `""` where it has none)."""
        piece = self.read(text, name, out)
        if piece is not None:
            out.append(TextDelta(piece, raw=Lazy(text, self._built)))

    def read(self, text: str, name: str, out: Decoded) -> str | None:
        """The data of an event; where it is a piece of the answer and nothing else, its text is given, not added."""
        plain = self._plain if name == "message" or not name else None
        if plain is not None:
            piece = self._repeats.piece(text)
            if piece is not None:
                return piece
        value = self._parsed(text, name, out)
        if value is _NOTHING:
            return None
        if plain is not None:
            piece = plain(value)
            if piece is not None:
                self._repeats.learn(text, piece, self._piece)
                return piece
        self.value(value, name, out)
        return None

    def _parsed(self, text: str, name: str, out: Decoded) -> Any:
        if text[:1] != "{":
            text = text.strip()
            if (not text or text == "[DONE]") and _is_error(name):
                self.fail(reported(text), out)
                return _NOTHING
            if not text or name in _PINGS:
                return _NOTHING
            if text.startswith("[DONE]"):
                if text == "[DONE]":  # with more behind it, it is junk and harmless
                    self._finish()
                return _NOTHING
        try:
            return parse(text)
        except ValueError as exc:
            if _is_error(name):
                self.fail(reported(text), out)
            elif name not in _PINGS:
                message = f"The stream sent an event that is not JSON ({exc})."
                self.fail(StreamProtocolError(message, excerpt=text[:200].encode("utf-8", "replace")), out)
        return _NOTHING

    def _piece(self, text: str) -> str | None:
        try:
            return None if self._plain is None else self._plain(parse(text))
        except ValueError:
            return None

    def _built(self, text: str) -> Any:
        value = parse(text)
        return value if self._build is None else Lazy(value, self._build).get()

    def value(self, value: Any, name: str, out: Decoded) -> None:
        """A JSON value that came in an event called `name`."""
        self._repeats.forget()
        if name != "message" and name:
            if _is_error(name):
                self.fail(reported(value), out)
                return
            if name.startswith("thread."):
                self._decode({"event": name, "data": value}, out)  # only the event's name says what its data is
                return
        if type(value) is list:
            for one in value:
                if not self.ended:
                    self.value(one, "", out)
            return
        if type(value) is not dict:
            return
        kind = value.get("type")
        if kind is None and name.startswith(_TYPES):
            value = {**value, "type": name}
        elif name in _PINGS or (type(kind) is str and kind in _PINGS):
            return
        self._decode(value, out)

    def speaks(self, text: str) -> bool:
        """Whether a JSON text is a piece of the answer in the shape that the stream has, if it has one yet."""
        trial = Values()
        out: Decoded = []
        try:
            trial.value(parse(text), "", out)
        except ValueError:
            return False
        same = self._shape is None or type(trial._shape) is type(self._shape)
        return same and any(isinstance(event, _SPOKEN) for event in out)

    def _decode(self, value: dict[str, Any], out: Decoded) -> None:
        raw = value if self._build is None else Lazy(value, self._build)
        shape = self._shape
        try:
            if shape is None:
                shape = self._choose(value, raw, out)
                if shape is None:
                    return
            out += shape.decode(value, raw)
        except Exception as exc:
            self._undecodable(value, exc, out)
            return
        news = shape.completion != self.completion
        self.completion, self.ended = shape.completion, shape.ended
        if out and isinstance(out[-1], StreamError):
            self.ended = self.failed = True
        elif news and any(type(event) is Finish and event.reason.lower() == "error" for event in out):
            message = "The server ended the answer with an error, and did not say which."
            self.fail(StreamServerError(message, body=value), out)

    def _choose(self, value: dict[str, Any], raw: Any, out: Decoded) -> Decoder | None:
        from typestream.decode import choose

        error = server_error(value)
        if error is not None:
            self.fail(error, out)
            return None
        try:
            self._shape = choose(value)
        except UnsupportedSource:
            kind = str(value.get("type") or value.get("object") or "unknown")
            self.unknown = self.unknown or kind
            out.append(Other(kind, raw=raw))
        self.understood = self._shape is not None
        self._plain = getattr(self._shape, "text", None)
        return self._shape

    def _finish(self) -> None:
        self.ended = True
        if self.understood and self.completion == "incomplete":
            self.completion = "unconfirmed"

    def _undecodable(self, value: Any, exc: Exception, out: Decoded) -> None:
        self.fail(undecodable(value, exc), out)

    def fail(self, error: StreamError, out: Decoded) -> None:
        """End in an error."""
        self.ended = self.failed = True
        self.undecodable = isinstance(error, StreamProtocolError)
        out.append(error)

    def end(self, out: Decoded) -> None:
        """The body has ended."""
        if self._shape is None or self.failed:
            return
        try:
            out += self._shape.end()
        except Exception as exc:
            self._undecodable(None, exc, out)
            return
        if self.completion != "unconfirmed" or self._shape.completion == "complete":
            self.completion = self._shape.completion


def _is_error(name: str) -> bool:
    """Whether an event of that name is an error: `error`, and the exceptions of Java's world (Amazon's Bedrock)."""
    name = name.strip().lower()
    return name == "error" or name.endswith("exception")


def reported(body: Any) -> StreamServerError:
    """The error a server reports in `body`, JSON or text, where it is known to be one."""
    error = server_error(body)
    if error is None:
        message = words(body)[:500]
        error = StreamServerError(message or "the server reported an error", body=body)
    return error
