"""An asyncio loop whose time is virtual: when nothing is left to do, the next timer is due at once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

__all__ = ("run",)

_T = TypeVar("_T")


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
                ready = select(None)  # only another thread can wake it now
            return ready

        self._selector.select = select_at_once  # type: ignore[attr-defined]

    def time(self) -> float:
        return self._virtual_now


async def _main(main: Callable[[], Awaitable[_T]]) -> _T:
    return await main()


def run(main: Callable[[], Awaitable[_T]]) -> _T:
    """`asyncio.run` in virtual time."""
    loop = _VirtualLoop()
    try:
        return loop.run_until_complete(_main(main))
    finally:
        try:
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()
