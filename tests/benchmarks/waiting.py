"""Waiting, in real time: how late and how far off paced text is, how soon a stop ends a pause, what many streams cost.

    python -m tests.benchmarks.waiting             everything, about a minute
    python -m tests.benchmarks.waiting --quick     a fifth of it

Lateness counts from when a unit was due, where the stream was least late. The floors are loops without a stream:
absolute deadlines with `time.sleep`, `asyncio.sleep`, `trio.sleep_until`. A loaded machine makes everything late, the
floors too: compare with them.
"""

import argparse
import array
import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import trio

import typestream
from typestream.pacing import Smooth, Steady

__all__ = ("main",)

TEXT = "The quick brown fox jumps over the lazy dog. " * 100

Late = list[float]


def at(values: Sequence[float], share: float) -> float:
    """A quantile."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


# -- one stream


def _sync(units: int, rate: float) -> Late:
    stream = typestream.replay(TEXT[:units]).paced(Steady(rate))
    return _lateness(((len(text), time.monotonic()) for text in stream), rate)


def _sync_floor(units: int, rate: float) -> Late:
    def wake() -> Any:
        start = time.monotonic()
        for i in range(units):
            if (left := start + i / rate - time.monotonic()) > 0:
                time.sleep(left)
            yield 1, time.monotonic()

    return _lateness(wake(), rate)


async def _async(units: int, rate: float) -> Late:
    stream = typestream.replay(TEXT[:units]).as_async().paced(Steady(rate))
    return _lateness([(len(text), time.monotonic()) async for text in stream], rate)


async def _async_floor(units: int, rate: float) -> Late:
    return _lateness([(1, woken) async for woken in _wakes(units, 1 / rate)], rate)


async def _wakes(count: int, gap: float, start: float | None = None) -> Any:
    """Absolute deadlines, and when each wake-up came."""
    import sniffio

    sleep = trio.sleep if sniffio.current_async_library() == "trio" else asyncio.sleep
    start = time.monotonic() if start is None else start
    for i in range(count):
        if (left := start + i * gap - time.monotonic()) > 0:
            await sleep(left)
        yield time.monotonic()


def _lateness(shown: Any, rate: float) -> Late:
    """How late each unit was; what was late comes together, and each of it counts. Nothing is ever early, so the
    beginning is where nothing would have been."""
    when = [at for units, at in shown for _ in range(units)]
    start = min(at - i / rate for i, at in enumerate(when))
    return [at - start - i / rate for i, at in enumerate(when)]


def one(units: int, rate: float) -> None:
    """M10, M11."""
    print(f"\none stream of {units:,} graphemes at {rate:g} a second (goals: drift ≤ 0.1 %, p99 ≤ 5 ms)")
    print(f"{'':22}{'p50 ms':>8}{'p99 ms':>8}{'max ms':>8}{'drift %':>9}")
    runs: list[tuple[str, Callable[[], Late]]] = [
        ("sync", lambda: _sync(units, rate)),
        ("  time.sleep", lambda: _sync_floor(units, rate)),
        ("asyncio", lambda: asyncio.run(_async(units, rate))),
        ("  asyncio.sleep", lambda: asyncio.run(_async_floor(units, rate))),
        ("trio", lambda: trio.run(_async, units, rate)),
        ("  trio.sleep", lambda: trio.run(_async_floor, units, rate)),
    ]
    for name, run in runs:
        late = run()
        tenth = units // 10
        drift = (sum(late[-tenth:]) - sum(late[:tenth])) / tenth / (units * 0.9 / rate)
        figures = [at(late, 0.5) * 1e3, at(late, 0.99) * 1e3, max(late) * 1e3]
        print(f"{name:22}" + "".join(f"{ms:8.2f}" for ms in figures) + f"{drift * 100:9.3f}")


# -- leaving in a pause


def _stop_sync() -> tuple[float, int]:
    stream = typestream.replay("Wait for it").paced(Steady(0.01))
    next(stream)
    asked: list[float] = []

    def stop() -> None:
        time.sleep(0.05)
        asked.append(time.monotonic())
        stream.stop()

    threading.Thread(target=stop).start()
    after = len(list(stream))
    return time.monotonic() - asked[0], after


async def _stop_async() -> tuple[float, int]:
    stream = typestream.replay("Wait for it").as_async().paced(Steady(0.01))
    await anext(stream)
    asked: list[float] = []

    def stop() -> None:
        time.sleep(0.05)
        asked.append(time.monotonic())
        stream.stop()

    threading.Thread(target=stop).start()
    after = len([text async for text in stream])
    return time.monotonic() - asked[0], after


async def _cancel() -> tuple[float, int]:
    import anyio

    stream = typestream.replay("Wait for it").as_async().paced(Steady(0.01))
    await anext(stream)
    shown: list[str] = []

    async def read() -> None:
        async for text in stream:
            shown.append(text)

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        await anyio.sleep(0.05)
        asked = time.monotonic()
        group.cancel_scope.cancel()
    ended = time.monotonic()
    await stream.aclose()
    return ended - asked, len(shown)


def leaving(rounds: int) -> None:
    """M12."""
    print(f"\nleaving in a pause, {rounds} times (goals: ≤ 5 ms, nothing shown after)")
    print(f"{'':22}{'p50 ms':>8}{'max ms':>8}{'shown':>8}")
    runs: list[tuple[str, Callable[[], tuple[float, int]]]] = [
        ("stop(), sync", _stop_sync),
        ("stop(), asyncio", lambda: asyncio.run(_stop_async())),
        ("stop(), trio", lambda: trio.run(_stop_async)),
        ("cancel, asyncio", lambda: asyncio.run(_cancel())),
        ("cancel, trio", lambda: trio.run(_cancel)),
    ]
    for name, run in runs:
        got = [run() for _ in range(rounds)]
        times = [seconds * 1e3 for seconds, _ in got]
        print(f"{name:22}{at(times, 0.5):8.2f}{max(times):8.2f}{sum(shown for _, shown in got):8}")


# -- many streams


async def _bursts(text: str, rate: float) -> Any:
    """A source that says half a second's worth every half second."""
    size = max(1, round(rate / 2))
    gap = size / rate
    wakes = _wakes((len(text) + size - 1) // size, gap)
    for i in range(0, len(text), size):
        await anext(wakes)
        yield text[i : i + size]


class _Shown:
    """Units and when, of one stream; kept so that it costs little and nothing for the garbage collector."""

    def __init__(self) -> None:
        self.units, self.when = array.array("H"), array.array("d")

    def add(self, units: int, when: float) -> None:
        self.units.append(units)
        self.when.append(when)

    def __iter__(self) -> Iterator[tuple[int, float]]:
        return zip(self.units, self.when, strict=True)


@dataclass
class _Window:
    """What happens while all streams run; times by `time.monotonic`, seconds."""

    rate: float
    shown: list[_Shown] = field(default_factory=list)  # of each stream
    late: Late = field(default_factory=list)
    pieces: int = 0
    cpu: float = 0.0

    def count(self, begin: float, end: float) -> None:
        """What was shown in between, once all is over."""
        for shown in self.shown:
            late = iter(_lateness(shown, self.rate))
            for units, when in shown:
                of_piece = [next(late) for _ in range(units)]
                if begin <= when < end:
                    self.pieces += 1
                    self.late += of_piece

    def line(self, name: str, floor: float | None, lateness: bool = True) -> float:
        """Print the figures; CPU microseconds a piece."""
        each, unit = self.cpu / self.pieces * 1e6, self.cpu / len(self.late) * 1e6
        late = [f"{at(self.late, share) * 1e3:8.1f}" if lateness else f"{'':8}" for share in (0.5, 0.99)]
        print(f"{name:22}{each:9.1f}{each / (floor or each):8.1f}{unit:9.1f}{''.join(late)}{self.pieces:10,}")
        return each


Read = Callable[[_Shown, asyncio.Event], Awaitable[None]]


def _stream(make: Callable[[], Any]) -> Read:
    async def read(shown: _Shown, there: asyncio.Event) -> None:
        async with make() as stream:
            shown.add(len(await anext(stream)), time.monotonic())
            await there.wait()
            async for text in stream:
                shown.add(len(text), time.monotonic())

    return read


def _bare(rate: float) -> Read:
    async def read(shown: _Shown, there: asyncio.Event) -> None:
        async for woken in _wakes(10**9, 1 / rate):
            shown.add(1, woken)
            if len(shown.units) == 1:
                await there.wait()

    return read


async def _many(read: Read, rate: float, streams: int, seconds: float) -> _Window:
    """The streams start one after the other, one in half a millisecond at the most, and go on from there when all have
    shown their first piece; the window begins when they have caught up, and ends before the first of them does."""
    window = _Window(rate)
    there = asyncio.Event()
    tasks = []
    async for _ in _wakes(streams, 1 / 2000):
        window.shown.append(_Shown())
        tasks.append(asyncio.ensure_future(read(window.shown[-1], there)))
        await asyncio.sleep(0)
    there.set()
    await asyncio.sleep(1.5)
    begin, before = time.monotonic(), time.process_time()
    await asyncio.sleep(seconds)
    end, window.cpu = time.monotonic(), time.process_time() - before
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    window.count(begin, end)
    return window


def many(streams: int, rate: float, seconds: float, goal: str) -> None:
    """Many streams in one asyncio process."""
    print(f"\n{streams:,} streams, {rate:g} graphemes a second each, {seconds:g} s, one process (goal: {goal})")
    print(f"{'':22}{'µs/piece':>9}{'× floor':>8}{'µs/unit':>9}{'p50 ms':>8}{'p99 ms':>8}{'pieces':>10}")
    text = TEXT[: round((seconds + streams / 500 + 5) * rate)]
    floor = asyncio.run(_many(_bare(rate), rate, streams, seconds)).line("asyncio.sleep", None)
    steady = _stream(lambda: typestream.replay(text).as_async().paced(Steady(rate)))
    asyncio.run(_many(steady, rate, streams, seconds)).line("Steady, replayed", floor)
    if rate > 5:  # of what adapts, there is no saying when it should have come
        live = _stream(lambda: typestream.stream(_bursts(text, rate)).paced(Smooth()))
        asyncio.run(_many(live, rate, streams, seconds)).line("Smooth, live bursts", floor, lateness=False)


def main(argv: Sequence[str] | None = ()) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a fifth of everything")
    quick = parser.parse_args(argv).quick
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"{os.cpu_count()} processors{load}")
    one(400 if quick else 2000, 200.0)
    leaving(4 if quick else 20)
    many(1000, 50.0, 1.0 if quick else 5.0, "≤ 9 µs a piece, p99 ≤ 20 ms")
    many(10_000, 5.0, 1.0 if quick else 5.0, "p99 ≤ 50 ms")


if __name__ == "__main__":
    main(None)
