"""What many providers send, and what must come of it: as dicts, as the SDK's objects, as any objects."""

from typing import Any

import pytest

from tests.decode.data import as_object, as_sdk, quirks, wire_items
from tests.decode.fold import Folded, fold, values
from typestream.decode._base import get

QUIRKS = quirks()


def _items(quirk: dict[str, Any]) -> list[Any]:
    items: list[Any] = []
    for chunk in quirk["chunks"]:
        if isinstance(chunk, dict) and "wire" in chunk:
            items += wire_items(chunk["wire"])
        elif isinstance(chunk, dict) and "bytes" in chunk:
            items.append(bytes.fromhex(chunk["bytes"]))
        elif not (isinstance(chunk, dict) and "raise" in chunk):  # that is the driver's to handle
            items.append(chunk)
    return items


def _transcript(folded: Folded) -> str:
    """What was spoken, put together from the raw objects: it has no event of its own."""
    said = ""
    for event in folded.events:
        if getattr(event, "kind", None) == "audio":
            said += get(get(event.raw.choices[0], "delta").audio, "transcript") or ""
        elif getattr(event, "kind", None) == "response.audio.transcript.delta":
            said += event.raw.delta
    return said


def _check(quirk: dict[str, Any], items: list[Any]) -> Folded:
    expect = quirk["expect"]
    folded = fold(items)
    assert folded.text() == expect["text"]
    assert (folded.reasoning() or None) == expect["reasoning"]
    assert (folded.refusal() or None) == expect.get("refusal")
    assert folded.finish() == expect["finish_reason"]
    assert folded.usage() == expect["usage"]
    calls = [dict(call, arguments=values(call["arguments"])) for call in folded.calls()]
    assert calls == [dict(call, arguments=values(call["arguments"])) for call in expect["tool_calls"]]
    for index, choice in expect.get("choices", {}).items():
        assert folded.text(int(index)) == choice["text"]
        assert folded.finish(int(index)) == choice["finish_reason"]
    from_source = any(isinstance(chunk, dict) and "raise" in chunk for chunk in quirk["chunks"])
    if from_source or quirk["name"] == "sse_truncated_json":
        return folded
    if expect["error"] is None:
        assert folded.error is None
    else:
        assert folded.error is not None
        assert {"code": folded.error.code, "message": str(folded.error)} == expect["error"]
    assert (folded.completion != "incomplete" and folded.error is None) == expect["complete"]
    return folded


@pytest.mark.parametrize("form", ["dict", "sdk", "object"])
@pytest.mark.parametrize("quirk", QUIRKS, ids=[quirk["name"] for quirk in QUIRKS])
def test_quirk(quirk: dict[str, Any], form: str) -> None:
    make = {"dict": lambda item: item, "sdk": as_sdk, "object": as_object}[form]
    folded = _check(quirk, [make(item) for item in _items(quirk)])
    if form == "object" and "transcript" in quirk["expect"]:
        assert _transcript(folded) == quirk["expect"]["transcript"]


@pytest.mark.parametrize("quirk", QUIRKS, ids=[quirk["name"] for quirk in QUIRKS])
def test_starts_once_at_most(quirk: dict[str, Any]) -> None:
    assert len(fold(_items(quirk)).starts()) <= 1
