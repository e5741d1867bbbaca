"""The autoregressive loop: what a local model says, token after token."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

from typestream.events import Event, Finish, TextDelta

__all__ = ("AsyncLoop", "Loop")


class _Context:
    """The text so far, and how much of it a step sees."""

    def __init__(self, prompt: str, limit: int | None, max_tokens: int | None) -> None:
        self._text = prompt
        self._limit = limit
        self._left = max_tokens
        self._finished = False

    def seen(self) -> str:
        """What the next step sees."""
        if self._limit is not None:
            self._text = self._text[-self._limit :]
        return self._text

    def over(self) -> Event | None:
        """The event that says that no more tokens are allowed, once."""
        if self._left == 0 and not self._finished:
            self._finished = True
            return Finish("length")
        return None

    def take(self, piece: str | None) -> Event | None:
        """What a step gave, as an event."""
        if self._finished:
            return None
        if piece is None:
            self._finished = True
            return Finish("stop")
        if not isinstance(piece, str):
            raise TypeError(f"step(context) must return a str or None, not {type(piece).__name__}.")
        if self._left is not None:
            self._left -= 1
        self._text += piece
        return TextDelta(piece)

    @property
    def finished(self) -> bool:
        return self._finished


class Loop(Iterator[Event]):
    """Calls `step` with the text so far until it gives None or `max_tokens` pieces have come."""

    def __init__(
        self, step: Callable[[str], str | None], prompt: str, max_tokens: int | None, context: int | None
    ) -> None:
        self._step = step
        self._context = _Context(prompt, context, max_tokens)

    def __next__(self) -> Event:
        context = self._context
        if context.finished:
            raise StopIteration
        event = context.over()
        while event is None or (type(event) is TextDelta and not event.text):
            event = context.over() or context.take(self._step(context.seen()))
        return event


class AsyncLoop(AsyncIterator[Event]):
    """The same with a `step` to be awaited."""

    def __init__(
        self, step: Callable[[str], Awaitable[str | None]], prompt: str, max_tokens: int | None, context: int | None
    ) -> None:
        self._step = step
        self._context = _Context(prompt, context, max_tokens)

    async def __anext__(self) -> Event:
        context = self._context
        if context.finished:
            raise StopAsyncIteration
        event = context.over()
        while event is None or (type(event) is TextDelta and not event.text):
            event = context.over() or context.take(await self._step(context.seen()))
        return event
