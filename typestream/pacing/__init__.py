"""How fast text appears: policies, and what a piece of text is."""

from typestream.pacing._policies import Instant, Pause, Steady
from typestream.pacing._policy import Moment, Pace, Pacing, Segmenter
from typestream.pacing._recorded import AsRecorded
from typestream.pacing._schedule import Order, Schedule
from typestream.pacing._smooth import Smooth
from typestream.pacing._typist import Typist

__all__ = (
    "AsRecorded",
    "Instant",
    "Moment",
    "Order",
    "Pace",
    "Pacing",
    "Pause",
    "Schedule",
    "Segmenter",
    "Smooth",
    "Steady",
    "Typist",
)
