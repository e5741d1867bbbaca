"""The demo over a GGUF file: llama.cpp live, replayed, and in this process."""

import re
import subprocess
import sys

import pytest

pytest.importorskip("xllamacpp", reason="needs xllamacpp")
pytest.importorskip("gguf", reason="the GGUF model is written with the package gguf")

from tests.local import tiny_gguf

pytestmark = pytest.mark.heavy


def demo(*arguments):
    command = [sys.executable, "-m", "typestream", "demo", "--fast", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_the_same_answer_three_times(tmp_path):
    path = tmp_path / "tiny.gguf"
    tiny_gguf.write(path)
    done = demo("--model", str(path), "--max-tokens", "8")
    assert (done.returncode, done.stderr) == (0, "")
    _, live, replayed, local = re.split(r"\n\[(?:live|replay|local)\] .*\n\n", done.stdout)
    assert live == replayed
    assert local.startswith(live)
    assert done.stdout.count("tiny.gguf") == 2


def test_a_model_that_is_not_there_gets_one_sentence():
    done = demo("--model", "none.gguf")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "none.gguf" in done.stderr
