"""llama.cpp's own HTTP server, another implementation of OpenAI's wire format, in front of a model with random weights:
what typestream reads through the real SDK is what the SDK makes of the same request."""

import re
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

import typestream
from tests.sdk.conftest import SDK_LEAVES_GENERATORS, async_client, run, sync_client

pytest.importorskip("gguf", reason="the GGUF model is written with the package gguf")
xllamacpp = pytest.importorskip("xllamacpp", reason="the server is that of the package xllamacpp")

pytestmark = pytest.mark.heavy

SAME: dict[str, Any] = {"model": "tiny", "seed": 11, "temperature": 0, "extra_body": {"cache_prompt": False}}
CHAT = {**SAME, "messages": [{"role": "user", "content": "What time is it?"}], "max_tokens": 40}
STREAMED = {"stream": True, "stream_options": {"include_usage": True}}


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    from tests.local import tiny_gguf

    params = xllamacpp.CommonParams()
    params.model.path = tiny_gguf.write(tmp_path_factory.mktemp("model") / "tiny.gguf")
    params.model_alias = {"tiny"}
    params.n_ctx = 2 * tiny_gguf.CONTEXT
    params.n_parallel = 2
    params.endpoint_metrics = True
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.warmup = False
    params.verbosity = -1
    server = xllamacpp.Server(params)
    yield f"{server.listening_address}/v1"
    del server


def usage(result: typestream.Result) -> tuple[int | None, int | None, int | None]:
    assert result.usage is not None
    return result.usage.input, result.usage.output, result.usage.total


def test_chat_is_what_the_sdk_accumulates(base_url, read):
    _, result = read(base_url, lambda client: client.chat.completions.create(**CHAT, **STREAMED))
    with sync_client(base_url) as client:
        chunks = list(client.chat.completions.create(**CHAT, **STREAMED))
        whole = client.chat.completions.create(**CHAT)
    assert len(result.text) > 40
    assert result.text == "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert result.text == whole.choices[0].message.content
    assert result.finish_reason == whole.choices[0].finish_reason == "length"
    assert usage(result) == (whole.usage.prompt_tokens, whole.usage.completion_tokens, whole.usage.total_tokens)
    assert whole.usage.completion_tokens == 40
    assert result.completion == "complete"
    assert result.model == whole.model


def test_a_chat_that_a_stop_string_ends(base_url, read):
    asked = {**CHAT, "stop": [" "]}
    _, result = read(base_url, lambda client: client.chat.completions.create(**asked, **STREAMED))
    with (
        sync_client(base_url) as client,
        client.chat.completions.stream(**asked, stream_options={"include_usage": True}) as stream,
    ):
        whole = stream.get_final_completion()
    assert " " not in result.text
    assert result.text == (whole.choices[0].message.content or "")
    assert result.finish_reason == whole.choices[0].finish_reason == "stop"
    assert usage(result) == (whole.usage.prompt_tokens, whole.usage.completion_tokens, whole.usage.total_tokens)


def test_several_choices(base_url, read):
    asked = {**CHAT, "n": 2, "temperature": 1.5}
    _, result = read(base_url, lambda client: client.chat.completions.create(**asked, **STREAMED))
    with sync_client(base_url) as client:
        chunks = list(client.chat.completions.create(**asked, **STREAMED))
    assert [choice.index for choice in result.choices] == [0, 1]
    assert {choice.finish_reason for choice in result.choices} == {"length"}
    assert usage(result)[1] == chunks[-1].usage.completion_tokens


def test_logprobs(base_url, read):
    asked = {**CHAT, "logprobs": True, "top_logprobs": 2}
    events, _ = read(base_url, lambda client: client.chat.completions.create(**asked, **STREAMED))
    with sync_client(base_url) as client:
        choices = [c.choices[0] for c in client.chat.completions.create(**asked, **STREAMED) if c.choices]
    expected = [entry.token for choice in choices if choice.logprobs for entry in choice.logprobs.content or ()]
    found = [event.logprobs for event in events if isinstance(event, typestream.TextDelta) and event.logprobs]
    assert expected
    assert [entry["token"] for entries in found for entry in entries] == expected


def test_completions_are_what_the_sdk_reads(base_url, read):
    asked = {**SAME, "prompt": "It was the", "max_tokens": 40}
    _, result = read(base_url, lambda client: client.completions.create(**asked, **STREAMED))
    with sync_client(base_url) as client:
        chunks = list(client.completions.create(**asked, **STREAMED))
    assert len(result.text) > 40
    assert result.text == "".join(choice.text for chunk in chunks for choice in chunk.choices)
    reasons = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    assert [result.finish_reason] == reasons == ["length"]
    counted = next(chunk.usage for chunk in chunks if chunk.usage)
    assert usage(result) == (counted.prompt_tokens, counted.completion_tokens, counted.total_tokens)


def test_responses_are_what_the_sdk_accumulates(base_url, read):
    asked = {**SAME, "input": "What time is it?", "max_output_tokens": 40}
    del asked["seed"]
    events, result = read(base_url, lambda client: client.responses.create(**asked, stream=True))
    with sync_client(base_url) as client:
        seen = list(client.responses.create(**asked, stream=True))
    deltas = "".join(event.delta for event in seen if event.type == "response.output_text.delta")
    final = seen[-1].response
    assert len(result.text) > 40
    assert result.text == deltas == final.output_text
    assert usage(result) == (final.usage.input_tokens, final.usage.output_tokens, final.usage.total_tokens)
    assert result.completion == "complete"
    assert len([event for event in events if isinstance(event, typestream.Finish)]) == 1


@SDK_LEAVES_GENERATORS
@pytest.mark.parametrize("runtime", ["asyncio", "trio"])
def test_the_async_sdk_reads_the_same(base_url, runtime):
    async def main() -> tuple[str, str]:
        async with async_client(base_url) as client:
            chunks = [c async for c in await client.chat.completions.create(**CHAT, **STREAMED)]
            async with typestream.stream(client.chat.completions.create(**CHAT, **STREAMED)) as stream:
                ours = "".join([text async for text in stream])
        return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices), ours

    theirs, ours = run(runtime, main)
    assert ours == theirs


def test_a_prompt_that_is_too_long_is_an_error(base_url, read):
    asked = {**SAME, "prompt": "time " * 9000, "max_tokens": 4}
    with pytest.raises(typestream.StreamServerError) as caught:
        read(base_url, lambda client: lambda: client.completions.create(**asked, **STREAMED))
    assert caught.value.status == 400
    assert re.search("context", str(caught.value))


def test_leaving_stops_the_server(base_url):
    """Were it to go on, it would decode 1,900 more tokens for each of the requests."""
    before = decoded(base_url)
    with sync_client(base_url) as client:
        for _ in range(3):
            create = client.chat.completions.create(**{**CHAT, "max_tokens": 1900}, **STREAMED)
            with typestream.stream(create) as stream:
                assert next(stream)
        done = typestream.stream(client.chat.completions.create(**{**CHAT, "max_tokens": 5}, **STREAMED)).collect()
    assert done.usage is not None
    assert done.usage.output == 5
    assert decoded(base_url) - before < 1900


def decoded(base_url: str) -> int:
    """How often the server has called its model so far."""
    with urllib.request.urlopen(f"{base_url.removesuffix('/v1')}/metrics") as answer:
        text = answer.read().decode()
    return int(re.findall(r"^llamacpp:n_decode_total (\d+)", text, re.M)[0])
