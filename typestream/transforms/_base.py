"""What every transform is, and how several of them make one."""

from collections.abc import Callable, Iterable
from typing import Any

from typestream.events import Event

__all__ = ("Chain", "Transform", "made")


class Transform:
    """The base of all transforms, and the one that changes nothing.

    Write `feed`, and `flush` if something is held back. One object serves one stream: `stream.through(MyTransform())`,
    or `through(MyTransform)` to have it made.

    Attributes:
        ended: set it to True in `feed` to end the stream there: what `feed` returns is still passed on, the source is
            closed, and neither `feed` nor `flush` is called again. Return a `Finish` as the last event, so that the
            answer counts as whole.
    """

    ended: bool = False

    def feed(self, event: Event) -> Iterable[Event]:
        """The events that take the place of `event`; none to drop it, or to hold it back for later."""
        return [event]

    def flush(self) -> Iterable[Event]:
        """What was held back, at the normal end of the source."""
        return []

    def abort(self) -> Iterable[Event]:
        """What was held back and may be shown although the stream broke off; the same as `flush` unless overridden."""
        return self.flush()


class Chain(Transform):
    """Several transforms, one after the other, as one.

    Args:
        transforms: transforms, or what makes one when called without arguments (a class, a function).

    Raises:
        TypeError: one is neither.
    """

    def __init__(self, *transforms: Transform | Callable[[], Transform]) -> None:
        self._links = [made(each) for each in transforms]
        self._drained = 0
        self.ended = False

    def feed(self, event: Event) -> list[Event]:
        return [] if self.ended else self._pass([event], 0)

    def flush(self) -> list[Event]:
        return self._drain("flush", 0)

    def abort(self) -> list[Event]:
        return self._drain("abort", 0)

    def _pass(self, events: Iterable[Event], start: int) -> list[Event]:
        """Events through all links from `start` on; the first link that ends the stream drains those after it."""
        for position in range(start, len(self._links)):
            link = self._links[position]
            passed: list[Event] = []
            for event in events:
                if link.ended:
                    break
                passed += link.feed(event)
                if link.ended:
                    self.ended = True
                    return self._pass(passed, position + 1) + self._drain("flush", position + 1)
            events = passed
        return list(events)

    def _drain(self, how: str, start: int) -> list[Event]:
        out: list[Event] = []
        for position in range(max(start, self._drained), len(self._links)):
            self._drained = position + 1
            link = self._links[position]
            if not link.ended:
                out += self._pass(getattr(link, how)(), position + 1)
        return out


def made(transform: Any) -> Transform:
    """A transform, from one, from what has the same methods, or from what makes one.

    Raises:
        TypeError: it is none of these.
    """
    if callable(transform) and (isinstance(transform, type) or not hasattr(transform, "feed")):
        transform = transform()
    if not hasattr(transform, "feed") or not hasattr(transform, "flush"):
        raise TypeError(f"A transform has feed(event) and flush(); {type(transform).__name__} has not.")
    return transform if isinstance(transform, Transform) else _Adapted(transform)


class _Adapted(Transform):
    """An object that is a transform by its structure only: no base class, and perhaps no `ended` or `abort`."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.flush = inner.flush  # type: ignore[method-assign]
        self.abort = getattr(inner, "abort", inner.flush)  # type: ignore[method-assign]

    def feed(self, event: Event) -> Iterable[Event]:
        passed: Iterable[Event] = self._inner.feed(event)
        self.ended = bool(getattr(self._inner, "ended", False))
        return passed
