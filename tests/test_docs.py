"""Every Python block of the README and the docs runs, one page after the other, as a reader would run it.

A block runs in its page's own namespace, after the blocks before it. The SDK in it is the real one, in front of the
demo's server on loopback; sync text appears at once, in virtual time. A block marked `<!-- not run: why -->` in the
line before it is only compiled.
"""

import ast
import asyncio
import re
from pathlib import Path

import openai
import pytest

from typestream._demo.server import DemoServer
from typestream.testing import VirtualClock

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"(?P<mark><!-- not run: [^\n]+ -->\n)?```python\n(?P<code>.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def server():
    with DemoServer(interval=0) as server:
        yield server


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_python_blocks_of_a_page_run(page, server, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.chdir(tmp_path)
    text = page.read_text(encoding="utf-8")
    namespace: dict[str, object] = {"__name__": "docs"}
    for found in BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("code"))
        code = "\n" * line + found["code"]
        compiled = compile(code, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        if found["mark"]:
            continue
        with VirtualClock():
            made = eval(compiled, namespace)
            if made is not None:

                async def wait(coroutine=made):
                    await coroutine

                asyncio.run(wait())  # sockets are waited for, so in real time
    for value in namespace.values():
        if isinstance(value, openai.OpenAI):
            value.close()  # else its pooled connection waits for the garbage collector, which warns of it
