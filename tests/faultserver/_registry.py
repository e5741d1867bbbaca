"""Every fault: what the server does, and what a reader of the stream must come to.

A fault is a generator of actions (bytes as they go on the wire, waits, resets). `expect` is one of
`complete`; `unconfirmed`, an end that only `[DONE]` vouches for; `truncated`, `connection`, `stall`, `protocol`,
`server-error`, `limit`, the error of that name; `complete-or-protocol`. `text` is what must have been delivered, None
where that depends on the options or either outcome is right.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.faultserver._http import Action, Request, chunk, stream
from tests.faultserver._script import APIS, PARTIAL, Script, encode

__all__ = (
    "CHAT",
    "EITHER",
    "FAULTS",
    "OLD",
    "Fault",
    "between",
    "end",
    "fault",
    "good",
    "half",
    "script",
    "ticking",
)

Make = Callable[[Request], Iterator[Action]]
CHAT = ("chat",)
OLD = ("chat", "completions")
EITHER = "complete-or-protocol"


@dataclass(frozen=True)
class Fault:
    """One way to break. `apis` are those it exists for; `more` says that it is one of many alike."""

    name: str
    group: str
    expect: str
    text: str | None
    doc: str
    make: Make
    apis: tuple[str, ...] = APIS

    @property
    def more(self) -> bool:
        return self.make.__module__.endswith(("_framing", "_oddities"))


FAULTS: dict[str, Fault] = {}


def fault(
    group: str, expect: str, text: str | None = PARTIAL, apis: tuple[str, ...] = APIS, name: str = ""
) -> Callable[[Make], Make]:
    """Register a fault under its function's name, with hyphens."""

    def register(make: Make) -> Make:
        called = name or make.__name__.strip("_").replace("_", "-")
        assert called not in FAULTS, called
        FAULTS[called] = Fault(called, group, expect, text, make.__doc__ or "", make, apis)
        return make

    return register


def script(r: Request, *args: Any, **options: Any) -> Script:
    return Script(r.api, *args, **options)


def good(r: Request) -> list[bytes]:
    return encode(script(r).all)


def half(r: Request) -> list[bytes]:
    return encode(script(r).half)


def end(r: Request) -> list[bytes]:
    return encode(script(r).end)


def between(r: Request, *extra: bytes) -> Iterator[bytes]:
    """A good stream with something in its middle."""
    return stream([*half(r), *extra, *end(r)])


def ticking(r: Request, parts: Iterator[bytes]) -> Iterator[Action]:
    """Each part as a chunk of its own, a tick apart, for as long as there are any."""
    for part in parts:
        yield chunk(part)
        yield r.tick
