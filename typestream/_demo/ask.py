"""What a request asks for, read from its JSON body and checked; one function for each of the three APIs."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from typestream._demo.ngram import tokenize

__all__ = ("Ask", "BadRequest", "Tool", "ask_chat", "ask_completions", "ask_responses", "turn")

MAX_TOKENS = 400
"""Where the request sets no limit."""


class BadRequest(Exception):
    """A request that cannot be answered: the HTTP status, and what OpenAI's error objects say."""

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.param, self.code, self.status = param, code, status


@dataclass(slots=True)
class Tool:
    """A function that is to be called, and the JSON schema of its arguments."""

    name: str
    parameters: dict[str, Any]


@dataclass(slots=True)
class Ask:
    """What is to be made. `prompt` is what the model goes on from, `input` the tokens of all that was sent."""

    model: str
    prompt: str
    input: int
    max_tokens: int
    temperature: float
    seed: int | None
    choices: int = 1
    stop: tuple[str, ...] = ()
    tools: list[Tool] = field(default_factory=list)
    stream: bool = False
    include_usage: bool = False


def turn(prompt: str) -> str:
    """What the model goes on from to answer a prompt: the prompt as a paragraph of its own."""
    return prompt.strip() + "\n\n" if prompt.strip() else ""


def ask_chat(body: dict[str, Any]) -> Ask:
    """POST /v1/chat/completions."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequest("'messages' must be an array with at least one message.", param="messages")
    texts = [_text(message.get("content") if isinstance(message, dict) else None) for message in messages]
    ask = _ask(body, texts, "max_completion_tokens" if body.get("max_completion_tokens") else "max_tokens")
    ask.choices = int(_number(body, "n", 1, 1, 16))
    ask.include_usage = _include_usage(body)
    tools: dict[str, Tool] = {}
    for tool in _list(body, "tools"):
        tools |= _tool(tool.get("function") if isinstance(tool, dict) else None)
    answered = isinstance(messages[-1], dict) and messages[-1].get("role") == "tool"
    ask.tools = _called(body, tools, "" if answered else texts[-1], "function")
    return ask


def ask_completions(body: dict[str, Any]) -> Ask:
    """POST /v1/completions: the model goes on from the prompt itself."""
    prompt = body.get("prompt", "")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise BadRequest("'prompt' must be a string, or an array of one string.", param="prompt")
    ask = _ask(body, [prompt], "max_tokens")
    ask.prompt = prompt
    ask.choices = int(_number(body, "n", 1, 1, 16))
    ask.include_usage = _include_usage(body)
    return ask


def ask_responses(body: dict[str, Any]) -> Ask:
    """POST /v1/responses."""
    given = body.get("input")
    if isinstance(given, str):
        texts, answered = [given], False
    elif isinstance(given, list) and given and all(isinstance(item, dict) for item in given):
        texts = [_text(item.get("content", item.get("output"))) for item in given]
        answered = given[-1].get("type") == "function_call_output"
    else:
        raise BadRequest("'input' must be a string or an array of items.", param="input")
    ask = _ask(body, texts, "max_output_tokens")
    ask.input += len(tokenize(_text(body.get("instructions"))))
    tools: dict[str, Tool] = {}
    for tool in _list(body, "tools"):
        tools |= _tool(tool)
    ask.tools = _called(body, tools, "" if answered else texts[-1], None)
    return ask


def _ask(body: dict[str, Any], texts: list[str], limit: str) -> Ask:
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise BadRequest("you must provide a model parameter")
    stop = body.get("stop") or []
    stops = (stop,) if isinstance(stop, str) else tuple(stop) if isinstance(stop, list) else None
    if stops is None or not all(isinstance(text, str) and text for text in stops):
        raise BadRequest("'stop' must be a string or an array of strings.", param="stop")
    seed = body.get("seed")
    if seed is not None and not isinstance(seed, int):
        raise BadRequest("'seed' must be an integer.", param="seed")
    return Ask(
        model=model,
        prompt=turn(texts[-1]),
        input=sum(len(tokenize(text)) for text in texts),
        max_tokens=int(_number(body, limit, MAX_TOKENS, 1, 100_000)),
        temperature=_number(body, "temperature", 0.7, 0, 2),
        seed=seed,
        stop=stops,
        stream=bool(body.get("stream")),
    )


def _list(body: dict[str, Any], name: str) -> list[Any]:
    value = body.get(name) or []
    if not isinstance(value, list):
        raise BadRequest(f"'{name}' must be an array.", param=name)
    return value


def _include_usage(body: dict[str, Any]) -> bool:
    options = body.get("stream_options") or {}
    if not isinstance(options, dict):
        raise BadRequest("'stream_options' must be an object.", param="stream_options")
    return bool(options.get("include_usage"))


def _number(body: dict[str, Any], name: str, default: float, least: float, most: float) -> float:
    value = body.get(name)
    if value is None:
        return default
    whole = isinstance(least, int) and name != "temperature"
    right = isinstance(value, int) or (isinstance(value, float) and not whole)
    if not right or isinstance(value, bool) or not least <= value <= most:
        kind = "an integer" if whole else "a number"
        raise BadRequest(f"'{name}' must be {kind} from {least} to {most}.", param=name)
    return float(value)


def _text(content: Any) -> str:
    """The text of a message's content: a string, or parts of which some have text."""
    return "".join(_texts(content))


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            if isinstance(part, dict) and isinstance(part.get("text"), str):
                yield part["text"]


def _tool(function: Any) -> dict[str, Tool]:
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str) or not name:
        raise BadRequest("Each of 'tools' must be a function with a name.", param="tools")
    parameters = function.get("parameters")
    return {name: Tool(name, parameters if isinstance(parameters, dict) else {})}


def _called(body: dict[str, Any], tools: dict[str, Tool], text: str, nested: str | None) -> list[Tool]:
    """Which functions the model calls: the one that `tool_choice` names, or those that the last message names."""
    choice = body.get("tool_choice")
    if choice == "none" or (not tools and not isinstance(choice, dict)):
        return []
    named = [tool for name, tool in tools.items() if name in text]
    if isinstance(choice, dict):
        function = choice.get(nested) if nested else choice
        name = function.get("name") if isinstance(function, dict) else None
        if not isinstance(name, str) or name not in tools:
            raise BadRequest(f"Tool choice '{name}' not found in 'tools' parameter.", param="tool_choice")
        named = [tools[name]]
    elif choice == "required" and not named:
        named = [next(iter(tools.values()))]
    return named[:1] if body.get("parallel_tool_calls") is False else named
