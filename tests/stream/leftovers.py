"""What a process holds on to: descriptors, threads, tasks."""

import gc
import os
import threading
import time
from collections.abc import Callable


def descriptors() -> int:
    """How many are open; 0 where that cannot be seen."""
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def threads() -> list[str]:
    """Those of typestream; a server's own are its business, and so are those in which a loop asks for an address."""
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("typestream"))


def eventually(holds: Callable[[], bool], patience: float = 2.0) -> bool:
    """Whether something comes to hold; what another thread or the kernel does takes a moment."""
    until = time.monotonic() + patience
    while not holds():
        if time.monotonic() > until:
            return False
        gc.collect()
        time.sleep(0.002)
    return True
