"""Reading one stream in each of the three runtimes, and what must not be left behind."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import pytest

RUNTIMES = ("sync", "asyncio", "trio")


class Reader:
    """Reads a stream in one runtime.

    Attributes:
        seen: what came, also when it failed.
    """

    def __init__(self, runtime: str) -> None:
        self.runtime = runtime
        self.seen: list[Any] = []

    def __call__(self, stream: Any, most: int | None = None) -> list[Any]:
        """All events, or, leaving the stream then, those up to the `most`th piece of text."""
        self.seen = []
        if self.runtime == "sync":
            with stream:
                for event in stream.events():
                    if self._enough(event, most):
                        break
        else:
            anyio.run(self._read, stream, most, backend=self.runtime)
        return self.seen

    async def _read(self, stream: Any, most: int | None) -> None:
        async with stream.as_async() as twin:
            async for event in twin.events():
                if self._enough(event, most):
                    break

    def _enough(self, event: Any, most: int | None) -> bool:
        self.seen.append(event)
        return most is not None and len(self.texts) >= most

    @property
    def texts(self) -> list[str]:
        return [event.text for event in self.seen if type(event).__name__ == "TextDelta"]


@pytest.fixture(params=RUNTIMES)
def read(request: pytest.FixtureRequest) -> Reader:
    return Reader(request.param)


@pytest.fixture
def no_threads_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert until(
        lambda: not [each for each in threading.enumerate() if each not in before and "typestream" in each.name]
    )


def until(true: Callable[[], bool], patience: float = 5.0) -> bool:
    """Whether it became true within some seconds; those are for machines that are busy, not for what is tested."""
    end = time.monotonic() + patience
    while not true() and time.monotonic() < end:
        threading.Event().wait(0.001)
    return true()
