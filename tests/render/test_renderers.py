"""What a person sees: plain, at a terminal, as Markdown."""

import io
import re
from collections import Counter
from collections.abc import Callable
from string import ascii_letters, digits
from typing import Any

import anyio
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import typestream
from typestream.errors import StreamTruncated
from typestream.events import Citation, Event, Finish, ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta, Usage
from typestream.render import JsonLines, Plain, Renderer, Sse, Terminal, attach, finished, write
from typestream.result import Result

DIM, PLAIN = "\x1b[2m", "\x1b[22m"


def fold(events: list[Event], completion: Any = "complete") -> Result:
    result = Result()
    for event in events:
        result.add(event)
    result.completion = completion
    return result


def render(renderer: Renderer, *events: Event, completion: Any = "complete") -> str:
    return "".join(map(renderer.feed, events)) + renderer.finish(fold(list(events), completion))


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("make", [Plain, Terminal, Sse, JsonLines])
def test_the_shipped_ones_are_renderers(make: Callable[[], Any]) -> None:
    assert isinstance(make(), Renderer)


def test_plain_is_the_answer_and_nothing_else() -> None:
    events = [ReasoningDelta("hm"), TextDelta("a"), TextDelta("other", 1), ToolCallDelta(0, "i", "n"), TextDelta("b")]
    assert render(Plain(), *events, RefusalDelta("no")) == "abno"
    assert render(Plain(index=1), *events) == "other"


def test_terminal_without_colour() -> None:
    out = render(
        Terminal(),
        ReasoningDelta("let me "),
        ReasoningDelta("think"),
        TextDelta("It is 42"),
        Citation("https://x.example", "The source"),
        TextDelta("."),
        ToolCallDelta(0, "c", "look", '{"a":'),
        ToolCallDelta(0, arguments="1}"),
        ToolCallDelta(1, "d", "find", "{}"),
        Usage(1),
        Finish("tool_calls"),
    )
    assert out == (
        "Thinking: let me think\n\nIt is 42[1].\n"
        + '→ look {"a":1}\n→ find {}\n'
        + "[1] The source https://x.example\n"
    )


def test_terminal_dims_reasoning_and_leaves_no_colour_behind_after_any_piece() -> None:
    terminal = Terminal(colour=True)
    assert terminal.feed(ReasoningDelta("hm")) == f"{DIM}Thinking: {PLAIN}{DIM}hm{PLAIN}"
    assert terminal.feed(TextDelta("yes")) == "\n\nyes"


def test_terminal_says_what_a_refusal_is() -> None:
    assert render(Terminal(), RefusalDelta("I "), RefusalDelta("won't.")) == "Refused: I won't.\n"


@pytest.mark.parametrize(
    ("reason", "completion", "mark"),
    [
        ("stop", "complete", ""),
        ("length", "complete", "[cut at the length limit]\n"),
        ("MAX_TOKENS", "complete", "[cut at the length limit]\n"),
        ("model_length", "complete", "[cut at the length limit]\n"),
        ("model_context_window_exceeded", "complete", "[cut at the length limit]\n"),
        ("content_filter", "complete", "[filtered]\n"),
        ("SAFETY", "complete", "[filtered]\n"),
        ("RECITATION", "complete", "[filtered]\n"),
        ("insufficient_system_resource", "complete", "[cut: insufficient_system_resource]\n"),
        ("tool_calls", "complete", ""),
        ("end_turn", "complete", ""),
        ("stop", "incomplete", "[the answer broke off]\n"),
    ],
)
def test_a_cut_answer_is_marked(reason: str, completion: str, mark: str) -> None:
    assert render(Terminal(), TextDelta("half"), Finish(reason), completion=completion) == "half\n" + mark


def test_an_error_is_marked() -> None:
    terminal = Terminal()
    terminal.feed(TextDelta("half"))
    out = finished(terminal, fold([TextDelta("half")], "incomplete"), StreamTruncated("The source\nended."))
    assert out == "\n[the answer broke off: StreamTruncated: The source ended.]\n"


def test_a_renderer_without_fail_is_finished() -> None:
    assert finished(Plain(), Result(), StreamTruncated("x")) == ""


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def coloured(file: Any, **options: Any) -> bool:
        terminal = Terminal(**options)
        attach(terminal, file)
        return DIM in terminal.feed(ReasoningDelta("hm"))

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert coloured(Tty())
    assert not coloured(io.StringIO())
    assert not coloured(object())
    assert coloured(io.StringIO(), colour=True)
    assert not coloured(Tty(), colour=False)
    monkeypatch.setenv("TERM", "dumb")
    assert not coloured(Tty())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not coloured(Tty())
    assert DIM not in Terminal().feed(ReasoningDelta("hm"))
    attach(Plain(), Tty())


def test_write_flushes_and_escapes_what_an_encoding_cannot_say() -> None:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="ascii", write_through=False)
    write(file, "a–b␛")
    assert raw.getvalue() == b"a\\u2013b\\u241b"

    class Sink:
        text = ""

        def write(self, text: str) -> None:
            self.text += text

    sink = Sink()
    write(sink, "x")
    write(sink, "")
    assert sink.text == "x"


class Failing:
    """A renderer, and a file, of which one raises at a word."""

    def __init__(self, error: Exception, *, file: bool = False) -> None:
        self._error, self._file = error, file
        self.text = ""

    def feed(self, event: Event) -> str:
        text: str = getattr(event, "text", "")
        return text if self._file else self._checked(text)

    def finish(self, result: Result) -> str:
        return "|"

    def write(self, text: str) -> None:
        self.text += self._checked(text) if self._file else text

    def _checked(self, text: str) -> str:
        if text == "two":
            raise self._error
        return text


@pytest.mark.parametrize("twin", [lambda stream: stream, lambda stream: stream.as_async()], ids=["sync", "async"])
@pytest.mark.parametrize("file", [False, True], ids=["renderer", "file"])
@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (ValueError("two"), ValueError),
        (UnicodeEncodeError("ascii", "two", 0, 1, "own"), UnicodeEncodeError),
        (StopIteration("two"), RuntimeError),
    ],
)
def test_what_a_renderer_or_a_file_raises_is_raised(
    error: Exception, raised: type[Exception], file: bool, twin: Callable[[Any], Any]
) -> None:
    failing = Failing(error, file=file)
    stream = twin(typestream.stream(iter(["one", "two", "three"])))

    async def wait() -> None:
        async with stream:
            await stream.render(failing, failing)

    with pytest.raises(raised):
        if hasattr(stream, "aclose"):
            anyio.run(wait)
        else:
            with stream:
                stream.render(failing, failing)
    assert failing.text.removesuffix("|") == "one"
    assert stream.result.completion == "incomplete"


# -- Markdown

rich = pytest.importorskip("rich")
pyte = pytest.importorskip("pyte")

TEXT = """# Title

A paragraph with **bold** text, `code` and a [link](https://x.example/a),
on two lines.

- one
- two
  - nested

1. first

```python
def f(x):

    return x
```

| a | b |
|---|---|
| 1 | 2 |

> a quote with 漢字 and 👩\u200d💻

Setext
------

last words <b>html</b>"""


def markdown(**options: Any) -> Any:
    from typestream.render import Markdown

    return Markdown(**options)


def pieces(text: str, size: int) -> list[Event]:
    return [TextDelta(text[at : at + size]) for at in range(0, len(text), size)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
def test_markdown_to_a_file_does_not_depend_on_the_cut(size: int) -> None:
    whole = render(markdown(width=60), TextDelta(TEXT))
    assert render(markdown(width=60), *pieces(TEXT, size)) == whole
    for word in ("Title", "bold", "(https://x.example/a)", "nested", "return x", "漢字", "Setext", "<b>html</b>"):
        assert word in whole
    assert "**" not in whole
    assert "\x1b" not in whole


@settings(max_examples=200)
@given(
    st.lists(st.sampled_from(["a", "b ", "\n", "\n\n", "- ", "# ", "```\n", "    ", "---\n", "> ", "1. ", "|", "*"]))
)
def test_markdown_blocks_are_the_same_however_they_come(parts: list[str]) -> None:
    text = "".join(parts)
    assert render(markdown(), *pieces(text, 1)) == render(markdown(), *([TextDelta(text)] if text else []))


def test_a_block_appears_when_it_is_finished_and_only_once() -> None:
    renderer = markdown()
    assert renderer.feed(TextDelta("first *paragraph*\n")) == ""
    assert renderer.feed(TextDelta("\nsecond\n")) == "first paragraph\n"
    assert renderer.feed(TextDelta("\n# Th")) == ""
    assert "first" not in renderer.finish(fold([]))


def test_a_link_is_known_to_the_blocks_after_its_definition() -> None:
    out = render(markdown(), *pieces("[x]: https://x.example/\n\nfirst\n\nsee [x]\n\nand [x] too", 1))
    assert out.count("(https://x.example/)") == 2


LOSSY = {
    "image before words": "![logo](u) {words}",
    "image among words": "a ![logo](http://y/z.png) {words}",
    "image in a link": "[![logo](u)](v) {words}",
    "image in an item": "- ![logo](u) {words}",
    "long words in a table": "| a | b |\n|---|---|\n| {joined} | {words} |",
    "table of many columns": "|{cells}|\n|{rule}|\n|{cells}|",
    "cells without a column": "| a | b |\n|---|---|\n| 1 | 2 | {words} |",
    "cells without a column, in a quotation": "> | a | b |\n> |---|---|\n> | 1 | 2 | {words} |",
    "five quotations": ">>>>> {words}",
    "very many quotations": "{quotations} {words}",
    "five lists": "- - - - - {words}",
    "very many lists": "{lists} {words}",
    "code in a list": "- - - ```\n      {words}\n      ```",
}


@pytest.mark.parametrize("width", [4, 12, 20, 80])
@pytest.mark.parametrize("case", LOSSY)
def test_no_word_is_left_out(case: str, width: int) -> None:
    words = [f"word{number:02}" for number in range(40)]
    text = LOSSY[case].format(
        words=" ".join(words),
        joined="-".join(words),
        cells="|".join(words),
        rule="---|" * (len(words) - 1) + "---",
        quotations=">" * 300,
        lists="- " * 300,
    )
    out = "".join(render(markdown(width=width), TextDelta(f"before\n\n{text}\n\nafter")).split()).replace("▌", "")
    assert out.startswith("before") and out.endswith("after")
    if "table" not in case:
        assert "".join(words) in out
    else:  # whose cells stand beside each other
        assert not Counter(text) & Counter(ascii_letters + digits) - Counter(out)


def test_what_does_not_fit_is_shown_as_it_was_written() -> None:
    assert render(markdown(width=12), TextDelta(">>>>>> one *two* three\n")) == ">>>>>> one\n*two* three\n"
    table = "| a |\n|---|\n| 1 | two |\n"
    assert render(markdown(), TextDelta(table)) == table


def test_an_image_stands_where_it_was_written() -> None:
    out = render(markdown(), TextDelta("See ![the logo](http://x/y.png) and ![](z).\n"))
    assert out == "See 🌆 the logo (http://x/y.png) and 🌆 z.\n"


def screen_of(out: str, width: int, height: int) -> list[str]:
    """All lines a terminal has shown in the end, those that scrolled away first."""
    screen = pyte.HistoryScreen(width, height, history=1000, ratio=0.5)
    stream = pyte.Stream(screen)
    stream.feed(out.replace("\n", "\r\n"))
    above = ["".join(line[x].data for x in range(width)) for line in screen.history.top]
    lines = [line.rstrip() for line in [*above, *screen.display]]
    while lines and not lines[-1]:
        lines.pop()
    return lines


@pytest.mark.parametrize("width", [12, 40, 80])
@pytest.mark.parametrize("size", [1, 5, 40])
def test_a_live_screen_ends_up_like_the_file(width: int, size: int) -> None:
    text = TEXT.replace("👩\u200d💻", "").replace("漢字", "kanji")
    live = markdown(width=width, height=10, live=True)
    wanted = render(markdown(width=width), TextDelta(text)).split("\n")
    shown = screen_of(render(live, *pieces(text, size)), width, 10)
    assert shown == [line.rstrip() for line in wanted[: len(shown)]]
    assert len(shown) == len(wanted) - 1


PARTS = [
    *("word ", "two", " three four", "a_b", "**", "`", "_", "\n", "\n\n", "- ", "1. ", "# ", "```\n", "    ", "> "),
    *("| a | b |\n|---|---|\n", "| c | d |\n", "[x](http://y)", "---\n", "&amp;", "\t"),
]


@settings(max_examples=40)
@given(st.lists(st.sampled_from(PARTS), max_size=60), st.sampled_from([(20, 5), (40, 12)]))
def test_any_live_screen_ends_up_like_the_file(parts: list[str], size: tuple[int, int]) -> None:
    width, height = size
    file = render(markdown(width=width), TextDelta("".join(parts) + " "))
    live = render(markdown(width=width, height=height, live=True), *map(TextDelta, parts))
    assert screen_of(live, width, height) == [line.rstrip() for line in file.rstrip().split("\n")] or not file.strip()


@settings(max_examples=40)
@example(["| a | b |\n|---|---|\n", *["word "] * 5, "| c | d |\n", "---\n"])  # cells without a column, and a rule
@given(st.lists(st.sampled_from(PARTS), max_size=30))
def test_what_is_drawn_is_what_would_be_drawn_of_all_that_has_come(parts: list[str]) -> None:
    """Also where only words were added to a row."""
    live, out = markdown(width=40, height=60, live=True), ""
    for number, part in enumerate(parts):
        new = live.feed(TextDelta(part))
        out += new
        if new:
            whole = markdown(width=40, height=60, live=True).feed(TextDelta("".join(parts[: number + 1])))
            # headings are centred, and blocks have blank lines between them, once they are blocks of their own
            seen, wanted = ([line.split() for line in screen_of(each, 40, 60) if line] for each in (out, whole))
            assert seen == wanted


def test_words_are_added_to_a_row_and_markup_redraws_it() -> None:
    live = markdown(width=40, height=10, live=True)
    assert [live.feed(TextDelta(piece)) for piece in ("It was the", " best ", "of", " times")] == [
        *("It was the", " best", " of", " times")
    ]
    assert live.feed(TextDelta(" *and the worst*")).startswith("\r")


def test_a_block_that_is_higher_than_the_window_shows_its_end() -> None:
    for line in ("- item {}\n", "| row | {} |\n", "line {}\n"):
        live = markdown(width=30, height=6, live=True)
        head = {"|": "| a | b |\n|---|---|\n", "l": "```\n"}.get(line[0], "")
        out = live.feed(TextDelta(head)) + "".join(live.feed(TextDelta(line.format(n))) for n in range(100))
        shown = "\n".join(screen_of(out, 30, 6)[-5:])
        numbers = [int(each) for each in re.findall("[0-9]+", shown)]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert len(numbers) >= 3
        assert numbers[-1] > 90


class Tmux(pyte.HistoryScreen):  # type: ignore[misc]
    """Puts the screen in its history when it is cleared from its first cell on."""

    kept = 0

    def erase_in_display(self, how: int = 0, *args: Any, **options: Any) -> None:
        self.kept += (self.cursor.x, self.cursor.y) == (0, 0)
        super().erase_in_display(how, *args, **options)


@pytest.mark.parametrize("line", ["- item *{}*\n", "| row | {} |\n", "line {} **bold** "])
def test_no_copies_of_a_block_are_left_in_the_history_of_tmux(line: str) -> None:
    live = markdown(width=30, height=6, live=True)
    out = live.feed(TextDelta("| a | b |\n|---|---|\n" if "|" in line else ""))
    out += "".join(live.feed(TextDelta(line.format(n))) for n in range(50))
    screen = Tmux(30, 6, history=1000)
    pyte.Stream(screen).feed(out.replace("\n", "\r\n"))
    assert screen.kept == 0
    assert len(screen.history.top) < 6


def test_wide_characters_are_not_cut() -> None:
    out = render(markdown(width=7), TextDelta("漢字漢字漢字"))
    assert out == "漢字漢\n字漢字\n"


def test_an_open_block_is_seen_before_it_is_finished() -> None:
    live = markdown(width=40, height=10, live=True)
    out = live.feed(TextDelta("hel")) + live.feed(TextDelta("lo **wor"))
    assert screen_of(out, 40, 10) == ["hello **wor"]
    out += live.feed(TextDelta("ld**"))
    assert screen_of(out, 40, 10) == ["hello world"]


def test_a_window_that_shrinks_leaves_nothing_behind() -> None:
    size = [40]
    live = markdown(width=lambda: size[0], height=10, live=True)
    before = live.feed(TextDelta("one two three four five six seven"))
    size[0] = 20
    after = live.feed(TextDelta(" eight"))
    # The terminal has broken the one line of before into two; the cursor is in the second.
    assert "\x1b[1A" in after
    screen = pyte.Screen(20, 10)
    pyte.Stream(screen).feed((before + after).replace("\n", "\r\n"))
    assert [line.rstrip() for line in screen.display][:2] == ["one two three four", "five six seven eight"]


def test_the_mark_of_a_cut_answer() -> None:
    assert render(markdown(), TextDelta("half"), completion="incomplete") == "half\n[the answer broke off]\n"


def test_attach_finds_out_about_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    live = markdown()
    attach(live, Tty())
    assert live.feed(TextDelta("x")) == "x"
    plain = markdown()
    attach(plain, io.StringIO())
    assert plain.feed(TextDelta("x")) == ""


def test_a_tool_s_name_may_come_in_pieces() -> None:
    calls = [
        ToolCallDelta(0, "c", "look"),
        ToolCallDelta(0, None, "up"),
        ToolCallDelta(0, None, None, '{"a":'),
        ToolCallDelta(0, None, None, "1}"),
    ]
    assert typestream.stream(calls).collect().tool_calls[0].name == "lookup"
    assert "".join(map(Terminal(colour=False).feed, calls)) == '→ lookup {"a":1}'


def rendered(text: str, size: int, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """How many characters are parsed, and how many are written, for a text that comes in small pieces."""
    from typestream.render import _markdown

    parsed = 0
    parse = _markdown._PARSER.parse

    def counted(text: str, env: Any = None) -> Any:
        nonlocal parsed
        parsed += len(text)
        return parse(text, env)

    with monkeypatch.context() as patch:
        patch.setattr(_markdown._PARSER, "parse", counted)
        out = render(markdown(width=40, height=8, live=True), *pieces(text, size))
    return parsed, len(out)


GROWING = {
    "short": ("", "word " * 60 + "\n\n"),
    "paragraph": ("", "word " * 12 + "\n"),
    "one line": ("", "word **two** "),
    "list": ("", "- item " * 8 + "\n"),
    "one item": ("- ", "  - item\n"),
    "table": ("| a | b |\n|---|---|\n", "| one | two words |\n"),
    "code": ("```python\n", "x = f(a)\n"),
    "quotation": ("", "> some words\n"),
    "one word": ("", "x"),
}


@pytest.mark.parametrize("name", GROWING)
def test_the_work_grows_with_the_text_and_no_faster(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    head, block = GROWING[name]
    small, large = (head + (block * length)[:length] for length in (1200, 4800))
    (parsed_small, out_small), (parsed, out) = (rendered(text, 5, monkeypatch) for text in (small, large))
    assert parsed < 6 * parsed_small
    assert out < 6 * out_small
