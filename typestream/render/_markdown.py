"""Markdown as it comes, with rich. Imported only when it is asked for, since rich costs time.

Rules: the text is neutralised before it is parsed, and what the parser makes of it (`&#x202e;`) once more; HTML is
text; a top-level block is finished when another one begins, is then rendered once and never again; only the open block
is redrawn, and the longer it is the less often, so that the whole costs time linear in the text.
"""

import os
import re
from collections.abc import Callable
from io import StringIO
from itertools import pairwise
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.cells import cell_len
from rich.console import Console
from rich.markdown import Markdown as RichMarkdown

from typestream.errors import StreamError
from typestream.events import Event, RefusalDelta, TextDelta
from typestream.render._neutralise import Neutraliser, neutralise
from typestream.render._terminal import cut_mark, failure_mark, wants_colour
from typestream.result import Result

__all__ = ("Markdown",)

_SGR = re.compile(r"\x1b\[[0-9;]*m")


class Markdown:
    """The answer's Markdown, rendered. Needs `rich` (`pip install typestream[rich]`).

    On a terminal the block that is still being written is redrawn in place; anywhere else, blocks appear as they are
    finished. What is not given is found out by `attach`, which `TokenStream.render` calls with the file it writes to.

    Args:
        width: of a line, in terminal cells, or a function that says it (a window can be resized); else 80.
        height: of the window, in lines; a longer open block shows its end only, until it is finished.
        live: whether to redraw the open block, which only a terminal can; else False.
        colour: whether to use colours; else False.
        index: the choice to show.
    """

    def __init__(
        self,
        *,
        width: int | Callable[[], int] | None = None,
        height: int | Callable[[], int] | None = None,
        live: bool | None = None,
        colour: bool | None = None,
        index: int = 0,
    ) -> None:
        self._width, self._height = width, height
        self._live, self._colour = live, colour
        self._index = index
        self._safe = Neutraliser()
        self._blocks = _Blocks()
        self._pages: dict[int, _Page] = {}
        self._screen: list[str] = []
        self._screen_width = 0
        self._redraw_at = 0
        self._first = True
        self._before: tuple[list[str], int, bool] | None = None  # while `feed` is at work

    def attach(self, file: Any) -> None:
        """Learn where the text will be written: whether that is a terminal, and how large."""
        if self._colour is None:
            self._colour = wants_colour(file)
        if self._live is None:
            isatty = getattr(file, "isatty", None)
            self._live = bool(isatty is not None and isatty()) and os.environ.get("TERM") != "dumb"
        if self._live:
            self._width = self._width or (lambda: _size(file).columns)
            self._height = self._height or (lambda: _size(file).lines)

    def feed(self, event: Event) -> str:
        if not isinstance(event, (TextDelta, RefusalDelta)) or event.index != self._index:
            return ""
        self._blocks.finished = []  # those were shown
        self._before = self._screen, self._screen_width, self._first
        out, self._before = self._show(self._blocks.feed(self._safe.feed(event.text))), None
        return out

    def finish(self, result: Result) -> str:
        return self._end(cut_mark(result, self._index))

    def fail(self, error: StreamError) -> str:
        return self._end(failure_mark(error))

    def _end(self, mark: str) -> str:
        finished: list[str] = []
        if self._before is not None:  # an interrupt: what `feed` was making was never shown
            self._screen, self._screen_width, self._first = self._before
            self._pages, finished = {}, self._blocks.finished
        finished = [*finished, *self._blocks.feed(self._safe.flush()), *self._blocks.flush()]
        last = [f"\x1b[31m[{mark}]\x1b[39m" if self._colour else f"[{mark}]"] if mark else []
        return self._write([*self._lines(finished), *last], [])

    def _show(self, finished: list[str]) -> str:
        size = len(self._blocks.open)
        if finished:
            self._redraw_at = 0
        if not self._live:
            return self._write(self._lines(finished), []) if finished else ""
        if not finished and size < self._redraw_at:
            return ""
        self._redraw_at = size + size // 32
        done = self._lines(finished)
        text = self._blocks.open
        lines = self._separated(self._page().render(text, self._blocks.known())) if text.strip() else []
        return self._write(done, lines[-max(_now(self._height, 25) - 1, 1) :])

    def _lines(self, blocks: list[str]) -> list[str]:
        out: list[str] = []
        for block in blocks:
            lines = self._separated(self._page().render(block, self._blocks.references))
            self._first = self._first and not lines
            out += lines
        return out

    def _separated(self, lines: list[str]) -> list[str]:
        return lines if self._first or not lines else ["", *lines]

    def _page(self) -> "_Page":
        width = max(_now(self._width, 80), 4)
        if width not in self._pages:
            self._pages = {width: _Page(width, bool(self._colour))}
        return self._pages[width]

    def _write(self, done: list[str], open_: list[str]) -> str:
        if not self._live:
            return "".join(line + "\n" for line in done)
        lines = [*done, *(open_ or [""])]
        out = self._over(lines)
        self._screen = open_ or [""]
        return out

    def _over(self, lines: list[str]) -> str:
        """What turns the open lines on the screen into these; the cursor is, and stays, at the end of the last."""
        old, width = self._screen, _now(self._width, 80)
        resized, self._screen_width = width != self._screen_width, width
        same = 0
        while not resized and same < min(len(old), len(lines)) and old[same] == lines[same]:
            same += 1
        if same == len(old):
            return ("\n" if same and lines[same:] else "") + "\n".join(lines[same:])
        same = min(same, len(lines) - 1)
        # A narrower window has broken the old lines anew.
        rows = sum(max(1, -(-cell_len(_SGR.sub("", line)) // max(width, 1))) for line in old[same:]) - 1
        return "\r" + (f"\x1b[{rows}A" if rows else "") + "\x1b[J" + "\n".join(lines[same:])


class _Blocks:
    """Markdown text as it grows, cut into its top-level blocks.

    Attributes:
        open: the text of the block that is not finished.
        finished: the blocks that the last piece of text has finished.
        references: the parser's environment: link definitions of the finished blocks.
    """

    def __init__(self) -> None:
        self.open = ""
        self.finished: list[str] = []
        self.references: dict[str, Any] = {}
        self._look_at = 0

    def feed(self, text: str) -> list[str]:
        """The blocks that the text has finished. Only whole lines tell: what a line is shows at its end."""
        self.open += text
        if "\n" not in text or len(self.open) < self._look_at:
            return []
        whole = self.open.rfind("\n") + 1
        blocks = self._cut(self.open[:whole])
        rest = "".join(blocks[-1:])
        # both at once: an interrupt must not lose a block
        self.open, self.finished = rest + self.open[whole:], blocks[:-1]
        self._look_at = len(self.open) + len(rest) // 8
        return self.finished

    def flush(self) -> list[str]:
        text, self.open = self.open, ""
        return self._cut(text)

    def known(self) -> dict[str, Any]:
        """The references for a look at what is not finished, which must not leave half a definition behind."""
        return {"references": dict(self.references.get("references", {}))}

    def _cut(self, text: str) -> list[str]:
        lines = _LINE.findall(text)  # unlike `splitlines`, which knows other ends of lines than Markdown does
        tops = [token for token in _PARSER.parse(text, self.known()) if token.level == 0 and token.nesting >= 0]
        starts = [0, *[token.map[0] for token in tops if token.map][1:], len(lines)]
        return ["".join(lines[a:b]) for a, b in pairwise(starts) if a < b]


_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_PARSER = MarkdownIt("commonmark", {"html": False}).enable("strikethrough").enable("table")


class _Page:
    """rich, for one width."""

    def __init__(self, width: int, colour: bool) -> None:
        self._file = StringIO()
        self._console = Console(
            file=self._file,
            width=width,
            height=1000,
            color_system="truecolor" if colour else None,
            force_terminal=colour,
            force_interactive=False,
            legacy_windows=False,
            highlight=False,
            markup=False,
            emoji=False,
            _environ={},
        )

    def render(self, text: str, references: dict[str, Any]) -> list[str]:
        """The lines of one block, without the empty ones around it."""
        document = RichMarkdown("", hyperlinks=False)
        document.parsed = _PARSER.parse(text, references)
        _clean(document.parsed)
        self._console.print(document)
        lines = [line if "\x1b" in line else line.rstrip() for line in self._file.getvalue().split("\n")]
        self._file.seek(0)
        self._file.truncate()
        while lines and not lines[-1]:
            lines.pop()
        return lines[next((n for n, line in enumerate(lines) if line), 0) :]


def _clean(tokens: list[Token]) -> None:
    """Neutralise what the parser has decoded: character references, percent escapes."""
    for token in tokens:
        token.content = neutralise(token.content)
        for name, value in token.attrs.items():
            if isinstance(value, str):
                token.attrs[name] = neutralise(value)
        _clean(token.children or [])


def _now(value: int | Callable[[], int] | None, default: int) -> int:
    return (value() if callable(value) else value) or default


def _size(file: Any) -> os.terminal_size:
    try:
        return os.get_terminal_size(file.fileno())
    except (AttributeError, OSError, ValueError):
        return os.terminal_size((80, 25))
