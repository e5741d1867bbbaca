"""`wrap`: an existing loop over SDK chunks, unchanged but paced."""

from copy import copy
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import openai
import pytest

import typestream
from tests.sdk.conftest import MODEL, SDK_LEAVES_GENERATORS, async_client, run, sync_client
from tests.sdk.test_live import CHAT, TOOL
from typestream import pacing
from typestream.testing import VirtualClock, script


def text_of(chunks: list[Any]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def test_an_error_of_our_own_family_that_the_source_raises_is_the_source_s():
    def chunk(text):
        return {"choices": [{"index": 0, "delta": {"content": text}}]}

    def over_another(inner):
        for text in inner:
            yield chunk(text)

    inner = typestream.stream(iter(["one ", "two "]))
    seen = []
    with pytest.raises(typestream.StreamClosed):
        for each in typestream.wrap(over_another(inner), pacing.Instant()):
            seen.append(each)
            inner.close()
    assert len(seen) == 1

    def raising():
        yield chunk("a")
        raise typestream.StreamConnectionError("outer") from ValueError("inner")

    with pytest.raises(typestream.StreamConnectionError, match="outer"):
        list(typestream.wrap(raising(), pacing.Instant()))


def test_the_loop_that_was_there_before(server):
    with sync_client(server.base_url) as client:
        plain = list(client.chat.completions.create(**CHAT))
        given = client.chat.completions.create(**CHAT)
        wrapped = typestream.wrap(given, pacing.Steady(5000))
        assert isinstance(wrapped, openai.Stream)
        assert wrapped.response is given.response
        with wrapped as stream:
            paced = list(stream)
    assert text_of(paced) == text_of(plain)
    assert all(type(chunk) is type(plain[0]) for chunk in paced)
    assert len(paced) > len(plain)
    assert [c.usage for c in paced if c.usage] == [plain[-1].usage]
    assert [c.choices[0].finish_reason for c in paced if c.choices and c.choices[0].finish_reason] == ["length"]


@pytest.mark.parametrize("runtime", ["asyncio", "trio"])
@pytest.mark.parametrize("form", ["coroutine", "awaited wrap", "stream"])
@SDK_LEAVES_GENERATORS
def test_the_async_loop(server, runtime, form):
    async def main() -> list[Any]:
        async with async_client(server.base_url) as client:
            call = client.chat.completions.create(**CHAT)
            if form == "stream":
                wrapped = typestream.wrap(await call, pacing.Steady(5000))
            elif form == "coroutine":
                wrapped = typestream.wrap(call, pacing.Steady(5000))
            else:
                wrapped = await typestream.wrap(call, pacing.Steady(5000))
            if form != "coroutine":
                assert isinstance(wrapped, openai.AsyncStream)
            return [chunk async for chunk in wrapped]

    chunks = run(runtime, main)
    with sync_client(server.base_url) as client:
        assert text_of(chunks) == text_of(list(client.chat.completions.create(**CHAT)))


def test_a_break_leaves_the_stream_closed(server):
    with sync_client(server.base_url) as client:
        given = client.chat.completions.create(**{**CHAT, "max_tokens": 400})
        with typestream.wrap(given, pacing.Steady(5000)) as stream:
            for _ in stream:
                break
        assert given.response.is_closed
        closing = client.chat.completions.create(**{**CHAT, "max_tokens": 400})
        wrapped = typestream.wrap(closing)
        next(wrapped)
        wrapped.close()
        assert closing.response.is_closed
        assert list(wrapped) == []


def test_instant_gives_the_very_same_objects(server):
    with sync_client(server.base_url) as client:
        plain = list(client.chat.completions.create(**CHAT))
    assert all(a is b for a, b in zip(typestream.wrap(iter(plain), pacing.Instant()), plain, strict=True))


def test_tool_calls_come_through_untouched(server):
    with sync_client(server.base_url) as client:
        plain = list(client.chat.completions.create(**CHAT, tools=[TOOL], tool_choice="required"))
    wrapped = list(typestream.wrap(iter(plain), pacing.Steady(1e6)))
    assert all(a is b for a, b in zip(wrapped, plain, strict=True))


def test_responses_deltas_are_recut(server):
    with sync_client(server.base_url) as client:
        asked = {"model": MODEL, "input": "It is a truth", "max_output_tokens": 20, "stream": True}
        plain = list(client.responses.create(**asked))
    with VirtualClock():
        wrapped = list(typestream.wrap(iter(plain), pacing.Steady(10)))
    deltas = [event.delta for event in wrapped if event.type == "response.output_text.delta"]
    assert "".join(deltas) == plain[-1].response.output_text
    assert all(len(delta) <= 2 for delta in deltas)
    others = [event for event in wrapped if event.type != "response.output_text.delta"]
    assert others == [event for event in plain if event.type != "response.output_text.delta"]


def chunk(text: str, **more: Any) -> dict[str, Any]:
    return {"id": "c", "choices": [{"index": 0, "delta": {"content": text, **more}, "finish_reason": None}]}


def test_dict_chunks_are_timed_anew():
    shown = []
    with VirtualClock() as clock:
        for piece in typestream.wrap(script([(0.0, chunk("abc")), (1.0, chunk("d"))]), pacing.Steady(10)):
            shown.append((round(clock.now(), 3), piece["choices"][0]["delta"]["content"]))
    assert shown == [(0.0, "a"), (0.1, "b"), (1.0, "c"), (1.0, "d")]  # "c" could still have grown


def test_what_is_not_text_rides_on_the_last_piece():
    last = {
        "id": "c",
        "choices": [{"index": 0, "delta": {"content": "xyz"}, "finish_reason": "stop"}],
        "usage": {"n": 1},
    }
    with VirtualClock():
        pieces = list(typestream.wrap(iter([chunk("ab", reasoning_content="hm"), last]), pacing.Steady(10)))
    assert [p["choices"][0]["delta"]["content"] for p in pieces] == ["a", "b", "x", "y", "z"]
    assert [p["choices"][0]["delta"].get("reasoning_content") for p in pieces] == [None, "hm", None, None, None]
    assert [p["choices"][0]["finish_reason"] for p in pieces] == [None, None, None, None, "stop"]
    assert [bool(p.get("usage")) for p in pieces] == [False, False, False, False, True]


def choice(index: int, content: str | None = None, reason: str | None = None, **more: Any) -> dict[str, Any]:
    return {"index": index, "delta": {"content": content} | more, "finish_reason": reason}


CALL = [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}]
OF_MORE = {  # one chunk of which a text is cut; with what else it says
    "the finish of another choice": [choice(0, "one two"), choice(1, None, "stop")],
    "the finish of the choice before": [choice(0, None, "stop"), choice(1, "one two")],
    "the role of another choice": [choice(0, "one two"), choice(1, role="assistant")],
    "a tool call of another choice": [choice(0, "one two"), choice(1, tool_calls=CALL)],
    "two texts": [choice(0, "one two", "length"), choice(1, "uno dos", "stop")],
    "a role with each text": [choice(0, "one two", role="assistant"), choice(1, "uno dos", "stop", role="assistant")],
    "one index twice": [choice(0, "one "), choice(0, "two", "stop")],
}


def said(chunks: list[Any], index: int) -> dict[str, Any]:
    """All that chunks say of a choice: texts and lists joined."""
    found: dict[str, Any] = {"content": "", "tool_calls": [], "role": [], "reason": []}
    for of_it in (each for chunk in chunks for each in chunk["choices"] if each["index"] == index):
        delta = of_it["delta"]
        found["content"] += delta.get("content") or ""
        found["tool_calls"] += delta.get("tool_calls") or []
        found["role"] += [delta["role"]] if delta.get("role") else []
        found["reason"] += [of_it["finish_reason"]] if of_it["finish_reason"] else []
    return found


@pytest.mark.parametrize("policy", [pacing.Instant(), pacing.Steady(10, per="word"), pacing.Smooth()])
@pytest.mark.parametrize("name", OF_MORE)
def test_of_a_chunk_of_many_choices_nothing_is_lost_or_said_twice(name, policy):
    given = {"id": "c", "choices": OF_MORE[name]}
    with VirtualClock():
        pieces = list(typestream.wrap(iter([given]), policy))
    assert len(pieces) > 1 or policy == pacing.Instant()
    for index in (0, 1):
        assert said(pieces, index) == said([given], index)
    assert all(piece["id"] == "c" for piece in pieces)


def test_the_role_comes_first_and_once():
    with VirtualClock():
        pieces = list(typestream.wrap(iter([chunk("abc", role="assistant")]), pacing.Steady(10)))
    assert [p["choices"][0]["delta"].get("role") for p in pieces] == ["assistant", None, None]


@pytest.mark.parametrize("index", ["1", 1.0, None, [1], True])
def test_an_index_of_another_type_is_a_number_or_none(index):
    given = [{"choices": [choice(index, "ab", "stop")]}]
    with VirtualClock():
        pieces = list(typestream.wrap(iter([chunk("."), *given]), pacing.Steady(10)))
    of_it = [p["choices"][0] for p in pieces if p["choices"][0]["delta"]["content"] != "."]
    assert of_it == [choice(index, "a"), choice(index, "b", "stop")]


def test_what_a_provider_adds_rides_on_the_last_piece():
    given = {"id": "c", "choices": [choice(0, "ab") | {"token_ids": [1, 2]}], "citations": ["u"], "provider": "p"}
    with VirtualClock():
        pieces = list(typestream.wrap(iter([given]), pacing.Steady(10)))
    assert [p["choices"][0]["token_ids"] for p in pieces] == [[], [1, 2]]
    assert [(p["citations"], p["provider"]) for p in pieces] == [([], "p"), (["u"], "p")]


@dataclass(frozen=True, slots=True)
class Slotted:
    content: str
    tool_calls: Any = None


@pytest.mark.parametrize("delta", [SimpleNamespace, Slotted])
def test_objects_of_any_kind_are_copied(delta):
    given = SimpleNamespace(
        choices=[SimpleNamespace(index=0, delta=delta(content="ab", tool_calls=CALL), finish_reason="stop")]
    )
    with VirtualClock():
        pieces = list(typestream.wrap(iter([given]), pacing.Steady(10)))
    of_it = [piece.choices[0] for piece in pieces]
    assert [(c.delta.content, c.delta.tool_calls, c.finish_reason) for c in of_it] == [
        ("a", [], None),
        ("b", CALL, "stop"),
    ]
    assert (given.choices[0].delta.content, type(of_it[0].delta)) == ("ab", delta)


def test_the_sdk_s_own_exceptions_come_through(server):
    def broken():
        yield chunk("ab")
        raise openai.APIError("no more", request=None, body=None)  # type: ignore[arg-type]

    wrapped = typestream.wrap(broken(), pacing.Steady(1e6))
    pieces = []
    with pytest.raises(openai.APIError, match="no more"):
        for piece in wrapped:
            pieces.append(piece)
    assert "".join(p["choices"][0]["delta"]["content"] for p in pieces) == "ab"


def test_a_stream_without_a_terminal_marker_ends_as_it_did_before():
    assert len(list(typestream.wrap(iter([chunk("a")]), pacing.Instant()))) == 1


@pytest.mark.parametrize("bad", ["text", b"bytes", {"a": 1}, 3, None])
def test_bad_input_is_refused_in_a_sentence(bad):
    with pytest.raises(typestream.UnsupportedSource, match="wrap\\(\\) takes an OpenAI stream"):
        typestream.wrap(bad)


def test_a_whole_answer_is_for_replay(server):
    with sync_client(server.base_url) as client:
        asked = {name: value for name, value in CHAT.items() if not name.startswith("stream")}
        completion = client.chat.completions.create(**asked)
    for whole in (completion, completion.model_dump(), "text"):
        with pytest.raises(typestream.UnsupportedSource, match=r"replay\(\) plays a whole answer"):
            typestream.wrap(whole)


@pytest.mark.parametrize("twin", ["sync", "async"])
def test_a_stream_of_ours_is_for_paced(twin):
    stream = typestream.replay("text")
    with pytest.raises(typestream.UnsupportedSource, match=r"\.paced\(policy\)"):
        typestream.wrap(stream if twin == "sync" else stream.as_async())


def test_it_can_be_copied():
    wrapped = copy(typestream.wrap(iter([chunk("a")]), pacing.Instant()))
    assert list(wrapped) == [chunk("a")]
