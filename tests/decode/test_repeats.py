"""Chunks that differ in their piece only are read without parsing them, and say what they say to a parser."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.decode.data import body, transcripts
from typestream import TextDelta
from typestream.decode._json import parse
from typestream.decode._repeats import Repeats
from typestream.decode.chat import ChatDecoder
from typestream.decode.wire import WireDecoder

PIECES = st.sampled_from(
    [" a", "b", "", ":", ",", "}", '"', 'a"b', "\\", "\n", "é", "日本", "m", "id", "content", "\u2028"]
)


def chunk(piece: Any, kind: str, separators: Any, ascii: bool) -> str:
    choice = {"index": 0, "delta": {"content": piece}, "finish_reason": None}
    value: dict[str, Any] = {"id": "m", "model": "m", "choices": [choice]}
    if kind == "other choice":
        choice["index"] = 1
    elif kind == "finish":
        choice["finish_reason"] = "stop"
    elif kind == "reasoning":
        choice["delta"] = {"content": piece, "reasoning": piece}
    elif kind == "padded":
        value["obfuscation"] = piece * 3
    elif kind == "error":
        value["error"] = {"message": piece}
    return json.dumps(value, separators=separators, ensure_ascii=ascii)


KINDS = st.sampled_from(["text"] * 6 + ["other choice", "finish", "reasoning", "padded", "error"])
FORMS = st.tuples(st.sampled_from([None, (",", ":")]), st.booleans())
TEXTS = FORMS.flatmap(
    lambda form: st.lists(st.builds(chunk, PIECES, KINDS, st.just(form[0]), st.just(form[1])), max_size=12)
)


def parsed(texts: list[str]) -> list[Any]:
    """What a decoder says that has every chunk parsed, up to the first error."""
    decoder, out = ChatDecoder(), []
    for text in texts:
        out += decoder.decode(json.loads(text), None)
        if out and isinstance(out[-1], Exception):
            break
    return [said(event) for event in out]


def said(event: Any) -> Any:
    return str(event) if isinstance(event, Exception) else event


def one_by_one(texts: list[str], *, brief: bool) -> list[Any]:
    decoder = WireDecoder("text/event-stream")
    out: list[Any] = []
    for text in texts:
        frame = f"data: {text}\n\n".encode()
        events = decoder.brief(frame) if brief else decoder.decode(frame)
        out += [TextDelta(events)] if isinstance(events, str) else events
    return [said(event) for event in out]


@given(TEXTS)
@example(
    [chunk(piece, kind, None, True) for piece, kind in (("a", "text"), ("b", "text"), ("c", "finish"), ("d", "text"))]
)
@example([chunk(piece, "text", None, True) for piece in ("a", "b", "m", "id", ":", ",", "}", '"')])
@example(
    [chunk(piece, kind, None, True) for piece, kind in (("", "text"), ("m", "text"), ("b", "text"), ("c", "padded"))]
)
def test_what_repeats_says_what_a_parser_says(texts):
    texts = [chunk("so", "text", None, True), *texts]  # the very first may be the error of a server that cannot stream
    wanted = parsed(texts)
    assert one_by_one(texts, brief=False) == wanted
    assert one_by_one(texts, brief=True) == wanted


def test_the_object_of_a_repeated_chunk_is_that_chunk():
    texts = [chunk(piece, "text", None, True) for piece in ("a", "b", "c", "d")]
    decoder = WireDecoder("text/event-stream", build=lambda value: ("built", value))
    events = [event for text in texts for event in decoder.decode(f"data: {text}\n\n".encode())]
    deltas = [event for event in events if type(event) is TextDelta]
    assert [event.raw for event in deltas] == [("built", json.loads(text)) for text in texts]


@pytest.mark.parametrize("entry", [e for e in transcripts() if e["file"].endswith(".sse")], ids=lambda e: e["file"])
def test_transcripts(entry):
    """Each event in a read of its own, briefly or not, as by bytes."""
    data = body(entry).replace(b"\r\n", b"\n")
    frames = [frame + b"\n\n" for frame in data.split(b"\n\n") if frame]
    runs = []
    for cut in (frames, [data]):
        for brief in (False, True):
            decoder = WireDecoder("text/event-stream")
            out: list[Any] = []
            for piece in cut:
                events = decoder.brief(piece) if brief else decoder.decode(piece)
                out += [TextDelta(events)] if isinstance(events, str) else events
            runs.append([said(event) for event in out])
    assert runs[0] == runs[1] == runs[2] == runs[3]


def content(text):
    return parse(text)["content"]


def test_a_piece_is_found_by_its_place_not_by_its_looks():
    repeats = Repeats()
    repeats.learn('{"id": "a", "content": "a"}', "a", content)  # the first "a" is the id
    assert repeats.piece('{"id": "b", "content": "a"}') is None
    repeats.learn('{"id": "b", "content": "a"}', "a", content)
    assert repeats.piece('{"id": "b", "content": "x"}') == "x"
    assert repeats.piece('{"id": "b", "content": "x\\n"}') is None
    assert repeats.piece('{"id": "b", "content": ""}') is None
    assert repeats.piece('{"id": "b", "content": "x", "y": "x"}') is None
    repeats.forget()
    assert repeats.piece('{"id": "b", "content": "x"}') is None


def test_learning_is_given_up_where_nothing_repeats():
    asked = []

    def read(text):
        asked.append(text)
        return content(text)

    repeats = Repeats()
    for number in range(100):
        text = f'{{"number": {number}, "content": "a"}}'
        assert repeats.piece(text) is None
        repeats.learn(text, "a", read)
    assert len(asked) < 10
