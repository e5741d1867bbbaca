"""An asyncio loop whose time is virtual: when nothing is left to do, the next timer is due at once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

__all__ = ("run",)

_T = TypeVar("_T")

_STUCK = 10.0
"""Real seconds to wait for another thread when no task can go on and no timer is set."""


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        super().__init__()
        self._virtual_now = 0.0
        select = self._selector.select  # type: ignore[attr-defined]

        def select_at_once(timeout: float | None) -> Any:
            ready = select(0)
            if not ready and timeout:
                self._virtual_now += timeout
            elif not ready and timeout is None:
                ready = select(_STUCK)
                if not ready:
                    raise RuntimeError("Every task waits, and nothing will ever happen.")
            return ready

        self._selector.select = select_at_once  # type: ignore[attr-defined]

    def time(self) -> float:
        return self._virtual_now


async def _main(main: Callable[[], Awaitable[_T]]) -> _T:
    return await main()


def run(main: Callable[[], Awaitable[_T]]) -> _T:
    """`asyncio.run` in virtual time."""
    loop = _VirtualLoop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(_main(main))
    finally:
        try:
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            if left:
                loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            asyncio.set_event_loop(None)
            loop.close()
