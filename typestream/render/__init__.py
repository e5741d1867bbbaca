"""Renderers: turn a stream's events into text for people or programs.

Rules: call `feed` for each event and `finish` once; both return text. A renderer never writes, so it serves both twins
and is tested by comparing strings. A model's text is neutralised before anything else is done with it.
"""

from typing import TYPE_CHECKING, Any

from typestream.render._base import Renderer, finished
from typestream.render._lines import Backlog, JsonLines, Sse
from typestream.render._neutralise import Neutraliser, neutralise
from typestream.render._openai import OpenAISse
from typestream.render._plain import Plain
from typestream.render._sink import Rendering, Sink, attach, write
from typestream.render._terminal import Terminal, cut_mark

if TYPE_CHECKING:
    from typestream.render._markdown import Markdown
    from typestream.render._websocket import websocket

__all__ = (
    "Backlog",
    "JsonLines",
    "Markdown",
    "Neutraliser",
    "OpenAISse",
    "Plain",
    "Renderer",
    "Rendering",
    "Sink",
    "Sse",
    "Terminal",
    "attach",
    "cut_mark",
    "finished",
    "neutralise",
    "websocket",
    "write",
)


def __getattr__(name: str) -> Any:
    # Imported only when asked for: one needs rich, the other is for servers.
    if name == "Markdown":
        from typestream.render._markdown import Markdown

        return Markdown
    if name == "websocket":
        from typestream.render._websocket import websocket

        return websocket
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
