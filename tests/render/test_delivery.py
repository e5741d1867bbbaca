"""What goes to other programs is read back: by our own decoders, by the openai SDK, by httpx-sse."""

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import typestream
from tests.render.escapes import CASES
from typestream._json import event_from_dict, event_to_dict
from typestream.decode.sse import SSEDecoder
from typestream.errors import StallTimeout, StreamServerError, StreamTruncated
from typestream.events import (
    Citation,
    Event,
    Finish,
    Other,
    ReasoningDelta,
    RefusalDelta,
    Start,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from typestream.render import Backlog, JsonLines, OpenAISse, Renderer, Sse, finished
from typestream.result import Result

ANSWER: list[Event] = [
    Start("resp_1", "m-1"),
    ReasoningDelta("let me "),
    ReasoningDelta("think"),
    TextDelta("Hé"),
    TextDelta("llo 👩\u200d💻\n\ndata: x"),
    Citation("https://x.example", "X", None, 0, 2),
    ToolCallDelta(0, "call_1", "look", '{"a'),
    ToolCallDelta(1, "call_2", "find", "{}"),
    ToolCallDelta(0, arguments='":1}'),
    Finish("tool_calls"),
    Usage(1, 2, 3, 0, 1),
]


def fold(events: list[Event]) -> Result:
    result = Result()
    for event in events:
        result.add(event)
    result.completion = "complete"
    return result


def render(renderer: Renderer, events: list[Event]) -> str:
    return "".join(map(renderer.feed, events)) + renderer.finish(fold(events))


def items(out: str) -> list[Any]:
    """The JSON of each server-sent event, by our decoder, which conforms to the standard."""
    decoder = SSEDecoder()
    return [json.loads(each.data) for each in [*decoder.feed(out.encode()), *decoder.flush()] if each.data != "[DONE]"]


TEXTS = st.text(st.characters(exclude_categories=()), max_size=20)
COUNTS = st.none() | st.integers(0, 10**6)
NAMES = st.none() | TEXTS
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(Start, NAMES, NAMES),
    st.builds(TextDelta, TEXTS, st.integers(0, 3)),
    st.builds(ReasoningDelta, TEXTS, st.integers(0, 3)),
    st.builds(RefusalDelta, TEXTS, st.integers(0, 3)),
    st.builds(ToolCallDelta, st.integers(0, 3), NAMES, NAMES, TEXTS, st.integers(0, 3)),
    st.builds(Citation, NAMES, NAMES, NAMES, COUNTS, COUNTS, st.integers(0, 3)),
    st.builds(Usage, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS),
    st.builds(Finish, TEXTS, st.integers(0, 3)),
    st.builds(Other, TEXTS, st.integers(0, 3)),
)


def said(event: Event) -> Any:
    """An event as JSON has it: two halves of a surrogate pair that meet are one character there."""
    return json.loads(json.dumps(event_to_dict(event)))


@settings(max_examples=200)
@given(st.lists(EVENTS, max_size=8), st.booleans())
def test_sse_is_read_back_as_it_was(events: list[Event], ids: bool) -> None:
    *read, end = items(render(Sse(ids=ids), events))
    assert [event_to_dict(event_from_dict(each)) for each in read] == [said(event) for event in events]
    assert end["type"] == "end"


@given(st.lists(EVENTS, max_size=8))
def test_json_lines_are_read_back_as_they_were(events: list[Event]) -> None:
    *read, _ = [json.loads(line) for line in render(JsonLines(), events).splitlines()]
    assert [event_to_dict(event_from_dict(each)) for each in read] == [said(event) for event in events]


def texts(count: int, seed: int = 7) -> Iterator[str]:
    """Generated texts, of what could end a field, a line, an event or a JSON string, and of every plane."""
    random = Random(seed)
    for _ in range(count):
        parts = (random.choice(ODD) if random.random() < 0.5 else chr(random.randrange(0x110000)) for _ in range(12))
        yield "".join(list(parts)[: random.randrange(13)])


ODD = [
    *("\n", "\r", "\r\n", "\n\n", "\0", "\x1b", "\x85", "\u2028", "\u2029", "\ufeff", "\\", '"', "\ud83d", "\ude00"),
    *(": ", "data:", "data: {}", "id: 1\n", "event: x\n", "retry: 1\n", "[DONE]", "\\u000a", "</script>", "👩\u200d💻"),
]


@pytest.mark.parametrize("count", [2_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_very_many_texts_are_read_back(count: int) -> None:
    """In one stream, fed in pieces that are cut anywhere."""
    sse, decoder, random = Sse(ids=True), SSEDecoder(), Random(1)
    said = [*(case.text for case in CASES), *texts(count)]
    data = "".join(sse.feed(TextDelta(text)) for text in said).encode("ascii")
    at, read = 0, []
    while at < len(data):
        size = random.choice((1, 7, 100, 5000))
        read += decoder.feed(data[at : at + size])
        at += size
    assert not decoder.flush()
    assert [json.loads(each.data) for each in read] == [said_(text) for text in said]
    assert [each.id for each in read] == [str(number) for number in range(len(said))]
    assert {(each.event, each.retry) for each in read} == {("message", None)}


def said_(text: str) -> Any:
    return said(TextDelta(text))


def spoken(count: int) -> Iterator[Event]:
    """Generated texts as all kinds of text in turn, each for some deltas; tool calls begin with their name."""
    for number, text in enumerate(filter(None, texts(count))):
        kind, call = number // 10 % 4, number // 40
        if kind == 3 and number % 10 == 0:
            yield ToolCallDelta(call, f"id{call}", f"tool {text}")
        yield (TextDelta(text), ReasoningDelta(text), RefusalDelta(text), ToolCallDelta(call, arguments=text))[kind]


def sdk_says(api: str, item: Any) -> Iterator[tuple[str, str]]:
    """What the SDK's object says, as the kind of event and its text."""
    if api == "responses":
        for kind in ("output_text", "reasoning_summary_text", "refusal", "function_call_arguments"):
            if item.type == f"response.{kind}.delta":
                yield kind, item.delta
        if item.type == "response.output_item.added" and item.item.type == "function_call":
            yield "name", item.item.name
        return
    for choice in item.choices:
        yield "output_text", choice.delta.content
        yield "reasoning_summary_text", getattr(choice.delta, "reasoning_content", None)
        yield "refusal", choice.delta.refusal
        for call in choice.delta.tool_calls or ():
            yield "name", call.function.name
            yield "function_call_arguments", call.function.arguments


@pytest.mark.parametrize("count", [400, pytest.param(100_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("api", ["chat", "responses"])
def test_the_sdk_reads_very_many_texts_back(serve: Callable[[str], Any], api: Any, count: int) -> None:
    events: list[Event] = [*spoken(count), Finish("stop"), Usage(1, 2, 3)]
    sdk = serve(render(OpenAISse(api), events))
    ask = {"chat": lambda: sdk.chat.completions.create(model="m", messages=[], stream=True)}
    ask["responses"] = lambda: sdk.responses.create(model="m", input="x", stream=True)
    read = [said for item in ask[api]() for said in sdk_says(api, item) if said[1]]
    names = {TextDelta: "output_text", ReasoningDelta: "reasoning_summary_text", RefusalDelta: "refusal"}
    wanted: list[tuple[str, str]] = []
    for event in events:
        if isinstance(event, ToolCallDelta):
            wanted += [("name", event.name or ""), ("function_call_arguments", event.arguments)]
        elif type(event) in names:
            wanted.append((names[type(event)], event.text))  # type: ignore[attr-defined]
    assert [[kind, json.dumps(text)] for kind, text in read] == [
        [kind, json.dumps(json.loads(json.dumps(text)))] for kind, text in wanted if text
    ]


@given(TEXTS)
def test_a_text_can_forge_no_event_no_id_and_no_retry(text: str) -> None:
    decoder = SSEDecoder()
    (event,) = decoder.feed(Sse().feed(TextDelta(text)).encode())
    assert (event.event, event.id or None, event.retry) == ("message", None, None)


def test_httpx_sse_reads_the_same() -> None:
    decode = pytest.importorskip("httpx_sse")._decoders.SSEDecoder().decode
    out = render(Sse(ids=True, retry=250), ANSWER)
    found = [each for line in out.splitlines() if (each := decode(line)) is not None]
    assert [json.loads(each.data) for each in found] == items(out)
    assert [each.id for each in found] == [str(number) for number in range(len(found))]
    assert found[0].retry == 250


@pytest.mark.parametrize("count", [2_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_httpx_sse_reads_very_many_texts_back(count: int) -> None:
    httpx_sse = pytest.importorskip("httpx_sse")
    httpx = pytest.importorskip("httpx")
    sse, said = Sse(ids=True), [*(case.text for case in CASES), *texts(count)]
    body = "".join(sse.feed(TextDelta(text)) for text in said)
    headers = {"content-type": Sse.content_type}
    transport = httpx.MockTransport(lambda request: httpx.Response(200, headers=headers, content=body))
    with httpx.Client(transport=transport) as client, httpx_sse.connect_sse(client, "GET", "http://x/") as source:
        found = [(json.loads(each.data), each.event, each.id, each.retry) for each in source.iter_sse()]
    assert found == [(said_(text), "message", str(number), None) for number, text in enumerate(said)]


def test_sse_says_how_it_ended_and_no_more() -> None:
    secret = StreamServerError("key sk-123 is wrong", body="sk-123")
    assert items(finished(Sse(), Result(), secret)) == [
        {"type": "error", "code": "stream_server_error", "message": "The answer broke off."}
    ]
    assert items(Sse().finish(Result()))[0]["type"] == "error"
    stalled = items(finished(Sse(), Result(), StallTimeout(kind="total")))[0]
    assert stalled == {
        "type": "error",
        "code": "stall_timeout",
        "message": "The answer broke off: nothing more came in time.",
    }
    assert items(finished(Sse(message=lambda error: "Sorry."), Result(), secret))[0]["message"] == "Sorry."


def test_a_keep_alive_is_no_event() -> None:
    assert items(Sse.keep_alive() + OpenAISse.keep_alive()) == []


def test_a_client_that_comes_back_goes_on_where_it_was() -> None:
    backlog = Backlog(retry=100)
    assert (backlog.last_id, backlog.after(backlog.last_id)) == (None, "")
    sent = [backlog.feed(event) for event in ANSWER[:4]]
    assert backlog.after("1") == sent[2] + sent[3]
    assert (backlog.last_id, backlog.after("3")) == ("3", "")
    assert not backlog.ended
    sent.append(backlog.finish(fold(ANSWER[:4])))
    assert backlog.after("3") == sent[4]
    assert backlog.ended
    for unknown in (None, "", "x", "-1", "99", "9" * 5000, "²"):
        assert backlog.after(unknown) == "".join(sent)


@pytest.mark.parametrize(
    "bad",
    [
        *({}, {"type": "nothing"}, {"type": ["x"]}, {"type": "text_delta"}, {"type": "text_delta", "text": 3}),
        *([], None, {"type": "usage", "input": True}, {"type": "finish", "reason": "x", "index": "0"}),
    ],
)
def test_what_is_no_event_is_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]{10,200}$"):
        event_from_dict(bad)


# -- read back by the openai SDK


def client(body: str) -> Any:
    openai = pytest.importorskip("openai")
    try:
        import httpx2 as httpx
    except ImportError:
        import httpx  # type: ignore[no-redef,import-not-found,unused-ignore]
    headers = {"content-type": "text/event-stream"}
    transport = httpx.MockTransport(lambda request: httpx.Response(200, headers=headers, content=body.encode()))
    return openai.OpenAI(
        api_key="none", base_url="http://127.0.0.1/v1", max_retries=0, http_client=httpx.Client(transport=transport)
    )


@pytest.fixture
def serve() -> Iterator[Callable[[str], Any]]:
    clients = []

    def make(body: str) -> Any:
        clients.append(client(body))
        return clients[-1]

    yield make
    for each in clients:
        each.close()


def test_the_sdk_reads_chat_completions(serve: Callable[[str], Any]) -> None:
    chunks = list(serve(render(OpenAISse(), ANSWER)).chat.completions.create(model="m", messages=[], stream=True))
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    result = fold(ANSWER)
    assert "".join(delta.content or "" for delta in deltas) == result.text
    assert "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas) == result.reasoning
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "tool_calls"
    usage = chunks[-1].usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (1, 2, 3)
    assert usage.completion_tokens_details.reasoning_tokens == 1
    assert {(chunk.id, chunk.model) for chunk in chunks} == {("resp_1", "m-1")}


def test_the_sdk_s_own_helper_reads_chat_completions(serve: Callable[[str], Any]) -> None:
    with serve(render(OpenAISse(), ANSWER)).chat.completions.stream(model="m", messages=[]) as stream:
        final = stream.get_final_completion()
    message = final.choices[0].message
    assert message.content == fold(ANSWER).text
    assert [(call.id, call.function.name, call.function.arguments) for call in message.tool_calls] == [
        ("call_1", "look", '{"a":1}'),
        ("call_2", "find", "{}"),
    ]


def test_the_sdk_s_own_helper_reads_responses(serve: Callable[[str], Any]) -> None:
    with serve(render(OpenAISse("responses"), ANSWER)).responses.stream(model="m", input="x") as stream:
        sequence = [event.sequence_number for event in stream if hasattr(event, "sequence_number")]
        final = stream.get_final_response()
    assert sequence == sorted(set(sequence))
    assert (final.id, final.model, final.status) == ("resp_1", "m-1", "completed")
    assert final.output_text == fold(ANSWER).text
    assert [item.type for item in final.output] == ["reasoning", "message", "function_call", "function_call"]
    assert final.output[0].summary[0].text == "let me think"
    assert [(item.call_id, item.name, item.arguments) for item in final.output[2:]] == [
        ("call_1", "look", '{"a":1}'),
        ("call_2", "find", "{}"),
    ]
    assert (final.usage.input_tokens, final.usage.output_tokens, final.usage.total_tokens) == (1, 2, 3)


def test_the_sdk_reads_completions(serve: Callable[[str], Any]) -> None:
    chunks = list(serve(render(OpenAISse("completions"), ANSWER)).completions.create(model="m", prompt="", stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == fold(ANSWER).text
    assert chunks[-1].usage.total_tokens == 3


CREATE: dict[str, Callable[[Any], Any]] = {
    "chat": lambda it: it.chat.completions.create(model="m", messages=[], stream=True),
    "completions": lambda it: it.completions.create(model="m", prompt="", stream=True),
    "responses": lambda it: it.responses.create(model="m", input="x", stream=True),
}


@pytest.mark.parametrize("api", ["chat", "completions", "responses"])
def test_the_sdk_raises_where_the_answer_broke_off(serve: Callable[[str], Any], api: Any) -> None:
    openai = pytest.importorskip("openai")
    wire = OpenAISse(api)
    body = wire.feed(TextDelta("half")) + wire.fail(StreamTruncated("sk-123"))
    assert "[DONE]" not in body
    assert "sk-123" not in body
    with pytest.raises(openai.APIError, match="broke off"):
        list(CREATE[api](serve(body)))


@pytest.mark.parametrize("api", ["chat", "completions", "responses"])
def test_an_answer_that_is_known_to_be_cut_ends_in_an_error(api: Any) -> None:
    out = OpenAISse(api).finish(Result())
    assert "broke off" in items(out)[-1]["error"]["message"]
    assert "[DONE]" not in out


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_nothing_is_invented(api: Any) -> None:
    out = render(OpenAISse(api), [TextDelta("x")])
    assert '"stop"' not in out
    assert '"usage":{' not in out
    assert ("[DONE]" in out) == (api == "chat")


@pytest.mark.parametrize(
    ("reason", "why"),
    [
        *(("length", "max_output_tokens"), ("MAX_TOKENS", "max_output_tokens"), ("SAFETY", "content_filter")),
        *(("model_context_window_exceeded", "max_output_tokens"), ("content_filter", "content_filter")),
        ("insufficient_system_resource", "insufficient_system_resource"),
    ],
)
def test_a_cut_answer_is_an_incomplete_response(reason: str, why: str) -> None:
    last = items(render(OpenAISse("responses"), [TextDelta("x"), Finish(reason)]))[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": why}


class Response:
    """An HTTP response, as far as it is looked at."""

    def __init__(self, body: str) -> None:
        self.status_code, self.headers = 200, {"content-type": "text/event-stream"}
        self._body = body.encode()

    def iter_bytes(self) -> Iterator[bytes]:
        yield self._body

    def close(self) -> None: ...


@pytest.mark.parametrize("api", ["chat", "completions", "responses"])
def test_an_unconfirmed_answer_stays_one(api: Any) -> None:
    result = fold([Start("1", "m"), TextDelta("half an ans")])
    result.completion = "unconfirmed"
    wire = OpenAISse(api)
    body = "".join(map(wire.feed, [Start("1", "m"), TextDelta("half an ans")])) + wire.finish(result)
    read = typestream.stream(Response(body)).collect()
    assert (read.text, read.completion, read.finish_reason) == ("half an ans", "unconfirmed", None)
    assert "response.completed" not in body


CALLS: dict[str, list[Event]] = {
    "late name": [ToolCallDelta(0, "c", None, '{"a'), ToolCallDelta(0, None, "f", '":1}')],
    "late id": [ToolCallDelta(0, None, "f", '{"a'), ToolCallDelta(0, "c", None, '":1}')],
    "id last": [ToolCallDelta(0, None, "f", '{"a":1}'), ToolCallDelta(0, "c")],
    "no name": [ToolCallDelta(0, "c", None, '{"a":1}'), ToolCallDelta(1, "d", None, "{}")],
    "name in pieces": [ToolCallDelta(0, "c", "look"), ToolCallDelta(0, None, "up"), ToolCallDelta(0, None, None, "{}")],
    "no id": [ToolCallDelta(0, None, "f", "{}"), ToolCallDelta(1, None, "f", "{}")],
}


@pytest.mark.parametrize("case", CALLS)
def test_a_tool_call_keeps_what_is_known_of_it(serve: Callable[[str], Any], case: str) -> None:
    wanted = fold(CALLS[case]).tool_calls
    body = render(OpenAISse("responses"), [*CALLS[case], TextDelta("x"), Finish("tool_calls")])
    with serve(body).responses.stream(model="m", input="x") as stream:
        final = [item for item in stream.get_final_response().output if item.type == "function_call"]
    assert [(call.name, call.arguments) for call in final] == [(call.name or "", call.arguments) for call in wanted]
    for call, read in zip(wanted, final, strict=True):
        assert read.call_id == (call.id or read.id)
    assert len({call.call_id for call in final}) == len(final)
    ours_ = fold(ours("responses", body)).tool_calls
    assert [(call.id, call.name, call.arguments) for call in ours_] == [
        (read.call_id, call.name, call.arguments) for call, read in zip(wanted, final, strict=True)
    ]


IN_ORDER: dict[str, tuple[list[Event], list[str]]] = {
    "a call without arguments": (
        [ToolCallDelta(0, "a", "f"), ToolCallDelta(1, "b", "g", "{}"), Finish("tool_calls")],
        ["f", "g"],
    ),
    "a text after one": ([ToolCallDelta(0, "a", "f"), TextDelta("x"), Finish("stop")], ["f", "message"]),
    "a citation after one": ([ToolCallDelta(0, "a", "f"), Citation("http://x"), Finish("stop")], ["f", "message"]),
    "a name that goes on after another's": (
        [ToolCallDelta(0, "a", "f"), ToolCallDelta(1, "b", "g", "{}"), ToolCallDelta(0, None, "oo", "{}")],
        ["foo", "g"],
    ),
}


@pytest.mark.parametrize("case", IN_ORDER)
def test_a_response_keeps_the_order_of_its_output(case: str) -> None:
    events, wanted = IN_ORDER[case]
    output = items(render(OpenAISse("responses"), events))[-1]["response"]["output"]
    assert [item["name"] if item["type"] == "function_call" else item["type"] for item in output] == wanted


def test_a_response_has_the_log_probabilities() -> None:
    told = [{"token": "a", "logprob": -1.0}, {"token": "b", "logprob": -2.0}]
    events: list[Event] = [TextDelta("a", logprobs=told[:1]), TextDelta("b", logprobs=told[1:]), Finish("stop")]
    body = render(OpenAISse("responses"), events)
    (done,) = [item for item in items(body) if item["type"] == "response.output_text.done"]
    last = items(body)[-1]["response"]
    assert done["logprobs"] == last["output"][0]["content"][0]["logprobs"] == told
    assert typestream.replay(last).collect().choices[0].logprobs == told


def test_the_sdk_s_own_helper_reads_citations(serve: Callable[[str], Any]) -> None:
    events: list[Event] = [TextDelta("a"), Citation("http://x", "X"), TextDelta("b"), Citation("http://y", "Y")]
    body = render(OpenAISse(), [*events, Finish("stop")])
    with serve(body).chat.completions.stream(model="m", messages=[]) as stream:
        message = stream.get_final_completion().choices[0].message
    assert [each.url_citation.url for each in message.annotations] == ["http://x", "http://y"]
    assert [each.url for each in fold(ours("chat", body)).citations] == ["http://x", "http://y"]


def test_an_api_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="chat, completions, responses"):
        OpenAISse("messages")  # type: ignore[arg-type]


# -- read back by our own decoders


def ours(api: str, body: str) -> list[Event]:
    from typestream.decode.chat import ChatDecoder
    from typestream.decode.responses import ResponsesDecoder

    decoder: Any = ChatDecoder() if api == "chat" else ResponsesDecoder()
    return [event for item in items(body) for event in decoder.decode(item, item)] + decoder.end()


SPOKEN = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8)
SIMPLE: st.SearchStrategy[Event] = st.one_of(
    st.builds(TextDelta, SPOKEN), st.builds(ReasoningDelta, SPOKEN), st.builds(RefusalDelta, SPOKEN)
)


@pytest.mark.parametrize("api", ["chat", "responses"])
@settings(max_examples=200)
@given(parts=st.lists(SIMPLE, min_size=1, max_size=8), arguments=st.lists(SPOKEN, max_size=3))
def test_our_decoders_read_it_back(api: Any, parts: list[Event], arguments: list[str]) -> None:
    calls = [
        each
        for number, text in enumerate(arguments)
        for each in (ToolCallDelta(number, f"id{number}", "tool"), ToolCallDelta(number, arguments=text))
    ]
    events: list[Event] = [Start("1", "m"), *parts, *calls, Finish("stop"), Usage(1, 2, 3)]
    wanted, got = fold(events), fold(ours(api, render(OpenAISse(api), events)))
    for name in ("text", "reasoning", "refusal", "tool_calls", "usage", "id", "model"):
        assert getattr(got, name) == getattr(wanted, name), name
