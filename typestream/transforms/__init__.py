"""Transforms: what changes a stream's events on their way, before they are paced.

Rules: `feed` for each event, `flush` once at the end, both giving the events to pass on; one object serves one stream;
the same text gives the same result however the source cut it.
"""

from typestream.transforms._base import Chain, Transform
from typestream.transforms._redact import Redact
from typestream.transforms._shipped import Limit, Moderate, Sanitize, SplitReasoning, StopAt, Uncumulate

__all__ = (
    "Chain",
    "Limit",
    "Moderate",
    "Redact",
    "Sanitize",
    "SplitReasoning",
    "StopAt",
    "Transform",
    "Uncumulate",
)
