"""`typestream demo`: the same answer three times, each by its own source."""

import os
import re
import subprocess
import sys

import pytest

from typestream._demo.server import DemoServer
from typestream.cli import main

TITLE = re.compile(r"^\[(live|replay|local)\] (.*)\n\n", re.MULTILINE)
TIMING = re.compile(r"^(live|replay|local) +(.*)\n", re.MULTILINE)


@pytest.fixture
def demo(capsys):
    """Run the demo: the text of each source, the titles, the lines of timing."""

    def run(*argv):
        assert main(["demo", "--fast", *argv]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        timings = dict(TIMING.findall(out))
        parts = TITLE.split(TIMING.sub("", out))
        assert parts[1::3] == ["live", "replay", "local"] == list(timings)
        texts = {title: text.strip() for title, text in zip(parts[1::3], parts[3::3], strict=True)}
        return texts, dict(zip(parts[1::3], parts[2::3], strict=True)), timings

    return run


@pytest.fixture
def endpoint(monkeypatch):
    with DemoServer(interval=0, api_key="right", name="elsewhere") as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "right")
        yield server


def test_offline_all_three_say_the_same(demo):
    texts, titles, timings = demo()
    assert len(texts["live"]) > 300
    assert texts["live"] == texts["replay"] == texts["local"]
    assert "pride-4gram at http://127.0.0.1:" in titles["live"]
    assert all("first token after " in line and "tokens/s" in timings["live"] for line in timings.values())
    assert "all at once" in timings["replay"]


def test_the_options_reach_all_three(demo):
    first, _, _ = demo("--prompt", "Is it so?", "--seed", "1", "--max-tokens", "12", "--temperature", "0.9")
    other, _, _ = demo("--prompt", "Is it so?", "--seed", "2", "--max-tokens", "12", "--temperature", "0.9")
    for texts in (first, other):
        assert texts["live"] == texts["replay"] == texts["local"]
        assert 5 < len(texts["live"]) < 120
    assert first != other


def test_an_endpoint_is_asked_where_one_is_set(demo, endpoint):
    texts, titles, _ = demo("--seed", "3", "--max-tokens", "9", "--temperature", "0.6")
    assert endpoint.tokens == 9
    assert titles["live"] == f"elsewhere at {endpoint.base_url}, through the openai SDK"
    assert texts["live"] == texts["replay"] == texts["local"]  # it is the same model, by chance


def test_the_endpoints_model_can_be_named(demo, endpoint, refused):
    _, titles, _ = demo("--model", "elsewhere", "--max-tokens", "2")
    assert titles["live"].startswith("elsewhere at ")
    assert "The model 'nowhere' does not exist" in refused("demo", "--model", "nowhere", code=1)


def test_a_wrong_key_is_one_sentence(endpoint, monkeypatch, refused):
    monkeypatch.setenv("OPENAI_API_KEY", "wrong")
    assert refused("demo", code=1) == "typestream: The server answered 401: Incorrect API key provided.\n"
    assert "Incorrect API key" in refused("demo", "--model", "elsewhere", code=1)


def test_an_endpoint_that_is_not_there_is_one_sentence(monkeypatch, refused):
    with DemoServer(interval=0) as server:
        gone = server.base_url
    monkeypatch.setenv("OPENAI_BASE_URL", gone)
    for argv in (["demo"], ["demo", "--model", "x"]):
        assert refused(*argv, code=1).startswith("typestream: The connection failed: ")


def test_a_name_of_an_endpoint_controls_no_terminal(monkeypatch, on_terminal):
    with DemoServer(interval=0, name="evil\x1b]0;t\x07\u202e") as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        shown = on_terminal("demo", "--fast", "--max-tokens", "2").replace("\x1b[31m", "").replace("\x1b[39m", "")
    assert "[live] evil␛]0;t␇\\u202e at http://" in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_a_password_in_an_address_is_not_shown(demo, monkeypatch):
    with DemoServer(interval=0, name="elsewhere") as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url.replace("http://", "http://me:secret@"))
        _, titles, _ = demo("--max-tokens", "2")
        assert titles["live"] == f"elsewhere at {server.base_url}, through the openai SDK"


@pytest.mark.parametrize(
    ("name", "value"),
    [("OPENAI_BASE_URL", "http://127.0.0.1:port/v1"), ("HTTP_PROXY", "nonsense://127.0.0.1:9")],
)
def test_an_environment_that_cannot_be_used_is_one_sentence(endpoint, monkeypatch, refused, name, value):
    monkeypatch.setenv(name, value)
    assert "no request can be made with this environment: " in refused("demo", code=1)


def test_offline_no_proxy_is_asked(demo, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    texts, _, _ = demo("--max-tokens", "2")
    assert texts["live"]


def test_offline_there_is_one_model_only(refused):
    assert "there is no model 'gpt-x' here; set OPENAI_BASE_URL" in refused("demo", "--model", "gpt-x", code=1)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--max-tokens", "0"], "'0' is not a whole number of at least 1"),
        (["--temperature", "-1"], "'-1' is not a number of at least 0"),
        (["--seed", "x"], "'x' is not a whole number of at least 0"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
        (["--\x1b]0;t\x07"], "unrecognized arguments: --␛]0;t␇"),
    ],
)
def test_a_bad_option_is_one_sentence(refused, argv, words):
    assert words in refused("demo", *argv)


def test_no_command_is_one_sentence(refused):
    assert "required: COMMAND" in refused()


def test_whoever_reads_may_leave():
    """As `| head -1` does: no word on standard error, and no traceback."""
    command = [sys.executable, "-m", "typestream", "demo", "--fast"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b"The same answer")
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141
