"""The schedule: what is due when, whatever the policy."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import typestream
from typestream.events import Citation, Event, Finish, Other, TextDelta, Usage
from typestream.pacing import AsRecorded, Instant, Moment, Order, Pacing, Pause, Schedule, Smooth, Steady, Typist
from typestream.pacing._schedule import HOLD_LEAST, TICK
from typestream.pacing._simulate import simulate
from typestream.pacing._waiting import Batch, Waiting


class Every(Pacing):
    """So many seconds between pieces, and what was known when it was asked."""

    per = "delta"

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.asked: list[Moment] = []

    def delay(self, piece: str, moment: Moment) -> float:
        self.asked.append(moment)
        return self.seconds


class Ahead(Every):
    """The same, and the source is read ahead."""

    per = "grapheme"
    read_ahead = True
    hold = 0.1


def drain(schedule: Schedule, now: float, until: float = 1e9) -> list[tuple[float, Any]]:
    """What comes out, and when, if everybody is on time."""
    out: list[tuple[float, Any]] = []
    while (got := schedule.poll(now)) is not None:
        if isinstance(got, float):
            if got > until:
                return out
            assert got > now
            now = got
        else:
            out.append((now, got.text if isinstance(got, TextDelta) else got))
    return out


def fed(policy: Pacing, *events: Event, order: Order = "barrier", end: bool = True) -> Schedule:
    schedule = Schedule(policy, order)
    for event in events:
        schedule.feed(event, 10.0)
    if end:
        schedule.end(10.0)
    return schedule


def test_a_piece_counts_from_when_the_last_was_due_not_from_when_it_was_shown() -> None:
    schedule = fed(Steady(10), TextDelta("abcdef"))
    assert schedule.poll(10.0) == TextDelta("a")
    assert schedule.poll(10.04) == pytest.approx(10.1)
    assert schedule.poll(10.17) == TextDelta("b")  # 70 ms late
    assert schedule.poll(10.17) == pytest.approx(10.2)
    assert schedule.poll(10.45) == TextDelta("cde")  # late pieces due together go out together
    assert schedule.poll(10.45) == pytest.approx(10.5)


def test_a_piece_is_never_due_before_it_arrived_and_lost_time_is_not_made_up() -> None:
    rows = [(0.0, "ab"), (3.0, "cd"), (3.01, "ef")]
    assert simulate(rows, Steady(10, per="delta")) == [(0.0, "ab"), (3.0, "cd"), (pytest.approx(3.1), "ef")]


@given(st.lists(st.tuples(st.floats(0, 1), st.text("abé \n🎉", max_size=6)), min_size=1, max_size=20))
@settings(deadline=None)
def test_nothing_is_lost_and_nothing_early(steps: list[tuple[float, str]]) -> None:
    at, rows = 0.0, []
    for gap, text in steps:
        at += gap
        rows.append((at, text))
    for policy in (Instant(), Steady(30), Typist(300, 1), Smooth(), Every(0.01)):
        shown = simulate(rows, policy)
        assert "".join(text for _, text in shown) == "".join(text for _, text in rows)
        arrived = [at for at, text in rows for _ in text]
        went = [at for at, text in shown for _ in text]
        assert all(out >= into for into, out in zip(arrived, went, strict=True))
        assert went == sorted(went)


def test_instant_hands_on_the_very_event() -> None:
    event = TextDelta("héllo", logprobs=[1])
    schedule = Schedule(Instant())
    schedule.feed(event, 0.0)
    assert schedule.poll(0.0) is event
    assert schedule.poll(0.0) is None


def test_pieces_faster_than_a_tick_go_out_together() -> None:
    shown = simulate([(0.0, "x" * 2000)], Steady(2000))
    assert len(shown) < 400
    assert shown[-1][0] == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(
    ("order", "expected"),
    [("barrier", [10.0, 10.1, 10.2, "u", 10.3, 10.4, "f"]), ("flush", [10.0, "u", 10.1, 10.2, "f"])],
)
def test_events_that_are_no_text_keep_their_place(order: Order, expected: list[Any]) -> None:
    events = (TextDelta("abc"), Usage(1), TextDelta("de"), Finish("stop"))
    schedule = Schedule(Steady(10), order)
    out: list[Any] = []
    for event in events:
        schedule.feed(event, 10.0)
    schedule.end(10.0)
    text = ""
    for at, got in drain(schedule, 10.0):
        out.append(at if isinstance(got, str) else {Usage: "u", Finish: "f"}[type(got)])
        text += got if isinstance(got, str) else "|"
    assert text == "abc|de|"
    if order == "barrier":
        assert out == [pytest.approx(item) if isinstance(item, float) else item for item in expected]
    else:
        assert out == [10.0, "u", 10.0, "f"]  # all of it was buffered when the last event came


def test_log_probabilities_survive_the_cutting() -> None:
    schedule = fed(Steady(10), TextDelta("a", logprobs=["p"]), TextDelta("b", logprobs=["q"]), TextDelta("cd"))
    events = []
    now = 10.0
    while (got := schedule.poll(now)) is not None:
        if isinstance(got, float):
            now = got
        elif isinstance(got, TextDelta):
            events.append(got)
    assert [entry for event in events for entry in event.logprobs or ()] == ["p", "q"]
    assert "".join(event.text for event in events) == "abcd"


class Breaths:
    """What `re.split` gives, the empty ends and all."""

    def __init__(self) -> None:
        self.held = ""

    def feed(self, text: str) -> list[str]:
        *pieces, self.held = re.split(r"(?<=,)", self.held + text)
        return ["", *pieces, ""]

    def flush(self) -> list[str]:
        return ["", self.held]


@pytest.mark.parametrize(
    ("per", "shown"),
    [(Breaths, [(0.0, "a,"), (0.1, "b,"), (0.2, "c")]), ("delta", [(0.0, "a,"), (0.1, "b,c")])],
)
def test_what_is_empty_takes_no_time(per: object, shown: list[tuple[float, str]]) -> None:
    schedule = Schedule(Steady(10, per=per))
    for text in ("a,", "", "b,c"):
        schedule.feed(TextDelta(text), 0.0)
    schedule.end(0.0)
    assert drain(schedule, 0.0) == [(pytest.approx(at), text) for at, text in shown]


def test_choices_are_not_mixed() -> None:
    schedule = fed(Instant(), TextDelta("a", 0), TextDelta("b", 1), TextDelta("c", 0))
    events = [got for _ in range(3) if isinstance(got := schedule.poll(10.0), TextDelta)]
    assert [(event.text, event.index) for event in events] == [("a", 0), ("b", 1), ("c", 0)]


def test_skip_shows_everything_at_once_and_what_follows_as_it_comes() -> None:
    schedule = fed(Steady(1), TextDelta("abc"), Usage(1), TextDelta("de"), end=False)
    schedule.poll(10.0)
    schedule.skip()
    assert [got for _, got in drain(schedule, 10.0)] == ["bc", Usage(1), "de"]
    schedule.feed(TextDelta("fgh"), 10.5)
    assert schedule.poll(10.5) == TextDelta("fgh")
    assert schedule.waiting == 0


def test_a_pause_delays_what_was_due() -> None:
    schedule = fed(Steady(10), TextDelta("abcd"))
    schedule.poll(10.0)
    schedule.resume(5.0, 15.0)
    assert schedule.poll(15.0) == pytest.approx(15.1)


def test_changing_the_policy_in_the_middle() -> None:
    schedule = fed(Steady(1), TextDelta("abcdef"))
    schedule.poll(10.0)
    schedule.change(Steady(10), "barrier", 10.5)
    assert schedule.poll(10.5) == TextDelta("b")
    assert schedule.poll(10.5) == pytest.approx(10.6, abs=0.1)
    assert "".join(got for _, got in drain(schedule, 10.5)) == "cdef"


def test_what_is_undecided_waits_for_a_bounded_time_where_the_source_is_read_ahead() -> None:
    schedule = Schedule(Ahead(0.0))
    schedule.feed(TextDelta("e"), 1.0)
    assert schedule.poll(1.0) == pytest.approx(1.0 + HOLD_LEAST)  # the very first is shown soon
    assert schedule.poll(1.0 + HOLD_LEAST) == TextDelta("e")
    schedule.feed(TextDelta("e"), 2.0)
    assert schedule.poll(2.0) == pytest.approx(2 + HOLD_LEAST)  # nor is one after a silence
    assert schedule.poll(2.0 + HOLD_LEAST) == TextDelta("e")
    schedule.feed(TextDelta("ae"), 3.0)
    assert schedule.poll(3.0) == TextDelta("a")
    schedule.feed(TextDelta("\u0301"), 3.05)
    assert schedule.poll(3.06) == pytest.approx(3.15)
    assert schedule.poll(3.15) == TextDelta("e\u0301")
    assert schedule.poll(3.15) is None


@pytest.mark.parametrize(("per", "pieces"), [("grapheme", ["👩‍👧", "!"]), ("word", ["👩‍", "👧!"])])
def test_changing_the_pace_tears_nothing_unless_pieces_are_other_pieces_now(per: str, pieces: list[str]) -> None:
    schedule = Schedule(Steady(10))
    schedule.feed(TextDelta("👩\u200d"), 0.0)
    schedule.change(Steady(2, per=per), "barrier", 0.1)
    schedule.feed(TextDelta("👧!"), 0.2)
    schedule.end(0.2)
    assert [text for _, text in drain(schedule, 0.2)] == pieces


@pytest.mark.parametrize("per", ["grapheme", "word", "sentence"])
@pytest.mark.parametrize(
    "policy", [Smooth, partial(Typist, 240, 1, catch_up=True), partial(Typist, 6000, 1, catch_up=True)]
)
def test_half_a_piece_is_held_for_a_fifth_of_a_second_at_most(policy: Callable[..., Pacing], per: str) -> None:
    shown = simulate([(0.0, "Half a wo"), (9.0, "rd.")], policy(per=per))
    before = [(at, text) for at, text in shown if at < 9]
    assert "".join(text for _, text in before) == "Half a wo"
    assert before[-1][0] <= simulate([(0.0, "Half a wo")], policy(per=per))[-1][0] + 0.2 + TICK


def test_a_pause_keeps_a_pace_by_chance_as_it_was() -> None:
    def shown(pause: float) -> list[float]:
        schedule = Schedule(Typist(60, seed=3))
        schedule.feed(TextDelta("abcdefgh"), 0.0)
        schedule.end(0.0)
        times = [at for at, _ in drain(schedule, 0.0, until=0.35)]
        if pause:
            schedule.resume(pause, 0.3 + pause)
        return times + [at - pause for at, _ in drain(schedule, 0.3 + pause)]

    assert shown(5.0) == pytest.approx(shown(0.0))


def test_what_is_undecided_waits_for_the_next_delta_where_it_is_not() -> None:
    schedule = Schedule(Steady(10))
    schedule.feed(TextDelta("e"), 1.0)
    assert schedule.poll(5.0) is None
    schedule.feed(TextDelta("\u0301!"), 9.0)
    assert schedule.poll(9.0) == TextDelta("e\u0301")


def test_a_piece_that_was_held_counts_from_its_own_arrival() -> None:
    policy = Ahead(1.0)
    schedule = Schedule(policy)
    schedule.feed(TextDelta("ab"), 1.0)
    schedule.poll(1.0)
    schedule.feed(TextDelta("cd"), 1.05)
    schedule.poll(1.05)
    assert list(policy.asked[-1].arrivals) == [0.0, pytest.approx(0.05)]


def test_the_order_changes_with_the_pace() -> None:
    schedule = fed(Steady(1), TextDelta("ab"), Usage(1), TextDelta("cd"), end=False)
    schedule.poll(10.0)
    schedule.change(Steady(10), "flush", 10.2)
    assert [(at, got) for at, got in drain(schedule, 10.2)] == [
        (10.2, "b"),
        (10.2, Usage(1)),
        (pytest.approx(10.3, abs=0.11), "c"),
    ]
    schedule.feed(TextDelta("ef"), 10.4)
    schedule.feed(Usage(2), 10.4)
    assert [at for at, _ in drain(schedule, 10.4)] == [10.4, 10.4]
    schedule.change(Steady(10), "barrier", 10.4)
    schedule.feed(TextDelta("gh"), 10.4)
    schedule.feed(Finish("stop"), 10.4)
    assert drain(schedule, 10.4)[-1] == (pytest.approx(10.6), Finish("stop"))


ASIDES = st.one_of(
    st.builds(Usage, st.integers(1, 9)), st.just(Other("x")), st.just(Citation(None, None, "c", None, None))
)


@given(
    st.lists(
        st.one_of(st.sampled_from(["Hel", "lo ", "wor", "ld. ", "e", "\u0301", "ไทย", "\r", "\n"]), ASIDES), max_size=25
    ),
    st.sampled_from(["grapheme", "word", "sentence", "line"]),
    st.sampled_from([Steady, Smooth]),
)
def test_what_is_no_part_of_the_text_tears_nothing(said, per, kind):
    """As where each chunk comes with usage, or with a field that nobody knows."""
    policy = Steady(100, per=per) if kind is Steady else Smooth(per=per)
    texts = [each for each in said if isinstance(each, str)]
    out = drain(fed(policy, *(TextDelta(each) if isinstance(each, str) else each for each in said)), 10.0)
    plain = drain(fed(policy, *map(TextDelta, texts)), 10.0)
    assert [(at, got) for at, got in out if isinstance(got, str)] == plain
    assert [got for _, got in out if not isinstance(got, str)] == [each for each in said if not isinstance(each, str)]
    shown, events = 0, [got for _, got in out]
    for place, each in enumerate(said):
        if not isinstance(each, str):
            before = sum(len(each) for each in said[:place] if isinstance(each, str))
            at = next(n for n, got in enumerate(events) if got is each and n >= shown)
            assert sum(len(got) for got in events[:at] if isinstance(got, str)) >= before
            shown = at + 1


def test_what_is_held_of_one_choice_is_not_torn_when_that_of_another_has_waited_long_enough() -> None:
    schedule = Schedule(Ahead(0.0))
    schedule.feed(TextDelta("a", 1), 10.0)
    schedule.feed(TextDelta("e"), 10.01)
    assert drain(schedule, 10.01, until=10.02) == [(pytest.approx(10.0 + HOLD_LEAST), "a")]
    schedule.feed(TextDelta("\u0301b"), 10.02)
    assert [got for _, got in drain(schedule, 10.02)] == ["e\u0301", "b"]


class Half:
    """A number that is no float, as numpy's."""

    def __float__(self) -> float:
        return 0.5

    def __ge__(self, other: float) -> bool:
        return other <= 0.5

    def __lt__(self, other: float) -> bool:
        return other > 0.5

    def __radd__(self, other: float) -> "Half":
        return self


@pytest.mark.parametrize("timeless", [True, False])
@pytest.mark.parametrize("seconds", [Half(), 0.5, 1])
def test_times_may_be_any_numbers(seconds: Any, timeless: bool) -> None:
    policy = Every(seconds)
    policy.timeless = timeless
    first, second = simulate([(0, "a"), (0, "b")], policy, 1)
    assert (first, second) == ((0.0, "a"), (float(seconds), "b"))
    schedule = fed(policy, TextDelta("a"), TextDelta("b"), TextDelta("c"))
    schedule.poll(10.0)
    run = schedule.run()
    due = [10 + float(seconds), 10 + 2 * float(seconds)]
    assert run is None or run.times.tolist() == due[: len(run.times)]  # a first run may have any length
    assert type(schedule.poll(10.1)) is float


def test_to_look_at_one_arrival_no_more_are_looked_at() -> None:
    waiting = Waiting()
    for at in range(3):
        waiting.add(Batch(TextDelta("ab"), ["a", "b"], 0.0))
        waiting.batches[-1].since = float(at)
    waiting.add(Batch(Usage(1), [], 0.0))
    assert list(waiting) == [waiting[at] for at in range(6)] == [0.0, 0.0, 1.0, 1.0, 2.0, 2.0]
    assert [waiting[at] for at in range(-6, 0)] == list(waiting)
    assert list(reversed(waiting)) == list(waiting)[::-1]
    assert waiting[1:3] == [0.0, 1.0]
    for at in (6, -7):
        with pytest.raises(IndexError):
            waiting[at]


@pytest.mark.parametrize(
    ("after", "text", "shown"),
    [
        ("\n", "a\n\nb", [0.0, 0.1, 0.2, 1.3]),
        ("\n", "a\r\nb", [0.0, 0.1, 1.2]),
        (".", "a. b", [0.0, 0.1, 1.2, 1.3]),
        (" ", "a b", [0.0, 0.1, 1.2]),
        ("", "a.b", [0.0, 0.1, 0.2]),
    ],
)
def test_a_pause_may_be_after_any_character(after: str, text: str, shown: list[float]) -> None:
    policy = Steady(10) + Pause(after, 1)
    assert [at for at, _ in simulate([(0.0, text)], policy)] == pytest.approx(shown)


def test_what_cannot_be_added_or_paused_after_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^Pause\(after\) must be the characters to pause after, as a str, not 5\.$"):
        Pause(after=5)  # type: ignore[arg-type]
    for one, other in ((AsRecorded(), Pause()), (Pause(), AsRecorded())):
        with pytest.raises(TypeError, match="AsRecorded cannot be added to another policy"):
            _ = one + other


def test_a_seed_may_be_that_of_what_is_added() -> None:
    shown = [simulate([(0.0, "Hello there.")], Pause() + Typist(seed=7)) for _ in range(2)]
    assert shown[0] == shown[1]
    assert (Typist(seed=1) + Typist(seed=2)).seed == 1


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_a_delay_that_makes_no_sense_is_refused(seconds: float) -> None:
    schedule = fed(Every(seconds), TextDelta("a"), TextDelta("b"))
    assert schedule.poll(10.0) == TextDelta("a")  # what is due is not lost
    with pytest.raises(ValueError, match="delay"):
        schedule.poll(10.0)


def test_a_clock_that_jumps_back_makes_nothing_wait_twice() -> None:
    schedule = fed(Steady(10), TextDelta("abc"))
    schedule.poll(10.0)
    assert schedule.poll(10.1) == TextDelta("b")
    assert schedule.poll(3.0) == pytest.approx(10.2)
    schedule.feed(Usage(1), 2.0)
    assert [got for _, got in drain(schedule, 10.1)] == ["c", Usage(1)]
    policy = Every(0.1)
    schedule = Schedule(policy)
    for now in (10.0, 9.0, 10.05, 8.0, 7.0):
        schedule.feed(TextDelta("a"), now)
        schedule.poll(now)
    assert [moment.now for moment in policy.asked] == sorted(moment.now for moment in policy.asked)
    assert policy.asked[-1].arrivals[-1] == pytest.approx(0.05)


def test_no_drift_over_two_thousand_pieces() -> None:
    shown = simulate([(0.0, "x" * 2001)], Steady(50))
    assert shown[-1][0] == pytest.approx(40, rel=1e-9)


class Words:
    """Drops the white space."""

    def feed(self, text: str) -> list[str]:
        return text.split()

    def flush(self) -> list[str]:
        return []


class More(Words):
    """Gives what was not there."""

    def feed(self, text: str) -> list[str]:
        return [text, text]


@pytest.mark.parametrize("per", [Words, More])
def test_a_segmenter_that_changes_the_text_is_an_error(per: Any) -> None:
    with pytest.raises(typestream.SourceError, match=per.__name__):
        typestream.stream(["The answer ", "is not", " 42."]).paced(Smooth(per=per)).collect()


def test_events_that_are_no_text_count_for_the_back_pressure() -> None:
    schedule = Schedule(Steady(10))
    for _ in range(50):
        schedule.feed(Other("x"), 0.0)
    assert (schedule.waiting, schedule.backlog) == (0, 50)
    schedule.feed(TextDelta("a" * 100), 0.0)
    assert schedule.backlog > 90
