"""The vocabulary: what a stream can say, whatever its source was.

Rules: events are frozen values; two events are equal when they say the same, whatever their source (`raw` never
counts); this module imports nothing else of typestream.
"""

from dataclasses import dataclass, field, fields
from typing import Any, TypeVar, get_args

__all__ = (
    "Citation",
    "Event",
    "Finish",
    "Lazy",
    "Other",
    "ReasoningDelta",
    "RefusalDelta",
    "Start",
    "TextDelta",
    "ToolCallDelta",
    "Usage",
)

_T = TypeVar("_T")


class Lazy:
    """A source object that is built when the `raw` of its event is first accessed, and at most once.

    Args:
        data: what was read from the wire, a decoded JSON value.
        build: makes the source's own object from it; called with `data`.
    """

    __slots__ = ("_build", "_value")

    def __init__(self, data: Any, build: Any) -> None:
        self._value = data
        self._build = build

    def get(self) -> Any:
        """The source's own object; `data` itself if the object cannot be built."""
        build, self._build = self._build, None
        if build is not None:
            try:
                self._value = build(self._value)
            except Exception:
                pass  # the data from the wire is as true, only less convenient
        return self._value


def _raw() -> Any:
    return field(default=None, repr=False, compare=False, kw_only=True)


def _resolve_raw(cls: type[_T]) -> type[_T]:
    """Let `raw` hold a `Lazy` that is built on first access: an object that is never looked at is never made."""
    slot = cls.__dict__["raw"]

    def get(self: Any) -> Any:
        value = slot.__get__(self)
        return value.get() if type(value) is Lazy else value

    cls.raw = property(get, slot.__set__, doc="The source's own object.")  # type: ignore[attr-defined]
    cls._raw = slot  # type: ignore[attr-defined]
    return cls


@_resolve_raw
@dataclass(frozen=True, slots=True)
class Start:
    """The source has begun to answer. `id` and `model` are the first non-empty ones it sent, or None."""

    id: str | None = None
    model: str | None = None
    raw: Any = _raw()


@_resolve_raw
@dataclass(frozen=True, slots=True, init=False)
class TextDelta:
    """A piece of the answer, never empty. `index` is the choice; `logprobs` are the tokens' log-probabilities, one
    entry per token in the source's own shape, or None."""

    text: str
    index: int = 0
    logprobs: Any = None
    raw: Any = _raw()

    # by far the most frequent object: the dataclass's own __init__ would take three times as long
    def __init__(self, text: str, index: int = 0, logprobs: Any = None, *, raw: Any = None) -> None:
        _set_text(self, text)
        _set_index(self, index)
        _set_logprobs(self, logprobs)
        _set_raw(self, raw)


@_resolve_raw
@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """A piece of the model's reasoning before its answer, or of a summary of it."""

    text: str
    index: int = 0
    raw: Any = _raw()


@_resolve_raw
@dataclass(frozen=True, slots=True)
class RefusalDelta:
    """A piece of the model's refusal to answer."""

    text: str
    index: int = 0
    raw: Any = _raw()


@_resolve_raw
@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of a tool call. `call` counts the calls of a choice from 0; `id` and `name` come once, on the first piece
    that has them; `arguments` is the new piece of JSON text and may be empty. If a source sends a name in pieces, each
    comes on an event of its own, before the arguments: join them."""

    call: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""
    index: int = 0
    raw: Any = _raw()


@_resolve_raw
@dataclass(frozen=True, slots=True)
class Citation:
    """A reference that the model gives. `start` and `end` are character offsets into the answer, if the source sent
    them; `text` is the cited passage."""

    url: str | None = None
    title: str | None = None
    text: str | None = None
    start: int | None = None
    end: int | None = None
    index: int = 0
    raw: Any = _raw()


@_resolve_raw
@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts so far. Each `Usage` replaces the one before and is never added to it; a count that the source did
    not send is None."""

    input: int | None = None
    output: int | None = None
    total: int | None = None
    cached: int | None = None
    reasoning: int | None = None
    raw: Any = _raw()


@_resolve_raw
@dataclass(frozen=True, slots=True)
class Finish:
    """The model ended choice `index`; `reason` says why, in the source's own word. More events may follow."""

    reason: str
    index: int = 0
    raw: Any = _raw()


@_resolve_raw
@dataclass(frozen=True, slots=True)
class Other:
    """Anything that has no event of its own here. `kind` is the source's name for it (an event type or a field), `raw`
    is its content."""

    kind: str
    index: int = 0
    raw: Any = _raw()


Event = Start | TextDelta | ReasoningDelta | RefusalDelta | ToolCallDelta | Citation | Usage | Finish | Other

_KINDS = frozenset(get_args(Event))


def plain(thing: Any, raw: Any) -> "Event | None":
    """The thing itself if it is an event; if it is of a subclass, an event of ours with this `raw`; None if neither."""
    kind = type(thing)
    if kind in _KINDS:
        return thing  # type: ignore[no-any-return]
    ours: Any = next((each for each in kind.__mro__ if each in _KINDS), None)
    if ours is None:
        return None
    event: Event = ours(
        **{each.name: getattr(thing, each.name) for each in fields(ours) if each.name != "raw"}, raw=raw
    )
    return event


_slots: Any = TextDelta
_set_text, _set_index, _set_logprobs, _set_raw = (
    slot.__set__ for slot in (_slots.text, _slots.index, _slots.logprobs, _slots._raw)
)


def recut(delta: TextDelta, text: str, logprobs: Any = None) -> TextDelta:
    """A delta with other text and the same choice and `raw`, which stays unbuilt if it was."""
    return TextDelta(text, delta.index, logprobs, raw=delta._raw)  # type: ignore[attr-defined]
