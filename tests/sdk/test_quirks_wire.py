"""The quirk catalogue over the wire: each case's chunks served over HTTP and read through the real SDK."""

import json
from typing import Any

import pytest

import typestream
from tests.decode.data import quirks
from tests.sdk.conftest import ByteServer, in_runtime

CALLS = {
    "chat": lambda client: client.chat.completions.create(model="m", messages=[], stream=True),
    "sse": lambda client: client.chat.completions.create(model="m", messages=[], stream=True),
    "completions": lambda client: client.completions.create(model="m", prompt="", stream=True),
    "responses": lambda client: client.responses.create(model="m", input="", stream=True),
}
# A finish reason "error" and nothing else: among chunks a finish, over the wire a server's error.
DISPUTED = {"error_finish_reason_only"}


def body(quirk: dict[str, Any]) -> tuple[bytes, str]:
    """The bytes of a case, and their content type."""
    first = quirk["chunks"][0] if quirk["chunks"] else {}
    if "wire" in first:
        wire = first["wire"].encode()
        return wire, "application/json" if wire.startswith(b"{") else "text/event-stream"
    events = [f"data: {json.dumps(chunk)}\n\n" for chunk in quirk["chunks"]]
    done = quirk["expect"]["complete"] and quirk["api"] != "responses"
    return "".join([*events, "data: [DONE]\n\n"] if done else events).encode(), "text/event-stream"


def cases() -> list[dict[str, Any]]:
    return [quirk for quirk in quirks() if quirk["api"] in CALLS and quirk["name"] not in DISPUTED]


def plain(calls: list[dict[str, Any]]) -> list[tuple[Any, Any, Any]]:
    """Tool calls, their arguments as values where they are JSON."""
    found = []
    for call in calls:
        try:
            arguments = json.loads(call["arguments"])
        except ValueError:
            arguments = call["arguments"]
        found.append((call["id"], call["name"], arguments))
    return found


@pytest.mark.parametrize("runtime", ["sync", "asyncio"])
@pytest.mark.parametrize("quirk", cases(), ids=lambda quirk: quirk["name"])
def test_a_case_over_the_wire(quirk, runtime):
    data, content_type = body(quirk)
    expect = quirk["expect"]
    with ByteServer(data, content_type) as server:
        try:
            _, result = in_runtime(runtime, server.base_url, CALLS[quirk["api"]])
            error = None
        except typestream.StreamError as failed:
            error, result = failed, failed.result
    assert (error is None) == expect["complete"], error
    assert result.text == expect["text"]
    assert (result.reasoning or None) == expect["reasoning"]
    assert plain([call.to_dict() for call in result.tool_calls]) == plain(expect["tool_calls"])
    assert result.finish_reason == expect["finish_reason"]
    if expect["usage"] is not None:
        assert result.usage is not None
        assert (result.usage.input, result.usage.output) == (expect["usage"]["input"], expect["usage"]["output"])
    if expect["error"] is not None and isinstance(error, typestream.StreamServerError):
        assert expect["error"]["message"] in str(error)
