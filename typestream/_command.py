"""What the commands of the command line share: the screen, the pace, the one place that bypasses it."""

import argparse
import os
import re
import signal
from types import FrameType
from typing import IO, Any, NoReturn

from typestream.pacing import Instant, Pacing, Smooth, Steady, Typist

__all__ = ("PACES", "CommandError", "Screen", "Terminated", "pace", "paced_for")

PACES = "instant, smooth:0.4 (seconds of lag), steady:40 (a second), typist:240 (words a minute)"
_PACE = re.compile(r"([^:/]*)(?::([^/]*))?(?:/(.*))?", re.DOTALL)
_UNITS = ("grapheme", "word", "sentence", "line", "delta")


class CommandError(Exception):
    """What was asked cannot be done; the message is for the user."""


class Terminated(KeyboardInterrupt):
    """SIGTERM: as Ctrl-C, but for the exit code."""


class Screen:
    """Standard output, and whether the cursor stands at the beginning of a line."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._last = "\n"
        self.encoding = getattr(file, "encoding", None)

    def isatty(self) -> bool:
        return self._file.isatty()

    def write(self, text: str) -> int:
        self._last = text[-1:] or self._last  # first, since Ctrl-C may come as soon as the text is seen
        self._file.write(text)
        return len(text)

    def flush(self) -> None:
        self._file.flush()

    def line(self, text: str) -> None:
        """A line of our own, on a line of its own."""
        from typestream.render import write

        write(self, ("" if self._last == "\n" else "\n") + text + "\n")

    def interrupted(self, number: int, frame: FrameType | None) -> NoReturn:
        """Ctrl-C, of which the terminal has shown a `^C`; to be the handler of SIGINT."""
        self._last = "^C"
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the second press of an impatient user
        raise KeyboardInterrupt

    def terminated(self, number: int, frame: FrameType | None) -> NoReturn:
        """To be the handler of SIGTERM."""
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)
        raise Terminated

    def fresh(self) -> None:
        """Put a terminal's cursor at the beginning of a line."""
        if self._last != "\n" and self.isatty():
            self.write("\n")
            self.flush()


def pace(text: str) -> Pacing:
    """The policy that a `--pace` names: `NAME[:NUMBER][/UNIT]`, such as `instant`, `smooth`, `smooth:0.3`, `steady:40`,
    `steady:12/word`, `typist:300`. Raises argparse.ArgumentTypeError."""
    name, number, unit = _PACE.fullmatch(text).groups()  # type: ignore[union-attr]
    makers: dict[str, tuple[Any, str | None]] = {
        "instant": (Instant, None),
        "smooth": (Smooth, "max_lag"),
        "steady": (Steady, "rate"),
        "typist": (Typist, "wpm"),
    }
    policy, parameter = makers.get(name, (None, None))
    if policy is None or unit not in (None, *_UNITS) or (parameter is None and text != name):
        raise argparse.ArgumentTypeError(f"{text!r} is no pace; there are {PACES}, and units such as steady:12/word")
    options: dict[str, Any] = {} if unit is None else {"per": unit}
    try:
        if number is not None and parameter is not None:
            options[parameter] = float(number)
        made: Pacing = policy(**options)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} needs a positive number after the colon") from None
    return made


def paced_for(screen: Any, asked: Pacing | None, default: Pacing) -> Pacing:
    """The one place that decides to bypass pacing: where nobody watches (no terminal, `CI`), or does not want to see
    things move (`NO_MOTION`), unless a pace was asked for."""
    if asked is not None:
        return asked
    unwatched = not screen.isatty() or any(os.environ.get(name, "") not in ("", "0") for name in ("CI", "NO_MOTION"))
    return Instant() if unwatched else default
