"""A signal's handler, Ctrl-C and the garbage collector come between any two lines of ours: nothing is missed, nothing
is silently lost, and nothing is left behind."""

import gc
import linecache
import os
import sys
import threading
import warnings
from contextlib import suppress

import anyio
import pytest

import typestream
from tests.stream.leftovers import eventually, threads
from typestream import StreamClosed, pacing
from typestream._readahead import LIMIT

OURS = os.path.dirname(typestream.__file__)
WORDS = ["ab ", "cd ", "ef"]

SHAPES = {
    "plain": lambda source: typestream.stream(source),
    "events": lambda source: typestream.stream(source),
    "timeout": lambda source: typestream.stream(source, timeout=60),
    "read ahead": lambda source: typestream.stream(source).paced(pacing.Smooth(max_lag=1e-3, tail=1e-3)),
    "paced": lambda source: typestream.stream(source).paced(pacing.Steady(1e5)),
    "tee": lambda source: typestream.stream(source).tee(2)[0],
    "attempts": lambda source: typestream.first_of(lambda: source),
    "entered": lambda source: typestream.stream(Entered(source)),
    "called": lambda source: typestream.stream(lambda: source),
    "as_sync": lambda source: typestream.stream(Awaited(source)).as_sync(),
}


class Source:
    """Gives words, then is silent until it is interrupted or closed."""

    def __init__(self, words, *, ends=False):
        self.words = iter(words)
        self.bell = threading.Lock()
        self.bell.acquire()
        self.ends = ends
        self.over = self.closed = False

    def __iter__(self):
        return self

    def __next__(self):
        while True:
            for word in self.words:
                return word
            if self.ends or self.over:
                raise StopIteration
            self.bell.acquire()

    def ring(self):
        with suppress(RuntimeError):
            self.bell.release()

    def interrupt(self):
        self.over = True
        self.ring()

    def close(self):
        self.closed = True
        self.interrupt()


class Entered:
    """The same, as what a `with` gives."""

    def __init__(self, source):
        self.source = source
        source.closed = True  # as long as it was not entered

    def __enter__(self):
        self.source.closed = False
        return self.source

    def __exit__(self, *exc):
        self.source.close()


class Awaited:
    """The same, to be awaited."""

    def __init__(self, source):
        self.source = source

    def __aiter__(self):
        return self

    async def __anext__(self):
        for word in self.source.words:
            return word
        if not self.source.ends:
            await anyio.sleep_forever()
        raise StopAsyncIteration

    async def aclose(self):
        self.source.closed = True


SAFE = (
    "if held:",
    "self._reading.release()",
    "self._done.set()",
    'if hasattr(closing, "__await__"):',  # not safe, but closed again all the same; and the coroutine warns
    "await closing",
)


def is_safe(frame):
    """Whether nothing can come before that line: Python looks for signals at calls and in loops alone, so never between
    the last line in a `with` and what that does then, which counts as the line of the `with`, nor after a call in
    a `try` before the first call in its `finally`."""
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
    return line.startswith(("with ", *SAFE))


class Lines:
    """Counts the lines of ours that a thread runs, and does something before one of them."""

    def __init__(self, at=None, do=None, passes=lambda: False):
        self.ran = 0
        self.passes = passes
        self.at = at
        self.do = do
        self.active = True
        self.done = False

    def __call__(self, frame, kind, _):
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        if kind == "line" and self.active and not is_safe(frame) and not self.passes():
            self.ran += 1
            if self.ran == self.at:
                self.done = True
                self.do()
        return self

    def run(self, call):
        sys.settrace(self)
        try:
            return call()
        finally:
            sys.settrace(None)


def read(stream, shape, got):
    for item in stream.events() if shape == "events" else stream:
        got.append(item if isinstance(item, str) else getattr(item, "text", ""))


def some(count, request):
    """Some of so many lines, and all of the last, which are those before a wait; all where tests may be slow."""
    if request.config.getoption("--slow"):
        return range(1, count + 1)
    return [*range(1, count - 12, max(1, count // 20)), *range(max(1, count - 12), count + 1)]


@pytest.fixture(autouse=True)
def no_collector():
    gc.collect()
    gc.disable()  # what a finalizer runs would count, too
    yield
    gc.enable()


# -- a handler that stops or closes


def controlled(shape, control, at):
    """Read a silent source, and stop or close before line `at`, else when it blocks; how many lines were run."""
    source = Source(WORDS)
    stream = SHAPES[shape](source)
    ended = []

    def reading():
        try:
            lines.run(lambda: read(stream, shape, []))
        except StreamClosed:
            ended.append("closed")
        else:
            ended.append("stopped")

    lines = Lines(at, getattr(stream, control))
    thread = threading.Thread(target=reading, daemon=True)
    thread.start()
    assert eventually(lambda: lines.done or blocks(thread), 20.0)  # lines are slow while they are counted
    if not lines.done:  # how many lines are run depends on how fast the other thread is
        lines.active = False
        getattr(stream, control)()
    thread.join(10)
    assert ended == ["closed" if control == "close" else "stopped"], at
    assert eventually(lambda: source.closed and not threads()), at
    return lines.ran


def blocks(thread):
    """Whether a thread waits for something: in the source, or in a monitor."""
    frame = sys._current_frames()[thread.ident]
    return frame.f_code.co_name == "released" or (frame.f_code is Source.__next__.__code__)


@pytest.mark.parametrize("control", ["stop", "close"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_control_in_a_handler_is_never_missed(shape, control, request):
    for at in some(controlled(shape, control, None), request):
        controlled(shape, control, at)


# -- Ctrl-C


def interrupted(shape, at):
    """Read, with Ctrl-C before line `at`, and on; how many lines were run."""

    def interrupt():
        sys.settrace(None)
        raise KeyboardInterrupt

    source = Source(WORDS, ends=True)
    stream = SHAPES[shape](source)
    lines = Lines(at, interrupt)
    got = []
    with stream:
        try:
            try:
                lines.run(lambda: read(stream, shape, got))
            except KeyboardInterrupt:
                read(stream, shape, got)
        except StreamClosed:
            assert "".join(WORDS).startswith(stream.result.text), at
            assert stream.result.text.startswith("".join(got)), at
        else:
            assert "".join(got) == stream.result.text == "".join(WORDS), at
    assert eventually(lambda: source.closed and not threads()), at
    return lines.ran


# only a `with` can enter something and know of it with nothing in between
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "entered"])
def test_what_an_interrupt_has_lost_is_no_whole_answer(shape, request):
    for at in some(interrupted(shape, None), request):
        interrupted(shape, at)


# -- the garbage collector


def dropped(at):
    """Have the thread that reads ahead drop the stream before its line `at`, else when it waits; how many it ran."""
    source = Source(WORDS)
    kept = [SHAPES["read ahead"](source)]
    lines = Lines(at, kept.clear)
    lines.active = False
    threading.settrace(lines)
    try:
        next(kept[0])
    finally:
        threading.settrace(None)
    (pump,) = [thread for thread in threading.enumerate() if thread.name == "typestream"]
    assert eventually(lambda: blocks(pump))
    lines.active = True
    source.words = iter(["more"] * (LIMIT + 1))  # until nothing more is read
    source.ring()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        assert eventually(lambda: lines.done or blocks(pump), 20.0)
        if not lines.done:
            lines.active = False
            kept.clear()
        pump.join(10)
    assert not kept
    assert not pump.is_alive(), at
    assert source.closed, at
    return lines.ran


def test_a_stream_dropped_by_the_thread_that_reads_it_ends_that(request):
    for at in some(dropped(None), request):
        dropped(at)


# -- Ctrl-C where trio runs: it comes as anywhere else; asyncio cancels the main task instead


AWAITED = {shape: SHAPES[shape] for shape in ("plain", "events", "timeout", "paced", "attempts")}


def interrupted_in_trio(shape, at):
    """The same as `interrupted`, awaited; but a task of trio's own, as the one that reads the source is, is not
    interrupted: trio sees to that."""
    trio = pytest.importorskip("trio")

    def interrupt():
        sys.settrace(None)
        raise KeyboardInterrupt

    source = Source(WORDS, ends=True)
    mine = []
    lines = Lines(at, interrupt, lambda: trio.lowlevel.current_task() not in mine)

    async def main():
        mine.append(trio.lowlevel.current_task())
        stream = AWAITED[shape](Awaited(source))
        got = []

        async def read():
            async for item in stream.events() if shape == "events" else stream:
                got.append(item if isinstance(item, str) else getattr(item, "text", ""))

        async with stream:
            try:
                sys.settrace(lines)
                try:
                    await read()
                except KeyboardInterrupt:
                    await read()
                finally:
                    sys.settrace(None)
            except StreamClosed:
                assert "".join(WORDS).startswith(stream.result.text), at
                assert stream.result.text.startswith("".join(got)), at
            else:
                assert "".join(got) == stream.result.text == "".join(WORDS), at

    anyio.run(main, backend="trio")
    assert source.closed, at
    return lines.ran


@pytest.mark.parametrize("shape", AWAITED)
def test_what_an_interrupt_has_lost_is_no_whole_answer_in_trio(shape, request):
    for at in some(interrupted_in_trio(shape, None), request):
        interrupted_in_trio(shape, at)
