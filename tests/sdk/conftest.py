"""The real openai SDK, sync and async, in front of real servers on loopback."""

import http.server
import threading
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest

import typestream
from typestream._demo.server import DemoServer

RUNTIMES = ("sync", "asyncio", "trio")
MODEL = "pride-4gram"
SDK_LEAVES_GENERATORS = pytest.mark.filterwarnings(
    # on trio the SDK's own loop leaves its generators to the garbage collector, whoever runs it
    "ignore:Async generator '(openai|httpx|httpcore):ResourceWarning"
)


@pytest.fixture(scope="session")
def server() -> Iterator[DemoServer]:
    with DemoServer(interval=0) as server:
        yield server


@pytest.fixture(params=RUNTIMES)
def read(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """`read(base_url, call)`: call the SDK in one of the three runtimes, and read what `typestream.stream` makes of it.

    `call(client)` is the SDK call, not awaited; gives the events and the result.
    """

    def go(base_url: str, call: Callable[[Any], Any], **options: Any) -> tuple[list[Any], typestream.Result]:
        return in_runtime(request.param, base_url, call, **options)

    return go


def in_runtime(
    runtime: str, base_url: str, call: Callable[[Any], Any], **options: Any
) -> tuple[list[Any], typestream.Result]:
    """Read one SDK call to its end; raises what the stream raises."""
    if runtime == "sync":
        with sync_client(base_url) as client, typestream.stream(call(client), **options) as stream:
            return list(stream.events()), stream.result

    async def main() -> tuple[list[Any], typestream.Result]:
        async with async_client(base_url) as client, typestream.stream(call(client), **options) as stream:
            return [event async for event in stream.events()], stream.result

    return run(runtime, main)


def sync_client(base_url: str) -> openai.OpenAI:
    """A client of its own; it loads no certificates, which takes longest of all."""
    http = openai.DefaultHttpxClient(verify=False)
    return openai.OpenAI(base_url=base_url, api_key="none", max_retries=0, http_client=http)


def async_client(base_url: str) -> openai.AsyncOpenAI:
    """The same, async."""
    http = openai.DefaultAsyncHttpxClient(verify=False)
    return openai.AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0, http_client=http)


def run(runtime: str, main: Callable[[], Any]) -> Any:
    """A coroutine function, on asyncio or trio."""
    import anyio

    return anyio.run(main, backend=runtime)


class ByteServer:
    """Answers every request with the same bytes, and closes the connection after them."""

    def __init__(self, body: bytes, content_type: str = "text/event-stream", status: int = 200) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                self.send_response(status)
                self.send_header("content-type", content_type)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None: ...

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base_url = f"http://127.0.0.1:{self._http.server_address[1]}/v1"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> "ByteServer":
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
