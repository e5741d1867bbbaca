"""Live streams through the real SDK: what typestream says is what the SDK's own accumulation says."""

import json
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

import typestream
from tests.sdk.conftest import MODEL, SDK_LEAVES_GENERATORS, async_client, in_runtime, run, sync_client

MESSAGES = [{"role": "user", "content": "It is a truth universally"}]
CHAT: dict[str, Any] = {
    "model": MODEL,
    "messages": MESSAGES,
    "max_tokens": 30,
    "seed": 3,
    "temperature": 0.9,
    "stream": True,
    "stream_options": {"include_usage": True},
}
TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "parameters": {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
    },
}


def test_chat_gives_what_the_sdk_accumulates(server, read):
    events, result = read(server.base_url, lambda client: client.chat.completions.create(**CHAT))
    with sync_client(server.base_url) as client:
        chunks = list(client.chat.completions.create(**CHAT))
    assert result.text == "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert result.finish_reason == next(c.choices[0].finish_reason for c in chunks if c.choices[0].finish_reason)
    assert result.usage is not None
    assert chunks[-1].usage is not None
    assert (result.usage.input, result.usage.output) == (
        chunks[-1].usage.prompt_tokens,
        chunks[-1].usage.completion_tokens,
    )
    assert result.model == MODEL
    assert result.completion == "complete"
    assert all(isinstance(event.raw, ChatCompletionChunk) for event in events)


def test_chat_result_becomes_the_sdk_s_own_completion(server, read):
    _, result = read(server.base_url, lambda client: client.chat.completions.create(**CHAT))
    whole = {name: value for name, value in CHAT.items() if not name.startswith("stream")}
    with sync_client(server.base_url) as client:
        completion = client.chat.completions.create(**whole)
    made = result.to_openai()
    assert isinstance(made, ChatCompletion)
    assert made.choices[0].message.content == completion.choices[0].message.content
    assert made.choices[0].finish_reason == completion.choices[0].finish_reason
    assert made.usage is not None
    assert made.usage.total_tokens == completion.usage.total_tokens
    assert typestream.replay(completion).collect().text == result.text


def test_several_choices_are_kept_apart(server, read):
    events, result = read(server.base_url, lambda client: client.chat.completions.create(**{**CHAT, "n": 3}))
    assert [choice.index for choice in result.choices] == [0, 1, 2]
    assert len({choice.text for choice in result.choices}) == 3
    for choice in result.choices:
        mine = [e.text for e in events if isinstance(e, typestream.TextDelta) and e.index == choice.index]
        assert "".join(mine) == choice.text
        assert choice.finish_reason


def test_tool_calls_are_what_the_sdk_accumulates(server, read):
    asked = {**CHAT, "tools": [TOOL], "tool_choice": "required"}
    _, result = read(server.base_url, lambda client: client.chat.completions.create(**asked))
    whole = {name: value for name, value in asked.items() if not name.startswith("stream")}
    with sync_client(server.base_url) as client:
        message = client.chat.completions.create(**whole).choices[0].message
    assert [(c.name, json.loads(c.arguments)) for c in result.tool_calls] == [
        (c.function.name, json.loads(c.function.arguments)) for c in message.tool_calls
    ]
    assert all(call.id for call in result.tool_calls)
    assert result.finish_reason == "tool_calls"


def test_responses_give_what_the_sdk_s_final_response_holds(server, read):
    asked = {"model": MODEL, "input": "It is a truth", "max_output_tokens": 30, "stream": True}
    events, result = read(server.base_url, lambda client: client.responses.create(**asked))
    final = events[-1].raw.response
    assert final.object == "response"
    assert result.text == final.output_text
    assert result.usage is not None
    assert (result.usage.input, result.usage.output) == (final.usage.input_tokens, final.usage.output_tokens)
    assert result.completion == "complete"
    assert typestream.replay(final).collect().text == result.text


def test_completions_give_the_text(server, read):
    asked: dict[str, Any] = {"model": MODEL, "prompt": "It is a truth", "max_tokens": 30, "seed": 4}
    _, result = read(server.base_url, lambda client: client.completions.create(**asked, stream=True))
    with sync_client(server.base_url) as client:
        whole = client.completions.create(**asked)
    assert result.text == whole.choices[0].text
    assert result.finish_reason == whole.choices[0].finish_reason
    assert typestream.replay(whole).collect().text == result.text


def helper(client: Any) -> Any:
    """The SDK's helper manager; it moved out of beta."""
    chat = client.chat.completions if hasattr(client.chat.completions, "stream") else client.beta.chat.completions
    return chat.stream(**{name: value for name, value in CHAT.items() if name != "stream"})


FORMS = {
    "a stream or its coroutine": lambda client: client.chat.completions.create(**CHAT),
    "a callable": lambda client: lambda: client.chat.completions.create(**CHAT),
    "a helper manager": helper,
    "with_streaming_response": lambda client: client.chat.completions.with_streaming_response.create(**CHAT),
    "with_raw_response": lambda client: client.chat.completions.with_raw_response.create(**CHAT),
    "a whole answer instead of a stream": lambda client: client.chat.completions.with_streaming_response.create(
        **{name: value for name, value in CHAT.items() if not name.startswith("stream")}
    ),
}


@pytest.mark.parametrize("form", FORMS)
@SDK_LEAVES_GENERATORS
def test_every_form_of_the_call_gives_the_same(server, read, form):
    _, expected = in_runtime("sync", server.base_url, FORMS["a stream or its coroutine"])
    _, result = read(server.base_url, FORMS[form])
    assert result.text == expected.text
    assert result.finish_reason == expected.finish_reason
    assert result.usage == expected.usage


@SDK_LEAVES_GENERATORS
def test_the_responses_helper_manager(server, read):
    _, result = read(
        server.base_url,
        lambda client: client.responses.stream(model=MODEL, input="It is a truth", max_output_tokens=20),
    )
    assert result.text
    assert result.completion == "complete"


@pytest.mark.parametrize("runtime", ["sync", "asyncio", "trio"])
def test_closing_the_stream_closes_the_sdk_s_own(server, runtime):
    long = {**CHAT, "max_tokens": 400}
    if runtime == "sync":
        with sync_client(server.base_url) as client:
            given = client.chat.completions.create(**long)
            with typestream.stream(given) as stream:
                next(stream)
            assert given.response.is_closed
        return

    async def main() -> None:
        async with async_client(server.base_url) as client:
            given = await client.chat.completions.create(**long)
            async with typestream.stream(given) as stream:
                await anext(stream)
            assert given.response.is_closed

    run(runtime, main)


def test_a_refused_connection_is_our_error_with_theirs_as_the_cause():
    with sync_client("http://127.0.0.1:9/v1") as client:
        with pytest.raises(typestream.StreamConnectionError) as caught:
            typestream.stream(lambda: client.chat.completions.create(**CHAT))
        assert isinstance(caught.value.__cause__, openai.APIConnectionError)


def test_an_unknown_model_is_the_server_s_error(server, read):
    with pytest.raises(typestream.StreamServerError) as caught:
        read(server.base_url, lambda client: lambda: client.chat.completions.create(**{**CHAT, "model": "nobody"}))
    assert caught.value.status == 404
    assert "nobody" in str(caught.value)
