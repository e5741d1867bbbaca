"""`compare`: policies side by side on one recording; the figures, the plot and the two commands."""

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import typestream
from typestream._compare import Comparison, compare
from typestream._plot import PANEL, WIDTH, Curve, plot
from typestream.cli import main
from typestream.events import Finish, ReasoningDelta, TextDelta
from typestream.pacing import Instant, Pause, Smooth, Steady
from typestream.pacing._metrics import measure
from typestream.sources.recording import Recording

SVG = "{http://www.w3.org/2000/svg}"


def recording(*rows: tuple[float, str], ended: float | None = None) -> Recording:
    return Recording([(at, TextDelta(text)) for at, text in rows], "complete", ended)


def bursts(count: int = 8) -> Recording:
    return recording(*((i * 0.45, "abcdefghij" * 8) for i in range(count)), ended=count * 0.45)


def metrics(compared: Comparison):
    return [row.metrics for row in compared.rows]


def test_each_policy_shows_everything_and_smoothness_costs_lag():
    instant, smooth, steady = metrics(compare(bursts(), [Instant(), Smooth(0.4), Steady(100)]))
    assert instant.conserved
    assert smooth.conserved
    assert steady.conserved
    assert instant.lag_max == 0
    assert 0.3 < smooth.lag_max <= 0.403
    assert smooth.variation < instant.variation / 2
    assert steady.variation < smooth.variation
    assert steady.total == pytest.approx(639 / 100)
    assert instant.jump == 80


def test_the_tail_counts_from_the_end_of_the_source_not_from_the_last_text():
    compared = compare(recording((0, "abc"), (1, "def"), ended=3.0), [Instant()])
    assert compared.end == 3.0
    assert metrics(compared)[0].tail == pytest.approx(-2)
    assert metrics(compared)[0].total == pytest.approx(1)


def test_a_recording_that_broke_off_ends_with_its_last_event():
    broken = Recording([(0.0, TextDelta("ab")), (2.0, Finish("stop"))])
    assert compare(broken).end == 2.0


def test_only_the_answer_counts():
    events = [(0.0, ReasoningDelta("hm")), (0.5, TextDelta("yes")), (0.6, TextDelta("no", 1)), (0.7, Finish("stop"))]
    compared = compare(Recording(events, "complete", 0.7), [Instant()])
    assert compared.arrivals == [(0.5, "yes")]


def test_units_are_graphemes_however_the_source_cut_them():
    cut = measure([(0, "e"), (1, "\u0301x")], [(1, "e\u0301x")], 1, split=lambda text: ["e\u0301", "x"])
    assert cut.jump == 2
    assert cut.lag_max == 0  # it had not arrived before it was whole
    (family,) = metrics(compare(recording((0, "👩‍👩‍👧" * 3)), [Steady(10)]))
    assert family.jump == 1
    assert family.total == pytest.approx(0.2)


@pytest.mark.parametrize("events", [[], [(0.0, Finish("stop"))]])
def test_without_text_there_is_nothing_to_compare(events):
    with pytest.raises(ValueError, match="no text"):
        compare(Recording(events))


@pytest.mark.parametrize("pace", ["steady:1e-7", "typist:1e-300"])
def test_a_pace_of_days_is_refused(pace, recorded, capsys):
    assert main(["compare", recorded, "--pace", pace]) == 1
    assert capsys.readouterr().err.endswith(" takes longer than a day for this recording.\n")


@pytest.mark.parametrize("late", [1e6, 1e12, float("inf"), float("nan")])
def test_a_recording_of_days_is_refused(late):
    with pytest.raises(ValueError, match="longer than a day"):
        compare(recording((0.0, "a"), (late, "b")))


def test_the_table_has_a_line_for_each_policy_and_its_figures():
    head, *lines = compare(bursts(), [Instant(), Smooth(0.2), Steady(40) + Pause()]).table().splitlines()
    assert head.split()[:2] == ["policy", "first"]
    assert [re.split(r"\s{2,}", line)[0] for line in lines] == [
        "Instant()",
        "Smooth(max_lag=0.2)",
        "Steady(rate=40) + Pause(after='.!?。！？')",
    ]
    assert re.split(r"\s{2,}", lines[0])[1:4] == ["0 ms", "0 ms", "0 ms"]
    assert len({len(line) for line in [head, *lines]}) == 1


def test_the_plot_is_well_formed_and_has_a_curve_for_the_arrivals_and_each_policy():
    root = ET.fromstring(compare(bursts(), [Instant(), Smooth(), Steady(100)]).svg())
    groups = root.findall(f"{SVG}g")
    assert [len(group) for group in groups] == [4, 4]  # the whole, and its first seconds
    texts = [text.text or "" for text in root.iter(f"{SVG}text")]
    assert "arrivals" in texts
    assert any(text.startswith("Smooth(max_lag=0.4): lag at most ") for text in texts)
    assert "graphemes" in texts
    assert sum("seconds" in text for text in texts) >= 2
    assert "prefers-color-scheme: dark" in "".join(style.text or "" for style in root.iter(f"{SVG}style"))


def test_a_policys_name_cannot_break_the_plot():
    root = ET.fromstring(plot([Curve("a & <b>", [(0, 1)])], "<units>"))
    assert "a & <b>" in [text.text for text in root.iter(f"{SVG}text")]
    assert "<units>" in [text.text for text in root.iter(f"{SVG}text")]


points = st.lists(st.tuples(st.floats(0, 4), st.integers(0, 50)), min_size=1, max_size=60)


@given(points)
def test_a_curve_only_rises_and_stays_in_its_panel(steps):
    at, units, curve = 0.0, 0, []
    for gap, more in steps:
        at, units = at + gap, units + more
        curve.append((at, units))
    root = ET.fromstring(plot([Curve("arrivals", curve)], "graphemes"))
    path = root.findall(f"{SVG}g")[0][0].attrib["d"]
    across = [float(x) for x in re.findall(r"[MH](-?[\d.]+)", path)]
    up = [float(y) for y in re.findall(r"V(-?[\d.]+)", path)]
    assert across == sorted(across)
    assert up == sorted(up, reverse=True)
    assert max(across) <= WIDTH
    assert not up or up[0] - up[-1] <= PANEL


def test_a_long_recording_makes_no_long_plot():
    rows = [(i / 1000, "x") for i in range(50_000)]
    assert len(compare(recording(*rows), [Instant()]).svg()) < 150_000


# -- the commands


@pytest.fixture
def recorded(tmp_path: Path) -> str:
    path = tmp_path / "answer.jsonl"
    typestream.replay("An answer. Of two sentences.").recorded(path).collect()
    return str(path)


def test_compare_prints_the_table_and_writes_the_plot(recorded, tmp_path, capsys):
    svg = tmp_path / "plot.svg"
    assert main(["compare", recorded, "--pace", "instant", "--pace", "smooth:0.2", "--svg", str(svg)]) == 0
    out, err = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines()] == ["policy", "Instant()", "Smooth(max_lag=0.2)"]
    assert err == ""
    assert ET.fromstring(svg.read_text(encoding="utf-8")).tag == f"{SVG}svg"


def test_compare_without_a_pace_compares_the_usual_ones(recorded, capsys):
    assert main(["compare", recorded]) == 0
    assert capsys.readouterr().out.count("\n") == 4


def test_compare_says_what_is_wrong_in_one_sentence(recorded, tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text("no recording")
    for argv, said in (
        ([str(text)], "not a typestream recording"),
        ([str(tmp_path / "missing")], "cannot be read"),
        ([recorded, "--svg", str(tmp_path / "no" / "plot.svg")], "cannot be written"),
    ):
        assert main(["compare", *argv]) == 1
        err = capsys.readouterr().err
        assert said in err
        assert err.count("\n") == 1


@pytest.fixture
def offline(monkeypatch):
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_record_writes_down_what_the_model_says(offline, tmp_path, capsys):
    path = tmp_path / "answer.jsonl"
    assert main(["record", str(path), "--prompt", "Who is Mr. Darcy?", "--max-tokens", "12"]) == 0
    shown = capsys.readouterr().out
    assert shown.strip()
    assert typestream.replay(path).collect().text == shown
    assert json.loads(path.read_text().splitlines()[-1])["end"] == "complete"


def test_record_writes_down_standard_input(tmp_path, capsys, monkeypatch):
    source = tmp_path / "in.txt"
    source.write_text("Grüße!", encoding="utf-8")
    with open(source, encoding="utf-8") as file:
        monkeypatch.setattr("sys.stdin", file)
        assert main(["record", str(tmp_path / "out.jsonl")]) == 0
    assert capsys.readouterr().out == "Grüße!"
    assert typestream.replay(tmp_path / "out.jsonl").collect().text == "Grüße!"


def test_record_says_where_it_cannot_write(offline, tmp_path, capsys):
    assert main(["record", str(tmp_path / "no" / "x.jsonl"), "--prompt", "Hi"]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_a_full_disk_is_one_sentence(tmp_path):
    """Full at once, and while an answer is written down."""
    full = "/dev/full"
    if not os.path.exists(full):
        pytest.skip("needs /dev/full")
    path = str(tmp_path / "x.jsonl")
    for where, limit, wrong in ((full, "unlimited", "No space left on device"), (path, "8", "File too large")):
        script = 'ulimit -f "$1"; head -c 100000 /dev/zero | tr "\\0" a | "$0" -m typestream record "$2"'
        done = subprocess.run(["bash", "-c", script, sys.executable, limit, where], capture_output=True, text=True)
        assert done.stderr == f"typestream: {where} cannot be written: {wrong}.\n"
        assert done.returncode == 1


def test_a_recording_of_empty_texts_has_nothing_to_compare():
    events = [(0.0, typestream.TextDelta("")), (1.0, typestream.Finish("stop"))]
    with pytest.raises(ValueError, match="no text"):
        compare(typestream.Recording(events, "complete", 1.0), [typestream.pacing.Steady(40)])
