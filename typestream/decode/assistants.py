"""Two more of OpenAI's streams: the runs of the Assistants API, and transcriptions.

Rules: a run's event is `{"event": …, "data": …}`, and only its name says what the data is; what repeats a message or a
call that came in pieces is not said again; a run is over with the status it ends in.
Wire formats: OpenAI's `AssistantStreamEvent` and `TranscriptionStreamEvent`.
"""

from typing import Any

from typestream.decode._base import Decoded, get
from typestream.decode._fields import is_record, items, server_error, string, usage_of
from typestream.decode._state import Base, Sent
from typestream.decode.chat import citation, tool_call
from typestream.errors import StreamServerError
from typestream.events import Finish, Other, RefusalDelta, TextDelta

__all__ = ("AssistantsDecoder", "TranscriptDecoder")

_OVER = ("completed", "incomplete", "cancelled", "requires_action", "failed", "expired")


class AssistantsDecoder(Base):
    """Complete with the end of the run, an error excepted."""

    def __init__(self) -> None:
        super().__init__()
        self._spoken: set[str | None] = set()  # ids of messages and of calls

    def record(self, item: Any, raw: Any, out: Decoded) -> None:
        name, data = string(get(item, "event")) or "", get(item, "data")
        stem, _, what = name.rpartition(".")
        run = data if stem == "thread.run" else None
        if name == "error":
            out.append(_failure(data))
        elif stem == "thread.message" and what in ("delta", "completed", "incomplete"):
            self._message(data, what == "delta", raw, out)
        elif name == "thread.run.step.delta":
            self._tools(get(get(get(data, "delta"), "step_details"), "tool_calls"), raw, out)
        elif stem == "thread.run" and what in _OVER:
            self._over(data, what, raw, out)
        if not out:
            out.append(Other(name or "event", raw=raw))
        self.opening.open(get(run, "id"), get(run, "model"), out, raw)

    def _message(self, message: Any, delta: bool, raw: Any, out: Decoded) -> None:
        if not delta and string(get(message, "id")) in self._spoken:
            return
        self._spoken.add(string(get(message, "id")))
        for part in items(get(get(message, "delta") if delta else message, "content")):
            text, kind = get(part, "text"), string(get(part, "type"))
            refusal = string(get(part, "refusal"))
            if refusal:
                out.append(RefusalDelta(refusal, raw=raw))
            elif text is None:
                out.append(Other(kind or "content", raw=raw))
            self.say(TextDelta, get(text, "value") if is_record(text) else text, raw, out)
            for one in items(get(text, "annotations")):
                out.append(citation(one, 0, raw) or Other("annotation", raw=raw))

    def _tools(self, calls: Any, raw: Any, out: Decoded) -> None:
        for call in items(calls):
            if is_record(get(call, "function")):
                self._spoken.add(string(get(call, "id")))
                tool_call(call, 0, self.calls, None, raw, out)
            else:
                out.append(Other(string(get(call, "type")) or "tool_call", raw=raw))

    def _over(self, run: Any, status: str, raw: Any, out: Decoded) -> None:
        asked = get(get(get(run, "required_action"), "submit_tool_outputs"), "tool_calls")
        self._tools([call for call in items(asked) if string(get(call, "id")) not in self._spoken], raw, out)
        self.count(usage_of(get(run, "usage"), raw), out)
        if status in ("failed", "expired"):
            out.append(_failure(get(run, "last_error") or run))
            return
        out.append(Finish(string(get(get(run, "incomplete_details"), "reason")) or status, raw=raw))
        self.confirm()


def _failure(body: Any) -> StreamServerError:
    return server_error({"error": body}) or StreamServerError("the run failed", body=body)


class TranscriptDecoder(Base):
    """Complete with `transcript.text.done`, which has the whole text, too."""

    def __init__(self) -> None:
        super().__init__()
        self._sent = Sent()

    def record(self, item: Any, raw: Any, out: Decoded) -> None:
        kind = get(item, "type")
        if kind == "transcript.text.delta":
            self._say(string(get(item, "delta")), item, raw, out)
        elif kind == "transcript.text.done":
            rest = self._sent.rest(string(get(item, "text")) or "")
            if rest is None:
                out.append(Other(kind, raw=raw))  # what was sent cannot be taken back
            self._say(rest, item, raw, out)
            self.count(usage_of(get(item, "usage"), raw), out)
            self.confirm()
            self.ended = True
        elif not self.fail(item, out):
            out.append(Other(string(kind) or "event", raw=raw))
        self.opening.open(None, None, out, raw)

    def _say(self, text: str | None, item: Any, raw: Any, out: Decoded) -> None:
        if text:
            logprobs = None if self._sent.length and get(item, "delta") is None else get(item, "logprobs")
            self._sent.add(text)
            out.append(TextDelta(text, 0, logprobs if isinstance(logprobs, list) and logprobs else None, raw=raw))
