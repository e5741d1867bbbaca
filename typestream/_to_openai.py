"""A `Result` in the shape of OpenAI's chat completion object:
https://platform.openai.com/docs/api-reference/chat/object."""

from typing import TYPE_CHECKING, Any

from typestream.events import Citation, Usage

if TYPE_CHECKING:
    from typestream.result import Choice, Result

__all__ = ("chat_completion", "usage_record")

_ZEROS = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}  # they have to be there


def chat_completion(result: "Result") -> dict[str, Any]:
    """The JSON object of a chat completion."""
    citations = [_annotation(citation) for citation in result.citations if citation.url]
    return {
        "id": result.id or "",
        "object": "chat.completion",
        "created": 0,
        "model": result.model or "",
        "choices": [_choice(choice, citations) for choice in result.choices],
        "usage": None if result.usage is None else _ZEROS | usage_record(result.usage, "prompt", "completion"),
    }


def _choice(choice: "Choice", citations: list[dict[str, Any]]) -> dict[str, Any]:
    calls = [
        {
            "id": call.id or "",
            "type": "function",
            "function": {"name": call.name or "", "arguments": call.arguments},
        }
        for call in choice.tool_calls
    ]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": choice.text or (None if calls or choice.refusal else ""),
        "refusal": choice.refusal or None,
    }
    if calls:  # some servers refuse a null, when the message is sent back
        message["tool_calls"] = calls
    if choice.reasoning:
        message["reasoning_content"] = choice.reasoning
    mine = [annotation for annotation in citations if annotation["index"] == choice.index]
    if mine:
        message["annotations"] = [{key: entry[key] for key in entry if key != "index"} for entry in mine]
    return {
        "index": choice.index,
        "finish_reason": choice.finish_reason,
        "logprobs": {"content": choice.logprobs, "refusal": None} if choice.logprobs else None,
        "message": message,
    }


def _annotation(citation: Citation) -> dict[str, Any]:
    return {
        "index": citation.index,
        "type": "url_citation",
        "url_citation": {
            "url": citation.url,
            "title": citation.title or "",
            "start_index": citation.start or 0,
            "end_index": citation.end or 0,
        },
    }


def usage_record(usage: Usage, given: str = "input", made: str = "output") -> dict[str, Any]:
    """Token counts under the names of one of OpenAI's APIs; those that the source did not give are not there."""
    counts: dict[str, Any] = {
        f"{given}_tokens": usage.input,
        f"{made}_tokens": usage.output,
        "total_tokens": usage.total,
        f"{given}_tokens_details": None if usage.cached is None else {"cached_tokens": usage.cached},
        f"{made}_tokens_details": None if usage.reasoning is None else {"reasoning_tokens": usage.reasoning},
    }
    return {name: value for name, value in counts.items() if value is not None}
