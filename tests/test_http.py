"""Waking a read: the connection of a response is shut down, unless it serves other requests too."""

import socket
import threading

import pytest

import typestream


class Response:
    """An HTTP response as the libraries make them, over one end of a socket pair."""

    status_code = 200
    headers: dict[str, str]
    is_stream_consumed = is_closed = False

    def __init__(self, version: bytes) -> None:
        self.headers = {"content-type": "text/event-stream"}
        self.near, self.far = socket.socketpair()
        self.asked = threading.Event()
        self.extensions = {"network_stream": self, "http_version": version}

    def get_extra_info(self, name):
        return self.near if name == "socket" else None

    def iter_raw(self):
        yield b'data: {"choices": [{"index": 0, "delta": {"content": "a"}}]}\n\n'
        self.asked.set()
        while data := self.near.recv(100):
            yield data

    iter_bytes = iter_raw

    def close(self):
        self.near.close()


@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/2"])
def test_stop_from_another_thread(version):
    response = Response(version)
    with response.far:
        stream = typestream.stream(response)
        assert next(stream) == "a"
        waiting = threading.Thread(target=list, args=(stream,))
        waiting.start()
        assert response.asked.wait(10)
        stream.stop()
        if version == b"HTTP/2":  # the connection is not this response's alone: it ends with what comes next
            response.far.sendall(b": ping\n\n")
        waiting.join(10)
        assert not waiting.is_alive()
        if version == b"HTTP/1.1":
            assert response.far.recv(1) == b""
    assert stream.result.text == "a"
