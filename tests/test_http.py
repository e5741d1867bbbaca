"""Responses: read as they come, and woken; the connection is shut down, unless it serves other requests too."""

import gzip
import socket
import threading
import urllib.request
from contextlib import closing, suppress
from functools import partial

import httpx
import pytest
import requests

import typestream
from tests.stream.leftovers import eventually, threads


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


FETCH = {
    "urllib": urllib.request.urlopen,
    "requests": partial(requests.get, stream=True),
    "httpx": httpx.get,
}


DELTA = b'data: {"choices": [{"index": 0, "delta": {"content": "Hello"}}]}\n\n'
DONE = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'


@pytest.mark.parametrize(
    ("pieces", "error"),
    [
        ([DELTA, DONE], None),
        ([DELTA[:9], DELTA[9:] + DONE], None),
        ([DELTA], typestream.StreamTruncated),
        ([DELTA, b"data: <html>\n\n"], typestream.StreamProtocolError),
        ([DELTA, None], (typestream.StreamConnectionError, typestream.StreamTruncated)),  # urllib counts what it reads
    ],
)
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("library", ["urllib", "requests"])
def test_a_response_is_read_as_it_comes(library, pieces, error, chunked):
    framing = (
        b"transfer-encoding: chunked"
        if chunked
        else b"content-length: %d" % sum(len(piece or DELTA) for piece in pieces)
    )
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n" + framing + b"\r\n\r\n")
                for piece in pieces:
                    if piece is None:
                        return
                    connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
                    if piece is DELTA and error is None:
                        assert seen.wait(10)  # it is not held back until there is more
                connection.sendall(b"0\r\n\r\n" if chunked else b"")

        seen = threading.Event()
        serving = threading.Thread(target=answer)
        serving.start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}/"
        stream = typestream.stream(lambda: FETCH[library](address, timeout=10))
        texts = []
        try:
            for text in stream:
                texts.append(text)
                seen.set()
        except typestream.StreamError as raised:
            assert error is not None
            assert isinstance(raised, error)
        else:
            assert error is None
        serving.join(10)
    assert texts == ["Hello"]
    assert stream.result.completion == ("complete" if error is None else "incomplete")


@pytest.mark.parametrize(("library", "encoding"), [("requests", None), ("requests", "gzip"), ("urllib", None)])
def test_a_body_that_never_ends_is_left_and_its_connection_is_ended(library, encoding):
    body = DELTA if encoding is None else gzip.compress(DELTA)[:-9]  # the rest never comes
    header = b"" if encoding is None else b"content-encoding: gzip\r\n"
    with socket.create_server(("127.0.0.1", 0)) as server:
        gone = threading.Event()

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n" + header + b"\r\n" + body)
                connection.settimeout(10)
                with suppress(ConnectionError):
                    connection.recv(1)
            gone.set()

        serving = threading.Thread(target=answer)
        serving.start()
        response = FETCH[library](f"http://127.0.0.1:{server.getsockname()[1]}/", timeout=30)
        with typestream.stream(response).timeout(between=0.2) as stream, pytest.raises(typestream.StallTimeout):
            stream.collect()
        assert gone.wait(5)
        serving.join(10)
    assert stream.result.text == "Hello"
    assert eventually(lambda: not threads())


@pytest.mark.parametrize("library", FETCH)
def test_a_status_that_a_library_raises_is_that_status(library):
    def call(address):
        with closing(FETCH[library](address)) as response:
            response.raise_for_status()

    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 3\r\nconnection: close\r\n\r\nkey")

        serving = threading.Thread(target=answer)
        serving.start()
        with pytest.raises(typestream.StreamServerError) as caught:
            typestream.stream(lambda: call(f"http://127.0.0.1:{server.getsockname()[1]}/"), retries=1).collect()
        serving.join(10)
        getattr(caught.value.__cause__, "close", lambda: None)()  # urllib's is the response
    assert caught.value.status == 401
    assert caught.value.body == ("key" if library == "httpx" else None)  # of the others it was not read yet


@pytest.mark.parametrize("library", FETCH)
def test_where_nobody_listens_there_is_no_connection(library):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/"
    with pytest.raises(typestream.StreamConnectionError):
        typestream.stream(lambda: FETCH[library](address))
