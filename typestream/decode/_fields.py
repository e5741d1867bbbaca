"""Reading other people's objects: fields that may be absent, null or of another type than documented.

Everything here takes a dict or an object and never raises for what it finds in it.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from typestream.decode._base import get
from typestream.errors import StreamServerError
from typestream.events import Usage

__all__ = (
    "arguments",
    "dump",
    "fields",
    "filled",
    "is_record",
    "items",
    "number",
    "real",
    "server_error",
    "string",
    "usage_of",
    "view",
    "words",
)

_NOT_RECORDS = (str, bytes, bytearray, memoryview, int, float, complex, list, tuple, set, frozenset, type(None), type)


def is_record(value: Any) -> bool:
    """Whether something has fields: a dict or an object, not a scalar, a sequence or nothing."""
    return type(value) is dict or not isinstance(value, _NOT_RECORDS)


def fields(record: Any) -> dict[str, Any]:
    """The fields of a dict or an object, with those that a pydantic model did not declare."""
    if isinstance(record, dict):
        return record
    own = getattr(record, "__dict__", None)
    if type(own) is not dict:
        return {}
    extra = getattr(record, "__pydantic_extra__", None)
    merged = {**own, **extra} if type(extra) is dict else own
    return {name: value for name, value in merged.items() if not name.startswith("_")}


def _is_empty(value: Any) -> bool:
    return getattr(value, "__dict__", None) == {}


def filled(value: Any) -> bool:
    """Whether a field says something."""
    return value is not None and value is not False and value != "" and value != [] and value != {}


def view(record: Any) -> Any:
    """A pydantic object as the dict of its fields, where looking for a field that is not there costs little; anything
    else as it is."""
    extra = record if isinstance(record, dict) else getattr(record, "__pydantic_extra__", record)
    if extra is record:
        return record
    own = record.__dict__
    return {**own, **extra} if type(extra) is dict else own


def string(value: Any) -> str | None:
    """A string that says something, or None."""
    return value if isinstance(value, str) and value else None


def number(value: Any) -> int | None:
    """A count, or None. Some count in floats, some in strings."""
    if isinstance(value, str):
        return int(value) if value.isdecimal() and len(value) < 19 else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if value == value and abs(value) < 1e18 else None


def items(value: Any) -> list[Any]:
    """A list, or what should have been in one."""
    if isinstance(value, list):
        return value
    if isinstance(value, tuple):
        return list(value)
    return [value] if is_record(value) else []


def real(reason: Any) -> str | None:
    """A finish reason that says something: not null, `""` or `"null"`; the name of an enum's member."""
    if not isinstance(reason, str):
        reason = getattr(reason, "name", None)
    elif type(reason) is not str:
        reason = str(getattr(reason, "value", reason))
    return None if reason in ("", "null", "None", "FINISH_REASON_UNSPECIFIED") else string(reason)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return list(value)
    found = fields(value)
    return found if found or _is_empty(value) else str(value)


def dump(value: Any) -> str:
    """A value as JSON text; mappings and sequences of other kinds, too, and objects by their fields."""
    try:
        return json.dumps(value, ensure_ascii=False, default=_plain)
    except (TypeError, ValueError, RecursionError):
        return str(value)


def arguments(value: Any) -> str:
    """A tool call's arguments as JSON text, whether they came as that or as a value."""
    if isinstance(value, str):
        return value
    return "" if value is None else dump(value)


def _first(record: Any, *names: str) -> int | None:
    for name in names:
        found = number(get(record, name))
        if found is not None:
            return found
    return None


def usage_of(record: Any, raw: Any) -> Usage | None:
    """The counts of OpenAI's (chat, Responses), Anthropic's, Bedrock's and LangChain's usage objects, or None where
    there are none. A total that was not sent is the sum of input and output, when both are known."""
    if not is_record(record):
        return None
    given = _first(record, "prompt_tokens", "input_tokens", "inputTokens")
    output = _first(record, "completion_tokens", "output_tokens", "outputTokens")
    total = _first(record, "total_tokens", "totalTokens")
    if given is None and output is None and total is None:
        return None
    if total is None and given is not None and output is not None:
        total = given + output
    cached = _detail(record, ("prompt_tokens_details", "input_tokens_details", "input_token_details"), "cached_tokens")
    if cached is None:
        cached = _first(
            record, "cache_read_input_tokens", "prompt_cache_hit_tokens", "cached_tokens", "cacheReadInputTokens"
        )
    reasoning = _detail(
        record, ("completion_tokens_details", "output_tokens_details", "output_token_details"), "reasoning_tokens"
    )
    if reasoning is None:
        reasoning = _first(record, "reasoning_tokens")
    return Usage(given, output, total, cached, reasoning, raw=raw)


def _detail(record: Any, places: tuple[str, ...], name: str) -> int | None:
    short = {"cached_tokens": "cache_read", "reasoning_tokens": "reasoning"}[name]  # LangChain's names
    for place in places:
        found = get(record, place)
        if is_record(found):
            return _first(found, name, short)
    return None


# -- errors ------------------------------------------------------------------------------------------------------

_WORDS = (
    "message",
    "msg",
    "detail",
    "error_message",
    "error_msg",
    "errorMessage",
    "errorText",
    "status_msg",
    "reason",
    "title",
    "Message",
    "faultstring",
    "fault",
)
_FINE = frozenset({0, 200, "0", "200", "ok", "success"})
_CODES = ("code", "status_code", "statusCode", "error_code")
# What a whole answer or a piece of one has: beside these, a `message` or a `detail` is not an error's.
_ANSWERS = ("choices", "delta", "content", "candidates", "output", "response", "text", "data", "done", "results")


def server_error(record: Any) -> StreamServerError | None:
    """The error that an item of a stream reports, or None.

    Known forms: `{"error": {…}}`, `{"error": "…"}`, `{"error": true, "message": "…"}`, `{"errors": […]}`,
    `{"object": "error", …}`, `{"type": "error", …}`, `{"detail": …}`, `{"message": "…", "code": …}`, each also nested;
    `{"error_message": "…"}`, `{"error_msg": "…"}`, `{"success": false, "msg": "…"}` and, with a code other than 0,
    `{"base_resp": {"status_code": …, "status_msg": "…"}}`. An error without a word or a number in it is none.
    """
    if not is_record(record):
        return None
    error = get(record, "error")
    if _says_something(error) and not _is_fine(error):
        return _make(record if error is True or isinstance(error, int | float) else error, record)
    kind, status = get(record, "type"), get(record, "base_resp")
    if get(record, "object") == "error" or kind == "error":
        return _make(record, record)
    if is_record(status) and number(get(status, "status_code")):
        return _make(status, record)
    if (isinstance(kind, str) and "error" not in kind) or any(get(record, name) is not None for name in _ANSWERS):
        return None
    for name in ("errors", "detail", "message", "error_message", "error_msg"):
        found = get(record, name)
        if _says_something(found) and (
            name in ("errors", "detail") or (isinstance(found, str) and not _is_fine(record))
        ):
            return _make(found if name == "errors" else record, record)
    return _make(record, record) if get(record, "success") is False and string(get(record, "msg")) else None


def _is_fine(record: Any) -> bool:
    """Whether what looks like an error says outright that there is none."""
    code = _code(record)
    return (code if isinstance(code, int) else str(code).lower()) in _FINE or (
        is_record(record) and get(record, "success") is True
    )


def _says_something(error: Any, depth: int = 0) -> bool:
    if isinstance(error, str):
        return bool(error.strip())
    if error is None or error is False or error == 0 or callable(error):
        return False
    if depth >= 8 or isinstance(error, BaseException):
        return True
    inner = error if isinstance(error, list | tuple) else fields(error).values()
    hollow = isinstance(error, dict | list | tuple) or _is_empty(error)
    return any(_says_something(one, depth + 1) for one in inner) if inner or hollow else True


def _make(error: Any, record: Any) -> StreamServerError:
    code = _code(error)
    if code is None and error is not record:
        code = _code(record)
    message = words(error) or words(record) or "the server reported an error"
    return StreamServerError(message, body=error if error is not record else record, code=code)


def _code(error: Any) -> Any:
    if isinstance(error, list | tuple):
        return _code(error[0]) if error else None
    if not is_record(error):
        return None
    for name in _CODES:
        code = get(error, name)
        if isinstance(code, str | int) and code != "":
            return code
    inner = get(error, "error")
    return _code(inner) if is_record(inner) and inner is not error else None


def words(error: Any, depth: int = 0) -> str:
    """What an error says; `""` if nothing."""
    if isinstance(error, str):
        return error.strip()
    if isinstance(error, list | tuple):
        return "; ".join(filter(None, (words(one, depth + 1) for one in error[:8]))) if depth < 8 else ""
    if not is_record(error) or depth >= 8:
        return ""
    for name in (*_WORDS, "error", "type", "status"):
        found = get(error, name)
        if found is not None and found is not error and not callable(found):
            said = words(found, depth + 1)
            if said:
                return said
    return ""
