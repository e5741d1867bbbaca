"""The short way for text: plain iteration makes no events, and yet gives what `events()` gives."""

import contextlib
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import typestream
from tests.decode.data import body, quirks, transcripts, wire_items
from typestream import TextDelta


def both_ways(items: list[Any]) -> tuple[Any, Any]:
    """The text pieces, the result and the error's name, by plain iteration and by events."""
    outcomes = []
    for events in (False, True):
        stream = typestream.stream(iter(items))
        pieces, error = [], None
        try:
            for event in stream.events() if events else stream:
                if isinstance(event, str) or (isinstance(event, TextDelta) and event.index == 0):
                    pieces.append(event if isinstance(event, str) else event.text)
        except (typestream.StreamError, typestream.UnsupportedSource) as failed:
            error = type(failed).__name__
        outcomes.append((pieces, stream.result.to_dict(), stream.result.timing.deltas, error))
    return outcomes[0], outcomes[1]


def chunk(delta: Any, reason: str | None = None, index: int = 0, **more: Any) -> dict[str, Any]:
    return {"id": "c", "model": "m", "choices": [{"index": index, "delta": delta, "finish_reason": reason}], **more}


PIECES = st.sampled_from(["a", "b c", "", "é", "日本", "\U0001f600", "\ud83d", "\ude00", "\n"])
CHUNKS = st.one_of(
    st.builds(lambda text: chunk({"content": text}), PIECES),
    st.builds(lambda text: chunk({"content": text}, index=1), PIECES),
    st.builds(lambda text: chunk({"content": text, "reasoning_content": text}), PIECES),
    st.builds(lambda text: chunk({"content": text}, "stop"), PIECES),
    st.just(chunk({}, "stop")),
    st.just(chunk({"role": "assistant", "content": ""})),
    st.just({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}),
    st.just(chunk({"tool_calls": [{"index": 0, "id": "x", "function": {"name": "f", "arguments": "{}"}}]})),
    st.sampled_from([None, {}, "", {"error": {"message": "no"}}, 3]),
)


@given(st.lists(CHUNKS, max_size=12))
def test_chunks(items):
    direct, by_events = both_ways(items)
    assert direct == by_events


@example(["\ud83d", "\ud83d", "a"])  # half a character is held when the next text comes
@given(st.lists(st.one_of(PIECES, PIECES.map(lambda text: text.encode("utf-8", "surrogatepass")), st.none())))
def test_text_and_bytes(items):
    direct, by_events = both_ways(items)
    assert direct == by_events


@given(st.lists(PIECES, min_size=1), st.lists(st.booleans(), max_size=8))
def test_reading_by_turns_loses_nothing(texts, turns):
    items = [*(chunk({"content": text}) for text in texts), chunk({}, "stop")]
    stream, seen = typestream.stream(iter(items)), []
    events = stream.events()
    for plainly in turns:
        with contextlib.suppress(StopIteration):
            taken = next(stream) if plainly else next(events)
            seen.append(taken if isinstance(taken, str) else getattr(taken, "text", ""))
    seen += list(stream)
    assert "".join(seen) == stream.result.text == both_ways(items)[0][1]["choices"][0]["text"]


@pytest.mark.parametrize("quirk", quirks(), ids=lambda quirk: quirk["name"])
def test_quirks(quirk):
    items = [
        item for item in quirk["chunks"] if not (isinstance(item, dict) and set(item) & {"wire", "bytes", "raise"})
    ]
    direct, by_events = both_ways(items)
    assert direct == by_events


@pytest.mark.parametrize("entry", transcripts()[::5], ids=lambda entry: entry["file"])
def test_transcripts(entry):
    direct, by_events = both_ways(wire_items(body(entry).decode("utf-8", "replace")))
    assert direct == by_events


@pytest.mark.parametrize("turn", [lambda stream: stream.tee(1)[0], lambda stream: stream.as_async().as_sync()])
def test_who_was_on_the_short_way_takes_nothing_from_who_goes_on(turn):
    stream = typestream.stream(iter(["1 ", "2 ", "3 ", "4"]))
    before = next(stream) + next(stream)
    twin = turn(stream)
    with pytest.raises(typestream.StreamClosed):
        next(stream)
    assert before + "".join(twin) == "1 2 3 4"


def test_a_piece_is_never_empty():
    events = [typestream.TextDelta(""), typestream.TextDelta("a"), typestream.TextDelta("")]
    assert list(typestream.stream(events)) == ["a"]
    assert list(typestream.stream(events).through(typestream.transforms.Limit(9))) == ["a"]
    assert list(typestream.stream(events).events()) == events
