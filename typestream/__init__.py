"""typestream: everything a language model says, as one stream."""
