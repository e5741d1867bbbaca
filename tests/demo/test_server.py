"""The demo's server, asked by the real SDK: what is streamed is what the whole answer says."""

import contextlib
import http.client
import json
import socket
import threading
from itertools import islice

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from typestream._demo.answer import Answer
from typestream._demo.ask import BadRequest, ask_chat, ask_completions, ask_responses
from typestream._demo.ngram import load, tokenize
from typestream._demo.server import DemoServer

pytestmark = pytest.mark.filterwarnings("default:Pydantic serializer warnings")

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Tell me of Mr. Darcy."}]
KEYS = [
    "type",
    "name",
    "function",
    "parameters",
    "properties",
    "items",
    "enum",
    "anyOf",
    "$ref",
    "minimum",
    "text",
    "content",
    "include_usage",
]
WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "unit": {"enum": ["celsius", "fahrenheit"]},
        "days": {"type": "integer"},
        "when": {"$ref": "#/$defs/Span"},
        "tags": {"type": "array", "items": {"type": ["string", "null"]}},
        "exact": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
    },
    "$defs": {"Span": {"type": "object", "properties": {"from": {"type": "number"}}}},
}
TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}},
    {"type": "function", "function": {"name": "dance", "description": "at a ball"}},
]


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=server.base_url, api_key="any", max_retries=0) as client:
        yield client


def chat(server, **extra):
    return {"model": server.name, "messages": MESSAGES, "seed": 11, "temperature": 0.7, **extra}


def chat_stream(client):
    """The SDK's helper, wherever it is: it left `beta` in the course of openai 1."""
    return getattr(client.chat.completions, "stream", None) or client.beta.chat.completions.stream


# -- chat completions


def test_a_chat_answer_is_the_models_own(server, client, model):
    whole = client.chat.completions.create(**chat(server))
    text = whole.choices[0].message.content
    assert text == "".join(model.generate("Tell me of Mr. Darcy.\n\n", 400, 0.7, 11))
    assert whole.choices[0].finish_reason == "stop"
    assert whole.usage.prompt_tokens == sum(len(tokenize(message["content"])) for message in MESSAGES)
    assert whole.usage.completion_tokens == len(tokenize(text)) == server.tokens
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
    assert whole.model == server.name


def test_a_chat_stream_says_the_same_in_more_pieces(server, client):
    whole = client.chat.completions.create(**chat(server))
    options = {"include_usage": True}
    chunks = list(client.chat.completions.create(**chat(server, stream=True, stream_options=options)))
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert "".join(pieces) == whole.choices[0].message.content
    assert pieces == tokenize("".join(pieces))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert len({chunk.id for chunk in chunks}) == 1


def test_usage_is_not_streamed_unasked(server, client):
    chunks = list(client.chat.completions.create(**chat(server, stream=True)))
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


def test_the_sdks_own_accumulation_agrees(server, client):
    whole = client.chat.completions.create(**chat(server, n=2))
    with chat_stream(client)(
        model=server.name, messages=MESSAGES, seed=11, temperature=0.7, n=2, stream_options={"include_usage": True}
    ) as stream:
        final = stream.get_final_completion()
    assert [choice.message.content for choice in final.choices] == [choice.message.content for choice in whole.choices]
    assert final.choices[0].message.content != final.choices[1].message.content
    assert final.usage == whole.usage


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_a_limit_of_tokens_cuts_the_answer_off(server, client, limit):
    whole = client.chat.completions.create(**chat(server, **{limit: 9}))
    assert whole.choices[0].finish_reason == "length"
    assert whole.usage.completion_tokens == 9
    assert len(tokenize(whole.choices[0].message.content)) == 9


def test_stop_strings_end_the_answer_and_are_not_shown(server, client):
    text = client.chat.completions.create(**chat(server)).choices[0].message.content
    stop = text[41:55]  # across tokens
    for streamed in (False, True):
        answer = client.chat.completions.create(**chat(server, stop=["never said", stop], stream=streamed))
        if streamed:
            chunks = list(answer)
            got = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
            finish = chunks[-1].choices[0].finish_reason
        else:
            got, finish = answer.choices[0].message.content, answer.choices[0].finish_reason
        assert got == text[: text.index(stop)]
        assert finish == "stop"


def test_a_stop_string_that_never_comes_withholds_nothing(server, client):
    text = client.chat.completions.create(**chat(server)).choices[0].message.content
    answer = client.chat.completions.create(**chat(server, stop=text[-3:] + "!"))
    assert answer.choices[0].message.content == text


def test_content_may_come_in_parts(server, client):
    parts = [{"type": "text", "text": "Tell me "}, {"type": "text", "text": "of Mr. Darcy."}]
    answer = client.chat.completions.create(**chat(server, messages=[{"role": "user", "content": parts}]))
    assert (
        answer.choices[0].message.content == client.chat.completions.create(**chat(server)).choices[0].message.content
    )


# -- tool calls


def calls_of(message):
    return [(call.id[:5], call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls]


@pytest.mark.parametrize(
    ("choice", "content", "names"),
    [
        ("required", "Anything.", ["get_weather"]),
        ({"type": "function", "function": {"name": "dance"}}, "Anything.", ["dance"]),
        ("auto", "Please get_weather, then dance.", ["get_weather", "dance"]),
    ],
)
def test_tool_calls_streamed_and_whole_are_the_same(server, client, choice, content, names):
    messages = [{"role": "user", "content": content}]
    ask = chat(server, messages=messages, tools=TOOLS, tool_choice=choice)
    whole = client.chat.completions.create(**ask)
    with chat_stream(client)(**ask) as stream:
        final = stream.get_final_completion()
    assert calls_of(final.choices[0].message) == calls_of(whole.choices[0].message)
    assert [name for _, name, _ in calls_of(whole.choices[0].message)] == names
    assert whole.choices[0].finish_reason == final.choices[0].finish_reason == "tool_calls"
    assert whole.choices[0].message.content is None
    raw = [call.function.arguments for call in whole.choices[0].message.tool_calls]
    assert whole.usage.completion_tokens == sum(len(tokenize(arguments)) for arguments in raw)


def test_arguments_fit_the_schema(server, client):
    answer = client.chat.completions.create(**chat(server, tools=TOOLS, tool_choice="required"))
    ((_, _, arguments),) = calls_of(answer.choices[0].message)
    assert isinstance(arguments.pop("city"), str)
    assert all(isinstance(tag, str) for tag in arguments.pop("tags"))
    assert arguments == {"unit": "celsius", "days": 7, "when": {"from": 2.5}, "exact": True}


@pytest.mark.parametrize("extra", [{"tool_choice": "none"}, {}])
def test_tools_that_are_not_called_for_give_text(server, client, extra):
    answer = client.chat.completions.create(**chat(server, tools=TOOLS, **extra))
    assert answer.choices[0].message.tool_calls is None
    assert answer.choices[0].message.content


def test_a_tools_answer_is_not_answered_with_the_same_call(server, client):
    messages = [{"role": "user", "content": "dance"}, {"role": "tool", "tool_call_id": "1", "content": "dance: done"}]
    answer = client.chat.completions.create(**chat(server, messages=messages, tools=TOOLS))
    assert answer.choices[0].finish_reason == "stop"


def test_one_call_at_a_time_where_that_is_asked(server, client):
    messages = [{"role": "user", "content": "get_weather and dance"}]
    answer = client.chat.completions.create(**chat(server, messages=messages, tools=TOOLS, parallel_tool_calls=False))
    assert len(answer.choices[0].message.tool_calls) == 1


# -- completions


def test_completions_go_on_from_the_prompt(server, client, model):
    ask = {"model": server.name, "prompt": "It is a truth", "max_tokens": 12, "temperature": 0, "n": 2}
    whole = client.completions.create(**ask)
    assert [choice.text for choice in whole.choices] == ["".join(model.generate("It is a truth", 12, 0))] * 2
    assert whole.choices[0].text.startswith(" universally acknowledged")
    assert [choice.finish_reason for choice in whole.choices] == ["length"] * 2
    chunks = list(client.completions.create(**ask, stream=True, stream_options={"include_usage": True}))
    for index in range(2):
        own = [choice for chunk in chunks for choice in chunk.choices if choice.index == index]
        assert "".join(choice.text for choice in own) == whole.choices[index].text
        assert own[-1].finish_reason == "length"
    assert chunks[-1].usage == whole.usage
    assert whole.usage.completion_tokens == 24


# -- Responses


def test_responses_streamed_and_whole_are_the_same(server, client):
    ask = {"model": server.name, "input": "Tell me of Mr. Darcy.", "temperature": 0.7, "extra_body": {"seed": 11}}
    whole = client.responses.create(**ask)
    assert whole.output_text == client.chat.completions.create(**chat(server)).choices[0].message.content
    assert whole.status == "completed"
    with client.responses.stream(**ask) as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert final.output_text == whole.output_text
    assert final.usage == whole.usage
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == whole.output_text
    # the helper of old SDKs drops some of the numbers
    assert all(getattr(event, "sequence_number", place) == place for place, event in enumerate(events))
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")


def test_a_response_cut_off_is_incomplete(server, client):
    ask = {"model": server.name, "input": [{"role": "user", "content": "Pray."}], "max_output_tokens": 16}
    whole = client.responses.create(**ask)
    assert (whole.status, whole.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert whole.usage.output_tokens == 16
    last = list(client.responses.create(**ask, stream=True))[-1]
    assert (last.type, last.response.status) == ("response.incomplete", "incomplete")


def test_function_calls_of_responses_streamed_and_whole_are_the_same(server, client):
    tools = [{"type": "function", "strict": False, **tool["function"]} for tool in TOOLS]
    tools[1].setdefault("parameters", {"type": "object", "properties": {}})
    ask = {"model": server.name, "input": "dance, get_weather", "tools": tools, "extra_body": {"seed": 2}}
    whole = client.responses.create(**ask)
    with client.responses.stream(**ask) as stream:
        events = list(stream)
        final = stream.get_final_response()
    calls = [(item.type, item.name, item.arguments) for item in whole.output]
    assert [(item.type, item.name, item.arguments) for item in final.output] == calls
    assert [name for _, name, _ in calls] == ["get_weather", "dance"]
    done = [event.arguments for event in events if event.type == "response.function_call_arguments.done"]
    assert done == [arguments for _, _, arguments in calls]


# -- the async client, models


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # the SDK's own client is for that loop alone
async def test_the_async_client_reads_the_same(server, client):
    whole = client.chat.completions.create(**chat(server))
    async with openai.AsyncOpenAI(base_url=server.base_url, api_key="any", max_retries=0) as aclient:
        text = ""
        async with await aclient.chat.completions.create(**chat(server, stream=True)) as stream:
            async for chunk in stream:
                text += chunk.choices[0].delta.content or ""
        response = await aclient.responses.create(
            model=server.name, input="Tell me of Mr. Darcy.", temperature=0.7, extra_body={"seed": 11}
        )
    assert text == response.output_text == whole.choices[0].message.content


def test_its_model_is_listed(server, client):
    assert [about.id for about in client.models.list()] == [server.name]
    assert client.models.retrieve(server.name).id == server.name


# -- bad requests


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"messages": []}, "'messages' must be an array"),
        ({"messages": "hi"}, "'messages' must be an array"),
        ({"n": 0}, "'n' must be an integer from 1 to 16"),
        ({"n": 1.5}, "'n' must be an integer"),
        ({"max_tokens": 0}, "'max_tokens' must be an integer from 1"),
        ({"temperature": 3}, "'temperature' must be a number from 0 to 2"),
        ({"temperature": "hot"}, "'temperature' must be a number"),
        ({"seed": "x"}, "'seed' must be an integer"),
        ({"stop": [1]}, "'stop' must be a string"),
        ({"tools": [{"type": "function"}]}, "must be a function with a name"),
        ({"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "sing"}}}, "'sing' not found"),
        ({"stream_options": 3}, "'stream_options' must be an object"),
        ({"model": ""}, "model parameter"),
    ],
)
def test_a_bad_request_gets_status_400_and_a_sentence(server, client, change, words):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**chat(server, **change))
    assert words in caught.value.body["message"]
    assert caught.value.type == "invalid_request_error"


def test_an_unknown_model_or_address_gets_status_404(server, client):
    with pytest.raises(openai.NotFoundError, match="does not exist") as caught:
        client.chat.completions.create(**chat(server, model="other"))
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError, match="Unknown request URL: POST /v1/embeddings"):
        client.embeddings.create(model=server.name, input="x")
    with pytest.raises(openai.NotFoundError, match="Unknown request URL: GET"):
        client.models.retrieve("other")


def test_a_key_is_asked_for_where_one_is_set(model):
    with DemoServer(model, interval=0, api_key="right") as server:
        for key in ("right", "wrong"):
            with openai.OpenAI(base_url=server.base_url, api_key=key, max_retries=0) as client:
                if key == "right":
                    assert client.chat.completions.create(**chat(server)).choices
                else:
                    with pytest.raises(openai.AuthenticationError, match="Incorrect API key"):
                        client.chat.completions.create(**chat(server))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "could not parse"),
        (b"\xff\xfe", "could not parse"),
        (b"[" * 100_000, "could not parse"),
        (b"[]", "must be an object"),
        (b'{"model": "\\ud800", "messages": [{}]}', "does not exist"),
    ],
)
def test_bodies_that_are_no_request_get_an_error_object(server, body, words):
    status, answer = post(server, body)
    assert status in (400, 404)
    assert words in json.loads(answer)["error"]["message"]


def test_a_lone_surrogate_in_the_prompt_is_survived(server):
    body = {"model": server.name, "messages": [{"role": "user", "content": "\ud83d"}]}
    status, answer = post(server, json.dumps(body).encode())
    assert status == 200
    assert json.loads(answer)["choices"][0]["message"]["content"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 20) | st.floats() | st.text(max_size=5) | st.just("f"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [
        "messages",
        "prompt",
        "input",
        "instructions",
        "n",
        "seed",
        "temperature",
        "stop",
        "stream_options",
        "tools",
        "tool_choice",
    ]
)


@pytest.mark.parametrize("ask", [ask_chat, ask_completions, ask_responses])
@given(changes=st.dictionaries(FIELDS, JSON, max_size=3))
def test_any_json_is_answered_or_refused(ask, changes):
    """Whatever a body holds, nothing breaks but with a sentence."""
    tools = [{"name": "f", "function": {"name": "f"}}]
    body = {"model": "m", "messages": [{"content": "hi"}], "prompt": "hi", "input": "hi", "tools": tools, **changes}
    limits = {"max_tokens": 3, "max_output_tokens": 3}
    try:
        made = ask(body | limits)
    except BadRequest:
        return
    answer = Answer(load(), made)
    pieces = list(answer)
    assert {piece.choice for piece in pieces} <= set(answer.finish) == set(range(made.choices))


@given(JSON)
def test_any_schema_gives_arguments(schema):
    arguments = "".join(
        piece.text for piece in Answer(load(), ask_for({"type": "object", "properties": {"a": schema}}))
    )
    assert set(json.loads(arguments)) == {"a"}


def ask_for(parameters):
    tool = {"type": "function", "function": {"name": "f", "parameters": parameters}}
    return ask_chat({"model": "m", "messages": [{}], "tools": [tool], "tool_choice": "required", "seed": 1})


def test_a_body_without_a_length_is_refused(server):
    with socket.create_connection(address(server), timeout=5) as raw:
        raw.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        answer = b"".join(iter(lambda: raw.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"Content-Length" in answer


def address(server):
    return "127.0.0.1", int(server.base_url.split(":")[2].partition("/")[0])


def post(server, body):
    connection = http.client.HTTPConnection(*address(server), timeout=10)
    try:
        connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


# -- the wire


def test_the_wire_is_server_sent_events_in_utf8(server):
    body = {"model": server.name, "messages": MESSAGES, "seed": 11, "stream": True}
    status, answer = post(server, json.dumps(body).encode())
    assert status == 200
    *events, last, rest = answer.decode().split("\n\n")
    assert (last, rest) == ("data: [DONE]", "")
    assert all(event.startswith("data: {") for event in events)
    assert any("“" in event or "’" in event or "—" in event for event in events)


def test_one_connection_serves_many_requests(server, client):
    before = threading.active_count()
    for _ in range(3):
        list(client.chat.completions.create(**chat(server, stream=True, max_tokens=3)))
    assert threading.active_count() <= before + 1


# -- leaving and ending


def test_a_client_that_leaves_ends_the_generation(model):
    """No token is due for an hour: only the connection's end can wake the server."""
    with DemoServer(model, interval=3600.0) as server:
        with openai.OpenAI(base_url=server.base_url, api_key="any", max_retries=0) as client:
            stream = client.chat.completions.create(**chat(server, stream=True))
            next(stream)
            assert server.wait_until(lambda server: server.tokens == 1)
            stream.close()
            assert server.wait_until(lambda server: server.active == 0)
        assert server.tokens == 1
        assert server.faults == []


def test_a_client_that_leaves_a_whole_answer_ends_the_generation(model):
    with DemoServer(model, interval=3600.0) as server:
        raw = socket.create_connection(address(server), timeout=5)
        body = json.dumps(chat(server)).encode()
        raw.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        assert server.wait_until(lambda server: server.tokens == 1)
        raw.close()
        assert server.wait_until(lambda server: server.active == 0)
        assert server.tokens == 1


def test_closing_the_server_ends_what_runs_and_leaves_nothing(model):
    before = set(threading.enumerate())
    server = DemoServer(model, interval=3600.0).start()
    raw = socket.create_connection(address(server), timeout=5)
    idle = socket.create_connection(address(server), timeout=5)
    body = json.dumps(chat(server, stream=True)).encode()
    raw.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    assert raw.recv(16).startswith(b"HTTP/1.1 200")
    server.close()
    server.close()
    assert set(threading.enumerate()) <= before
    for connection in (raw, idle):
        with contextlib.suppress(ConnectionResetError):  # closed with something unread
            while connection.recv(65536):
                pass
        connection.close()
    with pytest.raises(OSError):  # noqa: PT011
        socket.create_connection(address(server), timeout=1)


def test_bursts_and_jitter_keep_the_mean_interval(model):
    for options in ({}, {"burst": 5}, {"burst": 5, "jitter": 0.5}, {"jitter": 1.0}):
        server = DemoServer(model, interval=0.02, **options)
        waits = list(islice(server._waits(), 5000))
        server.close()
        assert sum(waits) / 5000 == pytest.approx(0.02, rel=0.05)
        assert min(waits) >= 0
        burst = options.get("burst", 1)
        assert [wait > 0 for wait in waits[: 2 * burst]] == [True, *[False] * (burst - 1)] * 2
