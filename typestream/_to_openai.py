"""A `Result` in the shape of OpenAI's chat completion object:
https://platform.openai.com/docs/api-reference/chat/object."""

from typing import TYPE_CHECKING, Any

from typestream.events import Citation, Usage

if TYPE_CHECKING:
    from typestream.result import Choice, Result

__all__ = ("chat_completion",)


def chat_completion(result: "Result") -> dict[str, Any]:
    """The JSON object of a chat completion."""
    citations = [_annotation(citation) for citation in result.citations if citation.url]
    return {
        "id": result.id or "",
        "object": "chat.completion",
        "created": 0,
        "model": result.model or "",
        "choices": [_choice(choice, citations) for choice in result.choices],
        "usage": _usage(result.usage) if result.usage is not None else None,
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
        "tool_calls": calls or None,
    }
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


def _usage(usage: Usage) -> dict[str, Any]:
    record: dict[str, Any] = {
        "prompt_tokens": usage.input or 0,
        "completion_tokens": usage.output or 0,
        "total_tokens": usage.total or 0,
    }
    if usage.cached is not None:
        record["prompt_tokens_details"] = {"cached_tokens": usage.cached}
    if usage.reasoning is not None:
        record["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning}
    return record
