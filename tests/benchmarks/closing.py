"""Leaving, in real time: how long every way to leave a stream takes, over real sockets and through the real SDK, and
how late the stall clocks are.

    python -m tests.benchmarks.closing             everything, about two minutes
    python -m tests.benchmarks.closing --quick     a fifth of it

Of each way, milliseconds from the moment of leaving, the middle one of all rounds and the worst: until whoever leaves,
or was reading, goes on (`back`); and until the server has seen the connection end, the threads have ended and the tasks
are gone (`gone`). The promise is 50 ms.

The first way, `floor`, is none: a thread or task that waits for an event, which another sets. A loaded machine makes
everything late, that too: compare with it.

Of the clocks, milliseconds by which they are late. The promise is 50 ms, or a tenth of the limit where that is more.
"""

import argparse
import gc
import signal
import threading
import time
import warnings
from collections.abc import Awaitable, Callable, Sequence
from statistics import median
from typing import Any

import typestream
from tests.faultserver import FaultServer
from tests.stream.leftovers import threads
from tests.stream.runtimes import RUNTIMES, live
from typestream import StreamError, pacing
from typestream.transforms import StopAt

__all__ = ("main",)

Way = Callable[[Any, Callable[[str], Any]], Awaitable[float]]
"""Opens a stream, with the kit of a runtime and what makes the call for a fault; leaves it; says when it left."""

SOON = 0.03  # seconds until somebody else leaves


async def opened(kit: Any, stream: Any) -> Any:
    """The stream, of which something was read."""
    await kit.next(stream)
    return stream


async def left(kit: Any, stream: Any, leave: Callable[[], Any]) -> float:
    """Somebody else leaves while the stream is read; when that was."""
    when: list[float] = []

    def go() -> Any:
        when.append(time.monotonic())
        return leave()

    kit.at(SOON, go)
    await kit.outcome(stream)
    return when[0]


async def floor(kit: Any, call: Callable[[str], Any]) -> float:
    """No stream: somebody else sets an event that is waited for."""
    when: list[float] = []
    event: Any = threading.Event()
    if kit.asynchronous:
        import anyio

        event = anyio.Event()

    def go() -> None:
        when.append(time.monotonic())
        event.set()

    kit.at(SOON, go)
    waiting = event.wait()
    if kit.asynchronous:
        await waiting
    return when[0]


async def close(kit: Any, call: Callable[[str], Any]) -> float:
    stream = await opened(kit, typestream.stream(call("stall-mid")))
    start = time.monotonic()
    await kit.close(stream)
    return start


async def break_(kit: Any, call: Callable[[str], Any]) -> float:
    stream = typestream.stream(call("stall-mid"))
    if kit.asynchronous:
        async with stream:
            async for _ in stream:
                start = time.monotonic()
                break
    else:
        with stream:
            for _ in stream:
                start = time.monotonic()
                break
    return start


async def exception(kit: Any, call: Callable[[str], Any]) -> float:
    stream = typestream.stream(call("stall-mid"))
    start = 0.0
    try:
        if kit.asynchronous:
            async with stream:
                await kit.next(stream)
                start = time.monotonic()
                raise ZeroDivisionError
        else:
            with stream:
                next(stream)
                start = time.monotonic()
                raise ZeroDivisionError
    except ZeroDivisionError:
        return start


async def close_elsewhere(kit: Any, call: Callable[[str], Any]) -> float:
    stream = typestream.stream(call("stall-mid"))
    return await left(kit, stream, lambda: kit.close(stream))


async def stop_elsewhere(kit: Any, call: Callable[[str], Any]) -> float:
    stream = typestream.stream(call("stall-mid"))
    return await left(kit, stream, stream.stop)


async def close_before_headers(kit: Any, call: Callable[[str], Any]) -> float:
    stream = typestream.stream(call("stall-first"))
    return await left(kit, stream, lambda: kit.close(stream))


async def close_while_ahead(kit: Any, call: Callable[[str], Any]) -> float:
    stream = await opened(kit, typestream.stream(call("stall-mid")).paced(pacing.Smooth()))
    start = time.monotonic()
    await kit.close(stream)
    return start


async def close_elsewhere_while_ahead(kit: Any, call: Callable[[str], Any]) -> float:
    stream = typestream.stream(call("stall-mid")).paced(pacing.Smooth())
    return await left(kit, stream, lambda: kit.close(stream))


async def stop_elsewhere_while_ahead(kit: Any, call: Callable[[str], Any]) -> float:
    stream = typestream.stream(call("stall-mid")).paced(pacing.Smooth())
    return await left(kit, stream, stream.stop)


async def close_in_a_pause(kit: Any, call: Callable[[str], Any]) -> float:
    stream = await opened(kit, typestream.stream(call("stall-mid")).paced(pacing.Steady(0.1)))
    return await left(kit, stream, lambda: kit.close(stream))


async def stop_in_a_pause(kit: Any, call: Callable[[str], Any]) -> float:
    stream = await opened(kit, typestream.stream(call("stall-mid")).paced(pacing.Steady(0.1)))
    return await left(kit, stream, stream.stop)


async def stop_under_clocks(kit: Any, call: Callable[[str], Any]) -> float:
    stream = typestream.stream(call("stall-mid"), timeout=30)
    return await left(kit, stream, stream.stop)


async def cancel(kit: Any, call: Callable[[str], Any]) -> float:
    stream = typestream.stream(call("stall-mid"))
    when: list[float] = []
    if kit.asynchronous:
        import anyio

        with anyio.CancelScope() as scope:

            def give_up() -> None:
                when.append(time.monotonic())
                scope.cancel()

            kit.at(SOON, give_up)
            await kit.read(stream)
        return when[0]

    def interrupt(*_: Any) -> None:
        when.append(time.monotonic())
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, SOON)
    try:
        await kit.read(stream)
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGALRM, before)
    return when[0]


async def dropped(kit: Any, call: Callable[[str], Any]) -> float:
    stream = await opened(kit, typestream.stream(call("stall-mid")))
    start = time.monotonic()
    del stream
    return start


async def dropped_while_ahead(kit: Any, call: Callable[[str], Any]) -> float:
    stream = await opened(kit, typestream.stream(call("stall-mid")).paced(pacing.Smooth()))
    start = time.monotonic()
    del stream
    gc.collect()
    return start


async def branches(kit: Any, call: Callable[[str], Any]) -> float:
    one, other = typestream.stream(call("stall-mid")).tee(2)
    await kit.next(one)
    await kit.next(other)
    start = time.monotonic()
    await kit.close(one)
    await kit.close(other)
    return start


async def branch_elsewhere(kit: Any, call: Callable[[str], Any]) -> float:
    (one,) = typestream.stream(call("stall-mid")).tee(1)
    return await left(kit, one, lambda: kit.close(one))


async def fallback(kit: Any, call: Callable[[str], Any]) -> float:
    stream = await opened(kit, typestream.first_of(call("rst-after-headers"), call("stall-mid")))
    start = time.monotonic()
    await kit.close(stream)
    return start


async def fallback_elsewhere(kit: Any, call: Callable[[str], Any]) -> float:
    stream = typestream.first_of(call("stall-first"), call("ok"))
    return await left(kit, stream, lambda: kit.close(stream))


async def wrapped(kit: Any, call: Callable[[str], Any]) -> float:
    made: Any = typestream.wrap(call("stall-mid"))
    if kit.asynchronous:
        made = await made
        await anext(made)
        start = time.monotonic()
        await made.close()
    else:
        next(made)
        start = time.monotonic()
        made.close()
    return start


async def transform(kit: Any, call: Callable[[str], Any]) -> float:
    stream = typestream.stream(call("stall-mid")).through(StopAt("e"))
    await kit.next(stream)
    start = time.monotonic()
    await kit.next(stream)
    return start


async def other_twin(kit: Any, call: Callable[[str], Any]) -> float:
    """A stream handed over to the other runtime: sync to async, or async to sync."""
    if kit.asynchronous:
        import anyio

        twin = typestream.stream(call("stall-mid")).as_sync()

        def work() -> float:
            next(twin)
            start = time.monotonic()
            twin.close()
            return start

        return await anyio.to_thread.run_sync(work)

    async def main() -> float:
        twin = typestream.stream(call("stall-mid")).as_async()
        await anext(twin)
        start = time.monotonic()
        await twin.aclose()
        return start

    import asyncio

    return asyncio.run(main())


WAYS: Sequence[Way] = (
    floor,
    close,
    break_,
    exception,
    close_elsewhere,
    stop_elsewhere,
    close_before_headers,
    close_while_ahead,
    close_elsewhere_while_ahead,
    stop_elsewhere_while_ahead,
    close_in_a_pause,
    stop_in_a_pause,
    stop_under_clocks,
    cancel,
    dropped,
    dropped_while_ahead,
    branches,
    branch_elsewhere,
    fallback,
    fallback_elsewhere,
    wrapped,
    transform,
    other_twin,
)


def clients(server: FaultServer, kit: Any) -> tuple[Any, Callable[[str], Any]]:
    """A client, and what makes the call for a fault."""
    import openai

    http = (openai.DefaultAsyncHttpxClient if kit.asynchronous else openai.DefaultHttpxClient)(verify=False)
    kind: Any = openai.AsyncOpenAI if kit.asynchronous else openai.OpenAI
    client = kind(api_key="none", max_retries=0, base_url="x", http_client=http)

    def call(fault: str) -> Any:
        at = client.with_options(base_url=server.base_url(fault))
        return lambda: at.chat.completions.create(model="m", messages=[], stream=True)

    return client, call


def leave(server: FaultServer, runtime: str, way: Way, rounds: int) -> list[tuple[float, float]]:
    """Of each round, seconds until whoever left was back, and until everything was gone."""

    async def scenario(kit: Any) -> list[tuple[float, float]]:
        client, call = clients(server, kit)
        times = []
        for _ in range(rounds + 1):
            start = await way(kit, call)
            back = time.monotonic()
            while server.busy or threads():
                if time.monotonic() > back + 2:
                    break
                await kit.sleep(0.0005)
            times.append((back - start, time.monotonic() - start))
        await client.close() if kit.asynchronous else client.close()
        return times[1:]  # the first opens what is opened once

    return live(runtime, scenario)


STALLS = (("stall-first", "first"), ("stall-mid", "between"), ("ping-mid", "between"), ("drip", "total"))
LIMITS = (0.1, 0.3, 1.0)


def stall(server: FaultServer, runtime: str, fault: str, kind: str, limit: float, rounds: int) -> list[float]:
    """Of each round, seconds by which the clock was late."""

    async def scenario(kit: Any) -> list[float]:
        client, call = clients(server, kit)
        late = []
        for _ in range(rounds):
            source = await call(fault)() if kit.asynchronous else call(fault)()
            stream = typestream.stream(source, timeout=typestream.Timeout(**{kind: limit}))
            since = time.monotonic()
            try:
                while await kit.next(stream) is not None:
                    since = since if kind == "total" else time.monotonic()
            except StreamError as error:
                assert getattr(error, "kind", None) == kind, error
                late.append(time.monotonic() - since - limit)
        await client.close() if kit.asynchronous else client.close()
        return late

    return live(runtime, scenario)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a fifth of the rounds")
    rounds = 4 if parser.parse_args().quick else 20
    warnings.simplefilter("ignore", ResourceWarning)  # what is dropped says so
    worst = 0.0
    with FaultServer() as server:
        leave(server, "sync", close, 1)
        gc.freeze()  # what a collection takes to look at everybody else's objects is not ours
        print("| leaving, ms: back, gone | sync | asyncio | trio |\n| - | - | - | - |")
        for way in WAYS:
            cells = []
            for runtime in RUNTIMES:
                times = leave(server, runtime, way, rounds)
                back, gone = ([1e3 * pair[n] for pair in times] for n in (0, 1))
                worst = max(worst, *gone) if way is not floor else 0.0
                cells.append(f"{median(back):.1f} (max {max(back):.1f}), {median(gone):.1f} (max {max(gone):.1f})")
            print(f"| {way.__name__.strip('_').replace('_', ' ')} |", " | ".join(cells), "|", flush=True)
        print(f"\n{len(WAYS) - 1} ways x 3 runtimes x {rounds} rounds; the slowest took {worst:.1f} ms, of 50.\n")
        print("| late, ms | limit, s | sync | asyncio | trio |\n| - | - | - | - | - |")
        for fault, kind in STALLS:
            for limit in LIMITS:
                cells = []
                for runtime in RUNTIMES:
                    late = [1e3 * each for each in stall(server, runtime, fault, kind, limit, max(2, rounds // 4))]
                    cells.append(f"{median(late):.1f} (max {max(late):.1f})")
                print(f"| {kind}: {fault} | {limit:g} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
