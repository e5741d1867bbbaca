"""What a model writes does nothing to a terminal, a file or a page; and all of it can be seen."""

import contextlib
import io
import json
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.render.escapes import CASES, HOSTILE, Case, forbidden, in_order
from typestream.errors import StreamTruncated
from typestream.events import (
    Citation,
    Event,
    Finish,
    Other,
    ReasoningDelta,
    RefusalDelta,
    Start,
    TextDelta,
    ToolCallDelta,
)
from typestream.render import JsonLines, Neutraliser, OpenAISse, Plain, Renderer, Rendering, Sse, Terminal, neutralise
from typestream.result import Result

LONG = 400
SHORT = [case for case in CASES if len(case.text) <= LONG]
DIRTY = "ab \n\r\t\x00\x07\x1b[]0m;\x7f\x85\x9b\u202e\u2066\ud83d\ude00\udc00é漢"


def name(case: Any) -> str:
    return case.name if isinstance(case, Case) else ""


def render(renderer: Renderer, events: list[Event]) -> str:
    result = Result()
    out = ""
    for event in events:
        result.add(event)
        out += renderer.feed(event)
    result.completion = "complete"
    return out + renderer.finish(result)


@pytest.fixture
def cuts(request: pytest.FixtureRequest) -> Callable[[str], Iterator[list[str]]]:
    """One character at a time, and in two: at every character with `--slow`, else at a few."""
    many = 10**6 if request.config.getoption("--slow") else 6

    def cut(text: str) -> Iterator[list[str]]:
        yield list(text)
        for at in range(1, len(text), max(1, len(text) // many)):
            yield [text[:at], text[at:]]

    return cut


def markdown(**options: Any) -> Callable[[], Renderer]:
    def make() -> Renderer:
        pytest.importorskip("rich")
        from typestream.render import Markdown

        return Markdown(**options)

    return make


LITERAL: list[Any] = [
    pytest.param(Plain, TextDelta, id="plain"),
    pytest.param(Terminal, TextDelta, id="terminal"),
    pytest.param(Terminal, ReasoningDelta, id="terminal-reasoning"),
    pytest.param(Terminal, RefusalDelta, id="terminal-refusal"),
    pytest.param(lambda: Terminal(colour=True), TextDelta, id="terminal-colour"),
]


@pytest.mark.parametrize("case", CASES, ids=name)
def test_neutralise(case: Case) -> None:
    out = neutralise(case.text)
    assert forbidden(out) == []
    assert in_order(case.must_show, out)
    assert neutralise(out) == out
    if case.benign:
        assert out == case.text


def test_each_forbidden_character_alone_and_no_other() -> None:
    for code in [*range(0x3000), *range(0x3000, 0xD700, 97), *range(0xD700, 0xE100), *range(0xE100, 0x110000, 997)]:
        char = chr(code)
        assert (neutralise(char) == char) == (not forbidden(char)), hex(code)
        if forbidden(char):
            assert forbidden(neutralise(char)) == []
            assert neutralise(char)


@given(st.text(DIRTY), st.lists(st.integers(0, 40)))
def test_neutralising_does_not_depend_on_the_cut(text: str, at: list[int]) -> None:
    edges = sorted({0, len(text), *(each for each in at if each <= len(text))})
    safe = Neutraliser()
    pieces = [safe.feed(text[a:b]) for a, b in pairwise(edges)] + [safe.flush()]
    assert "".join(pieces) == neutralise(text)


@given(st.text(DIRTY))
def test_nothing_is_swallowed(text: str) -> None:
    """Each character is there: as it is, or as what stands for it."""
    rest = text.replace("\r\n", "\n").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    out = neutralise(text)
    for char in rest:
        picture = neutralise(char)
        assert out.startswith(picture)
        out = out[len(picture) :]
    assert out == ""


def test_no_more_than_one_character_waits() -> None:
    safe = Neutraliser()
    assert [safe.feed(piece) for piece in ("a\r", "b", "\r", "\n", "\x1b", "[")] == ["a", "␍b", "", "\n", "␛", "["]


@pytest.mark.parametrize("case", CASES, ids=name)
@pytest.mark.parametrize(("make", "kind"), LITERAL)
def test_every_renderer_shows_everything_and_does_nothing(make: Callable[[], Renderer], kind: Any, case: Case) -> None:
    whole = render(make(), [kind(case.text)])
    assert forbidden(whole) == []
    assert in_order(case.must_show, whole)
    if case.benign:
        assert case.text in whole


@pytest.mark.parametrize("case", SHORT, ids=name)
@pytest.mark.parametrize(("make", "kind"), LITERAL)
def test_the_output_does_not_depend_on_the_cut(
    make: Callable[[], Renderer], kind: Any, case: Case, cuts: Callable[[str], Iterator[list[str]]]
) -> None:
    whole = render(make(), [kind(case.text)])
    for pieces in cuts(case.text):
        assert render(make(), [kind(piece) for piece in pieces]) == whole


@pytest.mark.parametrize("case", CASES, ids=name)
def test_the_terminal_neutralises_names_arguments_and_sources(case: Case) -> None:
    events: list[Event] = [
        ToolCallDelta(0, case.text, case.text, case.text),
        Citation(case.text, case.text, case.text),
    ]
    assert forbidden(render(Terminal(), events)) == []
    error = StreamTruncated(case.text)
    assert forbidden(Terminal().fail(error)) == []


@pytest.mark.parametrize("case", CASES, ids=name)
def test_markdown_is_neutral_and_complete(case: Case) -> None:
    out = render(markdown(width=200)(), [TextDelta(case.text)])
    assert forbidden(out) == []
    shown = "".join(out.split())
    assert in_order(tuple("".join(each.split()) for each in case.must_show), shown)


@pytest.mark.parametrize("case", [case for case in SHORT if len(case.text) <= 80], ids=name)
def test_markdown_does_not_depend_on_the_cut(case: Case, cuts: Callable[[str], Iterator[list[str]]]) -> None:
    make = markdown(width=40)
    whole = render(make(), [TextDelta(case.text)])
    for pieces in cuts(case.text):
        assert render(make(), [TextDelta(piece) for piece in pieces]) == whole


_OWN_SEQUENCES = re.compile(r"\r|\x1b\[[0-9;]*[mAJKC]")


@pytest.mark.parametrize("case", SHORT, ids=name)
def test_a_live_markdown_writes_no_sequence_but_its_own(case: Case) -> None:
    out = render(markdown(width=40, live=True, colour=True)(), [TextDelta(char) for char in case.text])
    assert forbidden(_OWN_SEQUENCES.sub("", out)) == []


def state(screen: Any) -> list[Any]:
    """All of a terminal's state but what is shown and where the cursor stands."""
    found = [screen.title, screen.icon_name, set(screen.mode), screen.cursor.attrs, screen.cursor.hidden]
    return [*found, screen.margins, screen.charset, screen.g0_charset, set(screen.tabstops), list(screen.savepoints)]


@pytest.mark.parametrize("case", SHORT, ids=name)
@pytest.mark.parametrize("make", [Terminal, markdown(width=80, live=True)], ids=["terminal", "markdown"])
def test_a_terminal_is_left_as_it_was(make: Callable[[], Renderer], case: Case) -> None:
    pyte = pytest.importorskip("pyte")
    replies: list[str] = []
    screen = pyte.Screen(80, 24)
    screen.write_process_input = replies.append
    before = state(screen)
    out = render(make(), [TextDelta(char) for char in case.text])
    pyte.Stream(screen).feed(out.replace("\n", "\r\n"))
    assert state(screen) == before
    assert replies == []


SHOWN: list[Any] = [
    *(Plain, Terminal, lambda: Terminal(colour=True), markdown(width=200), markdown(width=40, live=True, colour=True)),
]
NAMES = ["plain", "terminal", "terminal-colour", "markdown", "markdown-live"]


def written(renderer: Renderer, events: list[Event], encoding: str, error: StreamTruncated | None = None) -> str:
    """What stands in a file of that encoding, as `render()` writes it."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict", newline="\n")
    result = Result()
    with contextlib.suppress(StreamTruncated), Rendering(renderer, file, result) as rendering:
        for event in events:
            result.add(event)
            rendering.feed(event)
        if error is not None:
            raise error
        result.completion = "complete"
    return file.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
@pytest.mark.parametrize("make", [*SHOWN, lambda: Plain(raw=True)], ids=[*NAMES, "raw"])
def test_any_encoding_can_be_written(make: Callable[[], Renderer], encoding: str) -> None:
    for case in CASES if make in SHOWN[:3] else SHORT:
        shown = written(make(), [TextDelta(case.text)], encoding)
        if make is not SHOWN[-1]:  # a block that is higher than the window, or broken
            text = "".join(shown.split())
            wanted = ("".join(each.split()) for each in case.must_show if each.isascii())
            assert in_order(tuple(wanted), text), case.name
        if make in SHOWN:
            assert forbidden(_OWN_SEQUENCES.sub("", shown)) == [], case.name


def everywhere(text: str) -> list[Event]:
    """A text wherever a model, or a server, can put one."""
    return [
        *(
            Start(text, text),
            ReasoningDelta(text),
            ToolCallDelta(0, text, text, text),
            ToolCallDelta(0, arguments=text),
        ),
        *(Citation(text, text, text), TextDelta(text), Citation(None, None, text), RefusalDelta(text), Other(text)),
        Finish(text),
    ]


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
@pytest.mark.parametrize("make", SHOWN, ids=NAMES)
@settings(max_examples=40)
@given(HOSTILE)
def test_hostile_text_anywhere_does_nothing(make: Callable[[], Renderer], encoding: str, text: str) -> None:
    pyte = pytest.importorskip("pyte")
    out = written(make(), everywhere(text), encoding, StreamTruncated(text))
    assert forbidden(_OWN_SEQUENCES.sub("", out)) == []
    if make is Terminal and encoding == "utf-8":
        assert out.count(neutralise(text).rstrip("\n")) >= 6
    replies: list[str] = []
    screen = pyte.Screen(40, 24)
    screen.write_process_input = replies.append
    before = state(screen)
    pyte.Stream(screen).feed(out.replace("\n", "\r\n"))
    assert state(screen) == before
    assert replies == []


@pytest.mark.parametrize("make", SHOWN[:4], ids=NAMES[:4])
@settings(max_examples=60)
@given(HOSTILE, st.lists(st.integers(0, 60)))
def test_hostile_text_is_shown_the_same_however_it_was_cut(
    make: Callable[[], Renderer], text: str, at: list[int]
) -> None:
    edges = sorted({0, len(text), *(each for each in at if each <= len(text))})
    whole, cut = (
        [kind(text[a:b]) for a, b in pairwise(e)] for kind, e in ((TextDelta, [0, len(text)]), (TextDelta, edges))
    )
    shown = [_OWN_SEQUENCES.sub("", render(make(), events)) for events in (whole, cut)]
    assert shown[0] == shown[1]


def test_raw_is_the_only_way_round() -> None:
    assert render(Plain(raw=True), [TextDelta("\x1b[2J\r")]) == "\x1b[2J\r"


@pytest.mark.parametrize("case", CASES, ids=name)
@pytest.mark.parametrize("make", [JsonLines, Sse, OpenAISse, lambda: OpenAISse("responses")])
def test_what_goes_to_programs_is_printable_ascii(make: Callable[[], Renderer], case: Case) -> None:
    out = render(make(), [TextDelta(case.text), ToolCallDelta(0, case.text, case.text, case.text)])
    assert out.isascii()
    assert forbidden(out) == []


@pytest.mark.parametrize("case", CASES, ids=name)
def test_json_lines_say_the_text_itself(case: Case) -> None:
    first, *_ = render(JsonLines(), [TextDelta(case.text)]).splitlines()
    said = json.loads(first)["text"]
    assert said == case.text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
