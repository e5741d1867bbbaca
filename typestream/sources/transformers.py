"""Hugging Face transformers: `model.generate` as a stream.

`transformers` and `torch` are whoever calls it's own: nothing is imported here, a model is known by its `generate` and
a tokenizer by its `decode`.

Rules: the model starts when the stream is first read, in a thread of its own; what it raises is raised where the stream
is read; when the reader leaves, the model ends with the token it is at. One answer per stream: no batches, no beams.
"""

from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from importlib import import_module
from operator import index
from typing import TYPE_CHECKING, Any, Final, SupportsIndex, overload

from typestream._core import Core
from typestream._source import AsyncSource, SyncSource
from typestream._sync import TokenStream
from typestream.decode.text import EventDecoder, TextDecoder
from typestream.errors import UnsupportedSource
from typestream.events import Finish, Start, Usage
from typestream.sources._pushed import Pushed, PushedSource
from typestream.sources._watched import AsyncWatched, Watched
from typestream.sources.tokens import Detokenizer

if TYPE_CHECKING:
    from typestream._async import AsyncTokenStream

__all__ = ("generate", "watch")

DEFAULT: Final = 20
"""How many tokens transformers makes where no limit is set: the `max_length` of its `GenerationConfig`, of new ones."""


def generate(
    model: Any,
    tokenizer: Any,
    prompt: Any,
    *,
    ahead: int | None = None,
    skip_special_tokens: bool = True,
    template: Mapping[str, Any] | None = None,
    **options: Any,
) -> TokenStream:
    """A stream of what `model.generate` makes of a prompt; the model starts when the stream is first read.

    Args:
        model: anything with the `generate` of transformers.
        tokenizer: its tokenizer.
        prompt: a text; a list of messages (`{"role": …, "content": …}`), to which the tokenizer's chat template is
            applied; a list or tensor of token ids; or what the tokenizer made of a text (`input_ids` and more).
        ahead: how many pieces of text the model may be ahead of the reader; None for any number.
        skip_special_tokens: whether tokens such as the end token are left out of the text.
        template: more for the chat template, such as `{"tools": […]}`.
        options: passed on to `model.generate`; a `streamer` among them lends its own decoding options.

    Returns:
        A `TokenStream`, or with `async for` and `as_async()` its twin. It ends with `Usage` and a `Finish`: `"stop"`
        where the model ended, or a stop string or another criterion ended it, `"length"` where it came to its limit.

    Raises:
        TypeError: the prompt is none of these.
        ValueError: the call asks for more than one answer at a time.
    """
    _refuse(prompt, options, model)
    lent = options.pop("streamer", None)
    decoding = {"skip_special_tokens": skip_special_tokens, **getattr(lent, "decode_kwargs", {})}
    if _setting("stop_strings", options, model):
        options.setdefault("tokenizer", tokenizer)
    run = _Run(model, lambda: _inputs(model, tokenizer, prompt, template or {}), options)
    run.detokenizer = Detokenizer(tokenizer, **decoding)
    run.echo = lent is not None and not getattr(lent, "skip_prompt", True)
    return TokenStream(Core(), PushedSource(Pushed(run, ahead), name="transformers", decoder=EventDecoder()))


@overload
def watch(streamer: AsyncIterator[Any], thread: Any = None) -> "AsyncTokenStream": ...
@overload
def watch(streamer: Iterator[Any], thread: Any = None) -> TokenStream: ...
def watch(streamer: Any, thread: Any = None) -> "TokenStream | AsyncTokenStream":
    """A ready `TextIteratorStreamer` or `AsyncTextIteratorStreamer`, made as safe as it can be.

    A streamer does not hear of it when `generate` fails: its reader waits for ever. And it does not tell `generate`
    when its reader leaves. So give the thread, too, best before it was started: what it raises is then raised by the
    stream; so is what a future says. Of a thread that runs already, given or not, it can only be told that it ended
    without an end, within a tenth of a second; but not where it ended before its first token, before anyone looked.
    Leaving the stream ends `generate` with its next token in any case. The streamer's own `timeout` is kept.

    Args:
        streamer: a streamer of transformers that nobody else reads.
        thread: the thread that runs `generate`, started when the stream is first read, if it was not; or the future of
            an executor, or a task.

    Returns:
        A `TokenStream`, or an `AsyncTokenStream` of an `AsyncTextIteratorStreamer`.

    Raises:
        UnsupportedSource: it is no such streamer; a TypeError, too.
    """
    if not all(hasattr(streamer, name) for name in ("text_queue", "stop_signal", "put")):
        kind = type(streamer).__name__
        raise UnsupportedSource(f"watch() takes a TextIteratorStreamer or an AsyncTextIteratorStreamer, not {kind}.")
    if hasattr(streamer, "__aiter__"):
        from typestream._async import AsyncTokenStream

        return AsyncTokenStream(Core(), AsyncSource(AsyncWatched(streamer, thread), decoder=TextDecoder()))
    return TokenStream(Core(), SyncSource(Watched(streamer, thread), decoder=TextDecoder()))


class _Run:
    """One call of `model.generate`, and its streamer: transformers calls `put` with the prompt's ids, then with each
    token's, and `end`.

    Attributes:
        detokenizer: makes text of the ids.
        echo: whether the prompt is part of the text.
    """

    detokenizer: Detokenizer
    echo = False

    def __init__(self, model: Any, inputs: Callable[[], dict[str, Any]], options: dict[str, Any]) -> None:
        self._model = model
        self._inputs = inputs
        self._options = options
        self._begun: int | None = None  # with how many ids
        self._ids = 0
        self._seen: list[int] = []  # the prompt's, too

    def __call__(self, hand_over: Callable[[Any], None]) -> None:
        self._hand_over = hand_over
        hand_over(Start(model=getattr(self._model, "name_or_path", None) or None))
        inputs = self._inputs()
        self._model.generate(**{**inputs, **self._options, "streamer": self})
        self._say(self.detokenizer.flush())
        ids = inputs.get("input_ids")
        given = (self._begun or 0) if ids is None else int(ids.shape[-1])
        hand_over(Usage(given, self._ids, given + self._ids))
        hand_over(Finish(self._reason()))

    def put(self, value: Any) -> None:
        """More ids: those of the prompt first."""
        ids = value.tolist()
        if ids and isinstance(ids[0], list):
            if len(ids) > 1:
                raise ValueError(_BATCH)
            ids = ids[0]
        self._seen += ids
        if self._begun is None:
            self._begun = len(ids)
            self._say(self.detokenizer.feed(ids) if self.echo else "")
            return
        self._ids += len(ids)
        self._say(self.detokenizer.feed(ids))

    def end(self) -> None:
        """No more ids; `generate` says so before it returns, or not at all."""

    def _say(self, text: str) -> None:
        self._hand_over(text or None)  # nothing, too: it shows whether the reader has left

    def _reason(self) -> str:
        """Why it ended. transformers does not say, so by what it goes by itself."""
        if self._ids and self._seen[-1] in _many(self._setting("eos_token_id")):
            return "stop"
        if any(map(self._ends, _many(self._setting("stop_strings")))):
            return "stop"
        return "stop" if self._ids < self._limit() and self._options.get("stopping_criteria") else "length"

    def _limit(self) -> int:
        """How many ids it may make."""
        limit, most = self._setting("max_new_tokens"), self._setting("max_length")
        if limit is not None:
            return int(limit)
        if most is None or (most == DEFAULT and not self._options.get("max_length")):
            return DEFAULT
        return int(most) - (self._begun or 0)

    def _ends(self, string: str) -> bool:
        """Whether the last id completes that string, which may begin in the prompt and have special tokens in it."""
        if not self._ids:
            return False
        ids = self._seen[-4 * len(string) - 1 :]  # a character has at most four
        decode = self._options["tokenizer"].decode
        text, before = (
            str(decode(each, skip_special_tokens=False, clean_up_tokenization_spaces=False)) for each in (ids, ids[:-1])
        )
        return text.find(string, max(0, len(before.rstrip("\ufffd")) - len(string) + 1)) >= 0

    def _setting(self, name: str) -> Any:
        return _setting(name, self._options, self._model)


_BATCH = "generate() streams one answer at a time: pass one prompt, and make a stream for each where there are several."


def _refuse(prompt: Any, options: dict[str, Any], model: Any) -> None:
    """Say at once what would fail only later, or in other words."""
    several = isinstance(prompt, (list, tuple)) and bool(prompt) and not isinstance(prompt[0], (SupportsIndex, Mapping))
    ids = prompt.get("input_ids") if isinstance(prompt, Mapping) else prompt
    shape: Any = getattr(ids, "shape", ())
    if several or (len(shape) > 1 and shape[0] > 1):
        raise ValueError(_BATCH)
    for name in ("num_return_sequences", "num_beams"):
        if (_setting(name, options, model) or 1) > 1:
            raise ValueError(f"generate() streams one answer as it is made: {name} must be 1.")
    if not _fits(prompt):
        kind = type(prompt).__name__
        raise TypeError(f"generate(prompt) takes a text, messages, token ids or what the tokenizer gives, not {kind}.")


def _fits(prompt: Any) -> bool:
    return isinstance(prompt, (str, list, tuple, Mapping)) or hasattr(prompt, "shape")


def _inputs(model: Any, tokenizer: Any, prompt: Any, template: Mapping[str, Any]) -> dict[str, Any]:
    """The prompt as `model.generate` takes it, where the model is."""
    if isinstance(prompt, str):
        made = tokenizer(prompt, return_tensors="pt")
    elif isinstance(prompt, Mapping):
        given = {name: prompt[name] for name in ("input_ids", "attention_mask") if name in prompt}
        made = {**prompt, **{name: _row(ids) for name, ids in given.items() if _listed(ids)}}
    elif not hasattr(prompt, "shape") and prompt and isinstance(prompt[0], Mapping):
        given = {"add_generation_prompt": True, "return_dict": True, "return_tensors": "pt", **template}
        made = tokenizer.apply_chat_template(prompt, **given)
    else:
        ids = _row(prompt)
        made = {"input_ids": ids, "attention_mask": ids.new_ones(ids.shape)}
    device = getattr(model, "device", None)
    inputs = {name: value.to(device) if hasattr(value, "to") else value for name, value in made.items()}
    inputs.pop("token_type_ids", None)  # some tokenizers give them, though no model that generates takes them
    return inputs


def _listed(ids: Any) -> bool:
    return isinstance(ids, (list, tuple)) or hasattr(ids, "tolist")


def _row(ids: Any) -> Any:
    if not hasattr(ids, "new_ones"):  # which a tensor has
        torch = import_module("torch")
        plain = (
            ids.tolist()
            if hasattr(ids, "tolist")
            else [each if isinstance(each, list) else index(each) for each in ids]
        )
        ids = torch.tensor(plain, dtype=torch.long)
    return ids if len(ids.shape) > 1 else ids.reshape(1, -1)


def _setting(name: str, options: dict[str, Any], model: Any) -> Any:
    """What `generate` goes by: its own arguments, then its `generation_config`, or else that of the model."""
    configs = (options.get("generation_config"), getattr(model, "generation_config", None))
    found = [options.get(name), *(getattr(config, name, None) for config in configs)]
    return next((each for each in found if each is not None), None)


def _many(found: Any) -> Collection[Any]:
    found = found.tolist() if hasattr(found, "tolist") else found
    return found if isinstance(found, (list, tuple, set)) else () if found is None else (found,)
