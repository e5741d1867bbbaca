"""`Typist`: the asked mean, the shape of the gaps, the seed."""

from itertools import pairwise
from statistics import mean, median, pstdev

import pytest

from typestream.events import TextDelta
from typestream.pacing import Pause, Schedule, Typist
from typestream.pacing._simulate import simulate

PROSE = (
    "It was late, and the lamps were lit along the harbour. “Who is there?” he called; nobody answered. "
    "He had 3.14 reasons to go home: rain, wind, and cold!\n\n"
) * 40
JAPANESE = "今日は、いい天気ですね。散歩に行きましょう！" * 250


def gaps(text: str, policy: Typist) -> list[float]:
    return [after - before for (before, _), (after, _) in pairwise(simulate([(0.0, text)], policy))]


PUNCTUATION = [unit * 5001 for unit in ("嗯。啊？哦！呃…", "Hm… Ah… Oh… ", '"! "', "「……。」", "？", "... ")]


@pytest.mark.parametrize("text", [PROSE, JAPANESE, "x" * 5001, "a b " * 1300, *PUNCTUATION])
@pytest.mark.parametrize("wpm", [40, 240])
def test_the_asked_mean_is_kept_over_5000_characters(text: str, wpm: int) -> None:
    for seed in range(5):
        took = simulate([(0.0, text[:5001])], Typist(wpm, seed))[-1][0]
        assert 1000 / (took / 60) == pytest.approx(wpm, rel=0.02)


def test_the_mean_is_kept_by_the_word_too() -> None:
    took = simulate([(0.0, PROSE[:5001])], Typist(240, 3, per="word"))[-1][0]
    assert 1000 / (took / 60) == pytest.approx(240, rel=0.02)


def test_gaps_are_skewed_to_the_right_and_as_wide_as_in_the_data() -> None:
    values = gaps("x" * 5000, Typist(60, seed=1))
    middle, spread = mean(values), pstdev(values)
    assert mean(((value - middle) / spread) ** 3 for value in values) > 0.5
    assert median(values) < middle
    assert spread / middle == pytest.approx(0.467, abs=0.05)  # 111.6 ms of 238.7 ms


def test_gaps_are_longer_before_words_and_longest_before_sentences() -> None:
    values = gaps(PROSE, Typist(60, seed=1))
    before: dict[str, list[float]] = {"word": [], "clause": [], "sentence": [], "letter": []}
    for i, gap in enumerate(values, start=1):
        if not PROSE[i].isalpha() or i < 2:
            continue
        last = PROSE[i - 1]
        kind = "letter" if last.isalpha() else {",": "clause", ".": "sentence"}.get(PROSE[i - 2], "word")
        before[kind].append(gap)
    means = [mean(before[kind]) for kind in ("letter", "word", "clause", "sentence")]
    assert means == sorted(means)
    assert means[1] > 1.2 * means[0]


def test_the_same_seed_gives_the_same_schedule() -> None:
    one, same, other = (simulate([(0.0, PROSE[:300])], Typist(240, seed)) for seed in (7, 7, 8))
    assert one == same
    assert one != other
    assert simulate([(0.0, PROSE[:300])], Typist(240)) != simulate([(0.0, PROSE[:300])], Typist(240))


def test_the_schedule_depends_neither_on_the_cut_nor_on_when_the_source_ends() -> None:
    text = PROSE[:200]
    whole = simulate([(0.0, text)], Typist(240, 7))
    assert simulate([(0.0, text)], Typist(240, 7), end=5.0) == whole
    assert simulate([(0.0, text[i : i + 7]) for i in range(0, 200, 7)], Typist(240, 7)) == whole
    schedule, shown, now = Schedule(Typist(240, 7)), [], 0.0
    schedule.feed(TextDelta(text), now)
    while (due := schedule.poll(now)) is not None:  # it ends while a piece is waited for, whose time is known
        if isinstance(due, TextDelta):
            shown.append((now, due.text))
            continue
        if len(shown) == 100:
            schedule.end((now + due) / 2)
        now = due
    assert shown == whole


def test_it_catches_up_only_if_told_to() -> None:
    slow = simulate([(0.0, PROSE)], Typist(240, 1))[-1][0]
    fast = simulate([(0.0, PROSE)], Typist(240, 1, catch_up=True))[-1][0]
    assert slow > 300
    assert fast < 20
    assert Typist(catch_up=True).read_ahead
    assert not Typist().read_ahead


def test_who_is_not_behind_has_nothing_to_catch_up() -> None:
    took = simulate([(0.0, "x" * 30)], Typist(240, 1, catch_up=True))
    assert took == simulate([(0.0, "x" * 30)], Typist(240, 1))


def test_pauses_can_be_added() -> None:
    plain = simulate([(0.0, "One. Two.")], Typist(240, 1))[-1][0]
    paused = simulate([(0.0, "One. Two.")], Typist(240, 1) + Pause(seconds=2))[-1][0]
    assert paused == pytest.approx(plain + 2)


@pytest.mark.parametrize("arguments", [{"wpm": 0}, {"wpm": float("inf")}, {"per": "x"}])
def test_what_makes_no_sense_is_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"wpm|per"):
        Typist(**arguments)  # type: ignore[arg-type]
