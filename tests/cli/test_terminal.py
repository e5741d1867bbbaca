"""The command line on a real terminal (a pseudo-terminal): what is seen, and what Ctrl-C leaves."""

import os
import subprocess
import sys

import pytest

from typestream._demo.ngram import load

pty = pytest.importorskip("pty", reason="needs pseudo-terminals")


MARK = "[the answer broke off]"
# the terminal is made the one whose Ctrl-C reaches the process, even if a shell has put the tests in the background
SHIM = """
import fcntl, signal, sys, termios
fcntl.ioctl(1, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGINT, signal.default_int_handler)
from typestream.cli import main
sys.exit(main())
"""


class Session:
    """A command on a terminal of its own."""

    def __init__(self, *argv, stdin=None):
        self.seen = b""
        self._master, slave = pty.openpty()
        gone = ("OPENAI_", "CI", "NO_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(gone)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", SHIM, *argv],
            stdin=slave if stdin is None else stdin,
            stdout=slave,
            stderr=slave,
            env=environment | {"TERM": "xterm"},
            start_new_session=True,
        )
        os.close(slave)

    def until(self, text):
        """Read until this was shown, or to the end."""
        while text is None or text not in self.seen:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # Linux's way to say that the last process has closed the terminal
                break
            if not data:
                break
            self.seen += data
        return self.seen.decode().replace("\r\n", "\n")

    def press(self, key):
        os.write(self._master, key)

    def end(self):
        shown = self.until(None)
        code = self.process.wait(30)
        os.close(self._master)
        return shown, code


def test_the_demo_on_a_terminal():
    shown, code = Session("demo", "--fast", "--max-tokens", "400").end()
    text = "".join(load().generate("Tell me about Mr. Darcy.\n\n", 400, 0.6, 54))
    assert code == 0
    assert shown.count(text) == 3
    assert shown.endswith("at most\n")
    assert "\x1b" not in shown


def test_the_demo_says_where_an_answer_was_cut():
    shown, code = Session("demo", "--fast", "--max-tokens", "5").end()
    assert code == 0
    assert shown.count("[cut at the length limit]") == 3


@pytest.mark.parametrize("pace", ["steady:1", "smooth", "instant"])
def test_ctrl_c_ends_the_demo_at_once(pace):
    """With a character a second the rest would take minutes."""
    session = Session("demo", "--pace", pace)
    session.until("“I".encode())
    session.press(b"\x03")
    shown, code = session.end()
    assert code == 130
    assert "Traceback" not in shown
    assert "Exception" not in shown
    assert shown.removesuffix("^C").endswith("\n")  # the terminal's own echo may come last
    assert "[local]" not in shown


def test_ctrl_c_before_the_first_word():
    """While the SDK is imported, most likely."""
    session = Session("demo")
    session.until(b"Darcy.")
    session.press(b"\x03")
    shown, code = session.end()
    assert code == 130
    assert "Traceback" not in shown
    assert shown.endswith("^C\n")


def test_ctrl_c_while_a_pipe_waits_for_more():
    read, write = os.pipe()
    os.write(write, b"first words")
    session = Session("pipe", "--pace", "smooth:0.05", stdin=read)
    os.close(read)
    session.until(b"first words")
    session.press(b"\x03")
    shown, code = session.end()
    os.close(write)
    assert (shown.replace("\x1b[31m", "").replace("\x1b[39m", ""), code) == (f"first words^C\n{MARK}\n", 130)


def test_ctrl_c_while_a_text_is_played(tmp_path):
    (tmp_path / "text").write_text("ab" * 1000)
    session = Session("play", str(tmp_path / "text"), "--pace", "steady:2")
    session.until(b"a")
    session.press(b"\x03")
    shown, code = session.end()
    assert code == 130
    answer, mark = shown.split("\n", 1)
    assert answer.replace("^C", "").strip("ab") == ""
    assert MARK in mark
