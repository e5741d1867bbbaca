"""Local models: time per token next to transformers' own streamers, what each does when things fail, and an event
loop's heartbeat under a model and under a blocking generator. Run: python -m tests.benchmarks.local

Needs torch, transformers and tokenizers; makes a tiny model with random weights. Times per token are those of the
whole process (CPU), in interleaved rounds, medians: of the model, whose floor is `generate` without a streamer; and of
one that computes nothing, where only the way of a token to its reader is left, at once and one each millisecond.
"""

import asyncio
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import anyio

import typestream

TOKENS, ROUNDS = 100, 15
PROMPT = "It is a truth universally acknowledged"
PATIENCE = 1.0
"""Seconds after which a reader that still waits is said to hang."""


class Idle:
    """In the place of a model: hands over tokens that were made before.

    Args:
        tokens: their ids.
        gap: seconds between two.
    """

    def __init__(self, tokens: list[Any], gap: float) -> None:
        self._tokens = tokens
        self._gap = gap

    def generate(self, streamer: Any, input_ids: Any, **options: Any) -> None:
        streamer.put(input_ids)
        due = time.perf_counter()
        for token in self._tokens:
            due += self._gap
            if self._gap:
                time.sleep(max(0.0, due - time.perf_counter()))
            streamer.put(token)
        streamer.end()


class Bench:
    """A model, and its `generate` read in several ways."""

    def __init__(self) -> None:
        import torch
        import transformers

        from tests.local import tiny_llama

        torch.set_num_threads(1)
        transformers.logging.set_verbosity_error()
        self.torch: Any = torch
        self.hf: Any = transformers
        self.tokenizer = tiny_llama.tokenizer()
        self.tiny = self.model = tiny_llama.model(len(self.tokenizer))
        self.inputs = dict(self.tokenizer(PROMPT, return_tensors="pt"))
        self.inputs.pop("token_type_ids", None)
        self.forwards = self.left_at = 0
        self.fail_at: int | None = None
        self.forward, self.tiny.forward = self.tiny.forward, self._forward

    def _forward(self, *args: Any, **kwargs: Any) -> Any:
        self.forwards += 1
        self._fail()
        return self.forward(*args, **kwargs)

    def _fail(self) -> None:
        if self.fail_at is not None and self.forwards > self.fail_at:
            raise MemoryError("the benchmark's own")

    def idle(self, gap: float) -> Idle:
        """What the model says, said by one that computes nothing."""
        self.torch.manual_seed(1)
        options = {**self.options(TOKENS), "do_sample": True}
        ids = self.tiny.generate(**self.inputs, **options)[0][self.inputs["input_ids"].shape[1] :]
        return Idle([self.torch.tensor([each]) for each in ids.tolist()], gap)

    def options(self, tokens: int) -> dict[str, Any]:
        return {"do_sample": False, "max_new_tokens": tokens, "min_new_tokens": tokens}

    def bare(self, **options: Any) -> None:
        self.model.generate(**self.inputs, **options)

    def ours(self, most: int | None = None, **options: Any) -> None:
        self._read(typestream.sources.transformers.generate(self.model, self.tokenizer, self.inputs, **options), most)

    def ours_asyncio(self, most: int | None = None, **options: Any) -> None:
        made = typestream.sources.transformers.generate(self.model, self.tokenizer, self.inputs, **options)
        asyncio.run(self._await(made.as_async, most))

    def ours_trio(self, most: int | None = None, **options: Any) -> None:
        made = typestream.sources.transformers.generate(self.model, self.tokenizer, self.inputs, **options)
        anyio.run(self._await, made.as_async, most, backend="trio")

    def theirs(self, most: int | None = None, **options: Any) -> None:
        streamer, thread = self._ready(self.hf.TextIteratorStreamer, **options)
        thread.start()
        self._read(streamer, most)

    def watched(self, most: int | None = None, **options: Any) -> None:
        self._read(typestream.sources.transformers.watch(*self._ready(self.hf.TextIteratorStreamer, **options)), most)

    def theirs_asyncio(self, most: int | None = None, **options: Any) -> None:
        def make() -> Any:
            streamer, thread = self._ready(self.hf.AsyncTextIteratorStreamer, **options)
            thread.start()
            return streamer

        asyncio.run(self._await(make, most))

    def watched_asyncio(self, most: int | None = None, **options: Any) -> None:
        def make() -> Any:
            ready = self._ready(self.hf.AsyncTextIteratorStreamer, **options)
            return typestream.sources.transformers.watch(*ready)

        asyncio.run(self._await(make, most))

    def _ready(self, kind: Any, **options: Any) -> tuple[Any, threading.Thread]:
        streamer = kind(self.tokenizer, skip_prompt=True, skip_special_tokens=True)
        kwargs = {**self.inputs, **options, "streamer": streamer}
        return streamer, threading.Thread(target=self.model.generate, kwargs=kwargs, daemon=True)

    def _read(self, stream: Any, most: int | None) -> None:
        for place, _ in enumerate(stream, 1):
            if place == most:
                self.left_at = self.forwards
                if hasattr(stream, "close"):
                    stream.close()
                break

    async def _await(self, make: Callable[[], Any], most: int | None) -> None:
        stream, place = make(), 0
        async for _ in stream:
            place += 1
            if place == most:
                self.left_at = self.forwards
                if hasattr(stream, "aclose"):
                    await stream.aclose()
                break
        before = -1
        while most is not None and before < self.forwards:  # the loop goes on, as a server's does
            before = self.forwards
            await anyio.sleep(0.2)


OURS = {"typestream, sync": "ours", "typestream, asyncio": "ours_asyncio"}
THEIRS = {"TextIteratorStreamer": "theirs", "AsyncTextIteratorStreamer": "theirs_asyncio"}
WATCHED = {"  watched by typestream": "watched", "  watched by typestream, asyncio": "watched_asyncio"}


def time_per_token(bench: Bench) -> None:
    print(f"\n{'CPU µs per token':34}{'model':>9}{'÷ floor':>9}{'no model':>10}{'1 ms':>8}")
    columns = [_measured(bench, bench.tiny, {"generate alone (floor)": "bare"})]
    columns += [_measured(bench, bench.idle(gap), {}) for gap in (0.0, 0.001)]
    floor = columns[0]["generate alone (floor)"]
    for name, cost in columns[0].items():
        rest = "".join(
            f"{column[name]:{width}.0f}" for column, width in zip(columns[1:], (10, 8), strict=True) if name in column
        )
        print(f"{name:34}{cost:9.0f}{cost / floor:9.2f}{rest}")


def _measured(bench: Bench, model: Any, floor: dict[str, str]) -> dict[str, float]:
    """The cost of a token for each reader, µs of CPU."""
    names = {**floor, **OURS, **THEIRS}
    cpu: dict[str, list[float]] = {name: [] for name in names}
    bench.model = model
    for _ in range(ROUNDS):
        for name, method in names.items():
            used = time.process_time()
            getattr(bench, method)(**bench.options(TOKENS))
            cpu[name].append((time.process_time() - used) / TOKENS * 1e6)
    bench.model = bench.tiny
    return {name: statistics.median(costs) for name, costs in cpu.items()}


def failures(bench: Bench) -> None:
    heads = ("at once", "after 5 tokens", "in a criterion", "left after 3 of 500")
    print(f"\n{'generate raises':34}" + "".join(f"{head:>21}" for head in heads))
    readers = {**OURS, "typestream, trio": "ours_trio", **THEIRS, **WATCHED}
    for name, method in readers.items():
        cells = [_failing(bench, method, place) for place in (0, 5, None)] + [_leaving(bench, method)]
        print(f"{name:34}" + "".join(f"{cell:>21}" for cell in cells))


def _failing(bench: Bench, method: str, place: int | None) -> str:
    """What a reader gets when the model fails after so many tokens; None for a stopping criterion, after 5."""
    raised: list[float] = []
    said: list[str] = []
    bench.forwards, bench.fail_at = 0, 5 if place is None else place

    def criterion(ids: Any, scores: Any, **rest: Any) -> Any:
        raised.append(time.perf_counter())
        if bench.forwards == 5:
            raise MemoryError("the benchmark's own")
        return bench.torch.tensor([False])

    def read() -> None:
        start = time.perf_counter()
        try:
            getattr(bench, method)(stopping_criteria=[criterion], **bench.options(50))
            said.append("ends, no error")
        except Exception as exc:
            late = time.perf_counter() - (raised[-1] if raised else start)
            said.append(f"{type(exc).__name__} {late * 1e3:.0f} ms")

    hook, threading.excepthook = threading.excepthook, lambda args: None
    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(PATIENCE)
    bench.fail_at, threading.excepthook = None, hook
    return said[0] if said else "hangs"


def _leaving(bench: Bench, method: str) -> str:
    threads, bench.forwards = threading.active_count(), 0
    bench.torch.manual_seed(1)
    getattr(bench, method)(most=3, **{**bench.options(500), "do_sample": True})
    end = time.monotonic() + 30
    while threading.active_count() > threads and time.monotonic() < end:
        time.sleep(0.01)
    return f"{bench.forwards - bench.left_at} more tokens"


def heartbeat(bench: Bench) -> None:
    def blocking() -> Iterator[str]:
        for _ in range(400):
            time.sleep(0.005)
            yield "token "

    def model() -> Any:
        return typestream.sources.transformers.generate(bench.model, bench.tokenizer, PROMPT, **bench.options(600))

    print(f"\n{'delay of a loop’s heartbeat, ms':34}{'p50':>9}{'p99':>9}{'max':>9}")
    for name, make in (("idle", None), ("blocking generator", blocking), ("transformers model", model)):
        for loop in ("asyncio", "trio"):
            delays = sorted(anyio.run(_beats, make, backend=loop))
            p50, p99 = delays[len(delays) // 2], delays[int(len(delays) * 0.99)]
            print(f"{f'{name}, {loop}':34}{p50 * 1e3:9.2f}{p99 * 1e3:9.2f}{delays[-1] * 1e3:9.2f}")


async def _beats(make: Callable[[], Any] | None) -> list[float]:
    delays: list[float] = []

    async def beat() -> None:
        while True:
            start = time.perf_counter()
            await anyio.sleep(0.001)
            delays.append(time.perf_counter() - start - 0.001)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(beat)
        if make is None:
            await anyio.sleep(2)
        else:
            async with typestream.stream(make()).as_async() as twin:
                async for _ in twin:
                    pass
        tasks.cancel_scope.cancel()
    return delays


def main() -> None:
    try:
        bench = Bench()
    except ImportError as missing:
        print(f"left out: {missing}")
        return
    bench.bare(**bench.options(20))
    time_per_token(bench)
    failures(bench)
    heartbeat(bench)


if __name__ == "__main__":
    main()
