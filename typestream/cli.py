"""The command line: `demo`, `pipe`, `play`, `record` and `compare`.

Rules: exit code 0 when all was shown, 1 when the source failed, 2 for a bad command, 130 after Ctrl-C, 141 when
whoever read the output has left, 143 after SIGTERM; what went wrong is one sentence on standard error; what a model
wrote never controls the terminal. What costs import time is imported by the command that needs it.
"""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn, cast

import typestream
from typestream._command import (
    PACES,
    CommandError,
    Screen,
    Tape,
    Terminated,
    pace,
    paced_for,
    parsed,
    read,
    recording,
    say,
    typed_in,
)
from typestream.errors import StreamError, UnsupportedSource
from typestream.pacing import AsRecorded, Instant, Smooth, Steady

__all__ = ("main",)

_PROMPT = "Tell me about Mr. Darcy."
_RESPONSES = frozenset({"choices", "output", "content", "message", "candidates"})


def _demo(args: argparse.Namespace, screen: Screen) -> None:
    from typestream._demo.show import show

    show(
        screen,
        model=args.model,
        prompt=args.prompt,
        policy=Instant() if args.fast else paced_for(screen, args.pace, Steady(120.0)),
        fast=args.fast,
        max_tokens=args.max_tokens,
        seed=args.seed,
        temperature=args.temperature,
    )


def _pipe(args: argparse.Namespace, screen: Screen) -> None:
    stream = typed_in()
    _type(stream.paced(paced_for(screen, args.pace, Smooth())), screen, args.raw)


def _play(args: argparse.Namespace, screen: Screen) -> None:
    from typestream.sources.recording import Recording

    complete = _load(args.file)
    recorded = isinstance(complete, Recording)
    if args.speed is not None and not recorded:
        raise CommandError(f"--speed is for recordings, and {args.file} is none; use --pace.")
    speed = args.speed
    if recorded and speed is None and args.pace is None and not isinstance(paced_for(screen, None, Smooth()), Instant):
        speed = 1.0
    try:
        stream = typestream.replay(complete)
    except UnsupportedSource as error:
        raise CommandError(str(error)) from None
    if speed is None:
        stream.paced(paced_for(screen, args.pace, Steady(80.0)))
    else:
        stream.paced(AsRecorded(speed))
        if args.pace is not None:
            stream = typestream.stream(stream.events()).paced(args.pace)
    _type(stream, screen, args.raw)


def _record(args: argparse.Namespace, screen: Screen) -> None:
    from typestream._demo.show import asking

    if args.prompt is None and not (sys.stdin and sys.stdin.isatty()):
        _keep(typed_in(), args, screen)
        return
    options = {"max_tokens": args.max_tokens, "seed": args.seed, "temperature": args.temperature}
    with asking(args.prompt or _PROMPT, args.model, options) as (ask, _, _):
        _keep(typestream.stream(ask), args, screen)


def _keep(stream: typestream.TokenStream, args: argparse.Namespace, screen: Screen) -> None:
    """Show a stream as it comes, and write it down."""
    with stream, Tape(args.file) as tape:
        stream.recorded(cast(IO[str], tape))
        try:
            _type(stream, screen, args.raw)
        except StreamError as error:
            if isinstance(error.__cause__, CommandError):
                raise error.__cause__ from None
            raise


def _compare(args: argparse.Namespace, screen: Screen) -> None:
    from typestream._compare import POLICIES, compare
    from typestream.render import write

    try:
        compared = compare(recording(args.file, read(args.file)), args.pace or POLICIES)
    except ValueError as error:
        raise CommandError(str(error)) from None
    write(screen, compared.table())
    if args.svg is not None:
        try:
            Path(args.svg).write_text(compared.svg(), encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{args.svg} cannot be written: {error.strerror}.") from None


def _type(stream: typestream.TokenStream, screen: Screen, raw: bool) -> None:
    """Show a stream: on a terminal neutralised, with a mark where it was cut; as it is in a file or a pipe."""
    from typestream.render import Plain, Terminal, cut_mark

    shown = screen.isatty() and not raw
    with stream:
        result = stream.render(Terminal() if shown else Plain(raw=True), screen)
    screen.fresh()
    mark = cut_mark(result)
    if mark and not shown:
        say(mark)


def _load(path: str) -> Any:
    """What a file holds: a recording, a complete response as JSON, or text."""
    text = read(path)
    if text[:200].lstrip("\ufeff \t\r\n").startswith("{"):
        head = parsed(text.lstrip("\ufeff").partition("\n")[0])
        if isinstance(head, dict) and head.get("typestream") == "recording":
            return recording(path, text)
        data = parsed(text.lstrip("\ufeff"))
        if isinstance(data, dict) and not _RESPONSES.isdisjoint(data):
            return data
    return text


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        from typestream.render import neutralise

        self.exit(2, f"{self.prog}: {neutralise(message)}.\n")


def _number(kind: type, least: float, name: str, *, above: bool = False) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not (least < value if above else least <= value) or value == float("inf"):
            raise argparse.ArgumentTypeError(f"{text!r} is not {name}")
        return value

    return parse


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="typestream", description="Text from a model, typed out at a pace.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    positive = _number(float, 0, "a positive number", above=True)
    count = _number(int, 1, "a whole number of at least 1")

    demo = commands.add_parser("demo", help="the same answer three times: live, replayed, and from a local model")
    demo.add_argument("--prompt", default=_PROMPT, help="what to ask")
    demo.add_argument("--fast", action="store_true", help="no pacing, and no waiting between the local model's tokens")
    demo.set_defaults(run=_demo)

    pipe = commands.add_parser("pipe", help="standard input, paced, to standard output")
    pipe.set_defaults(run=_pipe)

    play = commands.add_parser("play", help="a text, a recording (.jsonl) or a complete response (JSON) from a file")
    play.add_argument("file", metavar="FILE")
    play.add_argument("--speed", type=positive, metavar="X", help="so many times as fast as it was recorded")
    play.set_defaults(run=_play)

    record = commands.add_parser("record", help="write down an answer, or standard input, as it comes")
    record.add_argument("file", metavar="FILE", help="the recording that is written")
    record.add_argument("--prompt", help="ask this; otherwise standard input is recorded, unless it is a terminal")
    record.set_defaults(run=_record)

    compare = commands.add_parser("compare", help="what pacing policies make of a recording: a table, and a plot")
    compare.add_argument("file", metavar="RECORDING")
    compare.add_argument("--pace", type=pace, action="append", metavar="PACE", help=f"any number of them: {PACES}")
    compare.add_argument("--svg", metavar="FILE", help="write the plot to this file")
    compare.set_defaults(run=_compare)

    for command in (demo, record):
        command.add_argument("--model", help="the endpoint's model; by default its first one")
        command.add_argument("--max-tokens", type=count, metavar="N", help="how many tokens at most")
        command.add_argument("--seed", type=_number(int, 0, "a whole number of at least 0"), metavar="N")
        command.add_argument("--temperature", type=_number(float, 0, "a number of at least 0"), metavar="T")
    for command in (demo, pipe, play):
        command.add_argument("--pace", type=pace, metavar="PACE", help=f"{PACES}; a unit may follow: steady:12/word")
    for command in (pipe, play, record):
        command.add_argument("--raw", action="store_true", help="pass control characters on to the terminal")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit code. Raises SystemExit for `--help` and for a bad command."""
    args = _parser().parse_args(argv)
    if sys.stdout is None:
        say("standard output is closed.")
        return 1
    screen = Screen(sys.stdout)
    handlers = {signal.SIGINT: screen.interrupted, signal.SIGTERM: screen.terminated}
    before = {number: signal.getsignal(number) for number in handlers}
    try:
        # not where a shell has us ignore them, and not in a thread, where they cannot be set
        for number, handler in handlers.items():
            usual = before[number] in (signal.default_int_handler, signal.SIG_DFL)
            if usual and threading.current_thread() is threading.main_thread():
                signal.signal(number, handler)
        return _run(args, screen)
    finally:
        for number, handler in handlers.items():
            if signal.getsignal(number) == handler:  # after Ctrl-C it is ignored to the end
                signal.signal(number, signal.SIG_IGN if number in screen.deaf else before[number])


def _run(args: argparse.Namespace, screen: Screen) -> int:
    try:
        try:
            args.run(args, screen)
        except KeyboardInterrupt as stop:
            screen.leave()
            screen.fresh()
            return 143 if isinstance(stop, Terminated) else 130
    except BrokenPipeError:
        # Python would complain at exit, when it flushes the rest
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (CommandError, StreamError, OSError) as error:
        return _failed(error, screen)
    return 0


def _failed(error: Exception, screen: Screen) -> int:
    from typestream.render import neutralise

    screen.fresh()
    say(" ".join(neutralise(str(error) or type(error).__name__).split()))
    return 1
