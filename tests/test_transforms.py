"""Transforms: the same result however the text was cut, and nothing shown that is not to be."""

import json
import re
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import typestream
from typestream.events import (
    Citation,
    Event,
    Finish,
    Other,
    ReasoningDelta,
    Start,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from typestream.transforms import (
    Chain,
    Limit,
    Moderate,
    Redact,
    Sanitize,
    SplitReasoning,
    StopAt,
    Transform,
    Uncumulate,
)

QUIRKS = Path(__file__).parents[2] / "shared" / "data" / "quirks.jsonl"


def run(transform: Transform, events: Iterable[Event]) -> list[Event]:
    """What comes out; fed and flushed as the core does it."""
    out: list[Event] = []
    for event in events:
        out += transform.feed(event)
        if transform.ended:
            return out
    return out + list(transform.flush())


def joined(events: Iterable[Event]) -> list[Event]:
    """Neighbouring pieces of one text as one, so that only what was said counts."""
    out: list[Event] = []
    for event in events:
        last = out[-1] if out else None
        if isinstance(event, (TextDelta, ReasoningDelta)) and type(last) is type(event) and last.index == event.index:
            out[-1] = type(event)(last.text + event.text, event.index)
        else:
            out.append(event)
    return out


def text_of(events: Iterable[Event], index: int = 0) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta) and event.index == index)


def deltas(text: str, cuts: Iterable[int]) -> list[Event]:
    edges = sorted({0, len(text), *(cut for cut in cuts if 0 <= cut <= len(text))})
    return [TextDelta(text[a:b]) for a, b in pairwise(edges)]


PATTERNS = [
    "ab",
    "aab",
    "a+b",
    "a+",
    "ab|abc|b",
    "(?:ab){2,3}",
    "a.b",
    "a.*?b",
    "a.*b",
    r"\bab\b",
    r"\b\w{2,}\b",
    "ab$",
    "^a",
    "(?m)^a.$",
    "a(?=b)",
    "a(?!b)",
    "(?<=a)b",
    "(?<!a)b",
    "(a)\\1",
    "(a)?(?(1)b|c)",
    "(?i:A)b",
    "[^a]b",
    r"\s?a{2}",
    "a*",
    "(?s)a.{3}",
    r"ab\Z",
    "(?:a|b)*?c",
    r"(?!ab)a.",
    r"(?=.*c)a",
    r"a(?!b*c)",
    r"(a|b)\1+",
    r"(?P<x>a+)b(?P=x)",
    "(?im)^a.*$",
    "(?m)^$|b",
    r"(?m)a$\n^b",
    r"\Ba\B|\Aa+",
    "(a*)*b",
    "a(?:b(?:c|$)|$)",
    ".(?<=b)|a(?<!ba)",
    "(?<=(a))\\1",
    "(?i:a(?-i:B))",
    "(?<![abc])a(?![abc])",
    "a{2,}?b",
    r"(b: )?|a\w+",
    r"\b|ab",
    "a*?",
    "(?=a)|a.b",
]
WORDS = st.text("abcA \n", max_size=24)
CUTS = st.lists(st.integers(0, 24), max_size=24)


def expected(pattern: str, text: str) -> str:
    """What `re` itself makes of the whole text, leaving out matches of nothing."""
    return re.sub(pattern, lambda match: "#" if match[0] else "", text)


@pytest.mark.parametrize("pattern", PATTERNS)
@settings(max_examples=60)
@given(text=WORDS, cuts=CUTS)
def test_redact_is_sub_on_the_whole_text_however_it_was_cut(pattern: str, text: str, cuts: list[int]) -> None:
    out = run(Redact(pattern, "#"), deltas(text, cuts))
    assert text_of(out) == expected(pattern, text)


@pytest.mark.parametrize("pattern", PATTERNS)
@settings(max_examples=60)
@given(text=WORDS, more=st.text("abcA \n", max_size=8), cuts=CUTS)
def test_redact_shows_only_what_is_the_same_for_every_continuation(
    pattern: str, text: str, more: str, cuts: list[int]
) -> None:
    redact = Redact(pattern, "#")
    shown = text_of(event for delta in deltas(text, cuts) for event in redact.feed(delta))
    assert expected(pattern, text + more).startswith(shown)
    broken = text_of(redact.abort())
    assert expected(pattern, text + more).startswith(shown + broken)


def test_redact_sees_a_secret_where_the_pattern_matches_nothing_too() -> None:
    redact = Redact(r"(password: )?|sk-\w+")
    assert text_of(run(redact, [TextDelta("key sk-ab"), TextDelta("c123 foo")])) == "key █ foo"


def test_redact_holds_back_no_more_than_what_may_be_a_match() -> None:
    redact = Redact(r"sk-[A-Za-z0-9]+")
    shown = [text_of(redact.feed(TextDelta(piece))) for piece in ("Your key is s", "k-ab", "cd", ". Keep it", " safe")]
    assert shown == ["Your key is ", "", "", "█. Keep it", " safe"]


@given(st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=4), WORDS, CUTS)
@example(["ab", "abc"], "abc", [2])
def test_redact_of_strings_takes_the_longest(strings: list[str], text: str, cuts: list[int]) -> None:
    pattern = "|".join(re.escape(each) for each in sorted(strings, key=len, reverse=True))
    assert text_of(run(Redact(strings, "#"), deltas(text, cuts))) == expected(pattern, text)


def test_redact_reaches_everything_that_says_the_text() -> None:
    events: list[Event] = [
        ReasoningDelta("the sec", raw="secret"),
        ReasoningDelta("ret"),
        TextDelta("sec", logprobs=[{"token": "secret"}]),
        Citation(title="secret", text="a secret", raw="secret"),
        ToolCallDelta(0, "id", "tool", '{"a":"sec'),
        TextDelta("ret!"),
        ToolCallDelta(0, arguments='ret"}'),
        Other("response.done", raw={"text": "secret"}),
        Finish("stop", raw="secret"),
    ]
    out = run(Redact(["secret"], arguments=True), events)
    shown = [(event, event.raw, getattr(event, "logprobs", None)) for event in out]
    assert "secret" not in repr(shown)
    assert text_of(out) == "█!"
    assert "".join(event.arguments for event in out if isinstance(event, ToolCallDelta)) == '{"a":"█"}'
    assert next((event.id, event.name) for event in out if isinstance(event, ToolCallDelta)) == ("id", "tool")
    assert isinstance(out[-1], Finish)


def test_redact_looks_back_across_what_it_has_forgotten() -> None:
    text = "x" * 9000 + "key=1234"
    out = run(Redact(r"(?<=key=)\d+|^x{3}y"), [TextDelta(each) for each in text])
    assert text_of(out) == "x" * 9000 + "key=█"
    far = run(Redact(r"(?<=x{3000})k(?:e(?<=x{2000}ke))y"), [TextDelta(each) for each in "x" * 19_000 + "key"])
    assert text_of(far) == "x" * 19_000 + "█"


def test_redact_in_a_long_wait_looks_again_only_now_and_then() -> None:
    looks = 0

    class Counted:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def search(self, text: str, at: int) -> Any:
            nonlocal looks
            looks += len(text) - at
            return self.inner.search(text, at)

    redact = Redact("BEGIN[^$]*END")
    redact.feed(TextDelta("BEGIN"))
    (line,) = redact._lines.values()
    line.rewriter._open = Counted(line.rewriter._open)  # type: ignore[attr-defined]
    for _ in range(5000):
        redact.feed(TextDelta("four"))
    assert looks < 20 * 20_000


def test_a_pattern_that_cannot_be_taken_apart_holds_everything() -> None:
    redact = Redact("a" * 5000 + "|b", "#")
    assert list(redact.feed(TextDelta("abc"))) == []
    assert text_of(redact.flush()) == "a#c"


@pytest.mark.parametrize("bad", [[], ["a", ""], re.compile(b"a")])
def test_redact_says_what_is_wrong(bad: Any) -> None:
    with pytest.raises((ValueError, TypeError), match="Redact needs"):
        Redact(bad)


# -- everything keeps its place

MAKERS: list[Callable[[], Transform]] = [
    Transform,
    lambda: Redact("a+b"),
    lambda: Redact(["ab", "c"], "##"),
    lambda: StopAt("abc", "cc"),
    lambda: Limit(9),
    lambda: SplitReasoning("ab", "ca"),
    lambda: SplitReasoning("<a>", "</a>", inside=True),
    Sanitize,
    lambda: Moderate(lambda text: "cab" not in text, every=3),
    lambda: Chain(SplitReasoning("ab", "ca"), StopAt("bb"), Redact("c+")),
]
CHARS = "abc<>/\r\n\x1b\x9b\ud83d\ude00 "


@pytest.mark.parametrize("make", MAKERS)
@settings(max_examples=60)
@given(
    parts=st.lists(
        st.one_of(
            st.text(CHARS, min_size=1, max_size=8).map(TextDelta),
            st.text(CHARS, min_size=1, max_size=4).map(ReasoningDelta),
            st.integers(0, 9).map(lambda call: ToolCallDelta(call, arguments="{}")),
            st.just(Usage(1, 2, 3)),
            st.just(Citation(url="u")),
            st.just(Finish("stop")),
        ),
        max_size=6,
    ),
    choices=st.lists(st.integers(0, 7), min_size=30, max_size=30),
)
def test_the_result_does_not_depend_on_the_cut(
    make: Callable[[], Transform], parts: list[Event], choices: list[int]
) -> None:
    cut: list[Event] = []
    for part, at in zip(parts, choices, strict=False):
        if isinstance(part, TextDelta):
            cut += [TextDelta(piece) for piece in (part.text[:at], part.text[at:]) if piece]
        else:
            cut.append(part)
    single = [
        each
        for part in parts
        for each in ([TextDelta(char) for char in part.text] if isinstance(part, TextDelta) else [part])
    ]
    whole = joined(run(make(), joined(parts)))
    assert joined(run(make(), cut)) == whole
    assert joined(run(make(), single)) == whole


@pytest.mark.parametrize("make", MAKERS[:3] + MAKERS[5:8])
def test_what_is_no_text_passes_in_order(make: Callable[[], Transform]) -> None:
    others: list[Event] = [Start("1", "m"), ToolCallDelta(0, "i", "n", "{"), Usage(1), Finish("stop"), Other("x")]
    assert [e for e in run(make(), others) if e != ToolCallDelta(0, "i", "n", "")] == others


def test_what_follows_held_text_waits_behind_it() -> None:
    redact = Redact(["secret"])
    assert list(redact.feed(TextDelta("se"))) == []
    assert list(redact.feed(Citation(url="u"))) == []
    assert list(redact.feed(TextDelta("t"))) == [TextDelta("se"), Citation(url="u"), TextDelta("t")]


def test_choices_do_not_wait_for_each_other() -> None:
    redact = Redact(["secret"])
    redact.feed(TextDelta("se", 0))
    assert list(redact.feed(TextDelta("x", 1))) == [TextDelta("x", 1)]
    assert list(redact.feed(TextDelta("cret", 0))) == [TextDelta("█", 0)]


def test_unchanged_deltas_are_the_source_s_own() -> None:
    delta = TextDelta("hello", logprobs=[1], raw="chunk")
    (out,) = StopAt("zzz").feed(delta)
    assert out is delta


# -- one by one


def test_stop_at_shows_nothing_of_the_string_and_ends_the_stream() -> None:
    stop = StopAt("\n\nUser:")
    assert run(stop, map(TextDelta, ("Hi", "\n", "\nUs", "er: me", "no"))) == [TextDelta("Hi"), Finish("stop")]
    assert stop.ended


def test_stop_at_takes_the_string_that_is_complete_first() -> None:
    for cuts in ([], range(6)):
        assert joined(run(StopAt("abcd", "bc"), deltas("xabcd", cuts))) == [TextDelta("xa"), Finish("stop")]


def test_stop_at_waits_for_all_choices_it_was_told_of() -> None:
    stop = StopAt("#", choices=2)
    assert list(stop.feed(TextDelta("a#b", 0))) == [TextDelta("a", 0), Finish("stop", 0)]
    assert list(stop.feed(TextDelta("c", 0))) == []
    assert list(stop.feed(Usage(1))) == [Usage(1)]
    assert not stop.ended
    assert list(stop.feed(TextDelta("b#", 1))) == [TextDelta("b", 1), Finish("stop", 1)]
    assert stop.ended


@pytest.mark.parametrize("strings", [(), ("",), ("a", "")])
def test_stop_at_needs_strings(strings: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="at least one string"):
        StopAt(*strings)


@pytest.mark.parametrize(
    ("limit", "out"),
    [
        (0, [Finish("length")]),
        (3, [TextDelta("Hel"), Finish("length")]),
        (5, [TextDelta("Hello"), Finish("stop")]),
        (9, [TextDelta("Hello"), Finish("stop")]),
    ],
)
def test_limit(limit: int, out: list[Event]) -> None:
    assert run(Limit(limit), [TextDelta("Hello"), Finish("stop")]) == out


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("<think>hm</think>42", "hm", "42"),
        ("<think>hm\n</think>\n\n42", "hm\n", "42"),
        ("</think>\n\nAnswer", "", "Answer"),
        ("no tags", "", "no tags"),
        ("<think>never closed", "never closed", ""),
        ("a < b <thin", "", "a < b <thin"),
        ("a<think>b</think>c<think>d</think>e", "bd", "ace"),
        ("<think></think>x", "", "x"),
    ],
)
def test_split_reasoning(text: str, reasoning: str, answer: str) -> None:
    for cuts in ([], range(len(text))):
        out = run(SplitReasoning(), deltas(text, cuts))
        assert "".join(event.text for event in out if isinstance(event, ReasoningDelta)) == reasoning
        assert text_of(out) == answer


def test_split_reasoning_that_begins_inside() -> None:
    out = joined(run(SplitReasoning(inside=True), deltas("hm</think>42", range(12))))
    assert out == [ReasoningDelta("hm"), TextDelta("42")]


def test_sanitize_shows_what_it_found() -> None:
    texts = [TextDelta("a\x1b[2J\r"), TextDelta("\nb\u202e")]
    out = run(Sanitize(), [*texts, Citation(url="\x9b"), ToolCallDelta(0, name="\x07")])
    assert joined(out) == [TextDelta("a␛[2J\nb\\u202e"), Citation(url="\\u009b"), ToolCallDelta(0, name="␇")]


def test_moderate_shows_only_what_was_checked() -> None:
    seen: list[str] = []

    def check(text: str) -> bool:
        seen.append(text)
        return "bad" not in text

    moderate = Moderate(check, every=4)
    out: list[Event] = []
    for piece in ("good", " an", "d b", "ad more"):
        out += moderate.feed(TextDelta(piece))
        if moderate.ended:
            break
    assert joined(out) == [TextDelta("good and"), Finish("content_filter")]
    assert seen == ["good", "good and", "good and bad"]


def test_moderate_checks_the_rest_at_the_end() -> None:
    assert run(Moderate(lambda text: False), [TextDelta("x"), Finish("stop")]) == [Finish("content_filter")]
    assert run(Moderate(lambda text: True), [TextDelta("x"), Finish("stop")]) == [TextDelta("x"), Finish("stop")]


def test_moderate_shows_nothing_unchecked_when_the_stream_breaks_off() -> None:
    moderate = Moderate(lambda text: True, every=10)
    moderate.feed(TextDelta("unchecked"))
    moderate.feed(Usage(1))
    assert list(moderate.abort()) == [Usage(1)]


@pytest.mark.parametrize("name", ["text_cumulative", "text_full_replay_frame"])
def test_uncumulate(name: str) -> None:
    pieces = {
        "text_cumulative": ["Hel", "Hello wo", "Hello world"],
        "text_full_replay_frame": ["Hello", " world", "Hello world"],
    }[name]
    out = run(Uncumulate(), [TextDelta(piece) for piece in pieces])
    assert text_of(out) == "Hello world"


def quirks(key: str) -> list[Any]:
    if not QUIRKS.exists():
        return []
    cases = [json.loads(line) for line in QUIRKS.read_text("utf-8").splitlines()]
    return [case for case in cases if key in case["expect"]]


@pytest.mark.skipif(not QUIRKS.exists(), reason="needs ../shared")
def test_the_catalogue_s_opt_in_cases() -> None:
    for key, make in (("text_if_cumulative", Uncumulate), ("text_if_tags_split", SplitReasoning)):
        for case in quirks(key):
            pieces = [chunk["choices"][0]["delta"].get("content") for chunk in case["chunks"] if chunk["choices"]]
            out = run(make(), [TextDelta(piece) for piece in pieces if piece])
            assert text_of(out) == case["expect"][key], case["name"]


# -- chains, and one's own


def test_a_chain_flushes_what_follows_the_link_that_ends_it() -> None:
    chain = Chain(StopAt("#"), Redact(["secret"]))
    assert list(chain.feed(TextDelta("a se#"))) == [TextDelta("a "), TextDelta("se"), Finish("stop")]
    assert chain.ended
    assert list(chain.feed(TextDelta("more"))) == []
    assert list(chain.flush()) == []


def test_a_chain_that_ends_while_it_is_flushed_says_everything_once() -> None:
    chain = Chain(Redact(["secret"]), StopAt("se"), Moderate(lambda text: True))
    assert list(chain.feed(TextDelta("xse"))) == []
    assert list(chain.flush()) == [TextDelta("x"), Finish("stop")]


def test_a_link_that_has_ended_is_not_flushed() -> None:
    class Once(Transform):
        def feed(self, event: Event) -> list[Event]:
            self.ended = True
            return [event]

        def flush(self) -> list[Event]:
            return [TextDelta("too late")]

    chain = Chain(Redact(["secret"]), Once)
    assert list(chain.feed(TextDelta("a"))) == [TextDelta("a")]
    assert list(chain.flush()) == []


def test_your_own_in_a_few_lines() -> None:
    class Shout(Transform):
        def feed(self, event: Event) -> list[Event]:
            return [TextDelta(event.text.upper(), event.index)] if isinstance(event, TextDelta) else [event]

    class Structural:
        def feed(self, event: Event) -> list[Event]:
            return [event, event]

        def flush(self) -> list[Event]:
            return [TextDelta("!")]

    out = run(Chain(Shout, Structural()), [TextDelta("a"), Usage(1)])
    assert out == [TextDelta("A"), TextDelta("A"), Usage(1), Usage(1), TextDelta("!")]
    with pytest.raises(TypeError, match="int has not"):
        Chain(3)  # type: ignore[arg-type]


def test_a_transform_that_gives_no_events_is_told_so():
    class Shout:
        def feed(self, event):
            return [str(event).upper()]

        def flush(self):
            return []

    with pytest.raises(typestream.SourceError, match="A transform gives events, not str") as caught:
        typestream.stream(["a"]).through(Shout).collect()
    assert isinstance(caught.value.__cause__, TypeError)


def said(index, text, end=None, used=None):
    made = {"choices": [{"index": index, "delta": {"content": text}, "finish_reason": end}]}
    if used is not None:
        made["usage"] = {"prompt_tokens": 5, "completion_tokens": used, "total_tokens": 5 + used}
    return made


@pytest.mark.parametrize("transform", [StopAt("X"), Moderate(lambda text: "X" not in text, every=1)])
def test_a_choice_that_is_ended_ends_no_other(transform):
    items = [said(0, "zero "), said(1, "one X"), said(0, "goes on"), said(0, "", "stop"), said(1, "", "stop")]
    result = typestream.stream(items).through(transform).collect()
    assert (result.text, result.finish_reason, result.choice(1).text) == ("zero goes on", "stop", "one ")


def test_a_stream_is_left_when_no_choice_that_has_begun_goes_on():
    left = []

    def source():
        yield said(0, "zero ", "stop")
        yield said(1, "one X")
        left.append("read on")

    assert typestream.stream(source()).through(StopAt("X")).collect().choice(1).text == "one "
    assert not left


@pytest.mark.parametrize("transform", [StopAt("\nUser:", choices=2), Redact(r"\nsk-\w+")])
def test_the_last_usage_is_the_last_whatever_is_held_back(transform):
    items = [
        said(1, "Yes.", used=1),
        said(0, "No\n", used=2),
        said(0, "", "stop", used=2),
        said(1, " Sure.", used=4),
        said(1, "", "stop", used=4),
        {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 4, "total_tokens": 9}},
    ]
    result = typestream.stream(items).through(transform).collect()
    assert result.usage.output == 4
    assert result.text == "No\n"


@pytest.mark.parametrize(
    ("pattern", "text"),
    [(r"pin:(?a:\W)+\d+", "pin:éé1234"), (re.compile(r"key=(?u:\w)+;", re.ASCII), "key=éclair;")],
)
def test_flags_of_a_part_of_an_expression_count(pattern, text):
    assert re.sub(pattern, "#", text) == "#"
    for at in range(1, len(text)):
        assert typestream.stream([text[:at], text[at:]]).through(Redact(pattern, "#")).collect().text == "#"


class Scored(TextDelta):
    """A user's own."""


class Score(Transform):
    def __init__(self, made):
        self.made = made

    def feed(self, event):
        return [self.made(event.text)] if isinstance(event, TextDelta) else [event]


def test_a_subclass_of_an_event_is_that_event():
    result = typestream.replay("text").through(Score(Scored)).collect()
    assert result == typestream.replay("text").collect()


@pytest.mark.parametrize(
    "made", [lambda text: TextDelta(None), lambda text: ToolCallDelta(-1), lambda text: TextDelta(7)]
)
def test_an_event_that_cannot_be_is_the_transform_s_error(made):
    for read in (lambda stream: stream.collect(), lambda stream: list(stream.events())):
        with pytest.raises(typestream.SourceError):
            read(typestream.stream(["a", "b"]).through(Score(made)))
        with pytest.raises(typestream.StreamProtocolError) as caught:
            read(typestream.stream([TextDelta("a"), made("b")]))
        assert caught.value.result.text == "a"
