"""The autoregressive loop: what a local model says, token after token.

Rules: the step sees the text so far, or the ids so far where there is a `decode`; None ends the answer; a step that
raises ends the stream, and what was said before stays said.
"""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from operator import index
from typing import Any, cast

from typestream._source import named
from typestream.decode._surrogates import JoinSurrogates
from typestream.events import Event, Finish, TextDelta, Usage
from typestream.sources.tokens import Detokenizer
from typestream.transforms import StopAt

__all__ = ("AsyncLoop", "IdState", "Loop", "TextState")


class _State:
    """What was said so far, how much of it a step sees, and the events that come of it."""

    def __init__(self, prompt: Any, max_tokens: int | None, context: int | None, keep: int) -> None:
        self.ready: deque[Event | str] = deque()
        self.finished = False
        self._head, self._tail = prompt[:keep], prompt[keep:]
        self._room = None if context is None else context - len(self._head)
        self._left = max_tokens
        self._stop: StopAt | None = None
        self._joined = JoinSurrogates()

    def until(self, *strings: str) -> "Stop":
        """End at one of the strings; gives what leaves it out of the text. What reads may be behind the loop, so each
        looks for itself."""
        self._stop = StopAt(*strings)
        return Stop(self, *strings)

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
        if self._stop is not None and self._stop.ended:
            self._finish("stop")

    def _read(self, given: Any) -> tuple[str, Any]:
        """The text a step gave, and what is to be put after what there is."""
        raise NotImplementedError

    def _say(self, text: str) -> None:
        if not text:
            return
        self.ready.append(text)
        if self._stop is not None:
            for event in self._joined.feed([TextDelta(text)]):
                self._stop.feed(cast("Event", event))

    def usage(self) -> list[Event]:
        """What is known of it."""
        return []

    def _finish(self, reason: str) -> None:
        self.finished = True
        self.ready += [*self.usage(), Finish(reason)]


class TextState(_State):
    """Steps from text to text."""

    def __init__(self, prompt: Any, max_tokens: int | None, context: int | None, keep: int) -> None:
        if not isinstance(prompt, str):
            raise TypeError(f"generate(prompt) must be a str unless there is a decode, not {named(prompt)}.")
        super().__init__(prompt, max_tokens, context, keep)

    def _read(self, given: Any) -> tuple[str, Any]:
        if not isinstance(given, str):
            raise TypeError(f"step(context) must return a str or None, not {_refused(given)}.")
        text = str.__str__(given)  # the characters, of a kind of str that has a `str()` of its own, too
        return text, text


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
        try:
            token = index(given)
        except TypeError:
            wanted = "a token id, a whole number, or None"
            raise TypeError(f"step(context) must return {wanted}, not {_refused(given)}.") from None
        self._output += 1
        return self._detokenizer.feed(token), [token]

    def usage(self) -> list[Event]:
        return [Usage(self._input, self._output, self._input + self._output)]

    def _finish(self, reason: str) -> None:
        self._say(self._detokenizer.flush())
        super()._finish(reason)


class Stop(StopAt):
    """Leaves the stop string out, and ends the stream there; what was used is known, although that comes after it."""

    def __init__(self, state: _State, *strings: str) -> None:
        super().__init__(*strings)
        self._state = state
        self._told = False

    def passed(self, event: Event) -> list[Event]:
        self._told = self._told or type(event) is Usage
        return [event] if self._told or type(event) is not Finish else [*self._state.usage(), event]


class Loop(Iterator[Event | str | None]):
    """Calls `step` until it gives None or no more steps are allowed. Each item is one step's event, or None where it
    gave no text, so that whoever reads can leave a step that gives none for ever."""

    def __init__(self, step: Callable[[Any], Any], state: _State) -> None:
        self._step = step
        self._state = state

    def __next__(self) -> Event | str | None:
        state = self._state
        if not state.ready:
            if state.finished:
                raise StopIteration
            if not state.over():
                try:
                    state.take(self._step(state.seen()))
                except StopIteration as exc:
                    raise _unended(exc) from exc
        return state.ready.popleft() if state.ready else None


class AsyncLoop(AsyncIterator[Event | str | None]):
    """The `Loop` of a `step` that is awaited."""

    def __init__(self, step: Callable[[Any], Awaitable[Any]], state: _State) -> None:
        self._step = step
        self._state = state

    async def __anext__(self) -> Event | str | None:
        state = self._state
        if not state.ready:
            if state.finished:
                raise StopAsyncIteration
            if not state.over():
                try:
                    state.take(await self._step(state.seen()))
                except StopAsyncIteration as exc:
                    raise _unended(exc) from exc
        if state.ready:
            return state.ready.popleft()
        from typestream import _aio

        await _aio.checkpoint()  # the step may wait for nothing
        return None


def _unended(exc: Exception) -> RuntimeError:
    return RuntimeError(f"step or decode raised {type(exc).__name__}; at the end of the answer a step returns None.")


def _refused(thing: Any) -> str:
    if hasattr(thing, "__await__") and hasattr(thing, "close"):
        thing.close()
        return f"{named(thing)}; what is awaited has to be a coroutine function, which a lambda is not"
    return named(thing)
