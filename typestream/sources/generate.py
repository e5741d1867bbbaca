"""The autoregressive loop: what a local model says, token after token.

Rules: the step sees the text so far, or the ids so far where there is a `decode`; None ends the answer; a step that
raises ends the stream, and what was said before stays said.
"""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, SupportsIndex

from typestream.events import Event, Finish, TextDelta, Usage
from typestream.sources.tokens import Detokenizer

__all__ = ("AsyncLoop", "IdState", "Loop", "TextState")


class _State:
    """What was said so far, how much of it a step sees, and the events that come of it."""

    def __init__(self, prompt: Any, max_tokens: int | None, context: int | None, keep: int) -> None:
        self.ready: deque[Event] = deque()
        self.finished = False
        self._head, self._tail = prompt[:keep], prompt[keep:]
        self._room = None if context is None else context - keep
        self._left = max_tokens

    def seen(self) -> Any:
        """What the next step sees: what is kept of the beginning, and the end."""
        if self._room is not None:
            self._tail = self._tail[-self._room :]
        return self._head + self._tail

    def over(self) -> bool:
        """Whether no more steps are allowed; then the stream is finished."""
        if self._left == 0:
            self._finish("length")
        return self.finished

    def take(self, given: Any) -> None:
        """What a step gave."""
        if given is None:
            self._finish("stop")
            return
        text, piece = self._read(given)
        self._tail += piece
        if self._left is not None:
            self._left -= 1
        self._say(text)

    def _read(self, given: Any) -> tuple[str, Any]:
        """The text a step gave, and what is to be put after what there is."""
        raise NotImplementedError

    def _say(self, text: str) -> None:
        if text:
            self.ready.append(TextDelta(text))

    def _finish(self, reason: str) -> None:
        self.finished = True
        self.ready.append(Finish(reason))


class TextState(_State):
    """Steps from text to text."""

    def __init__(self, prompt: Any, max_tokens: int | None, context: int | None, keep: int) -> None:
        if not isinstance(prompt, str):
            raise TypeError(f"generate(prompt) must be a str unless there is a decode, not {_named(prompt)}.")
        super().__init__(prompt, max_tokens, context, keep)

    def _read(self, given: Any) -> tuple[str, Any]:
        if not isinstance(given, str):
            raise TypeError(f"step(context) must return a str or None, not {_named(given)}.")
        return given, given


class IdState(_State):
    """Steps from ids to an id; usage is known here."""

    def __init__(self, prompt: Any, max_tokens: int | None, context: int | None, keep: int, decode: Any) -> None:
        if isinstance(prompt, (str, bytes)) and prompt:
            raise TypeError("generate(prompt) must be a list of token ids where there is a decode; encode the text.")
        self._detokenizer = Detokenizer(decode)
        ids = [int(each) for each in prompt]
        self._input, self._output = len(ids), 0
        super().__init__(ids, max_tokens, context, keep)

    def _read(self, given: Any) -> tuple[str, Any]:
        if not isinstance(given, SupportsIndex):
            raise TypeError(f"step(context) must return a token id, a whole number, or None, not {_named(given)}.")
        self._output += 1
        return self._detokenizer.feed(given), [given.__index__()]

    def _finish(self, reason: str) -> None:
        self._say(self._detokenizer.flush())
        self.ready.append(Usage(self._input, self._output, self._input + self._output))
        super()._finish(reason)


class Loop(Iterator[Event]):
    """Calls `step` until it gives None or no more steps are allowed."""

    def __init__(self, step: Callable[[Any], Any], state: _State) -> None:
        self._step = step
        self._state = state

    def __next__(self) -> Event:
        state = self._state
        while not state.ready:
            if state.finished:
                raise StopIteration
            if not state.over():
                state.take(self._step(state.seen()))
        return state.ready.popleft()


class AsyncLoop(AsyncIterator[Event]):
    """The same with a `step` to be awaited."""

    def __init__(self, step: Callable[[Any], Awaitable[Any]], state: _State) -> None:
        self._step = step
        self._state = state

    async def __anext__(self) -> Event:
        state = self._state
        while not state.ready:
            if state.finished:
                raise StopAsyncIteration
            if not state.over():
                state.take(await self._step(state.seen()))
        return state.ready.popleft()


def _named(thing: object) -> str:
    kind = type(thing)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
