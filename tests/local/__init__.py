"""Tests with models that run on this machine; each says what it needs and is skipped without it."""
