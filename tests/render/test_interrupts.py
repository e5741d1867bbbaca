"""Ctrl-C and SIGTERM while an answer is shown: the terminal is left as it was, and the partial answer marked."""

import contextlib
import gc
import linecache
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from typestream._clock import RealMonitor
from typestream.events import Event, ReasoningDelta, TextDelta
from typestream.render import Plain, Rendering, Terminal
from typestream.result import Result

pyte = pytest.importorskip("pyte")
MARK = "[the answer broke off]"
BEFORE = "the shell's own line\n"
TEXT = "One two *three*.\n\n- four\n- five six\n\n```\nseven\n```\n\nEight, **nine** ten.\n"
WORDS = ["One", "two", "three", "four", "five", "six", "seven", "Eight", "nine", "ten"]


class Screen:
    """What is seen of an output, and the state it leaves a terminal in."""

    def __init__(self, out: str) -> None:
        self._screen = pyte.Screen(60, 40)
        self._modes = set(self._screen.mode)
        stream = pyte.Stream(self._screen)
        stream.feed(out)
        stream.feed("\x1b[1@")  # make room for one more character, which then shows the style that is left

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self._screen.display]

    @property
    def text(self) -> str:
        return "\n".join(self.lines).strip()

    @property
    def words(self) -> list[str]:
        """The answer's words, in the order they are seen."""
        answer = self.text.replace(BEFORE.strip(), "").replace(MARK, "")
        return re.findall(r"[A-Za-z]+", answer.replace("Thinking", "").replace("hmm", ""))

    def check(self) -> None:
        """As it was: no style, no mode, the cursor to be seen, at the beginning of a line."""
        style = self._screen.cursor.attrs
        assert style == pyte.screens.Char(" "), style
        assert set(self._screen.mode) == self._modes
        assert not self._screen.cursor.hidden
        assert self._screen.title == ""


class Tty:
    """A terminal that is not one; what is written is kept."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.parts = [BEFORE]
        self.write = self.parts.append  # takes a text whole, or does not, as a file does

    def isatty(self) -> bool:
        return True

    @property
    def out(self) -> str:
        return "".join(self.parts).replace("\n", "\r\n")


def markdown() -> Any:
    pytest.importorskip("rich")
    from typestream.render import Markdown

    return Markdown(width=60, height=40, live=True, colour=True)


def terminal() -> Any:
    return Terminal(colour=True)


@contextlib.contextmanager
def interrupt(at: int | None) -> Iterator[list[int]]:
    """A KeyboardInterrupt before the line of that number that Python runs in here; how many it ran.

    Python looks for signals at calls and in loops, so never between an assignment and the `return out` after it.
    """
    lines = [0]

    def each(frame: FrameType, event: str, arg: Any) -> Any:
        if event == "line" and linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip() != "return out":
            lines[0] += 1
            if lines[0] == at:
                sys.settrace(None)
                raise KeyboardInterrupt
        return each

    before = sys.gettrace()
    gc.disable()  # in a finaliser an exception goes nowhere
    sys.settrace(each)
    try:
        yield lines
    finally:
        sys.settrace(before)
        gc.enable()


def show(renderer: Any, at: int | None) -> tuple[Tty, int]:
    """Render an answer, interrupted before line `at` of the work on one of its events."""
    file, result, ran = Tty(), Result(), 0
    events: list[Event] = [ReasoningDelta("hmm"), *[TextDelta(TEXT[n : n + 7]) for n in range(0, len(TEXT), 7)]]
    with contextlib.suppress(KeyboardInterrupt), Rendering(renderer, file, result) as rendering:
        for event in events:
            result.add(event)
            with interrupt(None if at is None else at - ran) as lines:
                rendering.feed(event)
            ran += lines[0]
        result.completion = "complete"
    return file, ran


def moments(make: Callable[[], Any], many: int) -> list[int]:
    _, lines = show(make(), None)
    return list(range(1, lines + 1, max(1, lines // many)))


def check_every_moment(make: Callable[[], Any], many: int) -> None:
    whole = Screen(show(make(), None)[0].out)
    assert whole.words == WORDS
    assert MARK not in whole.text
    shown = set()
    for at in moments(make, many):
        screen = Screen(show(make(), at)[0].out)
        screen.check()
        assert screen.lines[0] == BEFORE.strip(), at  # what was there before is still there
        assert screen.text.endswith(MARK), at
        *whole_words, last = screen.words or [""]
        assert whole_words == WORDS[: len(whole_words)], at
        assert WORDS[len(whole_words) :][:1] == [last] or "".join(WORDS[len(whole_words) :]).startswith(last), at
        shown.add(len(whole_words))
    assert len(shown) > 5  # it was interrupted all along


@pytest.mark.parametrize("make", [terminal, markdown])
def test_an_interrupt_at_any_line_loses_nothing_that_was_shown(make: Callable[[], Any]) -> None:
    check_every_moment(make, 60)


@pytest.mark.slow
@pytest.mark.parametrize("make", [terminal, markdown])
def test_an_interrupt_at_very_many_lines_loses_nothing_that_was_shown(make: Callable[[], Any]) -> None:
    check_every_moment(make, 1500)


def test_what_was_made_and_not_yet_written_is_written() -> None:
    class Impatient(Tty):
        def flush(self) -> None:
            raise KeyboardInterrupt

    file = Impatient()
    with pytest.raises(KeyboardInterrupt), Rendering(Plain(), file, Result()) as rendering:
        rendering.feed(TextDelta("once"))
    assert file.out.count("once") == 1


def test_an_interrupt_while_a_wait_takes_its_lock_back_is_an_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    monitor = RealMonitor()

    class Interrupted:
        def acquire(self) -> None:
            monkeypatch.undo()
            raise KeyboardInterrupt

        def __getattr__(self, name: str) -> Any:
            return getattr(lock, name)

    lock = monitor.lock
    with pytest.raises(KeyboardInterrupt), lock:
        monkeypatch.setattr(monitor, "lock", Interrupted())
        monitor.wait(time.monotonic() + 0.001, lambda: False)


# -- real signals, on a real terminal

SHOW = """
import signal, sys
import typestream
from typestream import pacing, render

renderer, asked = getattr(render, sys.argv[1])(), sys.argv[2]
if asked == "TERM":
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
events = [typestream.ReasoningDelta("hmm"), typestream.TextDelta(sys.argv[3] * 50), typestream.Finish("stop")]
print("the shell's own line")
try:
    typestream.stream(events).paced(pacing.Steady(300)).render(renderer)
except KeyboardInterrupt:
    sys.exit(130)
"""
CLI = "import sys; from typestream.cli import main; sys.exit(main(['demo', '--pace', 'steady:300']))"
PLAY = """
import sys
from typestream.cli import main

sys.stdout.write("the shell's own line\\n")
sys.exit(main(["play", sys.argv[1], "--pace", "steady:300"]))
"""


def run(code: str, *arguments: str, kill: signal.Signals, after: int, wait: float) -> tuple[str, int]:
    """Run Python on a terminal of its own, and send it a signal some time after so many bytes were seen."""
    pty = pytest.importorskip("pty", reason="needs pseudo-terminals")
    fcntl, struct, termios = (pytest.importorskip(name) for name in ("fcntl", "struct", "termios"))
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 60, 0, 0))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "CI", "NO_"))}
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment | {"TERM": "xterm", "PYTHONUNBUFFERED": ""},
        start_new_session=True,
    )
    os.close(slave)
    seen, sent = b"", False
    with contextlib.suppress(OSError):  # Linux's way to say that the terminal was closed
        while data := os.read(master, 65536):
            seen += data
            if len(seen) >= after and not sent:
                time.sleep(wait)  # where in the work it comes is left to chance
                os.kill(process.pid, kill)
                sent = True
    code_ = process.wait(30)
    os.close(master)
    assert sent
    return seen.decode(), code_


def check_signals(code: str, *arguments: str, moments: Any) -> None:
    for at in moments:
        for kill, exit_code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            name = kill.name.removeprefix("SIG")
            out, got = run(
                code, *arguments, *([name, TEXT] if arguments else []), kill=kill, after=at, wait=at % 7 / 500
            )
            screen = Screen(out)
            screen.check()
            assert got == exit_code, out
            assert "Traceback" not in out
            assert "Exception" not in out
            assert screen.text.endswith(MARK), out[-300:]


@pytest.mark.parametrize("renderer", ["Terminal", "Markdown"])
def test_a_signal_leaves_the_terminal_as_it_was(renderer: str) -> None:
    if renderer == "Markdown":
        pytest.importorskip("rich")
    check_signals(SHOW, renderer, moments=(60, 400))


@pytest.mark.slow
@pytest.mark.parametrize("renderer", ["Terminal", "Markdown"])
def test_signals_at_many_moments(renderer: str) -> None:
    if renderer == "Markdown":
        pytest.importorskip("rich")
    check_signals(SHOW, renderer, moments=range(50, 1000, 31))


def test_a_signal_leaves_the_command_line_s_terminal_as_it_was() -> None:
    check_signals(CLI, moments=(300,))


@pytest.fixture
def text_file(tmp_path: Path) -> str:
    path = tmp_path / "text"
    path.write_text(TEXT * 50, encoding="utf-8")
    return str(path)


def test_a_signal_leaves_the_terminal_of_play_as_it_was(text_file: str) -> None:
    check_signals(PLAY, text_file, moments=(60,))


@pytest.mark.slow
def test_signals_at_many_moments_of_the_command_line(text_file: str) -> None:
    check_signals(PLAY, text_file, moments=range(30, 700, 61))
    check_signals(CLI, moments=range(200, 500, 37))  # while the first of its three answers is shown


def test_a_program_that_is_killed_leaves_no_style_behind() -> None:
    """With nothing between it and SIGTERM there is no time to say anything."""
    out, got = run(SHOW, "Terminal", "INT", TEXT, kill=signal.SIGTERM, after=60, wait=0)
    assert got == -signal.SIGTERM
    Screen(out).check()
