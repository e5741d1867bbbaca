"""The call that makes a source, while it lasts: looked on, woken, and otherwise left alone."""

import socket
import threading
import types

import pytest

import typestream
from tests.faultserver import FaultServer
from tests.stream.leftovers import eventually, threads
from tests.stream.runtimes import each_loop
from typestream import StallTimeout, StreamServerError, Timeout
from typestream._calls import BODY, Awaited

openai = pytest.importorskip("openai")


@pytest.fixture(scope="module")
def server():
    with FaultServer() as server:
        yield server


def call(server, fault, retries=0):
    http = openai.DefaultHttpxClient(verify=False)
    client = openai.OpenAI(api_key="none", max_retries=retries, base_url=server.base_url(fault), http_client=http)
    return client, lambda: client.chat.completions.create(model="m", messages=[], stream=True)


@pytest.mark.parametrize("fault", ["stall-before-headers", "head-drip", "continue-for-ever"])
@pytest.mark.parametrize("kind", ["first", "total"])
def test_a_blocked_call_is_woken(server, fault, kind):
    client, make = call(server, fault)
    with client, pytest.raises(StallTimeout, match=r"0\.1 s") as caught:
        typestream.stream(make, timeout=Timeout(**{kind: 0.1}))
    assert caught.value.kind == kind
    assert isinstance(caught.value.__cause__, openai.APIConnectionError)
    assert caught.value.result.text == ""
    assert eventually(lambda: server.open == 0)
    assert not threads()


def test_what_the_call_took_counts():
    waited = threading.Event()

    def make():
        waited.wait(0.2)
        return never()

    def never():
        waited.wait(0.5)
        yield "late"

    with pytest.raises(StallTimeout) as caught:
        typestream.stream(make, timeout=Timeout(total=0.3)).collect()
    assert caught.value.kind == "total"


def test_the_next_attempt_has_its_own_time(server):
    client, make = call(server, "stall-before-headers")
    before = server.requests["stall-before-headers"]
    with client, pytest.raises(StallTimeout):
        typestream.stream(make, timeout=Timeout(first=0.05), retries=1).collect()
    assert server.requests["stall-before-headers"] == before + 2


def test_an_error_without_an_end_is_ended_whatever_the_clocks(server):
    client, make = call(server, "status-500-endless")
    with client:
        with pytest.raises(StreamServerError) as caught:
            typestream.stream(make)
        assert caught.value.status == 500
        with pytest.raises(Exception, match="peer") as own:
            typestream.wrap(make)
        assert type(own.value).__module__.startswith("http")  # wrap() raises what the call raises
    assert eventually(lambda: server.open == 0)


@each_loop
def test_an_error_without_an_end_is_not_read(server, loop):
    import anyio

    async def main():
        http = openai.DefaultAsyncHttpxClient(verify=False)
        url = server.base_url("status-500-endless")
        async with openai.AsyncOpenAI(api_key="none", max_retries=0, base_url=url, http_client=http) as client:
            calls = client.chat.completions
            with pytest.raises(StreamServerError, match=f"{BODY:,}") as caught:
                await typestream.stream(calls.create(model="m", messages=[], stream=True)).collect()
            assert caught.value.status == 500
            with pytest.raises(StreamServerError):
                await typestream.wrap(calls.create(model="m", messages=[], stream=True))

    anyio.run(main, backend=loop)
    assert eventually(lambda: server.open == 0)


def test_a_socket_that_is_no_answer_of_a_server_is_left_alone():
    """What a callable does before it calls is its own."""
    mine, other = socket.socketpair()
    with mine, other:

        def make():
            threading.Timer(0.15, other.send, [b"x"]).start()
            assert mine.recv(1) == b"x"
            return ["too late"]

        with pytest.raises(StallTimeout):
            typestream.stream(make, timeout=Timeout(first=0.05)).collect()
        other.send(b"y")
        assert mine.recv(1) == b"y"


@pytest.mark.parametrize(("version", "is_ended"), [("http11", True), ("http2", False)])
def test_a_connection_that_others_share_is_left_alone(version, is_ended):
    mine, other = socket.socketpair()

    class Stream:
        def get_extra_info(self, name):
            return mine

    def read(self):
        return mine.recv(1)

    def request(read):
        return read(Stream())

    def placed(function, module):
        named = {**globals(), "__name__": module}
        return types.FunctionType(function.__code__, named, closure=function.__closure__)

    with mine, other:
        threading.Timer(0.3, lambda: other.send(b"x") if not is_ended else None).start()
        receive = placed(read, "httpcore._backends.sync")
        with pytest.raises(StallTimeout):
            typestream.stream(
                lambda: [placed(request, f"httpcore._sync.{version}")(receive)], timeout=Timeout(first=0.05)
            ).collect()
        mine.setblocking(False)
        if is_ended:
            assert mine.recv(1) == b""
        else:
            with pytest.raises(BlockingIOError):
                mine.recv(1)


@each_loop
def test_an_awaited_call_is_as_it_was(loop):
    import anyio

    said = []

    async def inner(fails):
        await anyio.lowlevel.checkpoint()
        try:
            await anyio.lowlevel.checkpoint()
            if fails:
                raise KeyError("own")
        except KeyError:
            said.append("caught")
            await anyio.lowlevel.checkpoint()
            raise
        return "value"

    async def lasting():
        try:
            await anyio.sleep_forever()
        finally:
            said.append("left")

    async def main():
        assert await Awaited(inner(False)) == "value"
        with pytest.raises(KeyError, match="own"):
            await Awaited(inner(True))
        with anyio.move_on_after(0) as scope:
            await Awaited(lasting())
        assert scope.cancelled_caught
        given_up = Awaited(lasting())
        steps = given_up.__await__()
        steps.send(None) if loop == "asyncio" else None
        steps.close()
        if loop == "trio":
            given_up._given.close()  # never begun
        assert given_up.refused is None

    anyio.run(main, backend=loop)
    assert said[:2] == ["caught", "left"]


def test_what_is_awaitable_and_no_coroutine_is_awaited_as_it_is():
    import asyncio

    async def main():
        future = asyncio.get_running_loop().create_future()
        future.set_result(3)
        return await Awaited(future)

    assert asyncio.run(main()) == 3


def test_an_error_found_in_a_call_that_the_other_twin_made(server):
    import asyncio

    client, _ = call(server, "status-500-stall")

    async def main():
        entered = client.chat.completions.with_streaming_response.create(model="m", messages=[], stream=True)
        with pytest.raises(StreamServerError) as caught:
            await typestream.stream(entered, timeout=0.1).as_async().collect()
        return caught.value

    with client:
        error = asyncio.run(main())
    assert error.status == 500
    assert isinstance(error.__cause__, StallTimeout)
    assert eventually(lambda: server.open == 0)
