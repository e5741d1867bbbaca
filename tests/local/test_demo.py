"""The demo over a GGUF file: llama.cpp live, replayed, and in this process."""

import re
import signal
import subprocess
import sys

import pytest

pytest.importorskip("xllamacpp", reason="needs xllamacpp")
pytest.importorskip("gguf", reason="the GGUF model is written with the package gguf")

from tests.local import tiny_gguf
from typestream.cli import main

pytestmark = pytest.mark.heavy


def demo(*arguments):
    command = [sys.executable, "-m", "typestream", "demo", "--fast", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.fixture
def refused(capsys):
    """What is said of a model, which is one sentence."""

    def run(path):
        assert main(["demo", "--fast", "--model", str(path)]) == 1
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        return said

    return run


def test_the_same_answer_three_times(tmp_path):
    path = tmp_path / "tiny.gguf-01"  # by whatever name
    tiny_gguf.write(path)
    done = demo("--model", str(path), "--max-tokens", "8")
    assert (done.returncode, done.stderr) == (0, "")
    _, live, replayed, local = re.split(r"\n\[(?:live|replay|local)\] .*\n\n", done.stdout)
    assert live == replayed
    assert local.startswith(live)
    assert done.stdout.index(f"llama.cpp loads {path} …\n") < done.stdout.index("[live]")
    assert done.stdout.count("tiny.gguf") == 3


def test_models_that_cannot_be_used_get_one_sentence(tmp_path, refused):
    assert "There is no model at none.gguf" in refused("none.gguf")
    empty, text, half = tmp_path / "empty.gguf", tmp_path / "text.txt", tmp_path / "half.gguf"
    empty.touch()
    text.write_text("It is a truth universally acknowledged")
    tiny_gguf.write(half)
    half.write_bytes(half.read_bytes()[:5000])
    for path in (empty, text):
        assert f"{path} is no GGUF file" in refused(path)
    assert f"{half} cannot be loaded by llama.cpp: is it whole?" in refused(half)
    assert f"There is no model at {tmp_path}" in refused(f"{tmp_path}.gguf")


# loads for ever, and holds up Python while it does, as llama.cpp's does
LOADING = """
import ctypes, sys, types
from typestream.cli import main
fake = types.ModuleType("xllamacpp")
class CommonParams:
    def __init__(self):
        self.model = self.cpuparams = self.cpuparams_batch = types.SimpleNamespace()
fake.CommonParams = CommonParams
fake.Server = lambda given: ctypes.PyDLL(None).sleep(60)
sys.modules["xllamacpp"] = fake
sys.exit(main(["demo", "--model", sys.argv[1]]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_while_it_loads(tmp_path, number):
    path = tmp_path / "tiny.gguf"
    tiny_gguf.write(path)
    command = [sys.executable, "-c", LOADING, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while "loads" not in process.stdout.readline():
            pass
        for _ in range(500):  # before it loads it takes a moment to import
            process.send_signal(number)
            try:
                process.wait(0.05)
                break
            except subprocess.TimeoutExpired:
                pass
        assert process.returncode in (-number, 128 + number)
        assert "Traceback" not in process.stderr.read()
