"""Recordings: a stream written down as it flows, and read back.

JSON Lines. The first line says what it is: `{"typestream": "recording", "version": 1}`. Then one line an event, as it
arrived: `{"t": seconds since the first, "event": {…}}`; before the first, where the source is an HTTP response,
`{"t": 0.0, "response": {"content_type": …, "request_id": …}}`. The last line, which is missing after a crash, says how
the stream ended: `{"t": …, "end": "complete" | "unconfirmed" | "error", …}`. Nothing of the request is written, and no
other header.
"""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from math import isfinite
from typing import IO, Any

from typestream._json import event_from_dict, event_to_dict
from typestream._tap import Told
from typestream.events import Event
from typestream.pacing._recorded import recorded_at

__all__ = ("Recorder", "Recording")


class Recorder:
    """Writes events down as they arrive; a line is out before the next event comes.

    Args:
        target: a path, opened for writing now, or an open text file, which stays open.
        origin: what is to be kept of the response; asked when something has arrived.

    Raises:
        TypeError: `target` is something else.
    """

    def __init__(self, target: "str | os.PathLike[str] | IO[str]", origin: Callable[[], dict[str, str]] = dict) -> None:
        own = isinstance(target, (str, os.PathLike))
        if isinstance(target, (str, os.PathLike)):
            target = open(target, "w", encoding="ascii")  # noqa: SIM115  closed when the stream ends
        elif not hasattr(target, "write"):
            raise TypeError(f"recorded() takes a path or an open text file, not {type(target).__name__}.")
        self._file: IO[str] = target
        self._own = own
        self._start: float | None = None
        self._at = 0.0
        self._origin = origin
        self._write({"typestream": "recording", "version": 1})

    def __call__(self, event: Told, now: float) -> None:
        """An event arrived; or the source ended, how complete, or failed (an exception)."""
        if self._file.closed:
            return
        if self._start is None:
            self._start = now
            if response := self._origin():
                self._write({"t": 0.0, "response": response})
        self._at = max(self._at, round(now - self._start, 6))  # begun late, it is told now of what was read before
        line: dict[str, Any] = {"t": self._at}
        if isinstance(event, str):
            line["end"] = event
        elif isinstance(event, Exception):
            line["end"], line["error"] = "error", type(event).__name__
        else:
            line["event"] = event_to_dict(event)
        self._write(line)
        if "end" in line and self._own:
            self._file.close()

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def __del__(self) -> None:
        if getattr(self, "_own", False):
            with suppress(OSError):  # what could not be written cannot be written now
                self._file.close()


class Recording:
    """A stream that was written down.

    Attributes:
        events: each event with its arrival time, in seconds since the first.
        end: `"complete"`, `"unconfirmed"`, `"error"`, or None where the recording broke off.
        ended: when the stream ended; None where the recording broke off.
        response: `content_type` and `request_id` of the HTTP response, as far as they are known.
    """

    def __init__(
        self,
        events: list[tuple[float, Event]],
        end: str | None = None,
        ended: float | None = None,
        response: dict[str, str] | None = None,
    ) -> None:
        self.events = events
        self.end = end
        self.ended = ended
        self.response = response or {}

    def timed(self) -> list[Event]:
        """The events, each with the line that says when it came as its `raw`."""
        return [
            event if recorded_at(event) == at else replace(event, raw={"t": at, "event": event_to_dict(event)})
            for at, event in self.events
        ]

    @classmethod
    def load(cls, source: "str | os.PathLike[str] | IO[str]") -> "Recording":
        """Read a recording; a last line that was not written whole is left out.

        Args:
            source: a path, or an open text file.

        Raises:
            OSError: it cannot be opened.
            ValueError: it is no recording.
        """
        if isinstance(source, (str, os.PathLike)):
            with open(source, encoding="utf-8", errors="replace") as file:
                return cls._read(file, os.fspath(source))
        return cls._read(source, getattr(source, "name", "the file"))

    @classmethod
    def _read(cls, file: IO[str], name: Any) -> "Recording":
        header = _parse(file.readline())
        if header is None or header.get("typestream") != "recording":
            raise ValueError(f"{name} is not a typestream recording; stream.recorded(path) writes one.")
        if header.get("version") != 1:
            raise ValueError(f"{name} is a recording of a version that is not known here, {header.get('version')!r}.")
        recording = cls([])
        cut: int | None = None
        for number, line in enumerate(file, 2):
            if not line.strip():
                continue
            if cut is not None:
                raise ValueError(f"{name} is no recording that can be read: line {cut} is no JSON object.")
            entry = _parse(line)
            if entry is None:
                cut = number  # by the crash that ended the recording, if it is the last
                continue
            try:
                recording._add(entry)
            except (ValueError, OverflowError) as exc:
                raise ValueError(f"{name} is no recording that can be read: line {number}: {exc}") from exc
        return recording

    def _add(self, entry: dict[str, Any]) -> None:
        if isinstance(response := entry.get("response"), dict):
            self.response = response
            return
        at: Any = entry.get("t")
        if type(at) not in (int, float) or not isfinite(at):
            raise ValueError(f'"t" must be a time in seconds, not {at!r}.')
        if "end" in entry:
            self.end, self.ended = entry["end"], at
        else:
            self.events.append((at, replace(event_from_dict(entry.get("event", {})), raw=entry)))


def _parse(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None
