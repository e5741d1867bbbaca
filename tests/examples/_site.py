"""A real web server on loopback, a line to it that can be cut, and a real browser."""

import contextlib
import importlib.util
import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

__all__ = ("EXAMPLES", "Line", "browsing", "load_example", "serving", "serving_with_hypercorn")

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def load_example(name: str) -> ModuleType:
    """A program of docs/examples, as a module."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def serving(app: Any) -> Iterator[int]:
    """The app behind uvicorn, in a thread; gives the port."""
    uvicorn = pytest.importorskip("uvicorn")
    config = uvicorn.Config(app, log_level="error", lifespan="on", ws="websockets-sansio", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()
        assert not thread.is_alive()


@contextlib.contextmanager
def serving_with_hypercorn(app: Any) -> Iterator[int]:
    """The same behind hypercorn."""
    pytest.importorskip("hypercorn")
    import asyncio

    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config, loop, done = Config(), asyncio.new_event_loop(), asyncio.Event()
    config.loglevel, config.graceful_timeout, config.shutdown_timeout = "CRITICAL", 2, 2
    listening = socket.create_server(("127.0.0.1", 0))
    port: int = listening.getsockname()[1]
    config.bind = [f"fd://{listening.detach()}"]

    async def main() -> None:
        await serve(app, config, shutdown_trigger=done.wait)

    def run() -> None:
        with contextlib.closing(loop):
            loop.run_until_complete(main())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(10)
        assert not thread.is_alive()


class Line:
    """Passes connections on to a port, until they are cut.

    Attributes:
        port: where to connect.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def cut(self) -> None:
        """Break every connection there is; new ones are passed on as before."""
        while self._open:
            with contextlib.suppress(OSError):
                self._open.pop().shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._threads[0].join(5)
        self.cut()
        for thread in self._threads:
            thread.join(5)

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                here, _ = self._listening.accept()
                there = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            self._open += [here, there]
            both = [0]
            for pair in ((here, there), (there, here)):
                thread = threading.Thread(target=self._pass_on, args=(*pair, both), daemon=True)
                self._threads.append(thread)
                thread.start()

    @staticmethod
    def _pass_on(source: socket.socket, sink: socket.socket, both: list[int]) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        both.append(0)
        if len(both) == 3:  # the second of the two to leave
            source.close()
            sink.close()


@contextlib.contextmanager
def browsing(profile: Path, *arguments: str) -> Iterator[Any]:
    """Chromium, without a window; gives selenium's driver."""
    selenium = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium and chromedriver are not installed")
    options = selenium.ChromeOptions()
    options.binary_location = chromium
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for argument in (
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
        *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
        *("--window-size=900,760", f"--user-data-dir={profile}", *arguments),
    ):
        options.add_argument(argument)
    browser = selenium.Chrome(options=options, service=selenium.ChromeService(executable_path=driver))
    try:
        browser.set_script_timeout(60)
        browser.set_page_load_timeout(60)
        yield browser
    finally:
        browser.quit()
