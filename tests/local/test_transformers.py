"""transformers' `generate` as a stream: the whole text, errors at once, nothing that goes on after its reader left.

The model has random weights and its tokenizer was trained here; nothing is downloaded.
"""

import asyncio
import concurrent.futures
import pathlib
import threading
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import typestream
from tests.local.conftest import until
from typestream import Finish, Start, Usage
from typestream.sources.tokens import Detokenizer

torch = pytest.importorskip("torch", reason="needs torch")
transformers = pytest.importorskip("transformers", reason="needs transformers")
pytest.importorskip("tokenizers", reason="needs tokenizers")

from tests.local import tiny_llama  # noqa: E402

pytestmark = [pytest.mark.heavy, pytest.mark.usefixtures("no_threads_left")]

PROMPT = "It is a truth universally acknowledged"
generate = typestream.sources.transformers.generate
watch = typestream.sources.transformers.watch


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return tiny_llama.tokenizer()


@pytest.fixture(scope="module")
def model(tokenizer: Any) -> Any:
    torch.set_num_threads(1)
    return tiny_llama.model(len(tokenizer))


@pytest.fixture
def counted(model: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tokens the model was run for, as a list with one entry each."""
    runs: list[int] = []
    forward = model.forward

    def counting(*args: Any, **kwargs: Any) -> Any:
        runs.append(len(runs))
        return forward(*args, **kwargs)

    monkeypatch.setattr(model, "forward", counting)
    return runs


def whole(model: Any, tokenizer: Any, prompt: str = PROMPT, **options: Any) -> tuple[str, Any]:
    """What transformers says without a stream: the text and the ids of the answer."""
    inputs = tokenizer(prompt, return_tensors="pt")
    inputs.pop("token_type_ids", None)
    torch.manual_seed(5)
    ids = model.generate(**inputs, **options)[0][inputs["input_ids"].shape[1] :]
    return tokenizer.decode(ids, skip_special_tokens=True), ids


SAMPLED = {"do_sample": True, "max_new_tokens": 60, "temperature": 1.5}


def test_the_text_is_that_of_the_whole(model, tokenizer, read):
    text, ids = whole(model, tokenizer, **SAMPLED)
    torch.manual_seed(5)
    stream = generate(model, tokenizer, PROMPT, **SAMPLED)
    events = read(stream)
    given = len(tokenizer(PROMPT)["input_ids"])
    assert "".join(read.texts) == text
    assert type(events[0]) is Start
    reason = "stop" if ids[-1] == tokenizer.eos_token_id else "length"
    assert events[-2:] == [Usage(given, len(ids), given + len(ids)), Finish(reason)]
    assert stream.result.completion == "complete"
    assert all(read.texts)


def test_the_end_token_is_a_stop_and_is_not_shown(model, tokenizer, read):
    # some token that comes is made the end token
    _, ids = whole(model, tokenizer, max_new_tokens=20, do_sample=False)
    end = int(ids[7])
    count = ids.tolist().index(end) + 1
    options = {"max_new_tokens": 20, "do_sample": False, "eos_token_id": [end, 1]}
    events = read(generate(model, tokenizer, PROMPT, **options))
    assert events[-1] == Finish("stop")
    assert events[-2].output == count
    assert "".join(read.texts) == tokenizer.decode(ids[:count], skip_special_tokens=True)
    at_the_limit = {**options, "max_new_tokens": count}
    assert read(generate(model, tokenizer, PROMPT, **at_the_limit))[-1] == Finish("stop")


def test_why_it_ended(model, tokenizer):
    def reason(**options: Any) -> str | None:
        return generate(model, tokenizer, PROMPT, do_sample=False, **options).collect().finish_reason

    def criterion(after: int) -> Any:
        calls: list[int] = []
        return lambda ids, scores, **rest: torch.tensor([calls.append(1) or len(calls) >= after])

    text, _ = whole(model, tokenizer, max_new_tokens=12, do_sample=False)
    prompt = len(tokenizer(PROMPT)["input_ids"])
    assert reason(max_length=prompt + 5) == "length"
    assert reason(generation_config=transformers.GenerationConfig(max_new_tokens=4, eos_token_id=1)) == "length"
    assert reason(max_new_tokens=30, stopping_criteria=[criterion(3)]) == "stop"
    assert reason(max_new_tokens=5, stopping_criteria=[criterion(50)]) == "length"
    letters = next(each for each in text if each.isalpha())
    assert reason(max_new_tokens=30, stop_strings=[letters]) == "stop"
    assert reason(max_new_tokens=3, stop_strings=["no such thing"]) == "length"


class Said(transformers.LogitsProcessor):  # type: ignore[misc]
    """Has the model say these ids."""

    def __init__(self, ids: list[int], begun: int) -> None:
        self.ids, self.begun = ids, begun

    def __call__(self, ids: Any, scores: Any) -> Any:
        said = torch.full_like(scores, -1e9)
        said[:, self.ids[min(ids.shape[1] - self.begun, len(self.ids) - 1)]] = 0
        return said


@pytest.mark.parametrize(
    ("prompt", "answer", "options", "reason", "output"),
    [
        ("Hello\n", "\nabc", {"stop_strings": ["\n\n"]}, "stop", 1),
        ("Hello", "abc<|pad|>d", {"stop_strings": ["<|pad|>"]}, "stop", 4),
        ("Hello END now", "abc", {"stop_strings": ["END"], "max_new_tokens": 4}, "length", 4),
        ("Hello END", "abc", {"stop_strings": ["END"], "max_new_tokens": 4}, "length", 4),
        ("Hello", "ab€c", {"stop_strings": ["€"]}, "stop", None),
        ("Hello", "abc", {"stopping_criteria": 3, "max_new_tokens": None}, "stop", 3),
        ("Hello", "abc", {"stopping_criteria": 50, "max_new_tokens": None}, "length", 20),
        ("Hello", "abc", {"stopping_criteria": 3, "max_new_tokens": None, "max_length": 20}, "stop", 3),
    ],
)
@pytest.mark.filterwarnings("ignore:Using the model-agnostic default:UserWarning")
def test_what_ended_it(model, tokenizer, prompt, answer, options, reason, output):
    begun = len(tokenizer(prompt)["input_ids"])
    criterion = options.get("stopping_criteria")
    if criterion:
        ends = [lambda ids, scores, **rest: torch.tensor([ids.shape[1] - begun >= criterion])]
        options = {**options, "stopping_criteria": ends}
    said = transformers.LogitsProcessorList([Said(tokenizer(answer)["input_ids"], begun)])
    options = {"max_new_tokens": 30, "do_sample": False, "logits_processor": said, **options}
    result = generate(model, tokenizer, prompt, **options).collect()
    assert result.finish_reason == reason
    assert output is None or result.usage.output == output


def test_messages_go_through_the_chat_template(model, tokenizer, read):
    messages = [{"role": "user", "content": "Bonjour"}]
    text, _ = whole(model, tokenizer, "user: Bonjour\nassistant:", max_new_tokens=30, do_sample=False)
    events = read(generate(model, tokenizer, messages, max_new_tokens=30, do_sample=False))
    assert "".join(read.texts) == text
    assert events[-2].input == len(tokenizer("user: Bonjour\nassistant:")["input_ids"])
    bare = generate(
        model, tokenizer, messages, template={"add_generation_prompt": False}, max_new_tokens=1, do_sample=False
    )
    assert bare.collect().usage.input < events[-2].input


@pytest.mark.parametrize("kind", ["list", "row", "matrix", "encoding", "array", "table", "lists", "one list"])
def test_prompts_that_are_ids(model, tokenizer, kind):
    encoding = tokenizer(PROMPT, return_tensors="pt")
    matrix = encoding["input_ids"]
    prompt = {
        "list": matrix[0].tolist(),
        "row": matrix[0],
        "matrix": matrix,
        "encoding": encoding,
        "array": matrix[0].numpy(),
        "table": matrix.numpy(),
        "lists": tokenizer(PROMPT),
        "one list": tokenizer([PROMPT]),
    }[kind]
    text, _ = whole(model, tokenizer, max_new_tokens=20, do_sample=False)
    assert generate(model, tokenizer, prompt, max_new_tokens=20, do_sample=False).collect().text == text


def test_batches_are_refused(model, tokenizer):
    batch = tokenizer([PROMPT, PROMPT], return_tensors="pt")
    for prompt in ([PROMPT, PROMPT], [[1, 2], [3, 4]], batch, batch["input_ids"]):
        with pytest.raises(ValueError, match="one answer at a time"):
            generate(model, tokenizer, prompt)
    for name in ("num_return_sequences", "num_beams"):
        with pytest.raises(ValueError, match=name):
            generate(model, tokenizer, PROMPT, **{name: 2})
    with pytest.raises(TypeError, match="int"):
        generate(model, tokenizer, 5)


def test_nothing_happens_before_it_is_read(model, tokenizer, counted):
    before = threading.active_count()
    stream = generate(model, tokenizer, PROMPT, max_new_tokens=5)
    assert (threading.active_count(), counted) == (before, [])
    stream.close()
    with pytest.raises(typestream.StreamClosed):
        next(stream)
    assert counted == []


# -- failures


class Broken(Exception):
    pass


def failing(model: Any, place: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Options, or a changed model, with which `generate` raises at that place."""
    forward, calls = model.forward, []

    def counting(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) > (0 if place == "at once" else 5):
            raise Broken(place)
        return forward(*args, **kwargs)

    def criterion(ids: Any, scores: Any, **rest: Any) -> Any:
        calls.append(1)
        if len(calls) == 5:
            raise Broken(place)
        return torch.tensor([False])

    if place == "in a stopping criterion":
        return {"stopping_criteria": [criterion]}
    monkeypatch.setattr(model, "forward", counting)
    return {}


PLACES = ("at once", "after 5 tokens", "in a stopping criterion")


@pytest.mark.parametrize("place", PLACES)
def test_what_generate_raises_comes_out_with_the_partial_text(model, tokenizer, read, place, monkeypatch):
    texts = [whole(model, tokenizer, max_new_tokens=count, do_sample=False)[0] for count in (4, 5)]
    options = failing(model, place, monkeypatch)
    with pytest.raises(typestream.SourceError, match=place) as caught:
        read(generate(model, tokenizer, PROMPT, max_new_tokens=50, do_sample=False, **options))
    assert isinstance(caught.value.__cause__, Broken)
    assert caught.value.result.text == "".join(read.texts)
    # a criterion is asked before or after the streamer, as transformers likes; half a character is not shown
    expected = {"": [""], "after": texts[1:], "in": texts}["" if place == "at once" else place.split()[0]]
    assert "".join(read.texts) in [each.rstrip("\ufffd") for each in expected]


def test_a_tokenizer_that_fails(model, tokenizer, read):
    def broken(prompt: str, **options: Any) -> Any:
        raise Broken("no such character")

    broken.decode = tokenizer.decode  # type: ignore[attr-defined]
    with pytest.raises(typestream.SourceError, match="no such character"):
        read(generate(model, broken, PROMPT))


@pytest.mark.parametrize("error", [StopIteration(), SystemExit(3), KeyboardInterrupt()])
def test_exceptions_that_must_not_cross_threads(tokenizer, read, error):
    class Model:
        def generate(self, **options: Any) -> None:
            raise error

    with pytest.raises(typestream.SourceError):
        read(generate(Model(), tokenizer, PROMPT))


def test_leaving_stops_the_model_within_one_token(model, tokenizer, read, counted):
    stream = generate(model, tokenizer, PROMPT, max_new_tokens=500, ahead=1)
    read(stream, most=3)
    assert until(lambda: not [each for each in threading.enumerate() if each.name == "typestream model"])
    # read 3 pieces; one token may wait, one may be offered, and one is made before the model hears of it
    held = 3 * 3  # some of the pieces have several tokens
    assert len(counted) <= 3 + held + 3
    assert len(counted) < 500


def test_the_model_is_at_most_so_far_ahead(tokenizer):
    made: list[int] = []

    class Model:
        def generate(self, streamer: Any, **options: Any) -> None:
            streamer.put(torch.tensor([[1]]))
            for _ in range(500):
                made.append(1)
                streamer.put(torch.tensor([50]))

    letters = tokenizer.decode([50])
    with generate(Model(), tokenizer, PROMPT, ahead=4) as stream:
        for read, piece in enumerate(stream, 1):
            assert piece == letters
            assert len(made) <= read + 4 + 1  # and the one that is offered
    assert len(made) == 500


def test_closing_from_another_thread_wakes_a_reader(tokenizer):
    started, release = threading.Event(), threading.Event()

    class Model:
        def generate(self, **options: Any) -> None:
            started.set()
            release.wait(20)

    stream = generate(Model(), tokenizer, PROMPT)
    closer = threading.Thread(target=lambda: (started.wait(20), stream.close()))
    closer.start()
    try:
        with pytest.raises(typestream.StreamClosed):
            stream.collect()
    finally:
        release.set()
        closer.join()


def test_context_variables_reach_the_model(tokenizer):
    import contextvars

    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    seen: list[str] = []

    class Model:
        def generate(self, **options: Any) -> None:
            seen.append(variable.get())

    variable.set("here")
    generate(Model(), tokenizer, PROMPT).collect()
    assert seen == ["here"]


# -- ready streamers


class Ready:
    """A streamer that is set up as transformers' documentation does it, and read in the runtime it is for.

    Args:
        how: how the stream hears of what fills the streamer: it starts the thread; the thread runs already; it is given
            nothing, and the thread has the streamer among its arguments, or is started later and has not; a future.
    """

    def __init__(self, kind: str, how: str, model: Any, tokenizer: Any, **options: Any) -> None:
        self.kind, self.how = kind, how
        self.model, self.tokenizer = model, tokenizer
        self.options = {"do_sample": False, **options}
        self.texts: list[str] = []
        self.thread: Any = None

    def __call__(self, most: int = 1000) -> None:
        asyncio.run(self._awaited(most)) if self.kind == "async" else self._read(most)

    def _stream(self, cls: Any, **options: Any) -> Any:
        streamer = cls(self.tokenizer, skip_prompt=True, skip_special_tokens=True, **options)
        inputs = self.tokenizer(PROMPT, return_tensors="pt")
        inputs.pop("token_type_ids", None)
        kwargs = {**inputs, **self.options, "streamer": streamer}
        if self.how == "a future":
            self.pool = concurrent.futures.ThreadPoolExecutor(1)
            return watch(streamer, self.pool.submit(self.model.generate, **kwargs))
        hidden = self.how == "learnt"
        self.thread = threading.Thread(
            target=(lambda: self.model.generate(**kwargs)) if hidden else self.model.generate,
            kwargs=None if hidden else kwargs,
            name="typestream user's",
            daemon=True,
        )
        if self.how == "learnt":
            stream = typestream.stream(streamer)
            self.thread.start()
            return stream
        if self.how != "started by it":
            self.thread.start()
        return typestream.stream(streamer) if self.how == "found" else watch(streamer, self.thread)

    def _read(self, most: int) -> None:
        with self._stream(transformers.TextIteratorStreamer) as stream:
            for text in stream:
                self.texts.append(text)
                if len(self.texts) == most:
                    break

    async def _awaited(self, most: int) -> None:
        async with self._stream(transformers.AsyncTextIteratorStreamer) as stream:
            async for text in stream:
                self.texts.append(text)
                if len(self.texts) == most:
                    break

    def ended(self) -> bool:
        if self.thread is None:
            self.pool.shutdown()
            return True
        return until(lambda: not self.thread.is_alive())


HOW = ("started by it", "started before", "found", "learnt", "a future")
each_kind = pytest.mark.parametrize("kind", ["sync", "async"])
each_how = pytest.mark.parametrize("how", HOW)
# what ends a thread of the user's is said on standard error, too; but for SystemExit, which pytest alone tells of
unseen = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


@each_kind
@each_how
def test_a_ready_streamer(model, tokenizer, kind, how):
    text, _ = whole(model, tokenizer, max_new_tokens=40, do_sample=False)
    ready = Ready(kind, how, model, tokenizer, max_new_tokens=40)
    ready()
    assert "".join(ready.texts) == text
    assert ready.ended()


@unseen
@each_kind
@each_how
@pytest.mark.parametrize("place", PLACES)
def test_a_ready_streamer_whose_generate_raises(model, tokenizer, kind, how, place, monkeypatch):
    options = failing(model, place, monkeypatch)
    ready = Ready(kind, how, model, tokenizer, max_new_tokens=50, **options)
    told = how in ("started by it", "a future")
    with pytest.raises(typestream.SourceError, match=place if told else "failed in its thread") as caught:
        ready()
    assert caught.value.result.text == "".join(ready.texts)
    assert type(caught.value.__cause__) is (Broken if told else RuntimeError)
    assert ready.ended()


@unseen
@each_kind
@each_how
def test_leaving_a_ready_streamer_stops_its_generate(model, tokenizer, counted, kind, how):
    ready = Ready(kind, how, model, tokenizer, max_new_tokens=3000, min_new_tokens=3000, do_sample=True)
    ready(most=2)
    assert ready.ended()
    assert len(counted) < 3000


class Never:
    """A model whose thread lives on and gives nothing."""

    def __init__(self) -> None:
        self.release = threading.Event()

    def generate(self, streamer: Any, **options: Any) -> None:
        self.release.wait(20)


@each_kind
def test_the_timeout_of_a_ready_streamer_is_kept(tokenizer, kind):
    never = Never()
    ready = Ready(kind, "found", never, tokenizer)
    stream = ready._stream
    ready._stream = lambda cls: stream(cls, timeout=0.1)  # type: ignore[method-assign]
    try:
        with pytest.raises(typestream.StallTimeout, match=r"0\.1 s"):
            ready()
    finally:
        never.release.set()
    assert ready.ended()


@pytest.mark.parametrize("error", [StopIteration(), SystemExit(3)])
@each_kind
def test_what_must_not_cross_threads_from_a_ready_streamer(tokenizer, kind, error):
    class Model:
        def generate(self, **options: Any) -> None:
            raise error

    with pytest.raises(typestream.SourceError, match=type(error).__name__):
        Ready(kind, "started by it", Model(), tokenizer)()


def test_what_watch_does_not_take(tokenizer):
    for streamer in (iter("abc"), transformers.TextStreamer(tokenizer)):
        with pytest.raises(typestream.UnsupportedSource, match="TextIteratorStreamer"):
            watch(streamer)


def test_a_streamer_lends_its_options(model, tokenizer):
    streamer = transformers.TextIteratorStreamer(tokenizer, skip_prompt=False, skip_special_tokens=True)
    text, _ = whole(model, tokenizer, max_new_tokens=10, do_sample=False)
    stream = generate(model, tokenizer, PROMPT, streamer=streamer, max_new_tokens=10, do_sample=False)
    assert stream.collect().text == PROMPT + text


# -- text


IDS = st.lists(st.integers(0, 399), max_size=120)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(IDS, st.booleans())
def test_random_ids_of_a_real_tokenizer(tokenizer, ids, skip):
    detokenizer = Detokenizer(tokenizer, skip_special_tokens=skip)
    text = "".join([*map(detokenizer.feed, ids), detokenizer.flush()])
    assert text == tokenizer.decode(ids, skip_special_tokens=skip)


@pytest.mark.parametrize("text", [*tiny_llama.CORPUS[:3], "👩‍👩‍👧‍👦 and €"])
def test_real_text_is_never_torn(tokenizer, text):
    detokenizer = Detokenizer(tokenizer)
    pieces = [detokenizer.feed(each) for each in tokenizer(text)["input_ids"]]
    assert "".join(pieces) + detokenizer.flush() == text
    assert not [piece for piece in pieces if "\ufffd" in piece]


# -- an event loop


@pytest.mark.parametrize("runtime", ["asyncio", "trio"])
def test_the_event_loop_goes_on_while_the_model_works(tokenizer, runtime):
    """The model waits for what only the loop can give: were the loop blocked, this would never end."""
    import anyio

    asked, given = threading.Event(), threading.Event()

    class Model:
        def generate(self, streamer: Any, **options: Any) -> None:
            streamer.put(torch.tensor([[1, 2]]))
            asked.set()
            assert given.wait(20)
            streamer.put(torch.tensor([50]))

    async def answer() -> None:
        await anyio.to_thread.run_sync(asked.wait, 20)
        given.set()

    async def main() -> str:
        async with anyio.create_task_group() as group:
            group.start_soon(answer)
            async with generate(Model(), tokenizer, PROMPT).as_async() as stream:
                return "".join([text async for text in stream])

    assert anyio.run(main, backend=runtime) == tokenizer.decode([50])


# -- a real model

HELLO = [{"role": "user", "content": "Say hello in French, with an emoji."}]
SHORT: dict[str, Any] = {"max_new_tokens": 12, "do_sample": False}


@pytest.fixture(scope="module")
def smollm2() -> tuple[Any, Any, Any]:
    """SmolLM2-135M, where the package that carries it is installed; transformers reads GGUF files."""
    pytest.importorskip("accelerate", reason="transformers reads GGUF files with accelerate")
    pytest.importorskip("gguf", reason="transformers reads GGUF files with gguf")
    try:
        found = pathlib.Path(typestream.sources.xllamacpp.find("smollm2"))
    except FileNotFoundError as missing:
        pytest.skip(str(missing))
    place = {"pretrained_model_name_or_path": found.parent, "gguf_file": found.name, "local_files_only": True}
    torch.set_num_threads(1)
    model = transformers.AutoModelForCausalLM.from_pretrained(**place)
    tokenizer = transformers.AutoTokenizer.from_pretrained(**place)
    given = {"add_generation_prompt": True, "return_dict": True, "return_tensors": "pt"}
    inputs = tokenizer.apply_chat_template(HELLO, **given)
    return model, tokenizer, (inputs["input_ids"].shape[1], model.generate(**inputs, **SHORT)[0])


@pytest.mark.slow
def test_a_real_small_model(smollm2, read):
    model, tokenizer, (given, ids) = smollm2
    stream = generate(model, tokenizer, HELLO, **SHORT)
    read(stream)
    assert "".join(read.texts) == tokenizer.decode(ids[given:], skip_special_tokens=True)
    assert stream.result.usage == Usage(given, len(ids) - given, len(ids))
    assert len(read.texts) > 3


@pytest.mark.slow
def test_a_real_small_model_is_left(smollm2, read):
    model, tokenizer, _ = smollm2
    read(generate(model, tokenizer, "One, two, three,", max_new_tokens=500, min_new_tokens=500), most=3)
    assert until(lambda: not [each for each in threading.enumerate() if each.name == "typestream model"])
