"""Renders Markdown as it arrives, with rich. Imported only when asked for, since importing rich takes time.

Rules: the text is neutralised before it is parsed, and what the parser makes of it (`&#x202e;`) once more; HTML is
text; a block that cannot be shown whole is shown as it was written. A top-level block is finished when the next one
begins; it is then rendered once and never again. Only the open block is redrawn, and only the rows of it that can be
seen; the more rows, the less often. Words that continue a row of prose are written right after it. So the total time is
linear in the text.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable
from io import StringIO
from itertools import pairwise
from typing import Any, ClassVar

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import Markdown as RichMarkdown
from rich.markdown import TableElement
from rich.table import Table
from rich.text import Text

from typestream.errors import StreamError
from typestream.events import Event, RefusalDelta, TextDelta
from typestream.render._neutralise import Neutraliser, neutralise
from typestream.render._terminal import cut_mark, failure_mark, wants_colour
from typestream.result import Result

__all__ = ("Markdown",)

_CLEAR = "\x1b[K\x1b[C\x1b[J\r"
"""Clears from here to the end of the screen. Never from the very first cell: tmux would then keep the screen as
history."""
_SGR = re.compile(r"\x1b\[[0-9;]*m")
_STEP = 4
"""How many characters, for each of its rows, the open block must grow by before it is redrawn."""
_ALIKE = 6
"""How many characters before new words must be on the screen exactly as written, to be sure that they are not
markup."""
_WORDS = re.compile(r" ?[A-Za-z0-9]+(?: [A-Za-z0-9]+)* ?")
_PROSE = re.compile(r"\n*(?:[A-Za-z0-9]|[-*+] |[0-9]{1,9}[.)] )")
_FENCE = re.compile(r" {0,3}(?:`{3}|~{3})")
_TABLE = re.compile(r"[^\n]*\|[^\n]*\n[ |:-]*-[ |:-]*\n")
_SPACE = {code: None for code in range(0x3001) if chr(code).isspace()}
_CELL = re.compile(r"[A-Za-z0-9]|[^\x00-\x7f\s]")
_BETWEEN = re.compile(r"\n|[a-z] (?=[A-Za-z])")
_LINE_END = re.compile(r"\n")
_ITEM = re.compile(r"[-*+] |[0-9]{1,9}[.)] ")


class Markdown:
    """The answer's Markdown, rendered. Needs `rich` (`pip install typestream[rich]`).

    On a terminal the block that is still being written is redrawn in place; anywhere else, blocks appear once they are
    finished. `attach`, which `TokenStream.render` calls with the file it writes to, finds out what is not given; if it
    is not called, the defaults below apply.

    Args:
        width: of a line, in terminal cells, or a function that returns it (a window can be resized); by default 80.
        height: of the window, in lines, or a function that returns it; a longer open block shows only its end until it
            is finished; by default 25.
        live: whether to redraw the open block, which needs a terminal; by default False.
        colour: whether to use colours; by default False.
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
        self._redraw_at = self._drawn = 0  # in characters of the open block
        self._first = True
        self._before: tuple[list[str], int, bool] | None = None  # while `feed` runs

    def attach(self, file: Any) -> None:
        """Take the file that the text will be written to: whether it is a terminal, and how large."""
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
        self._blocks.finished = []  # they were shown
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
        text = self._blocks.open
        if not self._live:
            return self._write(self._lines(finished), []) if finished else ""
        if not finished:
            words = self._words(text)
            if words or len(text) < self._redraw_at:
                return words
        done, self._redraw_at = self._lines(finished), 0
        open_ = self._seen(text) if text.strip() else []
        self._drawn = len(text)
        return self._write(done, open_)

    def _seen(self, text: str) -> list[str]:
        """The rows of the open block that fit the window."""
        rows = max(_now(self._height, 25) - 1, 1)
        page, known = self._page(), self._blocks.known()
        end = _end_of(text, rows, page.width)
        lines = page.render(end, known)
        if len(lines) < rows and len(end) < len(text):
            end, lines = text, page.render(text, known)
        lines = self._separated(lines)[-rows:]
        self._redraw_at = len(text) + max(_STEP * len(lines), len(end) // 32)
        return lines

    def _words(self, text: str) -> str:
        """The text that was not drawn yet, if it only adds words to a row of prose; else `""`."""
        before, row = text[: self._drawn], self._screen[-1] if self._screen else ""
        said = before.rstrip(" ")
        found = _WORDS.fullmatch(text, len(said))
        if not found or not _PROSE.match(text) or not row.endswith(said[-_ALIKE:]) or len(said) < _ALIKE:
            return ""
        words = found[0].rstrip(" ")
        if cell_len(row) + len(words) > _now(self._width, 80) or self._screen_width != _now(self._width, 80):
            return ""
        self._screen = [*self._screen[:-1], row + words]
        self._drawn = len(text)
        return words

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
        """The output that turns the open lines on the screen into these; the cursor starts and ends at the end of the
        last line."""
        old, width = self._screen, _now(self._width, 80)
        resized, self._screen_width = width != self._screen_width, width
        same = 0
        while not resized and same < min(len(old), len(lines)) and old[same] == lines[same]:
            same += 1
        if same == len(old):
            return ("\n" if same and lines[same:] else "") + "\n".join(lines[same:])
        same = min(same, len(lines) - 1)
        # A narrower window has wrapped the old lines again.
        rows = sum(max(1, -(-cell_len(_SGR.sub("", line)) // max(width, 1))) for line in old[same:]) - 1
        return "\r" + (f"\x1b[{rows}A" if rows else "") + _CLEAR + "\n".join(lines[same:])


class _Blocks:
    """Markdown text as it grows, cut into its top-level blocks.

    Attributes:
        open: the text of the block that is not finished.
        finished: the blocks that the last piece of text finished.
        references: the parser's environment: link definitions of the finished blocks.
    """

    def __init__(self) -> None:
        self.open = ""
        self.finished: list[str] = []
        self.references: dict[str, Any] = {}
        self._look_at = 0

    def feed(self, text: str) -> list[str]:
        """The blocks that this text finished. Only whole lines count, since what a line is becomes clear only at its
        end."""
        self.open += text
        if "\n" not in text or len(self.open) < self._look_at:
            return []
        whole = self.open.rfind("\n") + 1
        blocks = _cut(self.open[:whole], self.known())
        rest = "".join(blocks[-1:])
        # both at once: an interrupt must not lose a block
        self.open, self.finished = rest + self.open[whole:], blocks[:-1]
        self._look_at = len(self.open) + len(rest) // 8
        return self.finished

    def flush(self) -> list[str]:
        text, self.open = self.open, ""
        return _cut(text, self.known())

    def known(self) -> dict[str, Any]:
        """A copy of the references, for parsing unfinished text, which must not leave half a definition behind."""
        return {"references": dict(self.references.get("references", {}))}


_LINE = re.compile(r"[^\n]*\n|[^\n]+")


def _cut(text: str, references: dict[str, Any]) -> list[str]:
    """The top-level blocks of a text."""
    lines = _LINE.findall(text)  # not `splitlines`, which breaks lines where Markdown does not
    tops = [token for token in _PARSER.parse(text, references) if token.level == 0 and token.nesting >= 0]
    starts = [0, *[token.map[0] for token in tops if token.map][1:], len(lines)]
    return ["".join(lines[a:b]) for a, b in pairwise(starts) if a < b]


def _end_of(text: str, rows: int, width: int) -> str:
    """Enough of the end of a block to fill a window, as Markdown that looks the same; the whole block if in doubt."""
    text = text.lstrip("\n")
    room = rows * width
    if _FENCE.match(text) or _TABLE.match(text):
        lines = _LINE.findall(text[-4 * room :])
        head = _LINE.findall(text[: 4 * room])[: 1 if _FENCE.match(text) else 2]
        return "".join([*head, *lines[-rows:]]) if len(lines) > rows + 2 else text
    if _ITEM.match(text):
        lines = _LINE.findall(text[-4 * room :])
        items = [number for number, line in enumerate(lines) if number and _ITEM.match(line)]
        return "".join(lines[items[-rows] :]) if len(items) > rows else text
    begin = (len(text) // room - 1) * room  # changes seldom: each change would wrap the rows again
    if begin <= 0:
        return text
    between = _LINE_END if text.startswith(">") else _BETWEEN
    found = between.search(text, begin, begin + room // 2)
    return text[found.end() if found else begin :]


_DEEPEST = 50
"""The limit of nested tokens: the parser leaves out deeper ones, since rich needs seven Python stack frames for
each."""
_PARSER = MarkdownIt("commonmark", {"html": False, "maxNesting": _DEEPEST}).enable("strikethrough").enable("table")


class _Table(TableElement):
    """A table whose cells wrap anywhere instead of being cut."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for table in super().__rich_console__(console, options):
            if isinstance(table, Table):
                for column in table.columns:
                    column.overflow = "fold"
            yield table


class _Document(RichMarkdown):
    elements: ClassVar = {**RichMarkdown.elements, "table_open": _Table}


class _Page:
    """Renders blocks with rich, for one width."""

    def __init__(self, width: int, colour: bool) -> None:
        self.width = width
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
        self._document = _Document("", hyperlinks=False)  # costly to make, because it makes a parser of its own

    def render(self, text: str, references: dict[str, Any]) -> list[str]:
        """The lines of a block, without empty ones around it. The text may also turn out to be several blocks."""
        self._document.parsed = tokens = _PARSER.parse(text, references)
        _clean(tokens)
        lines = self._print(self._document)
        shown = Counter(_SGR.sub("", "".join(lines)))
        if _left_out(tokens, text) or Counter("".join(_said(tokens)).translate(_SPACE)) - shown:
            blocks = _cut(text, references)
            if len(blocks) > 1:
                return [line for block in blocks for line in self.render(block, references)]
            lines = self._print(Text(text.expandtabs(4)))
        while lines and not lines[-1]:
            lines.pop()
        return lines[next((n for n, line in enumerate(lines) if line), 0) :]

    def _print(self, what: RichMarkdown | Text) -> list[str]:
        self._console.print(what)
        lines = [line if "\x1b" in line else line.rstrip() for line in self._file.getvalue().split("\n")]
        self._file.seek(0)
        self._file.truncate()
        return lines


def _clean(tokens: list[Token]) -> None:
    """Neutralise what the parser has decoded (character references, percent escapes), and turn images into text."""
    for token in tokens:
        token.content = neutralise(token.content)
        for name, value in token.attrs.items():
            if isinstance(value, str):
                token.attrs[name] = neutralise(value)
        if token.type == "image":  # rich would put it before the text around it
            alt, address = " ".join(token.content.split()), str(token.attrs.get("src", ""))
            token.type, token.tag, token.children = "text", "", None
            token.content = f"🌆 {alt} ({address})" if alt else f"🌆 {address}"
        _clean(token.children or [])


def _said(tokens: list[Token]) -> Iterable[str]:
    """The visible text of a block, in the order in which it was written."""
    for token in tokens:
        if token.children:
            yield from _said(token.children)
        else:
            yield token.content
            yield str(token.attrs.get("href", ""))


def _left_out(tokens: list[Token], text: str) -> bool:
    """Whether the parser left something out: what is nested too deep, or cells that a table has no column for."""
    lines: list[str] = []
    cells: list[str] = []
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.level >= _DEEPEST - 1:
            return True
        if token.type == "table_open" and token.map:
            lines += _LINE.findall(text)[slice(*token.map)]
        elif before is not None and before.type in ("th_open", "td_open"):
            cells.append(token.content)
    written, kept = (Counter(_CELL.findall("".join(each))) for each in (lines, cells))
    return bool(written - kept)


def _now(value: int | Callable[[], int] | None, default: int) -> int:
    return (value() if callable(value) else value) or default


def _size(file: Any) -> os.terminal_size:
    try:
        return os.get_terminal_size(file.fileno())
    except (AttributeError, OSError, ValueError):
        return os.terminal_size((80, 25))
