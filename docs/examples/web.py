"""Answers typed out on a web page, over server-sent events and over a WebSocket.

    pip install 'typestream[recipes]'
    python docs/examples/web.py        # and open http://127.0.0.1:8000

Without a network it asks the tiny model that comes with the package; with `OPENAI_BASE_URL` or `OPENAI_API_KEY` set,
the real thing (`OPENAI_MODEL`, or the first model that is listed there).

Over server-sent events an answer lives in `Answers`, apart from the connection that shows it: a browser that loses the
connection comes back with `Last-Event-ID` and goes on where it was. One that does not come back stops the source.
"""

import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

import typestream
from typestream import AsyncTokenStream, StreamError, pacing
from typestream.render import Backlog, Sse, websocket
from typestream.transforms import Sanitize

__all__ = ("Answer", "Answers", "Ask", "make_app")

Ask = Callable[[str], AsyncTokenStream]

PAGE = Path(__file__).with_name("index.html")
PACES: dict[str, pacing.Pacing] = {
    "smooth": pacing.Smooth(max_lag=0.4),
    "steady": pacing.Steady(12, per="word"),
    "typist": pacing.Typist(wpm=300),
    "instant": pacing.Instant(),
}
LONGEST = 8000  # characters of a question
SILENCE = 15.0  # seconds without an event before a keep-alive is sent
KEPT = 60.0  # seconds that an answer is kept once it is whole, for a browser that lost its end


# -- where answers come from


@asynccontextmanager
async def ask_local() -> AsyncIterator[Ask]:
    """The model in the package, at about the pace of a real one."""
    from typestream._demo.ngram import load

    model = load()

    def ask(prompt: str) -> AsyncTokenStream:
        step = model.step(f"{prompt}\n\n")

        async def next_token(context: str) -> str | None:
            await anyio.sleep(0.03)
            return step(context)

        return typestream.generate(next_token, max_tokens=300)

    yield ask


@asynccontextmanager
async def ask_openai() -> AsyncIterator[Ask]:
    """Whatever the environment names."""
    from openai import AsyncOpenAI

    async with AsyncOpenAI(api_key=os.environ.get("OPENAI_API_KEY") or "none") as client:
        model = os.environ.get("OPENAI_MODEL") or (await client.models.list()).data[0].id

        def ask(prompt: str) -> AsyncTokenStream:
            messages: Any = [{"role": "user", "content": prompt}]
            return typestream.stream(client.chat.completions.create(model=model, messages=messages, stream=True))

        yield ask


@asynccontextmanager
async def ask_whatever_there_is() -> AsyncIterator[Ask]:
    """An endpoint if the environment names one, else the model in the package."""
    remote = os.environ.get("OPENAI_BASE_URL") or os.environ.get("OPENAI_API_KEY")
    async with ask_openai() if remote else ask_local() as ask:
        yield ask


# -- answers that outlive a connection


class Answer:
    """One answer: its stream is read into a backlog, from which every connection is served."""

    def __init__(self, stream: AsyncTokenStream, patience: float) -> None:
        self.stream = stream
        self.backlog = Backlog(retry=500)
        self.watchers = self.visits = 0
        self._patience = patience
        self._changed = anyio.Event()

    async def run(self) -> None:
        """Read the stream to its end."""
        try:
            async with self.stream:
                async for event in self.stream.events():
                    self.backlog.feed(event)
                    self._tell()
                self.backlog.finish(self.stream.result)
        except StreamError as error:
            self.backlog.fail(error)
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def after(self, last_event_id: str | None) -> AsyncIterator[str]:
        """What comes after an event, as it comes; what piled up while the client was slow comes joined."""
        backlog = self.backlog
        while True:
            if frames := backlog.after(last_event_id):
                last_event_id = backlog.last_id
                yield frames
            elif backlog.ended:
                return
            else:
                with anyio.move_on_after(SILENCE) as silence:
                    await self._changed.wait()
                if silence.cancelled_caught:
                    yield Sse.keep_alive()

    @contextmanager
    def watched(self, group: anyio.abc.TaskGroup) -> Iterator[None]:
        """Somebody watches while the block runs; the last one to leave has some seconds to come back."""
        self.watchers += 1
        self.visits += 1
        try:
            yield
        finally:
            self.watchers -= 1
            group.start_soon(self.give_up)

    async def give_up(self) -> None:
        """Stop the source, unless somebody comes soon."""
        visits = self.visits
        await anyio.sleep(self._patience)
        if not self.watchers and self.visits == visits:
            self.stream.stop()


class Answers(dict[str, Answer]):
    """The answers that are shown now or were a moment ago, by their ids."""

    def __init__(self, ask: Ask, group: anyio.abc.TaskGroup, patience: float) -> None:
        super().__init__()
        self.ask = ask
        self.group = group
        self._patience = patience

    def open(self, prompt: Any, pace: Any) -> AsyncTokenStream:
        """The paced answer to a question; control characters in it are made visible."""
        asked = isinstance(prompt, str) and prompt.strip() and len(prompt) <= LONGEST
        if not asked or not isinstance(pace, str) or pace not in PACES:
            raise HTTPException(422, f"There must be a question, of up to {LONGEST} characters, and a pace.")
        return self.ask(prompt).through(Sanitize()).paced(PACES[pace])

    def begin(self, prompt: Any, pace: Any) -> str:
        """Begin an answer; its id."""
        id = secrets.token_urlsafe(16)
        self[id] = Answer(self.open(prompt, pace), self._patience)
        self.group.start_soon(self._keep, id)
        return id

    async def _keep(self, id: str) -> None:
        self.group.start_soon(self[id].give_up)
        await self[id].run()
        await anyio.sleep(KEPT)
        del self[id]


class Watching(StreamingResponse):
    """Server-sent events of an answer. However the client leaves, the watch ends here and now."""

    def __init__(self, answer: Answer, group: anyio.abc.TaskGroup, last_event_id: str | None) -> None:
        # no proxy may hold the events back (nginx) or keep them
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(answer.after(last_event_id), media_type=Sse.content_type, headers=headers)
        self._answer, self._group = answer, group

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._answer.watched(self._group):
            await super().__call__(scope, receive, send)


# -- the routes


async def page(request: Request) -> Response:
    return FileResponse(PAGE)


async def begin(request: Request) -> Response:
    """`{"prompt": …, "pace": …}` → `{"id": …}`."""
    check_origin(request)
    try:
        asked = await request.json()
        prompt, pace = asked.get("prompt"), asked.get("pace")
    except (ValueError, AttributeError, RecursionError):
        raise HTTPException(422, "The question must be a JSON object.") from None
    return JSONResponse({"id": request.app.state.answers.begin(prompt, pace)}, 201)


async def watch(request: Request) -> Response:
    answers: Answers = request.app.state.answers
    answer = answers.get(request.path_params["id"])
    if answer is None:
        raise HTTPException(404, "There is no such answer any more.")  # an EventSource gives up at that
    return Watching(answer, answers.group, request.headers.get("last-event-id"))


async def control(request: Request) -> Response:
    """The buttons: `stop`, `skip`, `pause`, `resume`."""
    check_origin(request)
    answer = request.app.state.answers.get(request.path_params["id"])
    do = request.path_params["do"]
    if answer is None or do not in ("stop", "skip", "pause", "resume"):
        raise HTTPException(404, "There is no such answer any more.")
    getattr(answer.stream, do)()
    return Response(status_code=204)


async def talk(ws: WebSocket) -> None:
    """A question, the same JSON object, then what `websocket` sends and understands."""
    check_origin(ws)
    await ws.accept()
    try:
        asked = await ws.receive_json()
        stream = ws.app.state.answers.open(asked.get("prompt"), asked.get("pace"))
    except WebSocketDisconnect:
        return
    except (ValueError, AttributeError, KeyError, RecursionError, HTTPException):
        await ws.close(1008, "The question must be a JSON object with a prompt and a pace.")
        return
    await websocket(stream, ws)


def check_origin(connection: HTTPConnection) -> None:
    """Other people's pages may not ask on the visitor's behalf; programs, which send no origin, may."""
    origin = connection.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != connection.headers.get("host"):
        raise HTTPException(403, "This page belongs to another site.")


def make_app(ask: Ask | None = None, *, patience: float = 5.0) -> Starlette:
    """The app.

    Args:
        ask: gives the stream that answers a question; by default what the environment names, else the model in the
            package.
        patience: seconds that a browser has to come back before the source is stopped.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with (
            nullcontext(ask) if ask else ask_whatever_there_is() as answerer,
            anyio.create_task_group() as group,
        ):
            app.state.answers = Answers(answerer, group, patience)
            yield
            group.cancel_scope.cancel()

    routes = [
        Route("/", page),
        Route("/answers", begin, methods=["POST"]),
        Route("/answers/{id}", watch),
        Route("/answers/{id}/{do}", control, methods=["POST"]),
        WebSocketRoute("/talk", talk),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


if __name__ == "__main__":
    import uvicorn

    # Ctrl-C does not wait until the last answer has been typed out
    uvicorn.run(make_app(), host="127.0.0.1", port=int(os.environ.get("PORT", "8000")), timeout_graceful_shutdown=1)
