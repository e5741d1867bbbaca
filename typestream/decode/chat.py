"""Chat completions and legacy completions, in pieces or whole, of OpenAI and of everybody who speaks its format.

Rules: no field is present, non-null or of its documented type; the first finish reason counts and does not end the
stream; the last usage with counts counts; nothing is invented. Wire format: OpenAI's `chat.completion.chunk`,
`chat.completion` and `text_completion` objects.
"""

from typing import Any

from typestream.decode._base import Decoded, get
from typestream.decode._fields import (
    fields,
    filled,
    is_record,
    items,
    number,
    real,
    server_error,
    string,
    usage_of,
    view,
)
from typestream.decode._state import Base, Calls
from typestream.decode._surrogates import mended
from typestream.events import Citation, Finish, Other, ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta

__all__ = ("ChatDecoder", "citation", "tool_call")

# Fields that say nothing to a reader, and those that have an event of their own.
_TOP = frozenset(
    [
        "id",
        "object",
        "created",
        "model",
        "choices",
        "usage",
        "system_fingerprint",
        "service_tier",
        "obfuscation",
        "p",
        "role",
        "error",
        "citations",
    ]
)
_CHOICE = frozenset(["index", "delta", "message", "text", "finish_reason", "logprobs", "usage", "error", "seed"])
_THOUGHTS = ("reasoning_content", "reasoning", "reasoning_details", "thinking", "thinking_blocks", "reasoning_text")
_DELTA = frozenset(_THOUGHTS) | frozenset(
    [
        "role",
        "content",
        "refusal",
        "tool_calls",
        "function_call",
        "annotations",
        "citations",
        "obfuscation",
        "parsed",
        "index",
    ]
)
_PLAIN_TOP = (_TOP - {"error", "citations"}) | {"moderation"}
_PLAIN_CHOICE = frozenset(("index", "delta", "finish_reason", "logprobs"))

# After these a choice with text is over: a piece that still follows belongs to the answer only if the choice finishes
# once more (some gateways run several steps in one stream). After "tool_calls" more text is the rule, and where a
# choice said that it was over before it had begun it was not.
_OVER = frozenset(("stop", "length", "content_filter"))


class _Choice:
    __slots__ = ("after", "calls", "deltas", "logprobs", "reason", "spoke")

    def __init__(self) -> None:
        self.reason: str | None = None
        self.calls = Calls()
        self.deltas: set[type] = set()  # of what there were pieces: in a whole message that is a repetition
        self.spoke = False  # whether there was text
        self.after: list[TextDelta] = []  # text that came after the choice was over
        self.logprobs: list[Any] = []  # of tokens that gave no text yet


class ChatDecoder(Base):
    """Complete while every choice that was seen has its finish reason."""

    def __init__(self) -> None:
        super().__init__()
        self._choices: dict[int, _Choice] = {}

    def decode(self, item: Any, raw: Any) -> Decoded:
        """The events of a chunk, or of a whole answer."""
        text = self.text(item)
        return super().decode(item, raw) if text is None else [TextDelta(text, raw=raw)]

    def brief(self, item: Any, raw: Any) -> str | Decoded:
        """The events of a chunk; where it holds a piece of the answer and nothing else, only the text of that piece."""
        text = self.text(item)
        return super().decode(item, raw) if text is None else text

    def text(self, item: Any) -> str | None:
        """The text of a chunk that holds a piece of choice 0 and nothing else; None where that is not certain."""
        try:
            if type(item) is dict:
                (choice,) = item["choices"]
                delta = choice["delta"]
            else:
                top = item.__dict__
                (choice,) = top["choices"]
                if item.__pydantic_extra__ or choice.__pydantic_extra__:
                    return None
                item, choice = top, choice.__dict__
                delta = choice["delta"]
                if delta.__pydantic_extra__:
                    return None
                delta = delta.__dict__
            text = delta["content"]
            state = self._choices[choice["index"]]
            if (
                type(text) is str
                and text
                and choice.get("finish_reason") is None
                and choice.get("logprobs") is None
                and item.get("usage") is None
                and item.get("moderation") is None
                and state.reason is None
                and not state.logprobs
                and TextDelta in state.deltas
                and (len(delta) == 1 or _quiet(delta))
                and _PLAIN_CHOICE.issuperset(choice)
                and _PLAIN_TOP.issuperset(item)
                and choice["index"] == 0
                and (self.opening.complete or self.opening.settled(item.get("id"), item.get("model")))
                and (text.isascii() or mended(text))
            ):
                return text
        except (KeyError, TypeError, ValueError, AttributeError):
            pass
        return None

    def record(self, item: Any, raw: Any, out: Decoded) -> None:
        error = server_error(item)
        for choice in items(get(item, "choices")):
            if is_record(choice):
                self._choice(choice, raw, out)
                error = error or server_error({"error": get(choice, "error")})
        groq = get(item, "x_groq")
        if is_record(groq):
            error = error or server_error({"error": get(groq, "error")})
            self.count(usage_of(get(groq, "usage"), raw), out)
        self.count(usage_of(get(item, "usage"), raw), out)
        self._citations(get(item, "citations"), 0, raw, out)
        if error is None:
            self.extras(item, _TOP, None, raw, out)
        else:
            out.append(error)
        self.opening.open(get(item, "id"), get(item, "model"), out, raw)

    def end(self) -> Decoded:
        """What is left over: text after the end of a choice, log-probabilities of tokens without text."""
        out: Decoded = []
        for index, state in self._choices.items():
            out += [Other("after_finish", index, raw=delta._raw) for delta in state.after]  # type: ignore[attr-defined]
            if state.logprobs:
                out.append(Other("logprobs", index, raw=state.logprobs))
        return out

    # -- one choice ----------------------------------------------------------------------------------------------

    def _choice(self, choice: Any, raw: Any, out: Decoded) -> None:
        choice = view(choice)
        index = number(get(choice, "index")) or 0
        state = self._choices.get(index) or _Choice()
        delta, message, text = get(choice, "delta"), get(choice, "message"), get(choice, "text")
        reason = real(get(choice, "finish_reason"))
        said: Decoded = []
        if is_record(delta):
            self._delta(delta, index, state, raw, said)
            state.deltas.update(map(type, said))
        elif isinstance(delta, str):
            _content(delta, index, raw, said)
        elif isinstance(text, str) and message is None:
            _content(text, index, raw, said)
        if delta is None or reason:  # else a message is what was said so far: it grows with the deltas
            self._fill(message, text if delta is not None else None, index, state, raw, said)
        if delta is not None or message is not None or text is not None or reason:
            self._choices[index] = state  # a choice that is only annotated (content filters) need not finish
            if state.reason is None:
                self.reopen()
        said = _with_logprobs(said, state, get(choice, "logprobs"), index, raw)
        self._say(said, state, reason, out)
        self.count(usage_of(get(choice, "usage"), raw), out)
        self.extras(choice, _CHOICE, index, raw, out)
        if reason:
            self._finish(reason, index, state, raw, out)

    def _say(self, said: Decoded, state: _Choice, reason: str | None, out: Decoded) -> None:
        if reason or state.reason not in _OVER or not state.spoke:
            out += state.after
            state.after = []
            out += said
            state.spoke = state.spoke or (state.reason is None and any(type(event) is TextDelta for event in said))
            return
        for event in said:
            if type(event) is TextDelta:
                state.after.append(event)
            else:
                out.append(event)

    def _finish(self, reason: str, index: int, state: _Choice, raw: Any, out: Decoded) -> None:
        if state.reason is None:
            state.reason = reason
            out.append(Finish(reason, index, raw=raw))
            if all(choice.reason for choice in self._choices.values()):
                self.confirm()
        elif reason != state.reason:
            out.append(Other("finish_reason", index, raw=raw))

    def _delta(self, delta: Any, index: int, state: _Choice, raw: Any, out: Decoded, *, whole: bool = False) -> None:
        delta = view(delta)
        _thoughts(delta, index, raw, out)
        _content(get(delta, "content"), index, raw, out)
        refusal = get(delta, "refusal")
        if isinstance(refusal, str) and refusal:
            out.append(RefusalDelta(refusal, index, raw=raw))
        called = items(get(delta, "tool_calls"))
        for place, call in enumerate(called):
            tool_call(call, index, state.calls, place if whole else None, raw, out)
        legacy = get(delta, "function_call")
        if is_record(legacy) and not called:  # some say the same call in both forms
            call = {"index": "function_call", "function": legacy}
            tool_call(call, index, state.calls, 0 if whole else None, raw, out)
        self._citations(get(delta, "annotations"), index, raw, out)
        self._citations(get(delta, "citations"), index, raw, out)
        for name, value in fields(delta).items():
            if name not in _DELTA and filled(value):
                out.append(Other(name, index, raw=raw))

    def _fill(self, message: Any, text: Any, index: int, state: _Choice, raw: Any, out: Decoded) -> None:
        """Of a message or a text that is whole, what there were no pieces of."""
        found: Decoded = []
        if is_record(message):
            self._delta(message, index, state, raw, found, whole=ToolCallDelta in state.deltas)
        elif isinstance(text, str):
            _content(text, index, raw, found)
        out += [event for event in found if type(event) is ToolCallDelta or type(event) not in state.deltas]

    # -- what is said beside the text ------------------------------------------------------------------------------

    def _citations(self, cited: Any, index: int, raw: Any, out: Decoded) -> None:
        if not isinstance(cited, list | tuple):
            return
        for one in cited:
            found = citation(one, index, raw)
            if found is None:
                if filled(one):
                    out.append(Other("annotations", index, raw=raw))
            elif self._seen.setdefault(("citation", found.url, found.start, found.end, index), found) is found:
                out.append(found)


def _quiet(delta: dict[str, Any]) -> bool:
    """Whether the fields of a delta other than `content` say nothing."""
    for name, value in delta.items():  # noqa: SIM110 - a generator costs more than all the rest
        if value is not None and name != "content" and name != "role":
            return False
    return True


def _flat(value: Any, depth: int = 0) -> str:
    """The text in a thought: a string, `{"text": …}`, `{"summary": …}`, `{"thinking": [{"text": …}]}`, or a list."""
    if isinstance(value, str):
        return value
    if depth > 8:
        return ""
    if isinstance(value, list | tuple):
        return "".join(_flat(one, depth + 1) for one in value)
    if is_record(value):
        for name in ("text", "summary", "content", "thinking", "reasoning"):
            found = get(value, name)
            if isinstance(found, str | list | tuple | dict) and found:
                return _flat(found, depth + 1)
    return ""


def _thoughts(delta: Any, index: int, raw: Any, out: Decoded) -> None:
    """Exactly one of the fields that servers put reasoning in; what has no text (signatures) is an `Other`."""
    said = False
    for name in _THOUGHTS:
        value = get(delta, name)
        if not filled(value):
            continue
        text = _flat(value)
        if text and not said:
            said = True
            out.append(ReasoningDelta(text, index, raw=raw))
        elif not text:
            out.append(Other(name, index, raw=raw))


def _content(content: Any, index: int, raw: Any, out: Decoded) -> None:
    """Text as it is documented, or a list of parts: text, thoughts, refusals, whatever else."""
    if isinstance(content, str):
        if content:
            out.append(TextDelta(content, index, raw=raw))
        return
    if isinstance(content, list | tuple) or is_record(content):
        for part in content if isinstance(content, list | tuple) else [content]:
            _part(part, index, raw, out)
    elif content is not None:
        out.append(Other("content", index, raw=raw))


def _part(part: Any, index: int, raw: Any, out: Decoded) -> None:
    if isinstance(part, str):
        if part:
            out.append(TextDelta(part, index, raw=raw))
        return
    kind, refusal = string(get(part, "type")), string(get(part, "refusal"))
    text = get(part, "text")
    if get(part, "thinking") is not None or kind in ("thinking", "reasoning"):
        text = _flat(part)
        if text:
            out.append(ReasoningDelta(text, index, raw=raw))
    elif isinstance(text, str):
        if text:
            out.append(TextDelta(text, index, raw=raw))
    elif refusal:
        out.append(RefusalDelta(refusal, index, raw=raw))
    elif filled(part):
        out.append(Other(kind or "content", index, raw=raw))


def tool_call(call: Any, index: int, calls: Calls, place: int | None, raw: Any, out: Decoded) -> None:
    """A piece of a call; or a whole one that may have been said, at a place among all of the answer."""
    if not is_record(call):
        return
    at, id = get(call, "index"), get(call, "id")
    inner = next((inner for name in ("function", "custom") if is_record(inner := get(call, name))), call)
    args = get(inner, "arguments")
    args = get(inner, "input") if args is None else args
    if place is not None:
        calls.whole(place, id, get(inner, "name"), args, index, raw, out)
    else:
        free = is_record(get(call, "custom"))
        calls.piece(at, id, get(inner, "name"), args, index, raw, out, free=free)


def citation(cited: Any, index: int, raw: Any) -> Citation | None:
    """A URL, `{"url": …, "title": …}`, that in a `url_citation`, or a file's name; None where none is in it."""
    if isinstance(cited, str):
        return Citation(url=cited, index=index, raw=raw) if cited else None
    if not is_record(cited):
        return None
    inner = get(cited, "url_citation")
    place = inner if is_record(inner) else cited
    url = string(get(place, "url")) or string(get(place, "uri"))
    title = string(get(place, "title")) or (None if url else string(get(place, "filename")))
    if url is None and title is None:
        return None
    start, end = number(get(place, "start_index")), number(get(place, "end_index"))
    return Citation(url, title, string(get(place, "text")), start, end, index, raw=raw)


def _with_logprobs(said: Decoded, state: _Choice, logprobs: Any, index: int, raw: Any) -> Decoded:
    """The events with the tokens' log-probabilities on the first text; kept for the next text where nothing was said,
    and told by themselves where it was something else."""
    if logprobs is None and not state.logprobs:
        return said
    entries = _entries(logprobs)
    if get(logprobs, "refusal"):
        said = [*said, Other("logprobs", index, raw=raw)]
    if entries and said and all(type(event) is not TextDelta for event in said):
        return [*said, Other("logprobs", index, raw=raw)]
    state.logprobs = state.logprobs + entries
    for position, event in enumerate(said):
        if type(event) is TextDelta and state.logprobs:
            said[position] = TextDelta(event.text, event.index, state.logprobs, raw=event._raw)  # type: ignore[attr-defined]
            state.logprobs = []
    return said


def _entries(logprobs: Any) -> list[Any]:
    """One entry per token: chat's own, or made of the parallel lists of a legacy completion."""
    content = get(logprobs, "content")
    if isinstance(content, list):
        return content
    tokens = get(logprobs, "tokens")
    if not isinstance(tokens, list):
        return []
    values, tops = get(logprobs, "token_logprobs"), get(logprobs, "top_logprobs")
    return [
        {"token": token, "logprob": _at(values, place), "top_logprobs": _tops(_at(tops, place))}
        for place, token in enumerate(tokens)
    ]


def _tops(values: Any) -> Any:
    if not isinstance(values, dict):
        return values
    return [{"token": token, "logprob": logprob, "bytes": None} for token, logprob in values.items()]


def _at(values: Any, place: int) -> Any:
    return values[place] if isinstance(values, list) and place < len(values) else None
