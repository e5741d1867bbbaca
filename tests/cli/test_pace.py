"""What `--pace` understands, and when pacing is bypassed."""

import io

import pytest

from typestream._command import pace, paced_for
from typestream.pacing import Instant, Smooth, Steady, Typist


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("instant", Instant()),
        ("smooth", Smooth()),
        ("smooth:0.3", Smooth(max_lag=0.3)),
        ("smooth:0.3/word", Smooth(max_lag=0.3, per="word")),
        ("smooth/word", Smooth(per="word")),
        ("steady:40", Steady(40)),
        ("steady:12/word", Steady(12, per="word")),
        ("typist:300", Typist(wpm=300)),
        ("steady:2.5/line", Steady(2.5, per="line")),
    ],
)
def test_a_pace_is_a_policy(text, policy):
    assert pace(text) == policy


@pytest.mark.parametrize("text", ["", "fast", "steady:4/hour", "instant:3", "instant/word", "smooth/word/word"])
def test_what_is_no_pace_gets_one_sentence(text, refused):
    assert refused("pipe", "--pace", text).startswith(f"typestream pipe: argument --pace: {text!r} is no pace; there ")


@pytest.mark.parametrize("number", ["0", "-1", "x", "nan", "inf", "", "1e999"])
def test_a_bad_number_gets_one_sentence(number, refused):
    for name in ("steady", "smooth"):
        assert "needs a positive number after the colon" in refused("play", "x", f"--pace={name}:{number}")


class File(io.StringIO):
    def __init__(self, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal


@pytest.mark.parametrize(
    ("terminal", "environment", "asked", "got"),
    [
        (True, {}, None, Smooth()),
        (False, {}, None, Instant()),
        (True, {"CI": "true"}, None, Instant()),
        (True, {"NO_MOTION": "1"}, None, Instant()),
        (True, {"NO_MOTION": "0", "CI": ""}, None, Smooth()),
        (False, {"CI": "true", "NO_MOTION": "1"}, Steady(3), Steady(3)),
    ],
)
def test_nobody_is_made_to_wait_for_what_nobody_watches(monkeypatch, terminal, environment, asked, got):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert paced_for(File(terminal), asked, Smooth()) == got
