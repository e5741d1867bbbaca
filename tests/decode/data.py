"""The shared test data, where it is at hand, and the three forms an item can have."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def quirks() -> list[dict[str, Any]]:
    path = SHARED / "quirks.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def transcripts(*apis: str) -> list[dict[str, Any]]:
    path = SHARED / "transcripts.json"
    if not path.exists():
        return []
    found = json.loads(path.read_text("utf-8"))["transcripts"]
    return [entry for entry in found if not apis or entry["api"] in apis]


def body(entry: dict[str, Any]) -> bytes:
    return (SHARED / "transcripts" / entry["file"]).read_bytes()


def wire_items(text: str) -> list[Any]:
    """The values of a body, split as plainly as can be; half a value ends the list."""
    if text.lstrip()[:1] in "{[":
        try:
            return [json.loads(text)]
        except ValueError:
            return [json.loads(line) for line in text.splitlines() if line.strip()]
    items: list[Any] = []
    data: list[str] = []
    for line in [*text.replace("\r\n", "\n").split("\n"), ""]:
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line and data:
            joined, data = "\n".join(data).strip(), []
            if joined == "[DONE]":
                items.append(joined)
            elif joined:
                try:
                    items.append(json.loads(joined))
                except ValueError:
                    return items
    return items


def as_object(value: Any) -> Any:
    """Dicts as objects with attributes, at every level."""
    if isinstance(value, dict):
        return SimpleNamespace(**{name: as_object(one) for name, one in value.items()})
    return [as_object(one) for one in value] if isinstance(value, list) else value


def as_sdk(value: Any) -> Any:
    """A dict as the openai SDK builds it; chunks in wrappers, too. Other formats stay as they are."""
    from openai._models import construct_type
    from openai.types import Completion
    from openai.types.chat import ChatCompletion, ChatCompletionChunk
    from openai.types.responses import Response, ResponseStreamEvent

    if not isinstance(value, dict):
        return value
    kind = value.get("type")
    types: dict[Any, Any] = {
        "text_completion": Completion,
        "chat.completion": ChatCompletion,
        "response": Response,
    }
    if value.get("object") in types:
        return construct_type(type_=types[value["object"]], value=value)
    if isinstance(kind, str) and (kind.startswith("response.") or "sequence_number" in value):
        return construct_type(type_=ResponseStreamEvent, value=value)
    if "choices" in value or value.get("object") == "chat.completion.chunk" or "error" in value:
        return construct_type(type_=ChatCompletionChunk, value=value)
    return {name: as_sdk(one) if name in ("data", "chunk") else one for name, one in value.items()}
