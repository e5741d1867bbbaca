"""Other people's exceptions, as ours: by their names and modules, since no SDK is imported here."""

import re
from collections.abc import Iterator
from types import FrameType
from typing import Any

from typestream.errors import (
    SourceError,
    StallTimeout,
    StreamConnectionError,
    StreamError,
    StreamProtocolError,
    StreamServerError,
)

__all__ = ("failure", "refusal", "refusal_of", "refused")

_HTTP = frozenset(
    {"httpx", "httpx2", "httpcore", "httpcore2", "h11", "h2", "requests", "urllib3", "aiohttp", "http", "urllib"}
)
_SDK = frozenset({"openai", "anthropic", "groq", "mistralai", "together", "cerebras"})
_HEADER = re.compile(r"(header (?:value|part))\b.*", re.IGNORECASE | re.DOTALL)
_DECODING = frozenset({"JSONDecodeError", "UnicodeDecodeError", "DecodingError", "APIResponseValidationError"})


def failure(exc: BaseException, *, wire: bool, of: str = "The source") -> StreamError:
    """The error of our tree for an exception of the source, with that as its `__cause__`.

    Args:
        exc: what the source raised.
        wire: whether the source is a connection, so that what it raises is the connection's fault.
        of: who raised it, where it was not the source.
    """
    if isinstance(exc, StreamError):
        return exc
    error = _failure(exc, wire, of)
    error.__cause__ = exc
    return error


def _failure(exc: BaseException, wire: bool, of: str) -> StreamError:
    names = {base.__name__ for base in type(exc).__mro__}
    homes = {str(base.__module__).partition(".")[0] for base in type(exc).__mro__}
    said = _said(exc)
    of_sdk, of_http = bool(homes & _SDK), bool(homes & _HTTP)
    if of_sdk and "APIStatusError" in names:
        return _server(exc, getattr(exc, "status_code", None))
    if of_http and (server := _status(exc) or refusal(exc)) is not None:
        return server
    if (of_sdk or of_http) and names & {"APITimeoutError", "TimeoutException", "Timeout", "ReadTimeoutError"}:
        return StallTimeout(f"The source's own timeout ran out ({said}).", kind="between")
    if (of_sdk or of_http) and "UnsupportedProtocol" in names:
        return SourceError(f"The request cannot be made ({said}).")
    if (of_sdk or wire or of_http) and names & _DECODING:
        return StreamProtocolError(f"What the source sent cannot be decoded ({said}).", excerpt=_excerpt(exc))
    if of_sdk and "APIConnectionError" in names:
        return StreamConnectionError(_ended(f"The connection failed: {_root(exc)}"))
    if of_sdk and "APIError" in names:
        return _server(exc, None)
    if of_http or (wire and isinstance(exc, (OSError, EOFError, RuntimeError))):
        return StreamConnectionError(_ended(f"The connection broke: {said}"))
    return SourceError(_ended(f"{of} raised {said}"))


def _status(exc: BaseException) -> StreamServerError | None:
    """The error status that an HTTP library's exception is about, as `raise_for_status` raises it, or None. Its body
    comes along if it was read already."""
    response: Any = getattr(exc, "response", None)
    holders = ((response, "status_code"), (exc, "status"), (exc, "code"))  # of httpx and requests, aiohttp, urllib
    status = next(filter(None, (getattr(holder, name, None) for holder, name in holders)), None)
    if type(status) is not int or not 400 <= status < 600:
        return None
    body = response.text if type(getattr(response, "_content", None)) is bytes else None
    return StreamServerError(f"The server answered with status {status} ({_said(exc)}).", status=status, body=body)


def refusal(exc: BaseException) -> StreamServerError | None:
    """The error status that was being looked into when `exc` was raised, or None.

    An SDK reads the body of an error status to its end before it says what the status was. Where that reading fails, or
    is given up, what is raised is of the reading; the answer it is of is in the frames that the exception went through.
    """
    found = next(filter(None, map(refused, _frames(exc))), None)
    if found is None:
        return None
    return refusal_of(found, f" ({_said(exc)})" if isinstance(exc, Exception) else " in time")


def refusal_of(response: Any, why: str) -> StreamServerError:
    """The error for a response with an error status, of which the rest did not come."""
    text = f"The server answered with status {response.status_code}; the rest of its answer did not come{why}."
    return StreamServerError(text, status=response.status_code)


def refused(frame: FrameType) -> Any:
    """The HTTP response with an error status that a frame of an SDK or HTTP library deals with, or None."""
    if frame.f_globals.get("__name__", "").partition(".")[0] not in _HTTP | _SDK:
        return None
    for name in ("self", "response"):
        value = frame.f_locals.get(name)
        status = getattr(value, "status_code", None)
        if isinstance(status, int) and status >= 400 and hasattr(value, "headers") and hasattr(value, "is_closed"):
            return value
    return None


def _frames(exc: BaseException) -> Iterator[FrameType]:
    seen: set[int] = set()
    within: BaseException | None = exc
    while within is not None and id(within) not in seen:
        seen.add(id(within))
        trace = within.__traceback__
        while trace is not None:
            yield trace.tb_frame
            trace = trace.tb_next
        within = within.__cause__ or within.__context__


def _server(exc: Any, status: int | None) -> StreamServerError:
    body = getattr(exc, "body", None)
    inner = body.get("error", body) if isinstance(body, dict) else body
    message = inner.get("message") if isinstance(inner, dict) else inner if isinstance(inner, str) else None
    code = getattr(exc, "code", None)
    text = message or getattr(exc, "message", None) or str(exc) or type(exc).__name__
    prefix = f"The server answered {status}: " if status else "The server reported an error: "
    return StreamServerError(f"{prefix}{text}", status=status, body=body, code=code)


def _root(exc: BaseException) -> str:
    cause = exc.__cause__ or exc.__context__
    while cause is not None and (cause.__cause__ or cause.__context__) is not None and not str(cause):
        cause = cause.__cause__ or cause.__context__
    return _said(cause) if cause is not None else str(exc)


def _said(exc: BaseException) -> str:
    """What an exception says. A header that cannot be sent is not quoted: it may be the one with the key."""
    try:
        text = _HEADER.sub(r"\1", str(exc))
    except Exception:  # an exception of somebody's own, with a fault of its own
        text = ""
    return f"{type(exc).__name__}: {text}" if text else type(exc).__name__


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."


def _excerpt(exc: BaseException) -> bytes:
    doc = getattr(exc, "doc", None) or getattr(exc, "object", None) or b""
    data = doc.encode("utf-8", "replace") if isinstance(doc, str) else doc
    return bytes(data[:200]) if isinstance(data, (bytes, bytearray)) else b""
