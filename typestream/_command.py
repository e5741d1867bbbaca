"""What the commands of the command line share: the screen, the pace, the one place that bypasses it; what they read and
write."""

import argparse
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import inf
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import IO, TYPE_CHECKING, Any

from typestream.pacing import Instant, Pacing, Smooth, Steady, Typist

if TYPE_CHECKING:
    from typestream._sync import TokenStream
    from typestream.sources.recording import Recording

__all__ = (
    "PACES",
    "CommandError",
    "Screen",
    "Tape",
    "Terminated",
    "pace",
    "paced_for",
    "parsed",
    "read",
    "recording",
    "say",
    "typed_in",
)

PACES = "instant, smooth:0.4 (seconds of lag), steady:40 (a second), typist:240 (words a minute)"
_PACE = re.compile(r"([^:/]*)(?::([^/]*))?(?:/(.*))?", re.DOTALL)
DEAF = 1.0
"""Seconds after a signal in which it does nothing."""

_UNITS = ("grapheme", "word", "sentence", "line", "delta")


class CommandError(Exception):
    """What was asked cannot be done; the message is for the user."""


class Terminated(KeyboardInterrupt):
    """SIGTERM: as Ctrl-C, but for the exit code."""


class Screen:
    """Standard output, and whether the cursor stands at the beginning of a line.

    Attributes:
        deaf: until when which signal does nothing.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._last = "\n"
        self.deaf: dict[int, float] = {}
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

    def interrupted(self, number: int, frame: FrameType | None) -> None:
        """Ctrl-C, of which the terminal has shown a `^C`; to be the handler of SIGINT."""
        self._last = "^C"
        self._end(KeyboardInterrupt(), signal.SIGINT)

    def terminated(self, number: int, frame: FrameType | None) -> None:
        """To be the handler of SIGTERM."""
        self._end(Terminated(), signal.SIGTERM, signal.SIGINT)

    def _end(self, signalled: KeyboardInterrupt, *numbers: int) -> None:
        now = monotonic()
        if now < self.deaf.get(numbers[0], now):
            return  # the second press of an impatient user
        # not for good: what is raised in a finalizer, or in an import that is tried, is lost
        self.deaf.update(dict.fromkeys(numbers, now + DEAF))
        raise signalled

    def leave(self) -> None:
        """The command ends: the signals that ended it do nothing any more."""
        self.deaf = dict.fromkeys(self.deaf, inf)

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


def read(path: str) -> str:
    try:
        return Path(path).read_bytes().decode("utf-8", "replace")  # its line ends are part of a text
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.") from None


def parsed(text: str) -> Any:
    import json

    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def recording(path: str, text: str) -> "Recording":
    import io

    from typestream.sources.recording import Recording

    file = io.StringIO(text.lstrip("\ufeff"))
    file.name = path
    try:
        return Recording.load(file)
    except ValueError as error:
        raise CommandError(str(error)) from None


class Tape:
    """A file that is recorded to, open for text. A write that fails is told from a source that does."""

    def __init__(self, path: str) -> None:
        self._path = path
        with self._telling():
            self._file = open(path, "w", encoding="ascii")  # noqa: SIM115

    @property
    def closed(self) -> bool:
        return self._file.closed

    def write(self, text: str) -> None:
        with self._telling():
            self._file.write(text)

    def flush(self) -> None:
        with self._telling():
            self._file.flush()

    def __enter__(self) -> "Tape":
        return self

    def __exit__(self, *exc: object) -> None:
        with suppress(OSError):  # told before
            self._file.close()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CommandError(f"{self._path} cannot be written: {error.strerror}.") from None


class Input(Iterator[str]):
    """Standard input as it trickles in; what is not UTF-8 becomes U+FFFD."""

    def __init__(self) -> None:
        import codecs

        if sys.stdin is None:
            raise CommandError("standard input is closed.")
        # not through sys.stdin: a thread that waits in its buffer would hold its lock when Python exits
        self._fd = sys.stdin.fileno()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._ended = False

    def __next__(self) -> str:
        while not self._ended:
            data = os.read(self._fd, 65536)
            self._ended = not data
            text = self._decoder.decode(data, self._ended)
            if text or self._ended:  # at the end in any case: an empty input is whole, too
                return text
        raise StopIteration


def typed_in() -> "TokenStream":
    """Standard input as a stream: a text, whatever is in it."""
    from typestream._core import Core
    from typestream._source import SyncSource
    from typestream._sync import TokenStream
    from typestream.decode.text import TextDecoder

    return TokenStream(Core(require=None), SyncSource(Input(), decoder=TextDecoder()))


def say(sentence: str) -> None:
    """On standard error, unless that is closed."""
    from typestream.render import write

    if sys.stderr is not None:
        write(sys.stderr, f"typestream: {sentence}\n")
