"""Renderers: what becomes of a stream's events for whoever reads them.

Rules: `feed` for each event, `finish` once, both giving text; a renderer never writes, so it serves both twins and is
tested by comparing strings; what a model wrote is neutralised before anything else is done with it.
"""

from typestream.render._base import Renderer, finished
from typestream.render._neutralise import Neutraliser, neutralise
from typestream.render._plain import Plain
from typestream.render._sink import Sink, write

__all__ = ("Neutraliser", "Plain", "Renderer", "Sink", "finished", "neutralise", "write")
