"""A key that is planted wherever a request can carry one reaches no recording, no log, no repr and no message."""

import io
import logging
import pickle
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

import typestream
from tests.faultserver import FaultServer
from tests.sdk.conftest import RUNTIMES, run
from typestream import Recording, StreamError, pacing
from typestream.render import JsonLines, OpenAISse, Sse

openai = pytest.importorskip("openai")
KEY = "sk-planted-7f3a9c"


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


def client(url: str, asynchronous: bool) -> Any:
    http = (openai.DefaultAsyncHttpxClient if asynchronous else openai.DefaultHttpxClient)(verify=False)
    kind = openai.AsyncOpenAI if asynchronous else openai.OpenAI
    return kind(
        api_key=KEY, base_url=url, max_retries=0, http_client=http, default_headers={"X-Key": KEY, "Cookie": f"k={KEY}"}
    )


def call(given: Any) -> Any:
    messages: Any = [{"role": "user", "content": f"My key is {KEY}."}]
    return given.chat.completions.create(model="m", messages=messages, stream=True, user=KEY)


def shown(stream: Any, events: list[Any], error: StreamError | None, tape: str) -> list[str]:
    """All that a program might write down without asking for the source's own objects."""
    result = stream.result
    texts = [repr(stream), str(stream), repr(result), result.to_json(), tape, *map(repr, events)]
    for renderer in (Sse(), OpenAISse(), JsonLines()):
        texts += [*map(renderer.feed, events), renderer.finish(result)]
    if error is not None:
        texts += [str(error), repr(error), repr(vars(error)), "".join(traceback.format_exception(error))]
        texts += [repr(pickle.dumps(str(error)))]
    return texts


FAULTS = ("ok", "rst-mid", "eof-no-finish", "stall-mid", "stall-before-headers", "json-garbage", "error-event")
FAULTS += ("status-401", "status-500-stall", "html-200", "redirect-loop", "close-before-headers", "gzip-garbage")


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_key(server: FaultServer, fault: str, runtime: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    tape = io.StringIO()
    events: list[Any] = []
    error: StreamError | None = None
    stream: Any = None

    def opened(given: Any) -> Any:
        made = typestream.stream(lambda: call(given), timeout=0.2 if "stall" in fault else 10)
        return made.recorded(tape).paced(pacing.Smooth(max_lag=0.01, tail=0.01))

    async def main() -> None:
        nonlocal stream, error
        async with client(server.base_url(fault), True) as given:
            try:
                async with opened(given) as stream:
                    async for event in stream.events():
                        events.append(event)
            except StreamError as exc:
                error = exc

    if runtime == "sync":
        with client(server.base_url(fault), False) as given:
            try:
                with opened(given) as stream:
                    events += stream.events()
            except StreamError as exc:
                error = exc
    else:
        run(runtime, main)
    stream = stream or typestream.replay("never opened")
    assert (error is None) == (fault == "ok")
    assert not [text for text in shown(stream, events, error, tape.getvalue()) if KEY in text]
    assert not [record for record in caplog.records if record.name.startswith("typestream")]
    if tape.getvalue():
        assert KEY not in repr(Recording.load(io.StringIO(tape.getvalue())))


class InvalidHeader(ValueError):
    """As requests has it."""


InvalidHeader.__module__ = "requests.exceptions"


@pytest.mark.parametrize(
    "error",
    [
        ValueError(f"Invalid header value b'Bearer {KEY}\\n'"),
        InvalidHeader(f"Invalid return character in header value: 'Bearer {KEY}\\n'"),
        InvalidHeader(f"Header part (b'{KEY}') from ('Authorization', b'{KEY}') must be of type str or bytes"),
    ],
)
def test_a_header_that_cannot_be_sent_is_not_quoted(error: Exception) -> None:
    def ask() -> Any:
        raise error

    with pytest.raises(StreamError, match=r"eader (value|part)") as caught:
        typestream.stream(ask)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_key_with_a_line_end_is_not_quoted(server: FaultServer, runtime: str) -> None:
    async def main() -> None:
        async with client(server.base_url("ok"), True) as given:
            given.api_key = KEY + "\n"
            await typestream.stream(call(given)).collect()

    with pytest.raises(StreamError, match="header value") as caught:
        if runtime == "sync":
            with client(server.base_url("ok"), False) as given:
                given.api_key = KEY + "\n"
                typestream.stream(lambda: call(given)).collect()
        else:
            run(runtime, main)
    assert KEY not in str(caught.value)
