"""Hand-over between threads and event loops: CPU of the whole process per item, in bursts.

    python -m tests.benchmarks.bridges

Each bridge hands over strings that a source gives without a pause. The indented rows are floors, the cheapest queue
there is, and peers, which cross over for each item. What a stream itself costs without a bridge is a row of its own.
"On demand" is a blocking iterator, which is asked for an item when the one before it was taken.
"""

import argparse
import asyncio
import statistics
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from queue import SimpleQueue
from typing import Any

import anyio.from_thread
import anyio.to_thread

import typestream
from typestream.sources._pushed import Pushed, PushedSource

__all__ = ("main",)


def _items(count: int) -> Iterator[str]:
    for _ in range(count):
        yield "word "


async def _async_items(count: int) -> AsyncIterator[str]:
    for _ in range(count):
        yield "word "


def _pushed(count: int) -> typestream.TokenStream:
    def produce(put: Callable[[str], None]) -> None:
        for _ in range(count):
            put("word ")

    from typestream._core import Core

    return typestream.TokenStream(Core(), PushedSource(Pushed(produce), name="model"))


async def _drain(stream: typestream.AsyncTokenStream) -> int:
    return sum([len(text) async for text in stream])


# -- floors


def _simple_queue(count: int) -> int:
    queue: SimpleQueue[str | None] = SimpleQueue()

    def produce() -> None:
        for item in _items(count):
            queue.put(item)
        queue.put(None)

    threading.Thread(target=produce).start()
    size = 0
    while (item := queue.get()) is not None:
        size += len(item)
    return size


def _coalesced(count: int) -> int:
    """A deque, and one call_soon_threadsafe for all that is in it."""

    async def main() -> int:
        loop = asyncio.get_running_loop()
        items: deque[str | None] = deque()
        there = asyncio.Event()

        def produce() -> None:
            for item in [*_items(count), None]:
                items.append(item)
                if len(items) == 1:
                    loop.call_soon_threadsafe(there.set)

        threading.Thread(target=produce).start()
        size = 0
        while True:
            await there.wait()
            there.clear()
            while items:
                item = items.popleft()
                if item is None:
                    return size
                size += len(item)

    return asyncio.run(main())


async def _two_tasks(count: int) -> int:
    """A future each way for every item."""
    loop = asyncio.get_running_loop()
    asked, given = loop.create_future(), loop.create_future()

    async def produce() -> None:
        nonlocal asked
        async for item in _async_items(count):
            await asked
            asked = loop.create_future()
            given.set_result(item)

    task, size = loop.create_task(produce()), 0
    for _ in range(count):
        asked.set_result(None)
        size += len(await given)
        given = loop.create_future()
    await task
    return size


async def _each_in_a_thread(count: int) -> int:
    """anyio.to_thread.run_sync for each item."""
    items, size = _items(count), 0
    while (item := await anyio.to_thread.run_sync(next, items, None)) is not None:
        size += len(item)
    return size


def _each_in_the_loop(count: int) -> int:
    """portal.call for each item."""

    async def following(items: Any) -> str | None:
        return await anext(items, None)

    with anyio.from_thread.start_blocking_portal() as portal:
        items, size = _async_items(count), 0
        while (item := portal.call(following, items)) is not None:
            size += len(item)
    return size


ROWS: list[tuple[str, Callable[[int], int]]] = [
    ("no bridge, sync", lambda n: sum(map(len, typestream.stream(_items(n))))),
    ("  two tasks, futures", lambda n: asyncio.run(_two_tasks(n))),
    ("no bridge, asyncio", lambda n: asyncio.run(_drain(typestream.stream(_async_items(n))))),
    ("  SimpleQueue", _simple_queue),
    ("thread → sync, a model", lambda n: sum(map(len, _pushed(n)))),
    ("thread → sync, on demand", lambda n: sum(map(len, typestream.stream(_items(n), timeout=60)))),
    ("  deque, one wake-up", _coalesced),
    ("thread → asyncio, a model", lambda n: asyncio.run(_drain(_pushed(n).as_async()))),
    ("  to_thread.run_sync(next)", lambda n: asyncio.run(_each_in_a_thread(n))),
    ("thread → asyncio, on demand", lambda n: asyncio.run(_drain(typestream.stream(_items(n)).as_async()))),
    ("  portal.call(anext)", _each_in_the_loop),
    ("asyncio → sync", lambda n: sum(map(len, typestream.stream(_async_items(n)).as_sync()))),
]


def main(argv: Sequence[str] | None = ()) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(argv)
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name, _ in ROWS}
    for _ in range(options.rounds):
        for name, run in ROWS:
            cpu, wall = time.process_time(), time.perf_counter()
            assert run(options.items) == 5 * options.items
            spent = (time.process_time() - cpu, time.perf_counter() - wall)
            figures[name].append((spent[0] / options.items * 1e6, spent[1] / options.items * 1e6))
    print(f"{options.items:,} items in one burst, µs an item (goal: a bridge adds ≤ 1)")
    print(f"{'':28}{'CPU':>8}{'wall':>8}")
    for name, got in figures.items():
        print(f"{name:28}" + "".join(f"{statistics.median(column):8.2f}" for column in zip(*got, strict=True)))


if __name__ == "__main__":
    main(None)
