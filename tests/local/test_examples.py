"""The examples about local models do what they say."""

import runpy
from pathlib import Path

import pytest

pytest.importorskip("openai")

from tests.sdk.conftest import MODEL, sync_client
from typestream._demo.server import DemoServer

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
PROMPT = "It is a truth universally"


def test_one_token_per_request_is_the_answer_of_one_request(monkeypatch, capsys):
    with DemoServer(interval=0) as server:
        with sync_client(server.base_url) as client:
            whole = client.completions.create(model=MODEL, prompt=PROMPT, max_tokens=60, temperature=0)
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        example = runpy.run_path(str(EXAMPLES / "one_token_per_request.py"))
        example["main"](MODEL, PROMPT)
    expected = whole.choices[0].text.partition("\n\n")[0]
    assert len(expected) > 40
    assert capsys.readouterr().out == f"{PROMPT}{expected}\n"
