"""Renders the whole answer for a terminal: its reasoning, the tools it calls, its sources, and how it ended."""

import os
from typing import Any

from typestream.errors import StreamError
from typestream.events import Citation, Event, ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta
from typestream.render._failure import cut_by
from typestream.render._neutralise import Neutraliser, neutralise
from typestream.result import Result

__all__ = ("Terminal", "cut_mark", "failure_mark", "wants_colour")

_DIM, _RED, _CYAN = ("\x1b[2m", "\x1b[22m"), ("\x1b[31m", "\x1b[39m"), ("\x1b[36m", "\x1b[39m")
_CUT = {"max_output_tokens": "cut at the length limit", "content_filter": "filtered"}


def wants_colour(file: Any) -> bool:
    """Whether to write colours to a file: if it is a terminal that is not `dumb`, and `NO_COLOR` is unset
    (https://no-color.org)."""
    isatty = getattr(file, "isatty", None)
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    try:
        return bool(isatty is not None and isatty())
    except ValueError:  # a closed file
        return False


def cut_mark(result: Result, index: int = 0) -> str:
    """What to say about an answer that is not whole; `""` if it is whole."""
    if result.completion == "incomplete":
        return "the answer broke off"
    cut = cut_by(result.choice(index).finish_reason)
    return "" if cut is None else _CUT.get(cut, f"cut: {cut}")


def failure_mark(error: StreamError) -> str:
    """What to say about an error at the terminal."""
    said = " ".join(neutralise(str(error)).split())
    return f"the answer broke off: {type(error).__name__}{': ' + said if said else ''}"


class Terminal:
    """The answer, with its reasoning (dimmed), tool calls, refusals and sources, and a mark if it was cut.

    Args:
        colour: whether to use colours. None leaves it to `attach`, which `TokenStream.render` calls with the file it
            writes to; if `attach` is not called, None means no.
        index: the choice to show.
    """

    def __init__(self, colour: bool | None = None, *, index: int = 0) -> None:
        self._colour = colour
        self._index = index
        self._part: object = None
        self._safe = Neutraliser()
        self._fresh = True
        self._named = False  # the name of a call is written, its arguments are not
        self._sources: list[str] = []

    def attach(self, file: Any) -> None:
        """Take the file that the text will be written to: only terminals get colours."""
        if self._colour is None:
            self._colour = wants_colour(file)

    def feed(self, event: Event) -> str:
        if getattr(event, "index", self._index) != self._index:
            return ""
        if isinstance(event, TextDelta):
            return self._switch("text") + self._noted(self._safe.feed(event.text))
        if isinstance(event, ReasoningDelta):
            return self._switch("reasoning", "Thinking: ") + self._style(_DIM, self._safe.feed(event.text))
        if isinstance(event, RefusalDelta):
            return self._switch("refusal", "Refused: ") + self._style(_RED, self._safe.feed(event.text))
        if isinstance(event, ToolCallDelta):
            return self._call(event)
        return self._cite(event) if isinstance(event, Citation) else ""

    def finish(self, result: Result) -> str:
        return self._end(cut_mark(result, self._index))

    def fail(self, error: StreamError) -> str:
        return self._end(failure_mark(error))

    def _end(self, mark: str) -> str:
        out = self._switch(None)
        if self._sources:
            out += self._line() + "".join(f"[{n}] {source}\n" for n, source in enumerate(self._sources, 1))
        if mark:
            out += self._line() + self._style(_RED, f"[{mark}]") + "\n"
        return out

    def _call(self, event: ToolCallDelta) -> str:
        out = self._switch(("call", event.call))
        if event.name:
            out += self._style(_CYAN, neutralise(event.name))  # perhaps only a piece of it
            self._named = True
        if event.arguments and self._named:
            out += " "
            self._named = False
        return out + self._style(_DIM, self._safe.feed(event.arguments))

    def _cite(self, event: Citation) -> str:
        known = [neutralise(each).replace("\n", " ") for each in (event.title, event.url) if each]
        source = " ".join(known) or neutralise(event.text or "?").replace("\n", " ")
        if source not in self._sources:
            self._sources.append(source)
        return self._noted(self._safe.flush() + self._style(_DIM, f"[{self._sources.index(source) + 1}]"))

    def _switch(self, part: object, title: str = "") -> str:
        """Change from one kind of text to another: write what was held back, end the line, write a new title."""
        if part == self._part:
            return ""
        out = self._noted(self._safe.flush())
        if self._part is not None:
            out += self._line()
            if self._part == "reasoning" and part is not None:
                out += "\n"
        self._part, self._named = part, False
        if isinstance(part, tuple):
            return out + self._style(_CYAN, "→ ")
        return out + (self._style(_DIM, title) if title else "")

    def _line(self) -> str:
        out, self._fresh = ("" if self._fresh else "\n"), True
        return out

    def _noted(self, text: str) -> str:
        if text:
            self._fresh = text.endswith("\n")
        return text

    def _style(self, style: tuple[str, str], text: str) -> str:
        """Style each piece by itself, so that a killed program leaves no colour behind."""
        self._noted(text)
        return f"{style[0]}{text}{style[1]}" if self._colour and text else text
