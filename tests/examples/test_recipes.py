"""The recipes of docs/recipes.md, each run in the framework it is for, before the demo's server."""

import asyncio
import gc
import json
import re
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.examples._site import serving
from typestream._demo.server import DemoServer

PAGE = Path(__file__).parents[2] / "docs" / "recipes.md"
SECTIONS = dict(re.findall(r"^## (\w+)\n.*?```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE))
SETUP = re.search(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)[1]  # type: ignore[index]

# what these packages and their own imports warn of is not ours
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.heavy]


@pytest.fixture(autouse=True)
def tidy() -> Iterator[None]:
    """What a framework leaves open is collected here, where nobody is warned of it."""
    yield
    gc.collect()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[DemoServer]:
    with DemoServer(interval=0.005) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        yield server


@pytest.fixture
def recipe(server: DemoServer) -> Callable[[str], dict[str, Any]]:
    """Run a recipe; its names."""

    def run(name: str) -> dict[str, Any]:
        names: dict[str, Any] = {"__name__": "recipe"}
        for code in (SETUP, SECTIONS[name]):
            exec(compile(code, str(PAGE), "exec"), names)
        return names

    return run


def test_jupyter(recipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("IPython")
    from IPython.core.displaypub import CapturingDisplayPublisher
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.display import Markdown

    shell = InteractiveShell.instance()
    try:
        publisher = CapturingDisplayPublisher(parent=shell)
        monkeypatch.setattr(shell, "display_pub", publisher)
        result = recipe("Jupyter")["result"]
    finally:
        InteractiveShell.clear_instance()
    assert isinstance(Markdown(""), Markdown)
    texts = [output["data"]["text/markdown"] for output in publisher.outputs]
    assert [output["update"] for output in publisher.outputs] == [False] + [True] * (len(texts) - 1)
    assert len(texts) > 20
    assert texts[0] == ""
    assert texts[-1] == result.text
    assert all(later.startswith(earlier) for earlier, later in pairwise(texts))


def test_fastapi(recipe: Any, server: DemoServer) -> None:
    pytest.importorskip("fastapi")
    httpx_sse = pytest.importorskip("httpx_sse")
    httpx = pytest.importorskip("httpx")
    connect = pytest.importorskip("websockets.sync.client").connect
    from openai import OpenAI

    names = recipe("FastAPI")
    with serving(names["app"]) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
        with httpx_sse.connect_sse(client, "GET", "/answer", params={"q": "Mr. Darcy"}) as source:
            events = [json.loads(each.data) for each in source.iter_sse()]
        assert [events[0]["type"], events[-1]["type"]] == ["start", "end"]
        assert len([event for event in events if event["type"] == "text_delta"]) > 5

        with connect(f"ws://127.0.0.1:{port}/talk") as ws:
            ws.send("Mr. Darcy")
            frames = [json.loads(frame) for frame in ws]
        assert frames[-1]["type"] == "end"

        with OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0) as sdk:
            messages: Any = [{"role": "user", "content": "Mr. Darcy"}]
            chunks = list(sdk.chat.completions.create(model="m", messages=messages, stream=True))
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)

        with httpx_sse.connect_sse(client, "GET", "/answer", params={"q": "Mr. Darcy"}) as source:
            next(source.iter_sse())  # and leave
        assert server.wait_until(lambda server: server.active == 0)


def test_streamlit(server: DemoServer) -> None:
    testing = pytest.importorskip("streamlit.testing.v1")
    app = testing.AppTest.from_string(SETUP + SECTIONS["Streamlit"], default_timeout=60).run()
    assert not app.exception
    app.chat_input[0].set_value("Tell me about Mr. Darcy.").run()
    assert not app.exception
    asked, answered = app.chat_message
    assert asked.markdown[0].value == "Tell me about Mr. Darcy."
    assert len(answered.markdown[0].value) > 20
    assert server.wait_until(lambda server: server.active == 0)


def test_gradio(recipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    pytest.importorskip("gradio")
    from gradio_client import Client

    demo = recipe("Gradio")["demo"]
    try:
        _, url, _ = demo.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1")
        client = Client(url, verbose=False, analytics_enabled=False)
        name = next(iter(client.view_api(return_format="dict")["named_endpoints"]))  # it has changed with versions
        job = client.submit("Mr. Darcy", api_name=name)
        final = job.result(timeout=60)
        outputs = job.outputs()
    finally:
        demo.close()
    assert len(outputs) > 3
    assert str(final).startswith(str(outputs[0]))
    assert len(str(final)) > len(str(outputs[0]))


def test_textual(recipe: Any) -> None:
    pytest.importorskip("textual")

    async def main() -> str:
        app = recipe("Textual")["Chat"]()
        async with app.run_test() as pilot:
            from textual.widgets import Input, Markdown

            app.query_one(Input).focus()
            await pilot.press(*"Darcy", "enter")
            await pilot.pause()
            await app.workers.wait_for_complete()
            await pilot.pause()
            return str(app.query_one(Markdown).source)

    assert len(asyncio.run(main())) > 20


def test_every_recipe_is_tested() -> None:
    tested = {name.removeprefix("test_") for name in vars(sys.modules[__name__]) if name.startswith("test_")}
    assert {name.lower() for name in SECTIONS} <= tested
