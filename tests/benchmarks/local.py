"""Local models: time per token next to transformers' own streamers, what each does when things fail, and an event
loop's heartbeat under a model and under a blocking generator. Run: python -m tests.benchmarks.local

Needs torch, transformers and tokenizers; makes a tiny model with random weights. The time per token is that of the
whole process (CPU), in interleaved rounds, medians; the floor is `generate` without a streamer.
"""

import asyncio
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import typestream

TOKENS, ROUNDS = 200, 7
PROMPT = "It is a truth universally acknowledged"
PATIENCE = 1.0
"""Seconds after which a reader that still waits is said to hang."""


class Bench:
    """The model, and `generate` read in several ways."""

    def __init__(self) -> None:
        import torch
        import transformers

        from tests.local import tiny_llama

        torch.set_num_threads(1)
        transformers.logging.set_verbosity_error()
        self.hf: Any = transformers
        self.tokenizer = tiny_llama.tokenizer()
        self.model = tiny_llama.model(len(self.tokenizer))
        self.inputs = dict(self.tokenizer(PROMPT, return_tensors="pt"))
        self.inputs.pop("token_type_ids", None)
        self.forwards = self.left_at = 0
        self.fail_at: int | None = None
        self.forward, self.model.forward = self.model.forward, self._forward

    def _forward(self, *args: Any, **kwargs: Any) -> Any:
        self.forwards += 1
        if self.fail_at is not None and self.forwards > self.fail_at:
            raise MemoryError("the benchmark's own")
        return self.forward(*args, **kwargs)

    def options(self, tokens: int) -> dict[str, Any]:
        return {"do_sample": False, "max_new_tokens": tokens, "min_new_tokens": tokens}

    def bare(self, tokens: int) -> None:
        self.model.generate(**self.inputs, **self.options(tokens))

    def ours(self, tokens: int, most: int | None = None) -> None:
        stream = typestream.sources.transformers.generate(self.model, self.tokenizer, PROMPT, **self.options(tokens))
        with stream:
            for place, _ in enumerate(stream, 1):
                if place == most:
                    self.left_at = self.forwards
                    break

    def ours_async(self, tokens: int, most: int | None = None) -> None:
        async def main() -> None:
            made = typestream.sources.transformers.generate(self.model, self.tokenizer, PROMPT, **self.options(tokens))
            place = 0
            async with made.as_async() as stream:
                async for _ in stream:
                    place += 1
                    if place == most:
                        self.left_at = self.forwards
                        break
            await self._linger(most)

        asyncio.run(main())

    def theirs(self, tokens: int, most: int | None = None) -> None:
        streamer = self.hf.TextIteratorStreamer(self.tokenizer, skip_prompt=True, skip_special_tokens=True)
        self._start(streamer, tokens)
        for place, _ in enumerate(streamer, 1):
            if place == most:
                self.left_at = self.forwards
                break

    def theirs_async(self, tokens: int, most: int | None = None) -> None:
        async def main() -> None:
            streamer = self.hf.AsyncTextIteratorStreamer(self.tokenizer, skip_prompt=True, skip_special_tokens=True)
            self._start(streamer, tokens)
            place = 0
            async for _ in streamer:
                place += 1
                if place == most:
                    self.left_at = self.forwards
                    break
            await self._linger(most)

        asyncio.run(main())

    async def _linger(self, most: int | None) -> None:
        """The loop goes on, as a server's does, after the reader of one stream has left."""
        before = -1
        while most is not None and before < self.forwards:
            before = self.forwards
            await asyncio.sleep(0.2)

    def _start(self, streamer: Any, tokens: int) -> None:
        kwargs = {**self.inputs, **self.options(tokens), "streamer": streamer}
        threading.Thread(target=self.model.generate, kwargs=kwargs, daemon=True).start()


READERS = {
    "typestream, sync": "ours",
    "typestream, asyncio": "ours_async",
    "TextIteratorStreamer": "theirs",
    "AsyncTextIteratorStreamer": "theirs_async",
}


def time_per_token(bench: Bench) -> None:
    names = {"generate alone (floor)": "bare", **READERS}
    cpu: dict[str, list[float]] = {name: [] for name in names}
    wall: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(ROUNDS):
        for name, method in names.items():
            start, used = time.perf_counter(), time.process_time()
            getattr(bench, method)(TOKENS)
            cpu[name].append((time.process_time() - used) / TOKENS)
            wall[name].append((time.perf_counter() - start) / TOKENS)
    floor = statistics.median(cpu["generate alone (floor)"])
    print(f"\n{'time per token':28}{'CPU µs':>9}{'wall µs':>9}{'× floor':>9}")
    for name in names:
        middle = statistics.median(cpu[name])
        print(f"{name:28}{middle * 1e6:9.0f}{statistics.median(wall[name]) * 1e6:9.0f}{middle / floor:9.2f}")


def failures(bench: Bench) -> None:
    print(f"\n{'':28}{'raises at once':>20}{'raises after 5':>20}{'left after 3 of 500':>28}")
    for name, method in READERS.items():
        cells = [_failing(bench, method, at) for at in (0, 5)]
        print(f"{name:28}{cells[0]:>20}{cells[1]:>20}{_leaving(bench, method):>28}")


def _failing(bench: Bench, method: str, at: int) -> str:
    bench.forwards, bench.fail_at = 0, at
    said: list[str] = []

    def read() -> None:
        start = time.perf_counter()
        try:
            getattr(bench, method)(50)
            said.append("ends, no error")
        except Exception as exc:
            said.append(f"{type(exc).__name__} {(time.perf_counter() - start) * 1e3:.0f} ms")

    hook, threading.excepthook = threading.excepthook, lambda args: None
    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(PATIENCE)
    bench.fail_at, threading.excepthook = None, hook
    return said[0] if said else "hangs"


def _leaving(bench: Bench, method: str) -> str:
    threads, bench.forwards = threading.active_count(), 0
    getattr(bench, method)(500, most=3)
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
        return typestream.sources.transformers.generate(bench.model, bench.tokenizer, PROMPT, **bench.options(800))

    print(f"\n{'heartbeat of the event loop':36}{'p50 ms':>8}{'p99 ms':>8}{'max ms':>8}")
    for name, make in (("idle", None), ("blocking generator, 5 ms a token", blocking), ("transformers model", model)):
        delays = sorted(asyncio.run(_beats(make)))
        p50, p99 = delays[len(delays) // 2], delays[int(len(delays) * 0.99)]
        print(f"{name:36}{p50 * 1e3:8.2f}{p99 * 1e3:8.2f}{delays[-1] * 1e3:8.2f}")


async def _beats(make: Callable[[], Any] | None) -> list[float]:
    delays: list[float] = []

    async def beat() -> None:
        while True:
            start = time.perf_counter()
            await asyncio.sleep(0.001)
            delays.append(time.perf_counter() - start - 0.001)

    task = asyncio.create_task(beat())
    if make is None:
        await asyncio.sleep(2)
    else:
        stream = typestream.stream(make())
        async with stream.as_async() as twin:
            async for _ in twin:
                pass
    task.cancel()
    return delays


def main() -> None:
    try:
        bench = Bench()
    except ImportError as missing:
        print(f"left out: {missing}")
        return
    bench.bare(20)
    time_per_token(bench)
    failures(bench)
    heartbeat(bench)


if __name__ == "__main__":
    main()
