"""How a stream can fail.

::

    Exception
    ├── TypeError
    │   └── UnsupportedSource      what was passed cannot be read as a stream
    └── StreamError                has .result, the exact partial answer; __cause__ is the source's own exception
        ├── StreamTruncated        the source ended normally, but before the answer did
        ├── StreamConnectionError  the connection broke
        ├── StallTimeout           nothing new arrived in time: .kind is "first", "between" or "total"
        ├── StreamProtocolError    what arrived cannot be decoded: .excerpt shows at most 200 bytes of it
        ├── StreamServerError      the server reported an error: .status and .body
        ├── StreamLimitExceeded    more arrived than was allowed: .limit names the limit
        ├── SourceError            your generator or callable raised; its exception is the __cause__
        ├── StreamClosed           the stream was read after it had been closed
        └── StreamBusy             the stream was read from two places at once
"""

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from typestream.result import Result

__all__ = (
    "SourceError",
    "StallTimeout",
    "StreamBusy",
    "StreamClosed",
    "StreamConnectionError",
    "StreamError",
    "StreamLimitExceeded",
    "StreamProtocolError",
    "StreamServerError",
    "StreamTruncated",
    "UnsupportedSource",
)


class UnsupportedSource(TypeError):
    """What was passed cannot be read as a stream; the message names what would have been accepted."""


class StreamError(Exception):
    """A stream did not end with the whole answer.

    Attributes:
        result: the exact partial answer: what was delivered before the error, no more and no less.
    """

    result: "Result"

    def __init__(self, message: str = "") -> None:
        super().__init__(message)


class StreamTruncated(StreamError):
    """The source ended without the marker that says the answer is whole."""


class StreamConnectionError(StreamError):
    """The connection failed, was closed or was reset in the middle of the answer."""


class StallTimeout(StreamError):
    """Nothing new arrived in time.

    Attributes:
        kind: which clock ran out, `"first"`, `"between"` or `"total"`.
        alive: whether the source still sent something (pings, empty deltas), though no progress.
    """

    def __init__(
        self, message: str = "", *, kind: Literal["first", "between", "total"] = "between", alive: bool = False
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.alive = alive


class StreamProtocolError(StreamError):
    """What arrived cannot be decoded.

    Attributes:
        excerpt: at most 200 bytes of it.
    """

    def __init__(self, message: str = "", *, excerpt: bytes = b"") -> None:
        super().__init__(message)
        self.excerpt = excerpt[:200]


class StreamServerError(StreamError):
    """The server reported an error, by its status or inside the stream.

    Attributes:
        status: the HTTP status, or None if the error came inside the stream.
        body: the error as the server sent it: a dict, a string, or None.
        code: the server's own code for it, or None.
    """

    def __init__(self, message: str = "", *, status: int | None = None, body: Any = None, code: Any = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = body
        self.code = code


class StreamLimitExceeded(StreamError):
    """More arrived than was allowed.

    Attributes:
        limit: the name of the limit, such as `"line"`, `"event"` or `"total"`.
    """

    def __init__(self, message: str = "", *, limit: str = "") -> None:
        super().__init__(message)
        self.limit = limit


class SourceError(StreamError):
    """A generator or callable raised; its own exception is the `__cause__`."""


class StreamClosed(StreamError):
    """The stream was read after it had been closed."""


class StreamBusy(StreamError):
    """The stream was read while another thread or task was already waiting for its next piece."""
