"""`typestream pipe` and `typestream play`: what goes in comes out."""

import json
import signal
import subprocess
import sys

import pytest
from openai.types.chat import ChatCompletion

import typestream
from tests.cli.conftest import Tty
from typestream.cli import main
from typestream.testing import VirtualClock

HOSTILE = "safe \x1b]0;title\x07\x1b[2J‮ text\n"


def test_pipe_gives_what_it_gets(feed, capsys):
    feed("Grüße, 世界 👩‍👩‍👧!\n".encode())
    assert main(["pipe"]) == 0
    assert capsys.readouterr() == ("Grüße, 世界 👩‍👩‍👧!\n", "")


@pytest.mark.parametrize(
    ("data", "text"), [(b"", ""), (b"a\xffb\xc3", "a\ufffdb\ufffd"), (b"data: {}\n\n", "data: {}\n\n")]
)
def test_pipe_takes_any_bytes(feed, capsys, data, text):
    feed(data)
    assert main(["pipe"]) == 0
    assert capsys.readouterr() == (text, "")


def test_pipe_passes_control_characters_on_unless_to_a_terminal(feed, capsys):
    feed(HOSTILE.encode())
    main(["pipe"])
    assert capsys.readouterr().out == HOSTILE


def test_pipe_neutralises_on_a_terminal(feed, on_terminal):
    feed(HOSTILE.encode())
    shown = on_terminal("pipe", "--pace", "instant")
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "‮" not in shown
    assert "␛" in shown
    assert shown.endswith(" text\n")


def test_pipe_raw_is_the_way_round(feed, on_terminal):
    feed(HOSTILE.encode())
    assert on_terminal("pipe", "--pace", "instant", "--raw") == HOSTILE


def test_a_terminals_prompt_starts_on_a_line_of_its_own(feed, on_terminal):
    feed(b"no newline")
    assert on_terminal("pipe", "--pace", "instant") == "no newline\n"


def test_pipe_shows_what_trickles_in_as_it_comes():
    """The second half is not sent before the first has come out; a character is cut between them."""
    command = [sys.executable, "-m", "typestream", "pipe", "--pace", "smooth"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        word = "Grüße".encode()
        process.stdin.write(b"first " + word[:3])
        process.stdin.flush()
        assert process.stdout.read(6) == b"first "
        process.stdin.write(word[3:])
        process.stdin.close()
        assert process.stdout.read() == word
        assert process.stderr.read() == b""
        assert process.wait() == 0


def completion(text):
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}


RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "m",
    "output": [
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "of Responses", "annotations": []}],
        }
    ],
}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("plain text, “quoted”\n", "plain text, “quoted”\n"),
        ("", ""),
        ('{"a": 1}', '{"a": 1}'),
        ("{ not JSON", "{ not JSON"),
        ('{"name": "typestream", "x": 1}', '{"name": "typestream", "x": 1}'),
        ("one\r\ntwo\rthree\r\n", "one\r\ntwo\rthree\r\n"),
        ("\ufefftext", "\ufefftext"),
        ("\ufeff" + json.dumps(completion("after a byte-order mark")), "after a byte-order mark"),
        (json.dumps(completion("of a completion")), "of a completion"),
        (json.dumps(RESPONSE, indent=2), "of Responses"),
        (ChatCompletion.model_validate(completion("of the SDK")).model_dump_json(), "of the SDK"),
    ],
)
def test_play_shows_a_text_or_a_response(tmp_path, capsys, content, text):
    (tmp_path / "file").write_bytes(content.encode())
    assert main(["play", str(tmp_path / "file")]) == 0
    assert capsys.readouterr() == (text, "")


def test_play_takes_any_bytes(tmp_path, capsys):
    (tmp_path / "file").write_bytes(b"a\xffb\xc3")
    assert main(["play", str(tmp_path / "file")]) == 0
    assert capsys.readouterr() == ("a\ufffdb\ufffd", "")


@pytest.fixture
def recording(tmp_path):
    """An answer of which a piece came every two seconds."""
    path = tmp_path / "answer.jsonl"
    with open(path, "w", encoding="ascii") as file:
        file.write('{"typestream": "recording", "version": 1}\n')
        stream = typestream.replay("one")
        stream.recorded(file.name + ".shape").collect()
        with open(file.name + ".shape", encoding="ascii") as shape:
            *_, delta, _ = map(json.loads, shape)
        for number, word in enumerate(("one ", "two ", "three")):
            delta["t"] = 2.0 * number
            delta["event"]["text"] = word
            file.write(json.dumps(delta) + "\n")
        file.write('{"t": 4.0, "end": "complete"}\n')
    return path


@pytest.fixture
def clock():
    """Time passes when somebody waits, and then at once."""
    with VirtualClock() as clock:
        yield clock


def test_a_recording_is_played_at_once_where_nobody_watches(recording, capsys, clock):
    assert main(["play", str(recording)]) == 0
    assert capsys.readouterr() == ("one two three", "")
    assert clock.waits == []


def test_a_recording_with_a_byte_order_mark_is_one(recording, capsys, clock):
    recording.write_bytes(b"\xef\xbb\xbf" + recording.read_bytes())
    assert main(["play", str(recording)]) == 0
    assert capsys.readouterr() == ("one two three", "")
    assert main(["compare", str(recording)]) == 0


def test_a_recording_is_played_as_it_came_on_a_terminal(recording, on_terminal, clock):
    assert on_terminal("play", str(recording)) == "one two three\n"
    assert clock.waits == [2.0, 4.0]


def test_a_recording_is_played_faster(recording, capsys, clock):
    assert main(["play", str(recording), "--speed", "4"]) == 0
    assert capsys.readouterr() == ("one two three", "")
    assert clock.waits == [0.5, 1.0]


def test_a_recording_can_be_given_a_pace_as_well(recording, capsys, clock):
    assert main(["play", str(recording), "--speed", "4", "--pace", "steady:10"]) == 0
    assert capsys.readouterr() == ("one two three", "")
    assert clock.now() > 1.0


def test_a_recording_that_broke_off_says_so(recording, capsys):
    lines = recording.read_text(encoding="ascii").splitlines(keepends=True)
    recording.write_text("".join(lines[:-2]) + lines[-2][:9], encoding="ascii")
    for argv in ([], ["--speed", "100000"]):
        assert main(["play", str(recording), *argv]) == 1
        out, err = capsys.readouterr()
        assert out == "one two "
        assert err.startswith("typestream: ")
        assert err.count("\n") == 1


def test_a_recording_that_broke_off_is_marked_on_a_terminal(recording, monkeypatch, capsys):
    lines = recording.read_text(encoding="ascii").splitlines(keepends=True)
    recording.write_text("".join(lines[:-1]), encoding="ascii")
    terminal = Tty()
    monkeypatch.setattr("sys.stdout", terminal)
    assert main(["play", str(recording), "--pace", "instant"]) == 1
    assert terminal.getvalue().startswith("one two three\n\x1b[31m[the answer broke off: StreamTruncated")
    assert capsys.readouterr().err.startswith("typestream: ")


def test_a_cut_answer_is_marked(tmp_path, capsys, on_terminal):
    cut = completion("half an ans")
    cut["choices"][0]["finish_reason"] = "length"
    (tmp_path / "file").write_text(json.dumps(cut), encoding="utf-8")
    assert main(["play", str(tmp_path / "file")]) == 0
    assert capsys.readouterr() == ("half an ans", "typestream: cut at the length limit\n")
    assert "half an ans\n\x1b[31m[cut at the length limit]" in on_terminal(
        "play", str(tmp_path / "file"), "--pace=instant"
    )


def test_what_cannot_be_played_is_one_sentence(tmp_path, refused):
    missing = str(tmp_path / "missing")
    assert refused("play", missing, code=1) == f"typestream: {missing} cannot be read: No such file or directory.\n"
    assert "cannot be read: Is a directory" in refused("play", str(tmp_path), code=1)
    (tmp_path / "text").write_text("text")
    assert "--speed is for recordings" in refused("play", str(tmp_path / "text"), "--speed", "2", code=1)
    assert "'0' is not a positive number" in refused("play", "x", "--speed", "0")


def test_a_bad_recording_is_one_sentence(recording, refused):
    recording.write_text(recording.read_text(encoding="ascii").replace("text_delta", "nonsense"), encoding="ascii")
    for command in ("play", "compare"):
        assert "No event has the type 'nonsense'" in refused(command, str(recording), code=1)


@pytest.mark.parametrize(
    ("command", "closed", "said"),
    [
        ("pipe", "<&-", "standard input is closed."),
        ('record "$1"', "<&-", "standard input is closed."),
        ("pipe", ">&-", "standard output is closed."),
        ("demo --fast", ">&-", "standard output is closed."),
    ],
)
def test_what_is_closed_is_one_sentence(tmp_path, command, closed, said):
    script = f'"$0" -m typestream {command} {closed}'
    done = subprocess.run(["sh", "-c", script, sys.executable, tmp_path / "x"], stderr=subprocess.PIPE, text=True)
    assert (done.stderr, done.returncode) == (f"typestream: {said}\n", 1)
    assert not list(tmp_path.glob("*"))


def test_nobody_need_hear_what_goes_wrong(tmp_path):
    (tmp_path / "cut").write_text(json.dumps(completion("half") | {"x": 1}).replace('"stop"', '"length"'))
    script = '"$0" -m typestream play "$1" 2>&-'
    done = subprocess.run(["sh", "-c", script, sys.executable, tmp_path / "cut"], stdout=subprocess.PIPE)
    assert (done.stdout, done.returncode) == (b"half", 0)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_that_is_lost_is_heard_when_it_comes_again(monkeypatch, number, code):
    def losing(args, screen):
        with pytest.raises(KeyboardInterrupt):  # as a finalizer does
            signal.raise_signal(number)
        signal.raise_signal(number)  # nobody needs to press so fast
        times.append(1.5)
        signal.raise_signal(number)
        times.append(99)

    times = [0.0]
    monkeypatch.setattr("typestream._command.monotonic", lambda: times[-1])
    monkeypatch.setattr("typestream.cli._pipe", losing)
    before = signal.signal(number, signal.SIG_DFL)
    try:
        assert main(["pipe"]) == code
        signal.raise_signal(number)  # it is ignored while Python ends
    finally:
        signal.signal(number, before)
        signal.signal(signal.SIGINT, signal.default_int_handler)
    assert times == [0.0, 1.5]
