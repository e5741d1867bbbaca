"""`wrap`: an existing loop over chunks, paced in place.

Rules: the chunks are the source's own; one whose text is shown whole is the very same object; one whose text is cut
gives copies of itself, of which the first carries the role, and the last whatever else is not text. The source's own
exceptions come through.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from copy import copy
from typing import Any, TypeVar

from typestream._calls import Awaited, watched
from typestream._core import Core
from typestream._open import _is_async, _is_maker
from typestream._source import AsyncSource, SyncSource
from typestream._stream import StreamBase
from typestream._sync import TokenStream
from typestream.decode import Completion, Decoded
from typestream.decode._base import get
from typestream.decode._fields import number
from typestream.errors import StreamClosed, StreamError, UnsupportedSource
from typestream.events import Event, Other, TextDelta
from typestream.pacing import Pacing, Smooth

__all__ = ("wrap",)

_T = TypeVar("_T")

_OF_TEXT = frozenset({"index", "delta", "text", "content", "role"})
"""The fields of a choice and of a delta that say nothing but a text, and whose it is."""


def wrap(sdk_stream: _T, policy: Pacing | None = None) -> _T:
    """A stand-in for an SDK stream that gives the same chunks, with the text cut and timed anew. It ends as the SDK's
    own loop does: whether the answer was whole is only checked by `stream()`.

    Args:
        sdk_stream: an OpenAI `Stream` or `AsyncStream` (chat completions, completions or Responses), or an iterator
            or async iterator of such chunks, objects or dicts; or a callable that gives one.
        policy: the pace; `Smooth()` where none is given.

    Returns:
        What iterates as `sdk_stream` does. `isinstance`, `with`, `close`, `.response` and every other attribute are
        those of `sdk_stream`.

    Raises:
        UnsupportedSource: it cannot be iterated, is a whole answer, or a typestream stream.
        Exception: while iterating, whatever `sdk_stream` itself raises, unchanged.
    """
    if isinstance(sdk_stream, StreamBase):
        raise UnsupportedSource("wrap() takes an SDK's stream; a typestream stream gets its pace by .paced(policy).")
    given: Any = watched(sdk_stream) if _is_maker(sdk_stream) else sdk_stream  # type: ignore[arg-type]
    chosen = Smooth() if policy is None else policy
    if _is_async(given):
        return _AsyncWrapped(given, chosen)  # type: ignore[return-value]
    whole = isinstance(given, (str, dict)) or hasattr(type(given), "model_dump")
    if whole or not hasattr(given, "__iter__") or isinstance(given, bytes):
        hint = "; replay() plays a whole answer" if whole else ""
        raise UnsupportedSource(
            f"wrap() takes an OpenAI stream or an iterator of chunks, not {type(given).__name__}{hint}."
        )
    return _Wrapped(given, chosen)  # type: ignore[return-value]


class _Rest(Other):
    """What else a chunk says: its text ends here, however much of it could belong to what follows."""

    __slots__ = ()


class _Chunks:
    """The decoder: the text of each chunk, and the chunk itself where there is more to it."""

    ended = False
    completion: Completion = "incomplete"

    def decode(self, item: Any, raw: Any) -> Decoded:
        texts = _texts(item)
        events: Decoded = [TextDelta(text, index, raw=item) for index, text in texts]
        if not texts or len(texts) > 1 or not _is_only_text(item):
            events.append(_Rest("chunk", raw=item))
        return events

    def end(self) -> Decoded:
        return []


def _texts(chunk: Any) -> list[tuple[int, str]]:
    if get(chunk, "type") == "response.output_text.delta":
        text = get(chunk, "delta")
        return [(0, text)] if isinstance(text, str) and text else []
    return [(_index(choice), text) for choice in get(chunk, "choices") or () if (text := _text(choice))]


def _index(choice: Any) -> int:
    return number(get(choice, "index")) or 0


def _text(choice: Any) -> str:
    text = get(get(choice, "delta"), "content") or get(choice, "text")
    return text if isinstance(text, str) else ""


def _is_only_text(chunk: Any) -> bool:
    """Whether showing the text of a chunk shows all of it."""
    if _besides(chunk):
        return False
    if get(chunk, "type") == "response.output_text.delta":
        return True
    choices = get(chunk, "choices")
    return len(choices) == 1 and not _besides_text(choices[0]) and not _besides_text(get(choices[0], "delta"))


def _besides(chunk: Any) -> dict[str, Any]:
    """What a chunk says but for its choices; a plain value (an id, a model) is said of the whole stream."""
    return {
        name: _nothing(value)
        for name, value in _fields(chunk).items()
        if value and name != "choices" and not isinstance(value, (str, int, float))
    }


def _besides_text(thing: Any) -> dict[str, Any]:
    """What a choice or a delta says but for its text."""
    return {name: _nothing(value) for name, value in _fields(thing).items() if value and name not in _OF_TEXT}


def _nothing(value: Any) -> Any:
    """What stands in the place of a value that is said later."""
    return [] if isinstance(value, list) else None


def _fields(thing: Any) -> dict[str, Any]:
    if thing is None or isinstance(thing, dict):
        return thing or {}
    if not hasattr(thing, "__dict__"):
        slots = [name for cls in type(thing).__mro__ for name in getattr(cls, "__slots__", ())]
        return {name: getattr(thing, name, None) for name in slots}
    return {**vars(thing), **(getattr(thing, "model_extra", None) or {})}


def _changed(thing: Any, **values: Any) -> Any:
    """A copy with other values."""
    if isinstance(thing, dict):
        return {**thing, **values}
    for name in ("model_copy", "copy"):  # of pydantic 2, and 1
        if callable(make := getattr(thing, name, None)):
            return make(update=values)
    changed = copy(thing)
    for name, value in values.items():
        object.__setattr__(changed, name, value)
    return changed


def _recut(chunk: Any, texts: dict[int, str], told: set[int], *, bare: bool) -> Any:
    """A copy of a chunk with other texts; `bare` without whatever is not text. The role of the choices in `told` was
    said: those who add the pieces up would have it twice."""
    without = _besides(chunk) if bare else {}
    if get(chunk, "type") == "response.output_text.delta":
        return _changed(chunk, **without, delta=texts.get(0, ""))
    choices, left = [], dict(texts)
    for choice in get(chunk, "choices"):
        text = left.pop(_index(choice), "") if _text(choice) else ""
        if text or not bare:
            choices.append(_recut_choice(choice, text, bare, _index(choice) in told))
            told.add(_index(choice))
    return _changed(chunk, **without, choices=choices)


def _recut_choice(choice: Any, text: str, bare: bool, again: bool) -> Any:
    if not _text(choice):
        return choice
    delta = get(choice, "delta")
    without = _besides_text(choice) if bare else {}
    if not get(delta, "content"):
        return _changed(choice, **without, text=text)
    without_too = _besides_text(delta) if bare else {}
    if again and get(delta, "role"):
        without_too["role"] = None
    return _changed(choice, **without, delta=_changed(delta, **without_too, content=text))


def _chunk(chunk: Any, texts: dict[int, str], told: set[int], rest: bool) -> Any:
    """A chunk of those texts, and of whatever else it says if `rest`."""
    if list(texts.items()) == _texts(chunk) and (rest or _is_only_text(chunk)):
        return chunk
    return _recut(chunk, texts, told, bare=not rest)


class _Stand:
    """What both stand-ins share: they look like what they stand for."""

    def __init__(self, given: Any, stream: Any) -> None:
        self._given = given
        self._stream = stream
        self._ahead: deque[Event] = deque()
        self._told: tuple[Any, set[int]] = (None, set())  # the last chunk, and the choices that pieces of it have

    @property
    def __class__(self) -> Any:
        return type(self._given)

    @__class__.setter
    def __class__(self, value: Any) -> None:
        raise TypeError("The class of a wrapped stream cannot be changed.")

    def __getattr__(self, name: str) -> Any:
        if name == "_given":  # of a copy that is being made
            raise AttributeError(name)
        return getattr(self._given, name)

    def __repr__(self) -> str:
        return f"<wrapped {self._given!r}>"

    def _chunk(self, event: Event) -> Any:
        """The chunk of an event, together with what else of its chunk is due at once."""
        chunk, texts = event.raw, {}
        if self._told[0] is not chunk:
            self._told = (chunk, set())
        told = self._told[1]
        while type(event) is TextDelta:
            texts[event.index] = event.text
            after = self._stream._ready_event()
            if after is None:
                return _chunk(chunk, texts, told, rest=False)
            if after.raw is not chunk or (type(after) is TextDelta and after.index in texts):
                self._ahead.append(after)
                return _chunk(chunk, texts, told, rest=False)
            event = after
        return _chunk(chunk, texts, told, rest=True)


def _unwrapped(core: Core, error: StreamError) -> BaseException | None:
    """The source's own exception, or what else went wrong; None where the stand-in was closed."""
    if core.raised is not None:
        return core.raised
    return None if isinstance(error, StreamClosed) else error.__cause__ or error


class _Wrapped(_Stand, Iterator[Any]):
    def __init__(self, given: Any, policy: Pacing) -> None:
        core = Core(require=None)
        super().__init__(given, TokenStream(core, _objects(SyncSource, given)).paced(policy))

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            event = self._ahead.popleft() if self._ahead else self._stream._advance()
        except StreamError as error:
            own = _unwrapped(self._stream._core, error)
            if own is None:
                raise StopIteration from None
            raise own from own.__cause__
        if event is None:
            raise StopIteration
        return self._chunk(event)

    def __enter__(self) -> Any:
        if hasattr(self._given, "__enter__"):
            self._given.__enter__()
        return self

    def __exit__(self, *exc: Any) -> Any:
        self._stream.close()
        return self._given.__exit__(*exc) if hasattr(self._given, "__exit__") else None

    def close(self) -> None:
        """Close the stream that was wrapped."""
        self._stream.close()


class _AsyncWrapped(_Stand, AsyncIterator[Any]):
    def __init__(self, given: Any, policy: Pacing) -> None:
        from typestream._async import AsyncTokenStream

        core, self._policy = Core(require=None), policy
        super().__init__(given, AsyncTokenStream(core, _objects(AsyncSource, given)).paced(policy))

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        try:
            event = self._ahead.popleft() if self._ahead else await self._stream._advance()
        except StreamError as error:
            own = _unwrapped(self._stream._core, error)
            if own is None:
                raise StopAsyncIteration from None
            raise own from own.__cause__
        if event is None:
            raise StopAsyncIteration
        return self._chunk(event)

    def __await__(self) -> Any:
        return self._settle().__await__()

    async def _settle(self) -> "_AsyncWrapped":
        if hasattr(self._given, "__await__"):
            return _AsyncWrapped(await Awaited(self._given), self._policy)
        return self

    async def __aenter__(self) -> Any:
        settled = await self._settle()
        if hasattr(settled._given, "__aenter__"):
            await settled._given.__aenter__()
        self._given, self._stream = settled._given, settled._stream
        return self

    async def __aexit__(self, *exc: Any) -> Any:
        await self._stream.aclose()
        return await self._given.__aexit__(*exc) if hasattr(self._given, "__aexit__") else None

    async def aclose(self) -> None:
        """Close the stream that was wrapped."""
        await self._stream.aclose()

    close = aclose


def _objects(source: Callable[..., Any], given: Any) -> Any:
    """The source's objects, never its bytes: the chunks have to be its own."""
    return source(given, decoder=_Chunks(), objects=True)
