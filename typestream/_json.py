"""Events as JSON: the one wire vocabulary of recordings, of `Sse` and of `JsonLines`.

Rules: an event is a flat object whose `"type"` is its class in snake case; a field that has its default is left out;
`raw` never travels; text is ASCII, so neither a newline nor any terminal or character encoding can get at it.
"""

import json
import re
from dataclasses import MISSING, fields
from math import isfinite
from typing import Any

from typestream.events import (
    Citation,
    Event,
    Finish,
    Other,
    ReasoningDelta,
    RefusalDelta,
    Start,
    TextDelta,
    ToolCallDelta,
    Usage,
)

__all__ = ("check", "dumps", "event_from_dict", "event_to_dict", "jsonable", "snake")

_EVENTS: tuple[type[Any], ...] = (
    Start,
    TextDelta,
    ReasoningDelta,
    RefusalDelta,
    ToolCallDelta,
    Citation,
    Usage,
    Finish,
    Other,
)


def snake(name: str) -> str:
    """The name of a class in snake case."""
    return re.sub(r"(?<=.)(?=[A-Z])", "_", name).lower()


_TYPES: dict[str, type[Any]] = {snake(cls.__name__): cls for cls in _EVENTS}
# Per class: its type name, and each field with its default; MISSING marks the fields that must be there.
_FIELDS: dict[type[Any], tuple[str, list[tuple[str, Any]]]] = {
    cls: (name, [(f.name, f.default) for f in fields(cls) if f.name != "raw"]) for name, cls in _TYPES.items()
}
_COUNTS = frozenset({"index", "call", "start", "end", "input", "output", "total", "cached", "reasoning"})


def event_to_dict(event: Event) -> dict[str, Any]:
    """`TextDelta("Hi")` as `{"type": "text_delta", "text": "Hi"}`. All values are JSON's own."""
    kind, names = _FIELDS[type(event)]
    found: dict[str, Any] = {"type": kind}
    for name, default in names:
        value = getattr(event, name)
        if value != default:
            found[name] = jsonable(value)
    return found


def event_from_dict(data: dict[str, Any]) -> Event:
    """The event that `event_to_dict` made the dict of. Keys that are not known are ignored.

    Raises:
        ValueError: it is no event's dict, or a field is missing or of the wrong type.
    """
    kind = data.get("type") if isinstance(data, dict) else None
    cls = _TYPES.get(kind) if isinstance(kind, str) else None
    if cls is None:
        raise ValueError(f"No event has the type {_short(kind)}; the types are {', '.join(_TYPES)}.")
    given: dict[str, Any] = {}
    for name, default in _FIELDS[cls][1]:
        if name in data:
            given[name] = _checked(cls, name, data[name], default)
        elif default is MISSING:
            raise ValueError(f'A dict of the type "{kind}" needs "{name}".')
    event: Event = cls(**given)
    return event


def check(event: Event) -> None:
    """Raise ValueError if a field of the event is of the wrong type."""
    cls = type(event)
    for name, default in _FIELDS[cls][1]:
        _checked(cls, name, getattr(event, name), default)


def _checked(cls: type[Any], name: str, value: Any, default: Any) -> Any:
    if value is None and default is None:
        return value
    wanted: Any = list if name == "logprobs" else int if name in _COUNTS else str
    if not isinstance(value, wanted) or isinstance(value, bool):
        raise ValueError(f'"{name}" of a {snake(cls.__name__)} must be {wanted.__name__}, not {_short(value)}.')
    if name in ("index", "call") and isinstance(value, int) and value < 0:
        raise ValueError(f'"{name}" of a {snake(cls.__name__)} must be 0 or more, not {_short(value)}.')
    return value


def _short(value: Any) -> str:
    shown = ascii(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."


def jsonable(value: Any) -> Any:
    """A value as JSON can say it: SDK objects by their own `model_dump`, what else there is as its `str`,
    and a float that is no number (a log-probability of minus infinity) as None."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, dict):
        return {str(key): jsonable(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(entry) for entry in value]
    dump = getattr(value, "model_dump", None)
    return jsonable(dump(mode="json")) if callable(dump) else str(value)


def dumps(value: Any) -> str:
    """Compact JSON in printable ASCII, on one line."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
