"""Other libraries reading the same chat stream, each as its own documentation does it; those that are not installed are
left out. Install them into an environment of their own, next to this project, and run the benchmarks there."""

import asyncio
import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

__all__ = ("peers",)

_MESSAGES = [{"role": "user", "content": "hi"}]


def peers(base_url: str) -> "dict[str, Callable[[], Any]]":
    """What reads the stream at `base_url` once, by name; the length of the text is what each gives back."""
    installed = {name: make for name, make in _PEERS.items() if find_spec(name) is not None}
    return {f"{name}": lambda make=make: make(base_url) for name, make in installed.items()}  # type: ignore[misc]


def _litellm(base_url: str) -> int:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it asks a server in the internet for prices
    import litellm

    chunks = litellm.completion(model="openai/m", messages=_MESSAGES, api_base=base_url, api_key="none", stream=True)
    return sum(len(chunk.choices[0].delta.content or "") for chunk in chunks)


def _langchain(base_url: str) -> int:
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model="m", base_url=base_url, api_key="none")
    return sum(len(chunk.content) for chunk in model.stream([("user", "hi")]))


def _pydantic_ai(base_url: str) -> int:
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    async def read() -> int:
        agent = Agent(OpenAIChatModel("m", provider=OpenAIProvider(base_url=base_url, api_key="none")))
        async with agent.run_stream("hi") as run:
            return sum([len(text) async for text in run.stream_text(delta=True, debounce_by=None)])

    return asyncio.run(read())


def _any_llm(base_url: str) -> int:
    from any_llm import completion

    chunks = completion(
        model="m", provider="openai", messages=_MESSAGES, api_base=base_url, api_key="none", stream=True
    )
    return sum(len(chunk.choices[0].delta.content or "") for chunk in chunks if chunk.choices)


def _llm(base_url: str) -> int:
    from llm.default_plugins.openai_models import Chat

    model = Chat("m", model_name="m", api_base=base_url)
    return sum(map(len, model.prompt("hi", stream=True, key="none")))


_PEERS: dict[str, Callable[[str], int]] = {
    "litellm": _litellm,
    "langchain_openai": _langchain,
    "pydantic_ai": _pydantic_ai,
    "any_llm": _any_llm,
    "llm": _llm,
}
