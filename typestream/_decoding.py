"""What a source gives, decoded: by which decoder, to its end, and whether it was the whole answer. No clock.

Rules: what a decoder raises is `undecodable`, an error among its events, and nothing after it counts; half a character
is held back until its other half comes, or the end.
"""

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from typestream.decode import JoinSurrogates, choose
from typestream.decode._base import Completion, Decoded, Decoder, undecodable
from typestream.errors import StreamError, StreamServerError, StreamTruncated, UnsupportedSource
from typestream.events import Event

__all__ = ("Decoding", "Relay", "Require")

Require: TypeAlias = Literal["terminal", "finish_reason"] | None


class Decoding:
    """The decoder of one source, which its first item shows, unless it is known beforehand.

    Attributes:
        decoder: the decoder, once it is known.
        brief: what decodes an item that may be a piece of text and nothing else: to that text, or as `decode` does.
        wire: whether the source is a connection.
    """

    def __init__(self) -> None:
        self.decoder: Decoder | None = None
        self.brief: Callable[[Any, Any], str | Decoded]  # the decoder's, where it has one, or its `decode`
        self.wire = False
        self._surrogates = JoinSurrogates()
        self._empty_text = False

    def use(self, decoder: Decoder, wire: bool) -> None:
        """That is the decoder."""
        self.decoder = decoder
        self.brief = getattr(decoder, "brief", decoder.decode)
        self.wire = wire

    @property
    def idle(self) -> bool:
        """Whether the next item may be given to the decoder alone."""
        return self._surrogates.idle and self.decoder is not None

    @property
    def whole(self) -> bool:
        """Whether the answer is there, though there may be more to come."""
        return self.decoder is not None and self.decoder.completion != "incomplete"

    def feed(self, item: Any) -> Decoded:
        """The events of an item, to be joined. Raises UnsupportedSource where nothing decodes it, and what the decoder
        raises."""
        decoder = self._choose(item) if self.decoder is None else self.decoder
        return [] if decoder is None else decoder.decode(item, item)

    def _choose(self, item: Any) -> Decoder | None:
        decoder = choose(item)
        if decoder is None:
            self._empty_text = self._empty_text or isinstance(item, (str, bytes))
        else:
            self.use(decoder, self.wire)
        return decoder

    def join(self, decoded: Decoded) -> Decoded:
        """The same events, without halves of characters."""
        return self._surrogates.feed(decoded)

    def end(self) -> Decoded:
        """The source ended: the events of what was held back."""
        return [*self._surrogates.feed(self._rest()), *self._surrogates.flush()]

    def break_off(self, error: StreamError | UnsupportedSource) -> tuple[Decoded, StreamError | UnsupportedSource]:
        """The source failed: the events of what its decoder still holds, which was said and counts, though half a
        character does not; and the error, or what is behind it."""
        held: Decoded = []
        for event in self._rest():
            if not isinstance(event, StreamError):
                held.append(event)
            elif isinstance(event, StreamServerError) and event.status is not None:
                error, event.__cause__ = event, error  # no stream but an error page: that is what went wrong
        return self._surrogates.feed(held), error

    def _rest(self) -> Decoded:
        if self.decoder is None:
            return []
        try:
            return self.decoder.end()
        except Exception as exc:
            return [undecodable(b"", exc)]

    def verdict(self, require: Require) -> tuple[Completion, StreamTruncated | None]:
        """How complete the answer is now that its source has ended, and the error where that is less than required."""
        decoder = self.decoder
        completion: Completion = decoder.completion if decoder is not None else "incomplete"
        if decoder is None and self._empty_text:
            completion = "complete"
        return completion, self._too_little(completion, require)

    def _too_little(self, completion: Completion, require: Require) -> StreamTruncated | None:
        if require is None or completion == "complete":
            return None
        if completion == "unconfirmed":
            if require != "finish_reason":
                return None
            return StreamTruncated("The source ended without a finish reason.")
        if self.decoder is None:
            return StreamTruncated("The source ended before it had said anything.")
        detail = getattr(self.decoder, "detail", None) or "no marker said that it is whole."
        return StreamTruncated(f"The source ended before the answer did: {detail[0].lower()}{detail[1:]}")


class Relay:
    """The decoder of a stream of another stream's events; whether they are whole is known to that one."""

    ended = False

    def __init__(self, owner: Any) -> None:
        self._owner = owner

    @property
    def completion(self) -> Completion:
        stream = self._owner.stream
        completion: Completion = stream.result.completion if stream._core.ended else "incomplete"
        return completion

    def decode(self, item: Event, raw: Any) -> Decoded:
        return [item]

    def end(self) -> Decoded:
        return []
