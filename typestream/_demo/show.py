"""`typestream demo`: the same answer three times, each by its own source."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import IO, Any, NamedTuple, cast

import typestream
from typestream import TokenStream
from typestream._command import CommandError, Screen
from typestream._demo.ask import turn
from typestream._demo.ngram import load
from typestream.pacing import Pacing
from typestream.render import Plain, Terminal, neutralise
from typestream.result import Result

__all__ = ("asking", "show")

_MODEL = "pride-4gram"
_MAX_TOKENS = 160
_SEED = 54
_TEMPERATURE = 0.6


@contextmanager
def asking(
    prompt: str, model: str | None, options: dict[str, Any], fast: bool = False
) -> Iterator[tuple[Callable[[], Iterable[Any]], str, Callable[[], TokenStream] | None]]:
    """How to ask llama.cpp where a model file is given, else the endpoint that the environment names, else the demo's
    own server: a callable that opens the stream; whom it asks, for people; and what asks the same model in this
    process, if it is llama.cpp's.

    Args:
        prompt: what to ask.
        model: a GGUF file, `smollm2`, or the endpoint's model; by default its first one.
        options: of the request; what is None was not asked for.
        fast: whether the demo's own server does not wait between its tokens.

    Raises:
        StreamError: the endpoint failed.
        CommandError: there is no such model.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if is_file(model):
        endpoint = _llama(str(model), _own(options))
    elif os.environ.get("OPENAI_BASE_URL") or os.environ.get("OPENAI_API_KEY"):
        endpoint = _remote(model, given)
    else:
        endpoint = _local(model, _own(options), fast)
    with endpoint as (client, request, where, local):
        body = {"messages": [{"role": "user", "content": prompt}], "stream_options": {"include_usage": True}, **request}

        def ask() -> Iterable[Any]:
            return client.chat.completions.create(stream=True, **body)  # type: ignore[no-any-return]

        yield ask, f"{request['model']} at {where}", None if local is None else partial(local, prompt)


def _own(options: dict[str, Any]) -> dict[str, Any]:
    """What the demo's own model is asked for."""
    given = {name: value for name, value in options.items() if value is not None}
    return {"max_tokens": _MAX_TOKENS, "seed": _SEED, "temperature": _TEMPERATURE, **given}


def is_file(model: str | None) -> bool:
    """Whether a model is one for llama.cpp: a file, or a model that a package carries."""
    if model is None:
        return False
    return model.lower().endswith(".gguf") or model.lower() == "smollm2" or os.path.isfile(model)


class _Endpoint(NamedTuple):
    """Where the live stream comes from: the SDK's client, what to ask for, and where that is, for people; and how to
    have the same from the same model in this process, where there is one."""

    client: Any
    request: dict[str, Any]
    where: str
    local: Callable[[str], TokenStream] | None = None


def show(
    screen: Screen,
    *,
    model: str | None,
    prompt: str,
    policy: Pacing,
    fast: bool,
    max_tokens: int | None,
    seed: int | None,
    temperature: float | None,
) -> None:
    """Show the three answers, then a line of timing for each.

    Raises:
        StreamError: the endpoint failed.
        CommandError: offline, and another model was asked for than the one there is.
    """
    options = {"max_tokens": max_tokens, "seed": seed, "temperature": temperature}
    own = _own(options)
    lines: list[str] = []

    def play(title: str, about: str, make: Callable[[], TokenStream]) -> Result:
        screen.line(f"[{title}] {neutralise(about)}\n")
        start = time.monotonic()
        stream = make()
        asking = time.monotonic() - start  # until the endpoint has begun to answer
        renderer = Terminal() if screen.isatty() else Plain()
        with stream.paced(policy):
            result = stream.render(renderer, cast(IO[str], screen))
        screen.line("")
        lines.append(f"{title:8}{_timing(result, asking)}")
        return result

    screen.line(f"The same answer three times: {neutralise(prompt)}\n")
    if is_file(model):
        screen.line(f"llama.cpp loads {neutralise(str(model))} …\n")
    with asking(prompt, model, options, fast) as (ask, where, local):
        live = play("live", f"{where}, through the openai SDK", lambda: typestream.stream(ask))
        play("replay", "the complete response, once more", lambda: typestream.replay(live.to_openai()))
        name = os.path.basename(live.model or "llama.cpp") if is_file(model) else _MODEL
        about = f"{name} in this process, token by token"
        play("local", about, local or (lambda: _ngram(prompt, own)))
    for line in lines:
        screen.line(line)


def _ngram(prompt: str, own: dict[str, Any]) -> TokenStream:
    step = load().step(turn(prompt), temperature=own["temperature"], seed=own["seed"])
    return typestream.generate(step, max_tokens=own["max_tokens"])


def _timing(result: Result, asking: float) -> str:
    timing = result.timing
    first, rate = timing.first_token, timing.tokens_per_second
    came = "nothing came" if first is None else f"first token after {asking + first:.3f} s"
    speed = "all at once" if rate is None else f"{rate:.1f} tokens/s"
    return f"{came}, {speed}, shown {timing.lag_mean:.3f} s after it came, {timing.lag_max:.3f} s at most"


@contextmanager
def _remote(model: str | None, options: dict[str, Any]) -> Iterator[_Endpoint]:
    """The endpoint that the environment names; sent is what the user asked for, no more: models differ in what they
    take."""
    from openai import OpenAI

    from typestream._failures import failure

    key = os.environ.get("OPENAI_API_KEY") or "none"
    try:
        made = OpenAI(base_url=os.environ.get("OPENAI_BASE_URL") or None, api_key=key, max_retries=0)
    except Exception as error:  # the SDK takes more from the environment, such as proxies
        raise CommandError(f"no request can be made with this environment: {error}") from None
    with made as client:
        where = str(client.base_url.copy_with(userinfo=b"", query=None)).rstrip("/")
        request = dict(options)
        if client.base_url.host == "api.openai.com" and "max_tokens" in request:
            request["max_completion_tokens"] = request.pop("max_tokens")
        try:
            request["model"] = model or client.models.list().data[0].id
        except IndexError:
            raise CommandError(f"{where} lists no model; name one with --model.") from None
        except Exception as error:
            raise failure(error, wire=True) from error
        yield _Endpoint(client, request, where)


def _loopback(url: str) -> Any:
    """A client of a server in this process, whatever proxies the environment names."""
    from openai import DefaultHttpxClient, OpenAI

    return OpenAI(base_url=url, api_key="none", max_retries=0, http_client=DefaultHttpxClient(trust_env=False))


@contextmanager
def _llama(model: str, options: dict[str, Any]) -> Iterator[_Endpoint]:
    """llama.cpp's own server, over a model file, on loopback."""
    from typestream.sources import xllamacpp

    try:
        with _ended_by_signals():
            server = xllamacpp.load(model)
    except ImportError:
        raise CommandError("a GGUF model needs llama.cpp: pip install 'typestream[llama]'.") from None
    except (OSError, ValueError) as error:
        raise CommandError(f"{model} cannot be used: {error}") from None
    except RuntimeError as error:
        raise CommandError(f"{model} cannot be loaded by llama.cpp: is it whole? ({error})") from None

    def local(prompt: str) -> TokenStream:
        return xllamacpp.generate(server, [{"role": "user", "content": prompt}], **options)

    with _loopback(f"{server.listening_address}/v1") as client:
        yield _Endpoint(client, {"model": os.path.basename(model), **options}, server.listening_address, local)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """llama.cpp holds up all of Python while it loads: Ctrl-C is left to the system, which ends the process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    ours = {} if threading.current_thread() is not threading.main_thread() else before
    try:
        for number, handler in ours.items():
            if handler != signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        yield
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)


@contextmanager
def _local(model: str | None, options: dict[str, Any], fast: bool) -> Iterator[_Endpoint]:
    """The demo's own server, on loopback."""
    if model not in (None, _MODEL):
        raise CommandError(
            f"there is no model {model!r} here; set OPENAI_BASE_URL or OPENAI_API_KEY to reach it, or use {_MODEL}, "
            "smollm2 or the path of a GGUF file."
        )
    from typestream._demo.server import DemoServer

    with DemoServer(interval=0.0 if fast else 0.02, name=_MODEL) as server, _loopback(server.base_url) as client:
        yield _Endpoint(client, {"model": _MODEL, **options}, server.base_url)
