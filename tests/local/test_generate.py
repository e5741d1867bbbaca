"""The autoregressive loop: what a step sees, when it ends, and what becomes of a step that fails."""

import functools
import threading
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

import typestream
from tests.local.conftest import until
from typestream import Finish, TextDelta, Usage, pacing

RUNTIMES = ("sync", "asyncio", "trio")


class Step:
    """Gives one piece after the other, and keeps what it saw."""

    def __init__(self, *pieces: Any) -> None:
        self.pieces = list(pieces)
        self.seen: list[Any] = []

    def __call__(self, context: Any) -> Any:
        self.seen.append(context)
        piece = self.pieces.pop(0) if self.pieces else None
        if isinstance(piece, Exception):
            raise piece
        return piece


def collected(runtime: str, step: Step, *args: Any, **options: Any) -> typestream.Result:
    if runtime == "sync":
        return typestream.generate(step, *args, **options).collect()

    async def later(context: Any) -> Any:
        await anyio.lowlevel.checkpoint()
        return step(context)

    async def main() -> typestream.Result:
        async with typestream.generate(later, *args, **options) as stream:
            return await stream.collect()

    return anyio.run(main, backend=runtime)


@pytest.fixture(params=RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_step_sees_the_text_so_far(runtime):
    step = Step("a", "", "bc")
    result = collected(runtime, step, "> ")
    assert (result.text, result.finish_reason, result.completion) == ("abc", "stop", "complete")
    assert step.seen == ["> ", "> a", "> a", "> abc"]


class Letters(str):
    """As numpy's strings and those of an enumeration: characters, and another `str()`."""

    def __str__(self) -> str:
        return "another"


def test_a_step_may_give_its_text_as_any_kind_of_str(runtime):
    step = Step(Letters("a"), "b", Letters("é"))
    result = collected(runtime, step)
    assert (result.text, type(result.text)) == ("abé", str)
    assert step.seen == ["", "a", "ab", "abé"]
    assert {type(each) for each in step.seen} == {str}


def test_max_tokens_counts_the_steps(runtime):
    step = Step(*"abcdef")
    result = collected(runtime, step, max_tokens=3)
    assert (result.text, result.finish_reason, len(step.seen)) == ("abc", "length", 3)


def test_the_context_is_the_end_of_the_text_and_what_is_kept(runtime):
    step = Step("12", "34", "56")
    collected(runtime, step, "abcdef", context=4, keep=2)
    assert step.seen == ["abef", "ab12", "ab34", "ab56"]


def test_what_cannot_be_kept_takes_no_room(runtime):
    step = Step("12", "34", "56")
    collected(runtime, step, "ab", context=6, keep=4)
    assert step.seen == ["ab", "ab12", "ab1234", "ab3456"]


@given(st.lists(st.text(max_size=4)), st.text(max_size=8), st.integers(1, 9), st.integers(0, 8))
def test_a_step_never_sees_more_than_the_context(pieces, prompt, context, keep):
    keep = min(keep, context - 1)
    step = Step(*pieces)
    typestream.generate(step, prompt, context=context, keep=keep).collect()
    text = prompt
    for seen, piece in zip(step.seen, [*pieces, ""], strict=True):
        rest = text[len(prompt[:keep]) :]
        assert seen == prompt[:keep] + rest[-(context - len(prompt[:keep])) :]
        assert len(seen) <= context
        text += piece


@given(st.lists(st.integers(0, 255)), st.lists(st.integers(0, 255), max_size=8), st.integers(1, 9), st.integers(0, 8))
def test_a_context_of_ids_is_the_same(ids, prompt, context, keep):
    keep = min(keep, context - 1)
    step = Step(*ids)
    result = typestream.generate(step, prompt, decode=bytes, context=context, keep=keep).collect()
    for place, seen in enumerate(step.seen):
        rest = prompt[keep:] + ids[:place]
        assert seen == prompt[:keep] + rest[-(context - len(prompt[:keep])) :]
    assert result.text == bytes(ids).decode("utf-8", "replace")
    assert result.usage == Usage(len(prompt), len(ids), len(prompt) + len(ids))


@given(st.text("ab", max_size=20), st.lists(st.text("ab", min_size=1, max_size=3), min_size=1, max_size=2), st.data())
def test_a_stop_string_is_never_shown(text, stop, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    result = typestream.generate(Step(*pieces), stop=stop).collect()
    ends = [(text.find(each) + len(each), text.find(each)) for each in stop if each in text]
    assert result.text == (text[: min(ends)[1]] if ends else text)
    assert result.finish_reason == "stop"


def test_no_step_is_taken_after_a_stop_string(runtime):
    step = Step("a", "\n", "\nb", "c")
    result = collected(runtime, step, stop="\n\n")
    assert (result.text, len(step.seen)) == ("a", 3)


@pytest.mark.parametrize("pieces", [[65, 66, 10, 10, 67], [65, 66, 10]])
def test_what_was_used_is_known_at_a_stop_string_too(runtime, pieces):
    step = Step(*pieces)
    result = collected(runtime, step, [1, 2], decode=bytes, stop=["\n\n", "\n!"])
    stopped = len(pieces) > 3
    assert (result.text, result.finish_reason) == ("AB" if stopped else "AB\n", "stop")
    assert result.usage == (Usage(2, 4, 6) if stopped else Usage(2, 3, 5))
    assert len(step.seen) == 4


AHEAD: dict[str, Any] = {
    "a thread": lambda stream: stream.as_async(),
    "a pace": lambda stream: stream.paced(pacing.Smooth()),
    "a pace and a thread": lambda stream: stream.as_async().paced(pacing.Smooth()),
    "a clock": lambda stream: stream.timeout(between=20),
    "tee": lambda stream: stream.tee(2)[1],
}


@pytest.mark.parametrize("way", AHEAD)
@pytest.mark.parametrize(
    ("answer", "stop", "text", "taken"),
    [
        ("AB\n\nC", "\n\n", "AB", 4),
        ("AB\n\n", "\n\n", "AB", 4),
        ("Aé€B", "€", "Aé", 6),
        ("Aéa", "no such", "Aéa", 4),
        ("Aé!", "é", "A", 3),
    ],
)
def test_a_loop_that_is_read_ahead_ends_at_a_stop_string_too(way, answer, stop, text, taken):
    step = Step(*answer.encode())
    stream = AHEAD[way](typestream.generate(step, [1, 2], decode=bytes, stop=stop))
    result = stream.collect() if isinstance(stream, typestream.TokenStream) else anyio.run(stream.collect)
    assert (result.text, result.finish_reason, result.completion) == (text, "stop", "complete")
    assert result.usage == Usage(2, taken, 2 + taken)
    assert len(step.seen) == taken + (stop not in answer)


def test_a_stop_string_whose_halves_come_one_by_one(runtime):
    step = Step("a\ud83d", "\ude00", "b")
    result = collected(runtime, step, stop="😀")
    assert (result.text, len(step.seen)) == ("a", 2)


def test_a_stop_string_in_what_is_left_at_the_end(runtime):
    step = Step(65, 0xE2, 0x82)
    result = collected(runtime, step, decode=bytes, stop="\ufffd", max_tokens=3)
    assert (result.text, result.finish_reason, result.usage) == ("A", "stop", Usage(0, 3, 3))


def test_what_may_begin_a_stop_string_is_shown_when_a_step_raises(runtime):
    with pytest.raises(typestream.SourceError) as caught:
        collected(runtime, Step("a\n", KeyError("weights")), stop="\n\n")
    assert caught.value.result.text == "a\n"


def test_no_stop_strings(runtime):
    for stop in (None, [], ()):
        assert collected(runtime, Step("a"), stop=stop).text == "a"


class Silent:
    """Gives nothing, for ever; counts."""

    def __init__(self, called: Any) -> None:
        self.called = called

    def __call__(self, context: str) -> str:
        self.called()
        return ""


@pytest.mark.parametrize("awaited", [False, True])
@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_a_step_that_says_nothing_for_ever_can_be_left(loop, awaited):
    silent = Silent(lambda: None)

    async def step(context: str) -> str:
        return silent(context)

    async def main() -> bool:
        async with typestream.generate(step if awaited else silent).as_async() as stream:
            with anyio.move_on_after(0.02) as scope:
                await anext(stream)
        return scope.cancelled_caught

    assert anyio.run(main, backend=loop)
    assert until(lambda: not [each for each in threading.enumerate() if each.name == "typestream"])


def test_a_step_that_says_nothing_for_ever_can_be_stopped():
    stream = typestream.generate(Silent(lambda: stream.stop()))
    assert stream.collect().text == ""
    with pytest.raises(typestream.StallTimeout):
        typestream.generate(Silent(lambda: None)).timeout(first=0.02).collect()
    assert until(lambda: not [each for each in threading.enumerate() if each.name == "typestream"])


def test_a_step_that_raises(runtime):
    with pytest.raises(typestream.SourceError) as caught:
        collected(runtime, Step("a", "b", KeyError("weights")))
    assert caught.value.result.text == "ab"
    assert caught.value.result.finish_reason is None
    assert isinstance(caught.value.__cause__, KeyError)


class Scalar:
    """As numpy's and torch's scalars: a number, and no int."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value

    __int__ = __index__


@pytest.mark.parametrize("piece", [5, b"a", ["a"], Scalar(3)])
def test_a_step_that_gives_no_text(runtime, piece):
    with pytest.raises(typestream.SourceError, match=f"str or None, not .*{type(piece).__name__}") as caught:
        collected(runtime, Step("a", piece))
    assert caught.value.result.text == "a"


@pytest.mark.parametrize("error", [StopIteration, StopAsyncIteration])
def test_a_decode_that_runs_out_is_no_end_either(runtime, error):
    def decode(ids: list[int]) -> str:
        if len(ids) > 1:
            raise error
        return "a"

    with pytest.raises(typestream.SourceError) as caught:
        collected(runtime, Step(1, 2, 3), decode=decode)
    assert caught.value.result.text == "a"
    assert caught.value.result.completion == "incomplete"


@pytest.mark.parametrize("error", [StopIteration, StopAsyncIteration])
def test_running_out_is_no_end(runtime, error):
    """`next()` of something that has ended, in a step: an error, not half an answer that looks whole."""
    with pytest.raises(typestream.SourceError) as caught:
        collected(runtime, Step("a", error()))
    assert caught.value.result.text == "a"
    assert caught.value.result.completion == "incomplete"


def test_a_lambda_that_gives_a_coroutine():
    async def step(text: str) -> str:
        return "a"

    with pytest.raises(typestream.SourceError, match="coroutine function"):
        typestream.generate(lambda text: step(text)).collect()  # type: ignore[arg-type, return-value]
    assert typestream.generate(functools.partial(step), max_tokens=2).as_sync().collect().text == "aa"


@pytest.mark.parametrize("options", [{}, {"decode": bytes}])
def test_a_step_that_yields(options):
    def step(text: Any) -> Any:
        yield "a"

    with pytest.raises(typestream.SourceError, match="not generator"):
        typestream.generate(step, **options).collect()


def test_ids_with_a_decode(runtime):
    step = Step(*"é€".encode())
    result = collected(runtime, step, [72, Scalar(105)], decode=lambda ids: bytes(ids).decode(errors="replace"))
    assert result.text == "é€"
    assert step.seen[0] == [72, 105]
    assert step.seen[-1] == [72, 105, *"é€".encode()]
    assert result.usage == Usage(2, 5, 7)
    assert result.finish_reason == "stop"


def test_an_answer_of_ids_that_is_cut_in_a_character():
    step = Step(65, 0xE2, 0x82, 0xAC)
    stream = typestream.generate(step, decode=bytes, max_tokens=3, context=2, keep=0)
    events = list(stream.events())
    assert events == [TextDelta("A"), TextDelta("\ufffd"), Usage(0, 3, 3), Finish("length")]
    assert step.seen == [[], [65], [65, 0xE2]]


def test_ids_may_be_scalars_and_nothing_else():
    result = typestream.generate(Step(Scalar(65), 66), decode=bytes).collect()
    assert result.text == "AB"
    with pytest.raises(typestream.SourceError, match="token id"):
        typestream.generate(Step("A"), decode=bytes).collect()


def test_what_a_step_does_with_its_ids_is_its_own_affair():
    def step(ids: list[int]) -> int | None:
        seen = len(ids)
        ids.clear()
        return 65 + seen if seen < 3 else None

    assert typestream.generate(step, decode=bytes).collect().text == "ABC"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"prompt": "text", "decode": bytes}, TypeError),
        ({"prompt": [1]}, TypeError),
        ({"context": 3, "keep": 3}, ValueError),
        ({"keep": -1}, ValueError),
        ({"stop": [b"x"]}, TypeError),
        ({"stop": b"x"}, TypeError),
        ({"stop": 5}, TypeError),
        ({"stop": ["a", None]}, TypeError),
        ({"stop": ["a", ""]}, ValueError),
        ({"decode": 7}, TypeError),
    ],
)
def test_what_generate_does_not_take(options, error):
    with pytest.raises(error, match=r"^(generate|StopAt|A Detokenizer).*\.$"):
        typestream.generate(Step(), **options)
