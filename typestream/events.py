"""The vocabulary: what a stream can say, whatever its source was.

Rules: events are frozen values; two events are equal when they say the same, wherever they came from (`raw` never
counts); nothing here imports anything of ours.
"""

from dataclasses import dataclass, field
from typing import Any, TypeVar

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
    """A source object that is built when somebody asks an event for its `raw`, and at most once.

    Args:
        data: what was read from the wire, a decoded JSON value.
        build: makes the source's own object of it; called with `data`.
    """

    __slots__ = ("_build", "_value")

    def __init__(self, data: Any, build: Any) -> None:
        self._value = data
        self._build = build

    def get(self) -> Any:
        """The source's own object; `data` itself where it cannot be built."""
        build, self._build = self._build, None
        if build is not None:
            try:
                self._value = build(self._value)
            except Exception:
                pass  # the wire's own data is still the truth, only less comfortable
        return self._value


def _raw() -> Any:
    return field(default=None, repr=False, compare=False, kw_only=True)


def _resolve_raw(cls: type[_T]) -> type[_T]:
    """Let `raw` hold a `Lazy` that is built on first access: objects nobody looks at are never made."""
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
    """A piece of the answer, never empty. `index` is the choice; `logprobs` the tokens' log-probabilities, one entry
    per token in the source's own shape, where it sent them."""

    text: str
    index: int = 0
    logprobs: Any = None
    raw: Any = _raw()

    # by far the most frequent object: what dataclass would write here takes three times as long
    def __init__(self, text: str, index: int = 0, logprobs: Any = None, *, raw: Any = None) -> None:
        _set_text(self, text)
        _set_index(self, index)
        _set_logprobs(self, logprobs)
        _set_raw(self, raw)


@_resolve_raw
@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """A piece of what the model thought before it answered, or of the summary of it."""

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
    """A piece of a tool call. `call` counts the calls of a choice from 0; `id` and `name` are given once known, on
    the first piece at the latest that has them; `arguments` is the new piece of JSON text and may be empty. Where a
    source sends a name in pieces, each is on an event of its own, before the arguments: put them together."""

    call: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""
    index: int = 0
    raw: Any = _raw()


@_resolve_raw
@dataclass(frozen=True, slots=True)
class Citation:
    """A source the model names. `start` and `end` are character offsets into the answer, where the source gave them;
    `text` is the cited passage."""

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
    """Token counts so far. Each replaces the one before and is never added to it; what was not counted is None."""

    input: int | None = None
    output: int | None = None
    total: int | None = None
    cached: int | None = None
    reasoning: int | None = None
    raw: Any = _raw()


@_resolve_raw
@dataclass(frozen=True, slots=True)
class Finish:
    """The model ended choice `index`, and why, in the source's own word. More events may follow."""

    reason: str
    index: int = 0
    raw: Any = _raw()


@_resolve_raw
@dataclass(frozen=True, slots=True)
class Other:
    """Whatever has no name here. `kind` is the source's own name for it (an event type or a field), `raw` has it."""

    kind: str
    index: int = 0
    raw: Any = _raw()


Event = Start | TextDelta | ReasoningDelta | RefusalDelta | ToolCallDelta | Citation | Usage | Finish | Other


_slots: Any = TextDelta
_set_text, _set_index, _set_logprobs, _set_raw = (
    slot.__set__ for slot in (_slots.text, _slots.index, _slots.logprobs, _slots._raw)
)


def recut(delta: TextDelta, text: str, logprobs: Any = None) -> TextDelta:
    """A delta with other text and the same choice and `raw`, which stays unbuilt if it was."""
    return TextDelta(text, delta.index, logprobs, raw=delta._raw)  # type: ignore[attr-defined]
