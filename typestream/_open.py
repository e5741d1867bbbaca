"""`stream`, `replay` and `generate`: which twin, which source, which decoder."""

import os
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from functools import partial
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeAlias, overload

from typestream._calls import call
from typestream._core import Core
from typestream._decoding import Require
from typestream._source import AsyncSource, SyncSource, check, named
from typestream._stall import Timeout
from typestream._stream import StreamBase
from typestream._sync import TokenStream
from typestream.decode import Completion, Decoded, choose
from typestream.decode._limits import Limits
from typestream.decode.text import EventDecoder, TextDecoder
from typestream.errors import UnsupportedSource
from typestream.result import Result
from typestream.sources.generate import AsyncLoop, IdState, Loop, TextState
from typestream.sources.recording import Recording

if TYPE_CHECKING:
    from typestream._async import AsyncTokenStream

    _Async: TypeAlias = AsyncIterable[Any] | Awaitable[Any] | AbstractAsyncContextManager[Any]
    _Sync: TypeAlias = Iterable[Any] | AbstractContextManager[Any]

__all__ = ("first_of", "generate", "replay", "stream")


@overload
def stream(  # pyright: ignore[reportOverlappingOverload] (`async for` reads one, too)
    source: "TokenStream | Callable[[], TokenStream]",
    *,
    timeout: "float | Timeout | None" = None,
    limits: Limits | None = None,
    require: Require = "terminal",
    retries: int = 0,
) -> TokenStream: ...
@overload
def stream(
    source: "_Async | Callable[[], _Async]",
    *,
    timeout: "float | Timeout | None" = None,
    limits: Limits | None = None,
    require: Require = "terminal",
    retries: int = 0,
) -> "AsyncTokenStream": ...
@overload
def stream(
    source: "_Sync | Callable[[], _Sync]",
    *,
    timeout: "float | Timeout | None" = None,
    limits: Limits | None = None,
    require: Require = "terminal",
    retries: int = 0,
) -> TokenStream: ...
@overload
def stream(
    source: Any,
    *,
    timeout: "float | Timeout | None" = None,
    limits: Limits | None = None,
    require: Require = "terminal",
    retries: int = 0,
) -> Any: ...
def stream(
    source: Any,
    *,
    timeout: "float | Timeout | None" = None,
    limits: Limits | None = None,
    require: Require = "terminal",
    retries: int = 0,
) -> Any:
    """One stream over whatever `source` is.

    Args:
        source: an OpenAI `Stream` or `AsyncStream`, an SDK helper stream or its manager, a `with_streaming_response`
            response, any HTTP response with `iter_bytes` or `aiter_bytes`, an iterable or async iterable of str,
            bytes, dicts, SDK objects or typestream events, an awaitable of any of these, or a callable without
            arguments that returns one; it is called at once.
        timeout: the stall clocks: seconds to wait for the first piece and between two, or a `Timeout`. `first` and
            `total` count for a callable, too, while it waits for the server.
        limits: how much may be read from the wire; see `Limits`.
        require: what must have been seen for the end of the source to be the end of the answer: `"terminal"`, any
            marker that says so; `"finish_reason"`, a finish reason, where `[DONE]` alone would do; None, nothing.
        retries: how many times to call the callable again, if the stream fails before anything was delivered and may
            yet succeed: the connection broke, nothing came, or the server answered 408, 409, 425, 429 or 5xx. There is
            a pause before each: half a second, twice as long each time, at most eight seconds. The stall clocks count
            for each attempt.

    Returns:
        A `TokenStream`, or an `AsyncTokenStream` where the source is async.

    Raises:
        UnsupportedSource: the source cannot be read as a stream.
        StreamError: the callable raised; its own exception is the `__cause__`.
        ValueError: an option is not one of those allowed.
    """
    if require not in ("terminal", "finish_reason", None):
        raise ValueError(f'require must be "terminal", "finish_reason" or None, not {require!r}.')
    if not isinstance(limits, (Limits, type(None))):
        raise ValueError(f"limits must be Limits(…) or None, not {limits!r}.")
    clocks = Timeout.of(timeout)
    if retries:
        return _retried(source, retries, lambda: stream(source, timeout=clocks, limits=limits, require=require), clocks)
    spent = 0.0
    if _is_maker(source):
        source, spent = call(source, clocks)
    if hasattr(type(source), "on_finalized_text"):  # a streamer of transformers, which hears of nothing by itself
        from typestream.sources.transformers import watch

        source = watch(source)
    if isinstance(source, StreamBase):
        made: Any = source if require == "terminal" else source._do(lambda core, now: core.demand(require))
    elif _is_async(source):
        from typestream._async import AsyncTokenStream

        made = AsyncTokenStream(Core(require=require), AsyncSource(source, limits=limits))
    else:
        check(source)
        made = TokenStream(Core(require=require), SyncSource(source, limits=limits, memory=_in_memory(source)))
    return _timed(made._do(lambda core, now: core.waited(spent)) if spent else made, clocks)


def _timed(made: Any, clocks: Timeout | None) -> Any:
    return made.timeout(clocks.first, clocks.between, clocks.total) if clocks else made


def _retried(source: Any, retries: int, make: Callable[[], Any], clocks: Timeout | None) -> Any:
    from typestream._attempts import attempts, backoff, transient

    if type(retries) is not int or retries < 0:
        raise ValueError(f"stream(retries) must be a whole number of at least 0, not {retries!r}.")
    if not _is_maker(source):
        raise ValueError("stream(retries=…) takes a callable, which is called again; what was passed can be read once.")
    return _timed(attempts([make] * (retries + 1), transient, backoff(retries)), clocks)


@overload
def first_of(  # pyright: ignore[reportOverlappingOverload]
    *makers: Callable[[], TokenStream],
    timeout: "float | Timeout | None" = None,
    limits: Limits | None = None,
    require: Require = "terminal",
) -> TokenStream: ...
@overload
def first_of(
    *makers: "Callable[[], _Async]",
    timeout: "float | Timeout | None" = None,
    limits: Limits | None = None,
    require: Require = "terminal",
) -> "AsyncTokenStream": ...
@overload
def first_of(
    *makers: "Callable[[], _Sync]",
    timeout: "float | Timeout | None" = None,
    limits: Limits | None = None,
    require: Require = "terminal",
) -> TokenStream: ...
@overload
def first_of(
    *makers: Callable[[], Any],
    timeout: "float | Timeout | None" = None,
    limits: Limits | None = None,
    require: Require = "terminal",
) -> Any: ...
def first_of(
    *makers: Callable[[], Any],
    timeout: "float | Timeout | None" = None,
    limits: Limits | None = None,
    require: Require = "terminal",
) -> Any:
    """The first of several sources that has something to say: each is turned to when the one before it has failed, in
    whatever way, before anything was delivered. After that, its errors are the stream's.

    Args:
        makers: callables without arguments that return what `stream` takes; the first is called at once.
        timeout: the stall clocks, of each source; see `stream`.
        limits: how much may be read from the wire.
        require: what must have been seen at the end; see `stream`.

    Returns:
        A `TokenStream`, or an `AsyncTokenStream` where the first source is async; the others may be either.

    Raises:
        StreamError: every callable raised at once; this is the last one's error.
        TypeError: none was given, or one that cannot be called.
    """
    from typestream._attempts import attempts

    if not makers or not all(_is_maker(maker) for maker in makers):
        raise TypeError(
            "first_of() takes one or more callables that make a source, such as lambda: client.….create(…)."
        )
    opens = [partial(stream, maker, timeout=timeout, limits=limits, require=require) for maker in makers]
    return _timed(attempts(opens, lambda error: True), Timeout.of(timeout))


def replay(complete: Any) -> TokenStream:
    """Something complete, as a stream: give it a pace, and it looks as if it were typed.

    Args:
        complete: a text, a complete response (`ChatCompletion`, `Completion`, `Response`, those of Anthropic, Gemini or
            Ollama, or their dicts), a typestream `Result` or its dict, a `Recording`, an open text file of one, or the
            path of one (an `os.PathLike`; a str is a text).

    Raises:
        UnsupportedSource: it is none of these.
        OSError, ValueError: the path cannot be read, or is no recording.
    """
    if isinstance(complete, os.PathLike) or hasattr(complete, "readline"):
        complete = Recording.load(complete)
    if isinstance(complete, dict) and {"completion", "choices", "citations"} <= complete.keys():
        complete = Result.from_dict(complete)
    if isinstance(complete, str):
        return _memory([complete], TextDecoder())
    if isinstance(complete, Result):
        return _memory(list(complete.events()), _Replayed(complete.completion), require=None)
    if isinstance(complete, Recording):
        ends: dict[str | None, Completion] = {"complete": "complete", "unconfirmed": "unconfirmed"}
        return _memory(complete.timed(), _Replayed(ends.get(complete.end, "incomplete")))
    if isinstance(complete, (bytes, bytearray)) or complete is None:
        raise UnsupportedSource(f"replay() takes a text, a response, a Result or a recording, not {named(complete)}.")
    decoder = choose(complete)
    if decoder is None:
        raise UnsupportedSource(f"replay() takes a text, a response, a Result or a recording, not {named(complete)}.")
    return _memory([complete], decoder)


@overload
def generate(
    step: Callable[[str], Awaitable[str | None]],
    prompt: str = "",
    *,
    max_tokens: int | None = None,
    stop: str | Iterable[str] | None = None,
    context: int | None = None,
    keep: int = 0,
) -> "AsyncTokenStream": ...
@overload
def generate(
    step: Callable[[str], str | None],
    prompt: str = "",
    *,
    max_tokens: int | None = None,
    stop: str | Iterable[str] | None = None,
    context: int | None = None,
    keep: int = 0,
) -> TokenStream: ...
@overload
def generate(
    step: Callable[[list[int]], Awaitable[SupportsIndex | None]],
    prompt: Iterable[SupportsIndex] = (),
    *,
    decode: Any,
    max_tokens: int | None = None,
    stop: str | Iterable[str] | None = None,
    context: int | None = None,
    keep: int = 0,
) -> "AsyncTokenStream": ...
@overload
def generate(
    step: Callable[[list[int]], SupportsIndex | None],
    prompt: Iterable[SupportsIndex] = (),
    *,
    decode: Any,
    max_tokens: int | None = None,
    stop: str | Iterable[str] | None = None,
    context: int | None = None,
    keep: int = 0,
) -> TokenStream: ...
def generate(
    step: Callable[[Any], Any],
    prompt: Any = "",
    *,
    decode: Any = None,
    max_tokens: int | None = None,
    stop: str | Iterable[str] | None = None,
    context: int | None = None,
    keep: int = 0,
) -> Any:
    """The autoregressive loop: `step` is called with the text so far and gives the next piece, until it gives None.

    Args:
        step: `step(context: str) -> str | None`, or, where there is a `decode`, `step(ids: list[int]) -> int | None`;
            or a coroutine function of the same shape. One that blocks runs in a worker thread where the stream is read
            with `async for`.
        prompt: what the text begins with, or the ids; not part of the answer.
        decode: what makes text of token ids: a callable that takes a list of them and gives str or bytes, or a
            tokenizer, which has such a `decode`.
        max_tokens: how many pieces at most; the finish reason is then `"length"`, else `"stop"`.
        stop: one or more strings that end the answer and are never shown, also when they come in several pieces.
        context: how many characters, or ids, `step` sees, counted from the end; None for all.
        keep: how many of these are the first of the prompt instead, such as its instructions.

    Returns:
        A `TokenStream`, or an `AsyncTokenStream` where `step` is a coroutine function.

    Raises:
        TypeError: `step` cannot be called, a stop string is none, or the prompt is not what the step sees.
        ValueError: a number is not a positive one, or more is kept than seen.
    """
    if not callable(step):
        raise TypeError(f"generate(step) takes a callable that gives the next piece of text, not {named(step)}.")
    for name, number, least in (("max_tokens", max_tokens, 1), ("context", context, 1), ("keep", keep, 0)):
        if number is not None and (type(number) is not int or number < least):
            raise ValueError(f"generate({name}) must be a whole number of at least {least}, not {number!r}.")
    if context is not None and keep >= context:
        raise ValueError(f"generate(keep) must be less than the context of {context}, not {keep}.")
    given = (prompt, max_tokens, context, keep)
    state = TextState(*given) if decode is None else IdState(*given, decode)
    stops = _stops(stop)
    cut = state.until(*stops) if stops else None
    made: Any
    if iscoroutinefunction(step) or iscoroutinefunction(vars(type(step)).get("__call__")):
        from typestream._async import AsyncTokenStream

        made = AsyncTokenStream(Core(), AsyncSource(AsyncLoop(step, state), decoder=EventDecoder()))
    else:
        made = TokenStream(Core(), SyncSource(Loop(step, state), decoder=EventDecoder()))
    return made if cut is None else made.through(cut)


def _stops(stop: Any) -> tuple[str, ...]:
    one = isinstance(stop, str) or not hasattr(stop, "__iter__")
    stops = () if stop is None else (stop,) if one else tuple(stop)
    if not all(isinstance(each, str) for each in stops):
        raise TypeError(f"generate(stop) takes strings, not {stop!r}.")
    return stops


class _Replayed(EventDecoder):
    """Events of something that was whole, or not, when it was kept."""

    def __init__(self, completion: Completion) -> None:
        super().__init__()
        self._kept: Completion = completion

    def end(self) -> Decoded:
        self.completion = self._kept
        return []


def _memory(items: list[Any], decoder: Any, require: Require = "terminal") -> TokenStream:
    return TokenStream(Core(require=require), SyncSource(items, decoder=decoder, memory=True))


def _is_maker(source: Any) -> bool:
    read = ("__iter__", "__aiter__", "__await__", "__enter__", "__aenter__")
    return isinstance(source, type) or (callable(source) and not any(hasattr(source, name) for name in read))


def _is_async(source: Any) -> bool:
    """Whether a source has to be awaited. An HTTP response has the methods of both, and one kind of body."""
    response = getattr(source, "http_response", source)
    body = getattr(response, "stream", None)
    if hasattr(response, "aiter_bytes") and hasattr(response, "iter_bytes") and body is not None:
        return not hasattr(body, "__iter__")
    if hasattr(source, "__await__") and not hasattr(source, "__aiter__"):
        return True  # a task has an `__iter__`, too
    if any(hasattr(source, name) for name in ("__iter__", "__enter__", "iter_bytes")):
        return hasattr(source, "__aiter__") and not hasattr(source, "__iter__")
    return any(hasattr(source, name) for name in ("__aiter__", "__await__", "__aenter__", "aiter_bytes"))


def _in_memory(source: Any) -> bool:
    return type(source) in (list, tuple)
