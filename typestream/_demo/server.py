"""A small HTTP server on loopback that speaks OpenAI's wire format and is fed by the n-gram model.

Standard library only. One thread per connection; a client that leaves ends its generation before the next token.
"""

import json
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from types import TracebackType
from typing import Any

from typestream._demo.answer import Answer
from typestream._demo.ask import Ask, BadRequest, ask_chat, ask_completions, ask_responses
from typestream._demo.ngram import NGram, load
from typestream._demo.wire import Chat, Completions, Format, Responses

__all__ = ("DemoServer",)

_ROUTES: dict[str, tuple[Callable[[dict[str, Any]], Ask], Callable[[Ask, Answer, int], Format]]] = {
    "/v1/chat/completions": (ask_chat, Chat),
    "/v1/completions": (ask_completions, Completions),
    "/v1/responses": (ask_responses, Responses),
}
_MAX_BODY = 4 << 20


class _Left(Exception):
    """The client has closed the connection."""


class DemoServer:
    """Serves while its `with` block runs, or from `start()` to `close()`.

    Args:
        model: what answers; the packaged one by default.
        interval: seconds between two pieces.
        burst: so many pieces come at once, after as many intervals.
        jitter: each wait is off by up to this share of itself, 0 to 1.
        name: the model's id; another one in a request is answered with status 404.
        api_key: if set, a request without it is answered with status 401.

    Attributes:
        base_url: what a client's `base_url` is to be.
        tokens: how many tokens were made so far, in all.
        active: how many answers are being made.
        faults: exceptions of the server's own; there should be none.
    """

    def __init__(
        self,
        model: NGram | None = None,
        *,
        interval: float = 0.02,
        burst: int = 1,
        jitter: float = 0.0,
        name: str = "pride-4gram",
        api_key: str | None = None,
    ) -> None:
        self.model = model or load()
        self.interval, self.burst, self.jitter = interval, burst, jitter
        self.name, self.api_key = name, api_key
        self.tokens = 0
        self.faults: list[BaseException] = []
        self.active = 0
        self._changed = threading.Condition()
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.demo = self
        self.base_url = f"http://127.0.0.1:{self._http.server_address[1]}/v1"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), name="demo-server", daemon=True)

    def start(self) -> "DemoServer":
        self._thread.start()
        return self

    def close(self) -> None:
        """Break off what still runs; every socket is closed and every thread has ended when it returns."""
        if self._thread.is_alive():
            self._http.shutdown()
            self._thread.join()
        self._http.server_close()
        self._http.hang_up()

    def wait_until(self, condition: Callable[["DemoServer"], bool], timeout: float = 10.0) -> bool:
        """Wait until `condition(server)` holds, of `active` or `tokens`; whether that came within so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: condition(self), timeout)

    def __enter__(self) -> "DemoServer":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _count(self, active: int = 0, tokens: int = 0) -> None:
        with self._changed:
            self.active += active
            self.tokens += tokens
            self._changed.notify_all()

    def _waits(self) -> Iterator[float]:
        """Seconds to wait before each piece."""
        random = Random(0)
        while True:
            for place in range(self.burst):
                scale = 1 + self.jitter * random.uniform(-1, 1) if self.jitter else 1.0
                yield 0.0 if place else self.interval * self.burst * scale


class _Http(ThreadingHTTPServer):
    """Knows its connections, so that they can be ended; its threads are joined, and daemons in case they are not."""

    demo: DemoServer

    def __init__(self, *args: Any) -> None:
        self._open: dict[threading.Thread, socket.socket] = {}
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        arguments = (request, client_address)
        thread = threading.Thread(target=self.process_request_thread, args=arguments, daemon=True)
        self._open[thread] = request
        thread.start()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._open.pop(threading.current_thread(), None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that breaks is nobody's fault; anything else is ours."""
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, OSError):
            self.demo.faults.append(error)

    def hang_up(self) -> None:
        for thread, connection in list(self._open.items()):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it was closed meanwhile
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def demo(self) -> DemoServer:
        assert isinstance(self.server, _Http)
        return self.server.demo

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        demo = self.demo
        about = {"id": demo.name, "object": "model", "created": 0, "owned_by": "typestream"}
        if self._path() == "/v1/models":
            self._reply(200, {"object": "list", "data": [about]})
        elif self._path() == f"/v1/models/{demo.name}":
            self._reply(200, about)
        else:
            self._fail(BadRequest(f"Unknown request URL: GET {self._path()}.", code="unknown_url", status=404))

    def do_POST(self) -> None:
        try:
            body = self._body()
            route = _ROUTES.get(self._path())
            if route is None:
                raise BadRequest(f"Unknown request URL: POST {self._path()}.", code="unknown_url", status=404)
            self._check_key()
            ask = route[0](body)
            if ask.model != self.demo.name:
                message = f"The model '{ask.model}' does not exist; this server has '{self.demo.name}'."
                raise BadRequest(message, param="model", code="model_not_found", status=404)
        except BadRequest as error:
            self._fail(error)
            return
        self.demo._count(active=1)
        try:
            self._answer(ask, route[1])
        except (_Left, OSError):
            self.close_connection = True
        finally:
            self.demo._count(active=-1)

    def _path(self) -> str:
        return self.path.partition("?")[0]

    def _body(self) -> dict[str, Any]:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > _MAX_BODY:
            self.close_connection = True  # where the body ends is not known
            raise BadRequest("The request needs a Content-Length, of 4 MiB at most.")
        try:
            body = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            raise BadRequest("We could not parse the JSON body of your request.") from None
        if not isinstance(body, dict):
            raise BadRequest("The JSON body of your request must be an object.")
        return body

    def _check_key(self) -> None:
        key = self.demo.api_key
        if key is not None and self.headers.get("Authorization") != f"Bearer {key}":
            raise BadRequest("Incorrect API key provided.", code="invalid_api_key", status=401)

    def _answer(self, ask: Ask, make: Callable[[Ask, Answer, int], Format]) -> None:
        answer = Answer(self.demo.model, ask)
        form = make(ask, answer, int(time.time()))
        events = self._events(form, answer)
        if not ask.stream:
            for _ in events:
                pass
            self._reply(200, form.whole())
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for group in events:
            self._chunk("".join(map(_sse, group)))
        if not isinstance(form, Responses):
            self._chunk("data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def _events(self, form: Format, answer: Answer) -> Iterator[Iterable[dict[str, Any]]]:
        """The events of each piece, when the piece is due."""
        demo, made = self.demo, 0
        waits, due = demo._waits(), time.monotonic()
        yield list(form.start())
        with selectors.DefaultSelector() as selector:
            selector.register(self.connection, selectors.EVENT_READ)
            for piece in answer:
                demo._count(tokens=answer.output - made)
                made = answer.output
                due += next(waits)
                self._wait(selector, due)
                yield list(form.piece(piece))
        demo._count(tokens=answer.output - made)
        yield list(form.end())

    def _wait(self, selector: selectors.BaseSelector, due: float) -> None:
        """Wait until then; raises `_Left` at once when the client closes the connection."""
        if selector.select(max(0.0, due - time.monotonic())):
            if not self.connection.recv(1, socket.MSG_PEEK):
                raise _Left
            time.sleep(max(0.0, due - time.monotonic()))  # it has sent its next request already

    def _chunk(self, text: str) -> None:
        if text:
            data = text.encode()
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def _reply(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _fail(self, error: BadRequest) -> None:
        """OpenAI's error object."""
        kind = "authentication_error" if error.status == 401 else "invalid_request_error"
        about = {"message": str(error), "type": kind, "param": error.param, "code": error.code}
        self._reply(error.status, {"error": about})


def _sse(event: dict[str, Any]) -> str:
    name = f"event: {event['type']}\n" if "type" in event else ""
    return f"{name}data: {json.dumps(event, ensure_ascii=False)}\n\n"
