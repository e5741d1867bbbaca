"""Watches the call that makes a source, which returns nothing before the server has answered.

Rules: the call runs where the caller runs it. It is ended if it has taken too long, or if an error status comes with a
body that does not end, since SDKs read that body to its end. Until then they give no access to anything, so the
response, and the connection that a blocking call waits for, are found in the call's own frames.
"""

import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import suppress
from functools import partial
from inspect import iscoroutine
from math import inf
from types import FrameType
from typing import Any, Final

from typestream._failures import failure, refusal, refusal_of, refused
from typestream._stall import Timeout
from typestream.errors import StallTimeout, StreamConnectionError, StreamServerError
from typestream.result import Result
from typestream.sources.http import abort

__all__ = ("Awaited", "Watch", "call", "watched")

BODY: Final = 64 * 1024
"""How many bytes of an error's body are enough; the call is ended after them."""

_LOOK: Final = 0.05  # seconds between two looks
_TRANSPORTS: Final = frozenset({"httpcore", "httpcore2"})


def call(make: Callable[[], Any], clocks: Timeout | None) -> tuple[Any, float]:
    """What a callable returns, and the seconds that it took (0.0 if it was quick).

    Raises:
        StreamError: the callable raised; its own exception is the `__cause__`.
    """
    watch = Watch(clocks)
    try:
        return watch.around(make), watch.took
    except Exception as exc:
        error = failure(exc, wire=False)
        if watch.late is not None and isinstance(error, (StreamConnectionError, StallTimeout)):
            error = watch.late
        error.result = Result()
        raise error from exc


def watched(make: Callable[[], Any]) -> Any:
    """What a callable returns; what it raises is raised unchanged."""
    return Watch().around(make)


class Watch:
    """Watches a callable that runs in this thread.

    Args:
        clocks: the limits, of which `first` and `total` apply.

    Attributes:
        late: the error if the call took too long.
        refused: the error whose status had come when the call was ended, if any.
        took: the seconds that the call ran, if it ran long enough to be measured.
    """

    def __init__(self, clocks: Timeout | None = None) -> None:
        first, total = (clocks.first or inf, clocks.total or inf) if clocks is not None else (inf, inf)
        self.late: StallTimeout | None = None
        self.refused: StreamServerError | None = None
        self.took = 0.0
        self._kind: Any = "first" if first <= total else "total"
        self._patience = min(first, total)
        self._thread = threading.get_ident()
        self._done = threading.Event()

    def around(self, make: Callable[[], Any]) -> Any:
        watcher = threading.Thread(target=self._watch, name="typestream-call", daemon=True)
        try:
            watcher.start()
            return make()
        finally:
            self._done.set()
            with suppress(RuntimeError):  # interrupted before the thread started
                watcher.join()

    def _watch(self) -> None:
        start = time.monotonic()
        deadline = start + self._patience
        while not self._done.wait(_LOOK if self.late else max(0.0, min(_LOOK, deadline - time.monotonic()))):
            self.took = time.monotonic() - start
            if time.monotonic() >= deadline:
                text = f"Waited {self._patience:g} s and nothing came."
                self.late = self.late or StallTimeout(text, kind=self._kind)
            elif not self._is_flooded():
                continue
            self.end()

    def end(self) -> None:
        """End the connection that the call waits for; may be called from any thread."""
        stack = [] if self._done.is_set() else list(self._stack())
        found = next(filter(None, map(refused, stack)), None)
        if found is not None:
            self.refused = refusal_of(found, " in time")
        connection = next(filter(None, map(_connection, stack)), None)
        if connection is not None and not any(map(_is_shared, stack)):
            abort(connection)

    def _is_flooded(self) -> bool:
        return _flooding(self._stack()) is not None

    def _stack(self) -> Iterator[FrameType]:
        frame = sys._current_frames().get(self._thread)
        while frame is not None:
            yield frame
            frame = frame.f_back


class Awaited:
    """A call to be awaited, checked each time it has waited for something.

    Args:
        given: the call.

    Attributes:
        refused: the error whose status had come when the call was cancelled, if any.
    """

    def __init__(self, given: Awaitable[Any]) -> None:
        self.refused: StreamServerError | None = None
        self._given = given

    def __await__(self) -> Generator[Any, Any, Any]:
        try:
            return (yield from self._steps() if iscoroutine(self._given) else self._given.__await__())
        except Exception:
            raise
        except BaseException as exc:  # cancelled
            self.refused = refusal(exc)
            raise

    def _steps(self) -> Generator[Any, Any, Any]:
        call: Any = self._given
        step: Callable[[], Any] = partial(call.send, None)
        while True:
            try:
                waits = step()
            except StopIteration as end:
                return end.value
            try:
                step = partial(call.send, (yield waits))
            except GeneratorExit:
                call.close()
                raise
            except BaseException as exc:
                step = partial(call.throw, exc)
            else:
                flooding = _flooding(_suspended(call))
                if flooding is not None:
                    status = flooding.status_code
                    text = f"The server answered with status {status}, and more than {BODY:,} bytes to say why."
                    step = partial(call.throw, StreamServerError(text, status=status))


def _suspended(call: Any) -> Iterator[FrameType]:
    """The frames of a suspended coroutine, as far as it consists of coroutines."""
    while (frame := getattr(call, "cr_frame", None)) is not None:
        yield frame
        call = call.cr_await


def _flooding(frames: Iterator[FrameType]) -> Any:
    """The response with an error status whose body is longer than is read, or None."""
    return next((each for each in map(refused, frames) if getattr(each, "num_bytes_downloaded", 0) > BODY), None)


def _connection(frame: FrameType) -> Any:
    """The socket that a frame of an HTTP transport uses, or None."""
    if frame.f_globals.get("__name__", "").partition(".")[0] not in _TRANSPORTS:
        return None
    stream: Any = frame.f_locals.get("self")
    found = stream.get_extra_info("socket") if hasattr(stream, "get_extra_info") else None
    return found if isinstance(found, socket.socket) and found.fileno() >= 0 else None


def _is_shared(frame: FrameType) -> bool:
    """Whether the call's connection serves other calls at the same time, as in HTTP/2."""
    return bool(frame.f_globals.get("__name__", "").endswith(".http2"))
