"""Inputs that nobody would send, by the million, for everything that decodes: bytes of every kind of answer and JSON of
every kind of chunk, cut, spliced, repeated and bent at random.

    python -m tests.decode.fuzz [COUNT]     a million

What comes of each is an event or an error of the tree, said once and last; anything else is reported with the seed and
number that make it again.
"""

import json
import random
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

from tests.decode.data import quirks
from tests.faultserver import FAULTS, Request, dechunk
from typestream import Limits
from typestream._core import DONE, Core
from typestream.decode.sse import SSEDecoder
from typestream.decode.wire import WireDecoder
from typestream.errors import StreamError, UnsupportedSource
from typestream.events import Event

__all__ = ("fuzz", "main")

WINDOW = 600  # bytes of a seed at most: what is odd about it is near the beginning or is repeated
TOKENS = [
    *(b"data:", b"event:", b"id:", b"retry:", b": ", b"\n", b"\r", b"\r\n", b"\n\n", b"[DONE]", b"error: "),
    *(b"\xef\xbb\xbf", b"\0", b"\xff", b"\xc3", b"\xed\xa0\xbd", b"\\ud83d", b"\\udf0d", b"\\u0000", b'\\"', b"\\"),
    *(b"{", b"}", b"[", b"]", b'"', b",", b":", b"null", b"true", b"1e999", b"-0", b"NaN", b"9" * 400, b"[" * 400),
    *(
        b"<html>",
        b'"error":',
        b'"choices":',
        b'"type":',
        b'"delta":',
        b"data: {",
        b"data: [DONE]\n\n",
        b"event: error\n",
    ),
]
TYPES = ["text/event-stream", "application/json", "text/html", "application/x-ndjson", "", None]
ENCODINGS = [None, None, None, None, "gzip", "deflate", "identity", "br", "odd"]
LIMITS = [None, None, None, Limits(line=64, event=128), Limits(total=200), Limits(ratio=1)]
ODD: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    10**30,
    1.5,
    float("nan"),
    "",
    "x",
    "\ud83d",
    "stop",
    [],
    {},
    [None],
    {"": ""},
]


def seeds() -> list[bytes]:
    """The first bytes of what every fault sends, for every API, and some of the middle."""
    found: dict[bytes, None] = {}
    for fault in FAULTS.values():
        framing = fault.more and fault.group in ("http", "stall")  # it has no body, or a good one
        for api in () if framing else fault.apis:
            data = dechunk(fault.make(Request(api, options={"ms": "0", "size": "1"})), 16384).data
            found.update(dict.fromkeys(data[at : at + WINDOW] for at in range(0, min(len(data), 3000), WINDOW)))
    return sorted(found)


def bent(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """Some bytes, changed here and there."""
    out = bytearray(data)
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(out) + 1)
        end = min(len(out), at + rng.choice((0, 1, 1, 2, 8, 60)))
        way = rng.randrange(5)
        if way == 0:
            out[at:end] = rng.choice(TOKENS)
        elif way == 1:
            del out[at:end]
        elif way == 2 and at < len(out):
            out[at] ^= 1 << rng.randrange(8)
        elif way == 3:
            out[at:at] = out[at:end] * rng.choice((1, 2, 5))
        else:
            other = rng.choice(others)
            begin = rng.randrange(len(other) + 1)
            out[at:end] = other[begin : begin + rng.choice((4, 40, 200))]
    return bytes(out)


def warped(rng: random.Random, value: Any) -> Any:
    """A JSON value, something in it replaced or left out."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        name = rng.choice(list(value))
        if rng.random() < 0.15:
            return {other: inner for other, inner in value.items() if other != name}
        return {**value, name: warped(rng, value[name])}
    if isinstance(value, list) and value and rng.random() < 0.9:
        at = rng.randrange(len(value))
        return [*value[:at], warped(rng, value[at]), *value[at + 1 :]]
    return rng.choice(ODD)


def _cut(rng: random.Random, data: bytes) -> list[bytes]:
    at = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(3)))
    return [data[start:end] for start, end in zip([0, *at], [*at, len(data)], strict=True)]


def _wire(rng: random.Random, data: bytes) -> Iterator[Any]:
    encoding = rng.choice(ENCODINGS)
    if encoding == "gzip" and rng.random() < 0.8:
        data = zlib.compress(data, 1, 31)
        data = data if rng.random() < 0.5 else data[: rng.randrange(len(data))]
    status = rng.choice((200, 200, 200, 204, 500))
    decoder = WireDecoder(rng.choice(TYPES), status=status, encoding=encoding, limits=rng.choice(LIMITS))
    for part in _cut(rng, data):
        yield from decoder.decode(part)
    yield from decoder.end()
    assert decoder.completion in ("complete", "unconfirmed", "incomplete")


def _sse(rng: random.Random, data: bytes) -> Iterator[Any]:
    decoder = SSEDecoder(rng.choice(LIMITS), bare=rng.random() < 0.5)
    try:
        for part in _cut(rng, data):
            decoder.feed(part)
        decoder.flush()
    except StreamError as error:
        yield error


def _values(rng: random.Random, items: list[Any]) -> Iterator[Any]:
    first = rng.randrange(len(items))
    values = [warped(rng, item) if rng.random() < 0.7 else item for item in items[first : first + rng.randrange(1, 4)]]
    core = Core()
    for value in values:
        core.feed(value, 0.0)
    core.end(0.0)
    while (action := core.poll(0.0)) is not DONE:
        yield action
    if core.error is not None and not isinstance(core.error, UnsupportedSource):  # which says what would have been
        yield core.error


def _chunks(data: list[bytes]) -> list[list[Any]]:
    """The JSON values of the events of each seed."""
    found = []
    for each in data:
        values = []
        for event in SSEDecoder().feed(each):
            try:
                values.append(json.loads(event.data))
            except (ValueError, RecursionError):
                pass
        if values:
            found.append(values)
    return found + [items for each in quirks() if (items := [item for item in each["chunks"] if "wire" not in item])]


def fuzz(count: int, seed: int = 0) -> Counter[str]:
    """Try so many inputs; how often each kind of thing came of them.

    Raises:
        AssertionError: something else came; the message says how to make it again.
    """
    data = seeds()
    chunks = _chunks(data)
    counts: Counter[str] = Counter()
    for number in range(count):
        rng = random.Random(seed * 1_000_003 + number)
        way = rng.random()
        came = (
            _values(rng, rng.choice(chunks))
            if way < 0.4
            else (_sse if way < 0.5 else _wire)(rng, bent(rng, rng.choice(data), data))
        )
        ended = False
        try:
            for one in came:
                assert isinstance(one, Event | StreamError), f"{one!r} is neither event nor error"
                assert not ended, f"{one!r} came after an error"
                ended = isinstance(one, StreamError)
                counts[type(one).__name__] += 1
        except Exception as exc:
            raise AssertionError(f"fuzz input {number} of seed {seed}: {type(exc).__name__}: {exc}") from exc
        counts["inputs"] += 1
    return counts


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    start = time.perf_counter()
    counts = fuzz(count, seed=random.SystemRandom().randrange(10**6))
    took = time.perf_counter() - start
    print(f"{count:,} inputs in {took:.1f} s ({took / count * 1e5:.1f} s per 100,000): no other exception.")
    print(", ".join(f"{name} {number:,}" for name, number in counts.most_common()))


if __name__ == "__main__":
    main()
