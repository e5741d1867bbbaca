"""The promise of the whole: every fault × API × runtime, through the real SDKs, over real sockets.

`python -m tests.test_faults` prints what came of each, next to what the SDK alone makes of the same server.
"""

import importlib.util
import json
import socket
import sys
import threading
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import typestream
from tests.faultserver import APIS, FAULTS, FULL, PARTIAL, Fault, FaultServer
from typestream import Limits, StreamError, Timeout

SHARED = Path(__file__).parents[2] / "shared" / "data" / "faults.json"
RUNTIMES = ("sync", "asyncio", "trio")
ERRORS = {
    "truncated": "StreamTruncated",
    "connection": "StreamConnectionError",
    "stall": "StallTimeout",
    "protocol": "StreamProtocolError",
    "server-error": "StreamServerError",
    "limit": "StreamLimitExceeded",
}
UNENDING = ("status-500-stall", "status-500-endless", "status-500-drip")
RAW = ("ok", "rst-mid", "html-200", "status-429", *UNENDING)
OPTIONS: dict[str, dict[str, int]] = {"drip": {"ms": 20}, "gzip-bomb": {"size": 32}, "gzip-bomb-lines": {"size": 32}}
LIMITED = {"never-ends": Limits(total=1 << 20)}
WAIT = 0.25

pytestmark = pytest.mark.filterwarnings(
    "ignore:Async generator '(openai|anthropic|httpx|httpx2|httpcore|httpcore2):ResourceWarning"
)


class Outcome(NamedTuple):
    """What a reader came to: the error's name or the completion, and the text delivered before it."""

    end: str
    text: str | None
    error: Exception | None = None


def call(client: Any, api: str) -> Any:
    """The call of an API, not awaited."""
    messages = [{"role": "user", "content": "hi"}]
    if api == "chat":
        return client.chat.completions.create(model="m", messages=messages, stream=True)
    if api == "completions":
        return client.completions.create(model="m", prompt="hi", stream=True)
    if api == "responses":
        return client.responses.create(model="m", input="hi", stream=True)
    return client.messages.create(model="m", max_tokens=10, messages=messages, stream=True)


def make_client(api: str, base_url: str, *, asynchronous: bool, retries: int = 0, patience: float = 60) -> Any:
    """A client that loads no certificates, which takes longest of all; its own timeout, seconds, is no help."""
    sdk: Any = pytest.importorskip("anthropic" if api == "messages" else "openai")
    kind = "Async" if asynchronous else ""
    name = ("Anthropic" if api == "messages" else "OpenAI") if asynchronous else ""
    http = getattr(sdk, f"Default{kind}HttpxClient")(verify=False)
    made = getattr(sdk, (kind + name) if asynchronous else ("Anthropic" if api == "messages" else "OpenAI"))
    return made(base_url=base_url, api_key="none", max_retries=retries, timeout=patience, http_client=http)


def options_of(fault: Fault, wait: float) -> dict[str, Any]:
    waits = fault.expect == "stall" or fault.name in UNENDING
    clocks = Timeout(first=wait, between=wait) if waits else Timeout(first=10, between=10)
    return {"timeout": clocks, "limits": LIMITED.get(fault.name)}


def read(server: FaultServer, fault: Fault, api: str, runtime: str, key: str = "", wait: float = WAIT) -> Outcome:
    """One SDK call read to its end through typestream."""
    base = server.base_url(fault.name, api, key=key or f"{api}-{runtime}", **OPTIONS.get(fault.name, {}))
    retries = 1 if fault.name == "status-500-then-ok" else 0
    options = options_of(fault, wait)
    if runtime == "sync":
        with make_client(api, base, asynchronous=False, retries=retries) as client:
            return _read_sync(lambda: call(client, api), options)

    async def main() -> Outcome:
        async with make_client(api, base, asynchronous=True, retries=retries) as client:
            return await _read_async(call(client, api), options)

    import anyio

    return anyio.run(main, backend=runtime)


def _read_sync(make: Callable[[], Any], options: dict[str, Any]) -> Outcome:
    pieces: list[str] = []
    try:
        with typestream.stream(make, **options) as stream:
            for piece in stream:
                pieces.append(piece)
    except StreamError as error:
        return _failed(error, pieces)
    assert stream.result.text == "".join(pieces)
    return Outcome(stream.result.completion, stream.result.text)


async def _read_async(source: Any, options: dict[str, Any]) -> Outcome:
    pieces: list[str] = []
    try:
        async with typestream.stream(source, **options) as stream:
            async for piece in stream:
                pieces.append(piece)
    except StreamError as error:
        return _failed(error, pieces)
    assert stream.result.text == "".join(pieces)
    return Outcome(stream.result.completion, stream.result.text)


def _failed(error: StreamError, pieces: list[str]) -> Outcome:
    assert error.result.text == "".join(pieces), "the error does not carry exactly what was delivered"
    return Outcome(type(error).__name__, error.result.text, error)


def promised(fault: Fault) -> list[str]:
    """The outcomes that are right."""
    return fault.expect.split("-or-")


def verdict(fault: Fault, found: Outcome) -> str:
    """What is wrong with an outcome; `""` where it is as promised."""
    right = {ERRORS.get(each, each) for each in promised(fault)}
    if found.end not in right:
        return f"ended in {found.end} ({found.error}), not {' or '.join(sorted(right))}"
    whole = "complete" not in promised(fault) or found.end == "complete"
    if fault.text is not None and whole and found.text != fault.text:
        return f"delivered {found.text!r}, not {fault.text!r}"
    if found.text is not None and not whole and not found.text.startswith(PARTIAL):
        return f"delivered {found.text!r}"
    return ""


def patiently(server: FaultServer, fault: Fault, api: str, runtime: str) -> Outcome:
    """The outcome with short stall clocks; with long ones where a busy machine made it miss the short ones."""
    found = read(server, fault, api, runtime)
    if verdict(fault, found):
        found = read(server, fault, api, runtime, key=f"{api}-{runtime}-again", wait=10 * WAIT)
    return found


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", RAW)
def test_a_raw_response(server: FaultServer, name: str, runtime: str) -> None:
    """No SDK between: typestream reads the body of an error status itself, a little of it, for as long as it may."""
    fault = FAULTS[name]
    url = server.base_url(name, "chat") + "/chat/completions"
    options = {"timeout": Timeout(first=WAIT, between=WAIT, total=2 * WAIT)}
    if runtime == "sync":
        with make_client("chat", url, asynchronous=False) as client:
            request = client._client.build_request("POST", url)
            found = _read_sync(lambda: client._client.send(request, stream=True), options)
    else:

        async def main() -> Outcome:
            async with make_client("chat", url, asynchronous=True) as client:
                request = client._client.build_request("POST", url)
                return await _read_async(client._client.send(request, stream=True), options)

        import anyio

        found = anyio.run(main, backend=runtime)
    assert verdict(fault, found) == ""
    if fault.group == "answer":
        assert isinstance(found.error, typestream.StreamServerError)
        assert len(str(found.error)) < 1000
        assert found.error.status == int(name[7:10]) if name.startswith("status") else 200
    assert server.wait(lambda server: server.open == 0)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", [*RAW, "stall-before-headers", "head-drip", "stall-mid", "json-200-full"])
def test_a_response_to_be_entered(
    server: FaultServer, name: str, runtime: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """with_streaming_response: the call is made by entering it, which typestream does."""

    def entered(client: Any, api: str) -> Any:
        return client.chat.completions.with_streaming_response.create(model="m", messages=[], stream=True)

    monkeypatch.setattr(f"{__name__}.call", entered)
    assert verdict(FAULTS[name], patiently(server, FAULTS[name], "chat", runtime)) == ""
    assert server.wait(lambda server: server.open == 0)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("typestream")]


@pytest.mark.parametrize("name", ["endless-line", "endless-event", "gzip-bomb", "gzip-bomb-lines"])
def test_memory_is_bounded(server: FaultServer, name: str) -> None:
    base = server.base_url(name, "chat", size=64)
    with make_client("chat", base, asynchronous=False) as client:
        response = call(client, "chat")  # what the SDK takes to get here is its own
        tracemalloc.start()
        found = _read_sync(lambda: response, {"timeout": 10})
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert found.end == "StreamLimitExceeded"
    assert peak < 8 << 20


@pytest.mark.parametrize(
    ("name", "said"),
    [("status-204", "204 No Content"), ("empty", "sent no body"), ("json-200-cut", '"id"'), ("rst-mid", "connection")],
)
def test_an_early_end_says_what_came_instead(server: FaultServer, name: str, said: str) -> None:
    assert said in str(read(server, FAULTS[name], "chat", "sync").error)


CASES = [
    # what is alike in all runtimes and APIs need not be tried in each every time
    pytest.param(
        fault, api, runtime, id=f"{name}-{api}-{runtime}", marks=[pytest.mark.slow] if fault.more and odd else []
    )
    for name, fault in FAULTS.items()
    for api in fault.apis
    for runtime in RUNTIMES
    for odd in [runtime != "sync" and api != fault.apis[0]]
]


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


@pytest.mark.parametrize(("fault", "api", "runtime"), CASES)
def test_every_fault(server: FaultServer, fault: Fault, api: str, runtime: str) -> None:
    assert verdict(fault, patiently(server, fault, api, runtime)) == ""
    assert server.wait(lambda server: server.open == 0), "a connection was left open"
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("typestream")]


@pytest.mark.parametrize(("runtime", "step"), [("sync", 29), ("asyncio", 173), ("trio", 173)])
@pytest.mark.parametrize("how", ["eof", "fin", "rst"])
@pytest.mark.parametrize("api", APIS)
def test_a_good_stream_cut_here_and_there(server: FaultServer, api: str, how: str, runtime: str, step: int) -> None:
    _cut_at(server, api, how, runtime, step=step)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("how", ["eof", "fin", "rst"])
@pytest.mark.parametrize("api", APIS)
def test_a_good_stream_cut_at_every_byte(server: FaultServer, api: str, how: str, runtime: str) -> None:
    _cut_at(server, api, how, runtime, step=1)


def _cut_at(server: FaultServer, api: str, how: str, runtime: str, step: int) -> None:
    from tests.faultserver import Request, dechunk

    size = len(dechunk(FAULTS["ok"].make(Request(api))).data)
    right = {"eof": "StreamTruncated", "fin": "StreamConnectionError", "rst": "StreamConnectionError"}[how]
    OPTIONS["cut"] = {"how": how}  # type: ignore[dict-item]
    for at in [*range(0, size, step), size]:
        OPTIONS["cut"]["at"] = at
        found = read(server, FAULTS["cut"], api, runtime)
        assert found.text is not None
        assert FULL.startswith(found.text), at
        if found.end in ("complete", "unconfirmed"):
            assert (found.end, found.text) == ("complete", FULL), at
        else:
            assert found.end == right, (at, found)
    assert found.end == "complete"


@pytest.mark.skipif(not SHARED.exists(), reason="the table is not here")
def test_no_fault_is_missing() -> None:
    for theirs in json.loads(SHARED.read_text())["faults"]:
        ours = FAULTS[theirs["fault"]]
        assert set(theirs["apis"]) <= set(ours.apis), ours.name
        assert ours.expect == theirs["expect"], ours.name
        assert theirs["text"] is None or ours.text == theirs["text"], ours.name


def test_what_the_server_counts() -> None:
    before = threading.active_count()
    with FaultServer() as server:
        port = int(server.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as one:
            one.sendall(b"POST /stall-first/-/v1/chat/completions HTTP/1.1\r\ncontent-length: 0\r\n\r\n")
            assert one.recv(1 << 16).startswith(b"HTTP/1.1 200 OK\r\n")
            assert (server.open, server.busy, server.requests["stall-first"]) == (1, 1, 1)
        assert server.wait(lambda server: server.open == server.busy == 0)
        with socket.create_connection(("127.0.0.1", port)) as one:
            one.sendall(b"GET /no-such-fault/-/v1/responses HTTP/1.1\r\n\r\n")
            assert one.recv(1 << 16).startswith(b"HTTP/1.1 404 ")
    assert threading.active_count() == before


# -- the table


def alone(server: FaultServer, fault: Fault, api: str) -> Outcome:
    """What the SDK alone makes of it, in the loop that its documentation shows, within three seconds."""
    if fault.group == "size":
        return Outcome("not tried: it has no limit", None)
    found: list[Outcome] = []
    thread = threading.Thread(target=lambda: found.append(_alone(server, fault, api)), daemon=True)
    thread.start()
    thread.join(3)
    if thread.is_alive():
        server.drop()
        thread.join()
        return Outcome("no end", None)
    return found[0]


def _alone(server: FaultServer, fault: Fault, api: str) -> Outcome:
    base = server.base_url(fault.name, api, key=f"alone-{api}", **OPTIONS.get(fault.name, {}))
    pieces: list[str] = []
    retries = 1 if fault.name == "status-500-then-ok" else 0
    with make_client(api, base, asynchronous=False, retries=retries, patience=4 * WAIT) as client:
        try:
            with call(client, api) as stream:
                for chunk in stream:
                    pieces.append(str(_piece(chunk, api)))
        except Exception as error:
            home = type(error).__module__.partition(".")[0]
            mark = "" if home in ("openai", "anthropic") else "*"  # of another family than the SDK's own errors
            return Outcome(mark + type(error).__name__, None)
    return Outcome("complete", "".join(pieces))


def _piece(chunk: Any, api: str) -> Any:
    if api == "chat":
        return chunk.choices[0].delta.content or "" if chunk.choices else ""
    if api == "completions":
        return chunk.choices[0].text if chunk.choices else ""
    wanted = "response.output_text.delta" if api == "responses" else "content_block_delta"
    if chunk.type != wanted:
        return ""
    return chunk.delta if api == "responses" else chunk.delta.text


def table(server: FaultServer, names: tuple[str, ...]) -> Iterator[tuple[str, str, str, str, str]]:
    """Of each fault and API: the promise, what the SDK alone came to, and how typestream broke the promise, or ""."""
    for name in names:
        fault = FAULTS[name]
        for api in fault.apis:
            if api == "messages" and importlib.util.find_spec("anthropic") is None:
                continue
            wrong = {runtime: verdict(fault, patiently(server, fault, api, runtime)) for runtime in RUNTIMES}
            ours = "; ".join(f"{runtime}: {what}" for runtime, what in wrong.items() if what)
            yield name, api, fault.expect, _judged(fault, alone(server, fault, api)), ours


def _judged(fault: Fault, found: Outcome) -> str:
    """An SDK's outcome: `silent` where a faulty answer looks whole, `*` before an error that is not the SDK's own."""
    if found.end != "complete":
        return found.end
    if fault.expect == "unconfirmed" or fault.expect.startswith("complete"):
        return "complete" if fault.text is None or found.text == fault.text else "silent"
    return "silent"


def main(*names: str) -> None:
    """Print the table, in Markdown, and after it each case that typestream did not end as promised."""
    counts: Counter[str] = Counter()
    missed: list[str] = []
    with FaultServer() as server:
        print("| fault | API | promised | the SDK alone |\n| - | - | - | - |")
        for *row, wrong in table(server, names or tuple(FAULTS)):
            print("|", " | ".join(row), "|", flush=True)
            counts["all"] += 1
            counts["silent"] += row[3] == "silent"
            counts["untyped"] += row[3].startswith("*")
            counts["no end"] += row[3] == "no end"
            if wrong:
                missed.append(f"{row[0]}, {row[1]}: {wrong}")
    print(
        f"\n{counts['all']} cases; the SDKs alone: {counts['silent']} silent, {counts['untyped']} of a foreign type, "
        f"{counts['no end']} without an end."
    )
    print(f"typestream: {len(missed)} not as promised.", *missed, sep="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
