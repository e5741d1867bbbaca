"""Which decoder a stream needs, from the structure of its first telling item; never from its class."""

from typing import Any

from typestream.decode._base import Decoder, get
from typestream.decode._fields import is_record, server_error
from typestream.decode._json import parse
from typestream.decode.anthropic import AnthropicDecoder
from typestream.decode.assistants import AssistantsDecoder, TranscriptDecoder
from typestream.decode.chat import ChatDecoder
from typestream.decode.events import BedrockDecoder, CohereDecoder, CohereV1Decoder, InteractionsDecoder
from typestream.decode.frameworks import LangChainDecoder, PydanticAIDecoder, WrappedDecoder, wrapper_of
from typestream.decode.gemini import GeminiDecoder, either
from typestream.decode.ollama import OllamaDecoder
from typestream.decode.responses import ResponsesDecoder
from typestream.decode.text import BYTES, EventDecoder, TextDecoder
from typestream.decode.tokens import SHAPES, TokenDecoder
from typestream.errors import UnsupportedSource
from typestream.events import Event

__all__ = ("choose",)

_ACCEPTED = (
    "str, bytes, typestream's own events, or chunks, events or whole answers (dicts or objects) of chat "
    "completions, completions, Responses, runs of assistants, transcriptions, Anthropic, Ollama, Gemini, Cohere, "
    "Bedrock, DashScope, Baidu, Text Generation Inference, llama.cpp, KoboldCpp, Mistral, LangChain, LlamaIndex, "
    "pydantic-ai or the Agents SDK"
)
_ANTHROPIC = ("message_start", "message_delta", "message_stop", "content_block_start", "content_block_delta")
_COHERE = ("message-start", "content-start", "content-delta", "tool-plan-delta", "tool-call-start", "message-end")
_LINE = 65536  # characters of a first line that are looked at
_CHAT = ("chat.completion.chunk", "chat.completion", "text_completion")


def choose(item: Any) -> Decoder | None:
    """The decoder for the stream that begins with this item; None where the item says nothing (None, `""`, `{}`, a
    ping), so that the next one is to be asked.

    Raises:
        UnsupportedSource: the item is of no kind that can be read.
    """
    if isinstance(item, (str, *BYTES)):
        if not len(item):
            return None
        if _is_wire(item if isinstance(item, str) else bytes(item[:_LINE]).decode("utf-8", "replace")):
            raise UnsupportedSource(
                "cannot read the lines or bytes of an HTTP response as text; give the response itself, which also says "
                "whether it is whole"
            )
        return TextDecoder()
    if item is None or (isinstance(item, dict | list | tuple) and not item):
        return None
    if isinstance(item, Event):
        return EventDecoder()
    if any(hasattr(type(item), name) for name in ("__index__", "__float__", "__array__")):
        raise UnsupportedSource(
            f"cannot read a stream of {_name(item)}, a number or numbers; give str, bytes or chunks, and to make text "
            "of token ids, use typestream.generate(decode=…) or a Detokenizer"
        )
    if isinstance(item, list | tuple):
        if is_record(item[0]):
            return choose(item[0])  # an array of chunks, or a chunk and what belongs to it
    elif is_record(item) and not callable(item):
        if get(item, "type") in ("ping", "keepalive") and get(item, "error") is None:
            return None
        found = _by_type(item) or _by_fields(item)
        if found is not None:
            return found
    raise UnsupportedSource(f"cannot read a stream of {_name(item)}; give {_ACCEPTED}")


def _is_wire(text: str) -> bool:
    """Whether a text begins with a server-sent event of a known kind."""
    field, _, value = text[:_LINE].lstrip("\ufeff\r\n").partition(":")
    line = value.partition("\n")[0].strip()
    if field == "event":
        return line.startswith(("response.", "message_start", "thread.run."))
    try:
        data = parse(line) if field == "data" and line.startswith("{") else None
    except ValueError:
        return False
    return is_record(data) and (_by_type(data) or _by_fields(data)) is not None


def _name(item: Any) -> str:
    kind = type(item)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"{name} with the keys {sorted(map(str, item))[:6]}" if kind is dict else name


def _by_type(item: Any) -> Decoder | None:
    """The formats whose items name their own kind."""
    kind, sort = get(item, "type"), get(item, "object")
    if isinstance(kind, str):
        if kind.startswith(("response.", "realtime.")) or (
            kind == "error" and get(item, "sequence_number") is not None
        ):
            return ResponsesDecoder()
        if kind in _ANTHROPIC or (kind == "message" and get(item, "role") is not None):
            return AnthropicDecoder()
        if kind == "error" and get(item, "error") is not None:
            return AnthropicDecoder()
        if kind.startswith("transcript.text."):
            return TranscriptDecoder()
        if kind in _COHERE:
            return CohereDecoder()
        if kind in ("AIMessageChunk", "ai") and get(item, "content") is not None:
            return LangChainDecoder()
    name = get(item, "event")
    if isinstance(name, str) and name.startswith("thread.") and get(item, "data") is not None:
        return AssistantsDecoder()
    if sort == "response":
        return ResponsesDecoder()
    if isinstance(get(item, "event_kind"), str):
        return PydanticAIDecoder()
    event = get(item, "event_type")
    if isinstance(event, str):
        return CohereV1Decoder() if event in CohereV1Decoder.KINDS else InteractionsDecoder()
    return None


def _by_fields(item: Any) -> Decoder | None:
    """The formats that are known by their fields only."""
    shape = next((shape for shape in SHAPES if shape.fits(item)), None)
    if get(item, "choices") is not None or (shape is None and get(item, "object") in _CHAT):
        return ChatDecoder()
    pick = wrapper_of(item)
    if pick is not None:
        return WrappedDecoder(pick, choose)
    if any(either(item, name) is not None for name in ("candidates", "prompt_feedback", "usage_metadata")):
        return GeminiDecoder()
    if get(get(item, "response"), "candidates") is not None:
        return GeminiDecoder()
    if isinstance(get(item, "done"), bool):
        return OllamaDecoder()
    if any(get(item, name) is not None for name in BedrockDecoder.KINDS) or BedrockDecoder.failed(item):
        return BedrockDecoder()
    if server_error(item) is not None:
        return ChatDecoder()
    if shape is not None:
        return TokenDecoder(shape)
    counted = get(item, "usage") is not None and get(item, "type") is None
    return ChatDecoder() if counted or get(item, "prompt_filter_results") is not None else None
