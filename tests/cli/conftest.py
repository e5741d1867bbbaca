import io
import os
import sys

import pytest

from typestream.cli import main


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    """No endpoint, and nothing that says how much is to move."""
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "CI", "NO_MOTION", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)


class Tty(io.StringIO):
    """A file that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.fixture
def on_terminal(monkeypatch):
    """Run a command whose output is a terminal: what it shows."""

    def run(*argv):
        with monkeypatch.context() as patch:
            patch.setattr("sys.stdout", Tty())
            assert main([*argv]) == 0
            return sys.stdout.getvalue()

    return run


@pytest.fixture
def feed(monkeypatch):
    """Make some bytes the standard input."""
    opened = []

    def feed(data):
        read, write = os.pipe()
        os.write(write, data)
        os.close(write)
        opened.append(os.fdopen(read))
        monkeypatch.setattr("sys.stdin", opened[-1])

    yield feed
    for file in opened:
        file.close()


@pytest.fixture
def refused(capsys):
    """Run a command that must be refused: the one sentence it says."""

    def run(*argv, code=2):
        try:
            got = main([*argv])
        except SystemExit as stop:
            got = stop.code
        _, err = capsys.readouterr()
        assert got == code
        assert err.count("\n") == 1, err
        assert "Traceback" not in err
        return err

    return run
