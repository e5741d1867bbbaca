"""What every decoder is: `decode` for each item of the source, `end` once, both giving events.

An error that the source itself reports is not raised but returned, as the last element, so that what came with it in
the same item is not lost. Whatever a decoder raises is a fault of the data, and the core makes it a
`StreamProtocolError`.
"""

from typing import Any, Literal, Protocol, TypeAlias

from typestream.errors import StreamError, StreamProtocolError
from typestream.events import Event

__all__ = ("Completion", "Decoded", "Decoder", "get", "undecodable")

Completion: TypeAlias = Literal["complete", "unconfirmed", "incomplete"]
Decoded: TypeAlias = list[Event | StreamError]


class Decoder(Protocol):
    """One stream's decoder; chosen once, by the structure of the first item.

    Attributes:
        completion: `"complete"` once a marker was seen that says the answer is whole, `"unconfirmed"` where the
            source only said that it is done, else `"incomplete"`.
        ended: whether nothing can follow that matters (`response.completed`, `message_stop`): the source need not be
            read to its end.
    """

    @property
    def completion(self) -> Completion: ...

    @property
    def ended(self) -> bool: ...

    def decode(self, item: Any, raw: Any) -> Decoded:
        """The events of one item; `raw` is what they carry as their `raw` (the item, or a `Lazy` of it)."""
        ...

    def end(self) -> Decoded:
        """What was still held back, at the normal end of the source."""
        ...


def get(item: Any, name: str) -> Any:
    """A field of a dict or an object, None where there is none: an SDK's types are hints, not facts."""
    if type(item) is dict:
        return item.get(name)
    return dict.get(item, name) if isinstance(item, dict) else getattr(item, name, None)


def undecodable(item: Any, exc: Exception) -> StreamError:
    """The error of an item at which its decoder raised `exc`."""
    if isinstance(exc, StreamError):
        return exc
    excerpt = item if isinstance(item, bytes) else repr(item)[:200].encode("utf-8", "replace")
    error = StreamProtocolError(
        f"An item of the source cannot be decoded ({type(exc).__name__}: {exc}).", excerpt=excerpt
    )
    error.__cause__ = exc
    return error
