"""The server: plain sockets on loopback, a thread per connection, no HTTP library."""

import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from types import TracebackType

from tests.faultserver._faults import FAULTS
from tests.faultserver._http import END, RST, STALL, Action, Request, Sleep, head

__all__ = ("FaultServer",)


class FaultServer:
    """Serves every fault at a base URL of its own: `OpenAI(base_url=server.base_url("rst-mid"))`.

    Attributes:
        requests: how many requests came, by fault.
    """

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self._asked: Counter[str] = Counter()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._port: int = self._listener.getsockname()[1]
        self._change = threading.Condition()
        self._open: dict[socket.socket, threading.Thread] = {}
        self._busy = 0
        self._stopping = threading.Event()
        self._acceptor = threading.Thread(target=self._accept, name="faultserver", daemon=True)

    def __enter__(self) -> "FaultServer":
        self._acceptor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def base_url(self, fault: str, api: str = "chat", **options: object) -> str:
        """The base URL for an SDK: OpenAI's adds `/chat/completions` to it, Anthropic's `/v1/messages`."""
        if fault not in FAULTS:
            raise KeyError(f"{fault!r} is no fault; FAULTS has them all.")
        chosen = ",".join(f"{name}={value}" for name, value in options.items()) or "-"
        return f"{self.url}/{fault}/{chosen}" + ("" if api == "messages" else "/v1")

    @property
    def open(self) -> int:
        """How many connections are open."""
        with self._change:
            return len(self._open)

    @property
    def busy(self) -> int:
        """How many answers are under way."""
        with self._change:
            return self._busy

    def wait(self, until: Callable[["FaultServer"], bool], timeout: float = 5.0) -> bool:
        """Wait until something holds of the connections, `lambda server: server.open == 0` for one."""
        with self._change:
            return self._change.wait_for(lambda: until(self), timeout)

    def drop(self) -> None:
        """Close every connection that is open; the server goes on."""
        with self._change:
            for connection in self._open:
                _shutdown(connection)

    def close(self) -> None:
        """Drop every connection and join every thread."""
        self._stopping.set()
        _shutdown(self._listener)
        self._listener.close()
        if self._acceptor.is_alive():
            self._acceptor.join(5)
        with self._change:
            threads = list(self._open.values())
            for connection in self._open:
                _shutdown(connection)
        for thread in threads:
            thread.join(5)

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            with self._change:
                self._open[connection] = thread
                self._change.notify_all()
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            while not self._stopping.is_set():
                path = _request(connection)
                if path is None or not self._answer(connection, path):
                    break
        except OSError:
            pass  # the client has left, which is its right
        finally:
            with self._change:
                del self._open[connection]
                connection.close()
                self._change.notify_all()

    def _answer(self, connection: socket.socket, path: str) -> bool:
        """Send an answer; whether the connection may be used again."""
        actions = self._find(path)
        self._count(1)
        last: Action = b""
        try:
            for action in actions:
                last = action
                if isinstance(action, bytes):
                    connection.sendall(action)
                elif isinstance(action, Sleep):
                    if self._stopping.wait(action.seconds):
                        return False
                elif action is STALL:
                    while connection.recv(4096):
                        pass
                    return False
                elif action is RST:
                    self._stopping.wait(0.02)  # let the client read what was sent: a reset may overtake it
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return False
        finally:
            self._count(-1)
        return isinstance(last, bytes) and last.endswith(END)

    def _count(self, change: int) -> None:
        with self._change:
            self._busy += change
            self._change.notify_all()

    def _find(self, path: str) -> Iterator[Action]:
        parts = path.partition("?")[0].strip("/").split("/")
        fault = FAULTS.get(parts[0])
        api = "chat" if parts[-2:] == ["chat", "completions"] else parts[-1]
        if fault is None or len(parts) < 3 or api not in fault.apis:
            return iter([head("Content-Length: 0", "Connection: close", status="404 Not Found", kind="")])
        options = dict(part.split("=", 1) for part in parts[1].split(",") if "=" in part)
        with self._change:
            self.requests[fault.name] += 1
            before = self._asked[path]
            self._asked[path] += 1
        return fault.make(Request(api, path, options, before))


def _request(connection: socket.socket) -> str | None:
    """Read one request; its path, or None where there is none."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return None
        data += more
    top, _, body = data.partition(b"\r\n\r\n")
    lines = top.decode("latin-1").split("\r\n")
    length = next((int(line[15:]) for line in lines if line.lower().startswith("content-length:")), 0)
    while len(body) < length:
        more = connection.recv(65536)
        if not more:
            return None
        body += more
    return lines[0].split(" ")[1]


def _shutdown(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
