"""Events for programs: server-sent events and JSON lines, both as the JSON objects of `typestream._json`.

The format of server-sent events is https://html.spec.whatwg.org/multipage/server-sent-events.html. The payload is
ASCII JSON on one line, so that nothing in it can end a field, an event or a line.
"""

from collections.abc import Callable
from typing import Any

from typestream._json import dumps, event_to_dict
from typestream.errors import StreamError
from typestream.events import Event
from typestream.render._failure import code_of, public_message
from typestream.result import Result

__all__ = ("Backlog", "JsonLines", "Sse")


def _end(result: Result) -> dict[str, Any]:
    return {"type": "end", "completion": result.completion, "finish_reason": result.finish_reason}


class JsonLines:
    """One JSON object per line: every event, then `{"type": "end", "completion": …, "finish_reason": …}`.

    A stream that broke off ends with `{"type": "error", "code": …, "message": …}` instead.

    Args:
        message: makes the public message for an error (None if there is no error object). The default says no more than
            that the answer broke off.
    """

    def __init__(self, *, message: Callable[[StreamError | None], str] = public_message) -> None:
        self._message = message

    def feed(self, event: Event) -> str:
        return self._frame(event_to_dict(event))

    def finish(self, result: Result) -> str:
        return self._error(None) if result.completion == "incomplete" else self._frame(_end(result))

    def fail(self, error: StreamError) -> str:
        return self._error(error)

    def _error(self, error: StreamError | None) -> str:
        return self._frame({"type": "error", "code": code_of(error), "message": self._message(error)})

    def _frame(self, data: dict[str, Any]) -> str:
        return dumps(data) + "\n"


class Sse(JsonLines):
    """Server-sent events, for a web page's `EventSource`: each is a message whose data is one of `JsonLines`' objects.

    The events have no name, so that all arrive at `onmessage`. The page must close its `EventSource` on `"end"` and
    `"error"`; otherwise the browser connects again.

    Args:
        ids: number the events, from `first_id` on, so that a browser that reconnects sends the id of its last event as
            `Last-Event-ID`; see `Backlog`.
        first_id: the first number.
        retry: milliseconds that a browser is to wait before it reconnects; sent with the first event.
        message: as for `JsonLines`.
    """

    content_type = "text/event-stream"

    def __init__(
        self,
        *,
        ids: bool = False,
        first_id: int = 0,
        retry: int | None = None,
        message: Callable[[StreamError | None], str] = public_message,
    ) -> None:
        super().__init__(message=message)
        self._next = first_id if ids else None
        self._retry = retry

    @staticmethod
    def keep_alive() -> str:
        """A comment, which the page does not see; send one now and then to keep proxies from closing a silent
        connection."""
        return ": keep-alive\n\n"

    def _frame(self, data: dict[str, Any]) -> str:
        head = ""
        if self._retry is not None:
            head, self._retry = f"retry: {int(self._retry)}\n", None
        if self._next is not None:
            head += f"id: {self._next}\n"
            self._next += 1
        return f"{head}data: {dumps(data)}\n\n"


class Backlog(Sse):
    """Numbered server-sent events that are kept for clients that reconnect: one object per answer, in one process.

    A browser that reconnects sends `Last-Event-ID`: send it `after(…)` of that id, then what `feed` returns. In all
    else it is an `Sse`. It keeps the whole answer in memory as long as the object lives.
    """

    def __init__(
        self,
        *,
        retry: int | None = None,
        message: Callable[[StreamError | None], str] = public_message,
    ) -> None:
        super().__init__(ids=True, retry=retry, message=message)
        self._frames: list[str] = []
        self.ended = False
        """Whether `finish` or `fail` was called, after which nothing more comes."""

    @property
    def last_id(self) -> str | None:
        """The id of the last event, None before the first. A client that was sent `after(x)` continues from this id."""
        return str(len(self._frames) - 1) if self._frames else None

    def after(self, last_event_id: str | None) -> str:
        """Everything after the event with that id; everything from the start if the id is not from this backlog."""
        known = last_event_id is not None and last_event_id.isascii() and last_event_id.isdigit()
        number = int(last_event_id[:18]) if known and last_event_id is not None else -1
        return "".join(self._frames[number + 1 :] if number < len(self._frames) else self._frames)

    def finish(self, result: Result) -> str:
        self.ended = True
        return super().finish(result)

    def fail(self, error: StreamError) -> str:
        self.ended = True
        return super().fail(error)

    def _frame(self, data: dict[str, Any]) -> str:
        frame = super()._frame(data)
        self._frames.append(frame)
        return frame
