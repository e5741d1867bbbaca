"""What it costs to read a stream: `python -m tests.benchmarks.reading`.

CPU time of this process per chunk, as a ratio to the openai SDK's own loop over the same bytes; the rounds are
interleaved, and the median round counts. In memory the ratio is to the cheapest loop that could be written by hand.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from math import log
from typing import Any

import openai

import typestream
from tests.benchmarks._peers import peers
from tests.benchmarks._server import chat_chunks, running

__all__ = ("main",)

Case = Callable[[], Any]
_CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
_RESPONSE: dict[str, Any] = {"model": "m", "input": "hi", "stream": True}


def _cpu(case: Case, count: int) -> float:
    start = time.process_time()
    case()
    return (time.process_time() - start) / count * 1e6


def _measure(title: str, cases: dict[str, Case], count: int, rounds: int, goals: dict[str, float]) -> None:
    """Print microseconds a chunk and the ratio to the first case."""
    times: dict[str, list[float]] = {name: [] for name in cases}
    for name in cases:
        cases[name]()  # connections, caches
    for _ in range(rounds):
        for name, case in cases.items():
            times[name].append(_cpu(case, count))
    print(f"\n{title}: CPU a chunk, {count} chunks, median of {rounds}")
    floor = statistics.median(times[next(iter(cases))])
    for name, taken in times.items():
        middle = statistics.median(taken)
        goal = goals.get(name)
        verdict = "" if goal is None else f"   goal {goal:g}: {'held' if middle / floor <= goal else 'MISSED'}"
        print(f"  {name:34} {middle:8.2f} µs   × {middle / floor:6.3f}{verdict}")


def _sdk_chat(client: openai.OpenAI) -> int:
    size = 0
    for chunk in client.chat.completions.create(**_CHAT):
        if chunk.choices:
            size += len(chunk.choices[0].delta.content or "")
    return size


def _sdk_helper(client: openai.OpenAI) -> int:
    with client.chat.completions.stream(model="m", messages=_CHAT["messages"]) as stream:
        return sum(len(event.delta) for event in stream if event.type == "content.delta")


def _sdk_responses(client: openai.OpenAI) -> int:
    return sum(len(e.delta) for e in client.responses.create(**_RESPONSE) if e.type == "response.output_text.delta")


def _raw(client: openai.OpenAI) -> int:
    stream = client.chat.completions.create(**_CHAT)
    return sum(len(data) for data in stream.response.iter_bytes())


_HOW = {
    "joined": "several events a read",
    "single": "one event a read",
    "single,padded": "one event a read, with padding that differs in each",
}


def _sync(base: str, count: int, rounds: int, how: str) -> None:
    path, single = f"{base}/{count}/{how}/v1", "single" in how
    with openai.OpenAI(base_url=path, api_key="none") as client:
        chat, responses = client.chat.completions, client.responses
        cases: dict[str, Case] = {
            "openai, for chunk in stream": lambda: _sdk_chat(client),
            "typestream, for text in stream": lambda: sum(map(len, typestream.stream(chat.create(**_CHAT)))),
            "typestream, with stall clocks": lambda: sum(
                map(len, typestream.stream(chat.create(**_CHAT), timeout=typestream.Timeout.PATIENT))
            ),
            "typestream, events()": lambda: sum(1 for _ in typestream.stream(chat.create(**_CHAT)).events()),
            "the HTTP library's bytes only": lambda: _raw(client),
        }
        if not single:
            cases["openai, its stream() helper"] = lambda: _sdk_helper(client)
            cases |= peers(path)
        goal = 0.13 if single else 0.10
        goals = {"typestream, for text in stream": goal, "typestream, events()": goal + 0.02}
        _measure(f"chat, sync, {_HOW[how]}", cases, count, rounds, goals)
        if not single:
            cases = {
                "openai Responses": lambda: _sdk_responses(client),
                "typestream Responses": lambda: sum(map(len, typestream.stream(responses.create(**_RESPONSE)))),
            }
            _measure("Responses, sync", cases, count, rounds, {"typestream Responses": 0.15})


def _async(base: str, count: int, rounds: int, how: str) -> None:
    path = f"{base}/{count}/{how}/v1"

    async def theirs(client: openai.AsyncOpenAI) -> None:
        size = 0
        async for chunk in await client.chat.completions.create(**_CHAT):
            if chunk.choices:
                size += len(chunk.choices[0].delta.content or "")

    async def ours(client: openai.AsyncOpenAI) -> None:
        size = 0
        async for text in typestream.stream(client.chat.completions.create(**_CHAT)):
            size += len(text)

    def case(read: Callable[[openai.AsyncOpenAI], Awaitable[None]]) -> Case:
        async def main() -> None:
            async with openai.AsyncOpenAI(base_url=path, api_key="none", http_client=http()) as client:
                await read(client)

        return lambda: asyncio.run(main())

    def http() -> Any:
        return openai.DefaultAsyncHttpxClient(verify=False)

    cases = {"openai, async for": case(theirs), "typestream, async for": case(ours)}
    goal = 0.17 if "single" in how else 0.12
    _measure(f"chat, async, {_HOW[how]}", cases, count, rounds, {"typestream, async for": goal})


class _Bare:
    """The cheapest class with `__next__`."""

    def __init__(self, items: list[Any]) -> None:
        self._next = iter(items).__next__

    def __iter__(self) -> "_Bare":
        return self

    def __next__(self) -> Any:
        return self._next()


def _memory(count: int, rounds: int) -> None:
    from openai.types.chat import ChatCompletionChunk

    dicts = chat_chunks(count)
    objects = [ChatCompletionChunk.construct(**chunk) for chunk in dicts]
    texts = [" word"] * count

    def by_hand() -> int:
        return sum(len(c.choices[0].delta.content or "") for c in objects if c.choices)

    cases: dict[str, Case] = {
        "SDK objects read by hand": by_hand,
        "typestream over SDK objects": lambda: sum(map(len, typestream.stream(iter(objects)))),
        "typestream over dicts": lambda: sum(map(len, typestream.stream(iter(dicts)))),
    }
    _measure("in memory", cases, count, rounds, {"typestream over SDK objects": 6})
    cases = {
        "a bare class iterator": lambda: sum(map(len, _Bare(texts))),
        "typestream over strings": lambda: sum(map(len, typestream.stream(iter(texts)))),
    }
    _measure("strings in memory", cases, count, rounds, {"typestream over strings": 10})


def _growth(rounds: int) -> None:
    sizes = (1_000, 50_000)
    costs = []
    for size in sizes:
        chunks = chat_chunks(size)
        case = lambda chunks=chunks: sum(map(len, typestream.stream(iter(chunks))))  # noqa: E731
        costs.append(min(_cpu(case, 1) for _ in range(max(3, rounds))))
    exponent = log(costs[1] / costs[0]) / log(sizes[1] / sizes[0])
    print(f"\ngrowth from {sizes[0]} to {sizes[1]} chunks: exponent {exponent:.3f}   goal 1.02")
    chunks = iter(chat_chunks(20_000))
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    result = typestream.stream(chunks).collect()
    tracemalloc.reset_peak()
    kept = (tracemalloc.get_traced_memory()[0] - before) / 2**20
    tracemalloc.stop()
    print(f"memory kept after 20,000 chunks with the text ({len(result.text)} characters): {kept:.2f} MiB   goal 2")


def _imports(rounds: int) -> None:
    def took(code: str) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - start

    best = {code: min(took(code) for _ in range(rounds)) for code in ("pass", "import typestream", "import openai")}
    bare = best["pass"]
    ratio = (best["import typestream"] - bare) / (best["import openai"] - bare)
    print(f"\nimport typestream ÷ import openai, net of Python: {ratio:.3f}   goal 0.05")


def main(arguments: list[str] | None = None) -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args(arguments)
    _memory(args.chunks, args.rounds)
    with running() as base:
        for how in _HOW:
            _sync(base, args.chunks, args.rounds, how)
            _async(base, args.chunks, args.rounds, how)
    _growth(args.rounds)
    _imports(args.rounds)


if __name__ == "__main__":
    main()
