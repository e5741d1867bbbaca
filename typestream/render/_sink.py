"""Writing what a renderer made, wherever it goes. The only part of rendering that writes."""

from typing import Any, Protocol

__all__ = ("Sink", "attach", "write")


class Sink(Protocol):
    """A file open for text, or anything else with `write(str)`."""

    def write(self, text: str, /) -> Any: ...


def write(file: Sink, text: str) -> None:
    """Write and flush. What the file's encoding cannot say is written as an escape (`\\u2013`), never an error."""
    if not text:
        return
    try:
        file.write(text)
    except UnicodeEncodeError:
        encoding = getattr(file, "encoding", None) or "ascii"
        file.write(text.encode(encoding, "backslashreplace").decode(encoding))
    flush = getattr(file, "flush", None)
    if flush is not None:
        flush()


def attach(renderer: Any, file: Any) -> None:
    """Tell a renderer what its text will be written to, if it has an `attach(file)` and so wants to know."""
    wants = getattr(renderer, "attach", None)
    if wants is not None:
        wants(file)
