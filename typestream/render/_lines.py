"""Events for programs: server-sent events and JSON lines, both in the vocabulary of `typestream._json`.

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
    """One JSON object a line: every event, then `{"type": "end", "completion": …, "finish_reason": …}`.

    A stream that broke off ends in `{"type": "error", "code": …, "message": …}` instead.

    Args:
        message: makes the public message of an error (None where only the cut is known). The default tells no more
            than that the answer broke off.
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

    No event has a name, so that all arrive at `onmessage`; the page closes its `EventSource` on `"end"` and
    `"error"`, since it would connect again otherwise.

    Args:
        ids: number the events, from `first_id` on, so that a browser that connects again says with `Last-Event-ID`
            how far it had come; see `Backlog`.
        first_id: the first number.
        retry: how long a browser is to wait before it connects again, in milliseconds; sent with the first event.
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
        """A comment, which no reader sees; sent now and then, it keeps proxies from closing a silent connection."""
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
    """Numbered server-sent events that are kept, for clients that come back: one for each answer, in one process.

    A browser that connects again sends `Last-Event-ID`: send it `after(…)` of that, then what `feed` gives. As a
    `Sse` otherwise. What is kept is the whole answer, in memory, as long as the object lives.
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
        """Whether `finish` or `fail` was called, so that nothing more is to come."""

    @property
    def last_id(self) -> str | None:
        """The id of the last event, None before the first: who was sent `after(x)` is sent `after(last_id)` next."""
        return str(len(self._frames) - 1) if self._frames else None

    def after(self, last_event_id: str | None) -> str:
        """All that was sent after the event of that id; everything where it is no id of ours."""
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
