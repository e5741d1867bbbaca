"""The example's server, without a browser: what it answers, and whom it refuses."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.examples._site import load_example, serving, serving_with_hypercorn
from typestream._demo.server import DemoServer
from typestream.decode.sse import SSEDecoder

pytest.importorskip("starlette")
httpx = pytest.importorskip("httpx")
ASK = {"prompt": "Tell me about Mr. Darcy.", "pace": "instant"}


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> Iterator[DemoServer]:
    with DemoServer(interval=0.002) as demo:
        monkeypatch.setenv("OPENAI_BASE_URL", demo.base_url)
        monkeypatch.delenv("OPENAI_API_KEY", raising=False)
        yield demo


@pytest.fixture(params=[serving, serving_with_hypercorn], ids=["uvicorn", "hypercorn"])
def client(demo: DemoServer, request: pytest.FixtureRequest) -> Iterator[Any]:
    with (
        request.param(load_example("web").make_app(patience=0.3)) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False) as client,
    ):
        yield client


def events(data: bytes) -> list[Any]:
    decoder = SSEDecoder()
    return [(each.id, json.loads(each.data)) for each in [*decoder.feed(data), *decoder.flush()]]


def test_an_answer_from_an_endpoint_and_once_more_from_the_middle(client: Any) -> None:
    assert "<title>typestream</title>" in client.get("/").text
    id = client.post("/answers", json=ASK).json()["id"]
    whole = client.get(f"/answers/{id}")
    assert whole.headers["content-type"].startswith("text/event-stream")
    got = events(whole.content)
    assert [got[0][1]["type"], got[-1][1]["type"]] == ["start", "end"]
    assert "".join(event["text"] for _, event in got if event["type"] == "text_delta")
    assert [id for id, _ in got] == [str(number) for number in range(len(got))]
    rest = client.get(f"/answers/{id}", headers={"last-event-id": got[3][0]})
    assert events(rest.content) == got[4:]


def test_an_answer_that_nobody_watches_is_not_made_to_its_end(client: Any, demo: DemoServer) -> None:
    demo.interval = 0.05
    id = client.post("/answers", json=ASK).json()["id"]
    assert demo.wait_until(lambda demo: demo.active == 1)
    assert demo.wait_until(lambda demo: demo.active == 0)
    assert events(client.get(f"/answers/{id}").content)[-1][1]["type"] == "error"


def test_a_client_that_leaves_stops_the_source(client: Any, demo: DemoServer) -> None:
    demo.interval = 0.05
    id = client.post("/answers", json=ASK).json()["id"]
    with client.stream("GET", f"/answers/{id}") as watched:
        next(watched.iter_lines())
        assert demo.active == 1
    assert demo.wait_until(lambda demo: demo.active == 0)


def test_pause_resume_and_stop(client: Any, demo: DemoServer) -> None:
    demo.interval = 0.05
    id = client.post("/answers", json=ASK).json()["id"]
    with client.stream("GET", f"/answers/{id}") as watched:
        for do in ("pause", "resume", "stop"):
            assert client.post(f"/answers/{id}/{do}").status_code == 204
        assert events(watched.read())[-1][1]["type"] == "error"
    assert demo.wait_until(lambda demo: demo.active == 0)


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/answers/none", {}, 404),
        ("POST", "/answers/none/stop", {}, 404),
        ("POST", "/answers", {"content": b"{"}, 422),
        ("POST", "/answers", {"json": []}, 422),
        ("POST", "/answers", {"content": b"[" * 100_000}, 422),
        ("POST", "/answers", {"json": {"prompt": " ", "pace": "instant"}}, 422),
        ("POST", "/answers", {"json": {"prompt": "x", "pace": "mad"}}, 422),
        ("POST", "/answers", {"json": {"prompt": "x", "pace": []}}, 422),
        ("POST", "/answers", {"json": {"prompt": "x" * 8001, "pace": "instant"}}, 422),
        ("POST", "/answers", {"json": ASK, "headers": {"origin": "https://elsewhere.example"}}, 403),
        ("POST", "/answers", {"json": ASK, "headers": {"origin": "http://["}}, 403),
        ("POST", "/answers", {"json": ASK, "headers": {"origin": "null"}}, 403),
    ],
)
def test_what_cannot_be_answered_is_refused(
    client: Any, demo: DemoServer, method: str, path: str, options: dict[str, Any], status: int
) -> None:
    assert client.request(method, path, **options).status_code == status
    assert demo.tokens == 0
