"""A server process that sends long streams as fast as they are read: `python -m tests.benchmarks._server`.

It prints its port. The path says what to send: `/CHUNKS/v1/…` in large writes, `/CHUNKS/single/v1/…` each event in an
HTTP chunk and a TCP segment of its own, `/CHUNKS/single,padded/v1/…` that with random padding in each chunk, as OpenAI
sends it unless told not to.
"""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

__all__ = ("chat_chunks", "response_events", "running")

_TOKENS = (" word", " that", " each", " time", "\nnew,", " over", " half")


def _texts(count: int) -> list[str]:
    return [_TOKENS[number % len(_TOKENS)] for number in range(count)]


def chat_chunks(count: int, *, padded: bool = False) -> list[dict[str, Any]]:
    """A chat answer of so many text chunks, as OpenAI sends them."""
    padding = Random(0)
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}

    def chunk(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        pad = {"obfuscation": f"{padding.getrandbits(40):x}"} if padded else {}
        return {**head, "system_fingerprint": "fp_1", "choices": [choice], "usage": None, **pad}

    usage = {"prompt_tokens": 7, "completion_tokens": count, "total_tokens": count + 7}
    texts = [chunk({"content": text}) for text in _texts(count)]
    return [
        chunk({"role": "assistant", "content": ""}),
        *texts,
        chunk({}, "stop"),
        {**head, "choices": [], "usage": usage},
    ]


def response_events(count: int) -> list[dict[str, Any]]:
    """The same as a Responses stream."""
    response: dict[str, Any] = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "output": []}
    response |= {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "error": None}
    text = "".join(_texts(count))
    part = {"type": "output_text", "text": text, "annotations": []}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    done = {"output": [item], "usage": {"input_tokens": 7, "output_tokens": count, "total_tokens": count + 7}}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**response, "status": "in_progress"}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
        {"type": "response.content_part.added", **place, "part": {**part, "text": ""}},
        *[{"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []} for piece in _texts(count)],
        {"type": "response.output_text.done", **place, "text": text, "logprobs": []},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": {**response, "status": "completed", **done}},
    ]
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def _frames(kind: str, count: int, padded: bool) -> list[bytes]:
    if kind == "responses":
        return [f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in response_events(count)]
    chunks = chat_chunks(count, padded=padded)
    return [*(f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks), b"data: [DONE]\n\n"]


def _chunked(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(body), body)


_bodies: dict[tuple[str, int, str], list[bytes]] = {}


def _body(kind: str, count: int, how: str) -> list[bytes]:
    key = (kind, count, how)
    if key not in _bodies:
        frames = _frames(kind, count, "padded" in how)
        step = 1 if "single" in how else 64
        _bodies[key] = [_chunked(b"".join(frames[i : i + step])) for i in range(0, len(frames), step)] + [b"0\r\n\r\n"]
    return _bodies[key]


def _serve(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection, connection.makefile("rb") as file:
        while request := file.readline():
            path = request.split()[1].decode()
            length = 0
            while line := file.readline().strip():
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            file.read(length)
            _, count, how, *_ = path.split("/")
            body = _body("responses" if "responses" in path else "chat", int(count), how)
            connection.sendall(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
            )
            for piece in body:
                connection.sendall(piece)


def main() -> None:
    """Serve until standard input ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()


@contextmanager
def running() -> Iterator[str]:
    """The server in a process of its own, so that its work is not counted; gives its address."""
    command = [sys.executable, "-m", "tests.benchmarks._server"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.stdin.close()
            process.wait()


if __name__ == "__main__":
    main()
