"""What sources send, made into events: one decoder per format, chosen once per stream by the shape of its items."""

from typestream.decode._base import Completion, Decoded, Decoder
from typestream.decode._detect import choose
from typestream.decode._surrogates import JoinSurrogates

__all__ = ("Completion", "Decoded", "Decoder", "JoinSurrogates", "choose")
