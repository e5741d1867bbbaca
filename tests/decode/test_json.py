"""JSON off the wire: what `json` reads is read the same, with the SDK's fast parser or without it; what servers get
wrong and does no harm is read too."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typestream.decode import _json
from typestream.decode._json import parse

TEXT = st.text(st.characters(codec="utf-8")) | st.sampled_from(["\U0001f600", "\u2028", "\x7f", "é"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@pytest.fixture(params=["fast", "plain"])
def parser(request, monkeypatch):
    if request.param == "plain":
        monkeypatch.setattr(_json, "_fast", json.loads)


@given(VALUES, st.booleans(), st.sampled_from([None, 1]))
def test_what_json_writes(value, ascii, indent):
    text = json.dumps(value, ensure_ascii=ascii, indent=indent)
    for given_text in (text, text.encode()):
        read = parse(given_text)
        assert read == json.loads(text)
        assert repr(read) == repr(json.loads(text))  # 1 is not 1.0, -0.0 not 0


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'{"a": "\ud83d"}', {"a": "\ud83d"}),
        ('{"a": "x\ny\t"}', {"a": "x\ny\t"}),
        (' {"a": 1} \n', {"a": 1}),
        ("1" * 5000, "1" * 5000),
        ("[" * 300 + "]" * 300, None),
        ('{"a": Infinity, "b": -Infinity, "c": 1e999}', {"a": math.inf, "b": -math.inf, "c": math.inf}),
        ('{"a": 1, "a": 2}', {"a": 2}),
        (b'"\xff"', "\ufffd"),
    ],
)
def test_forgiven(text, value):
    assert value is None or parse(text) == value
    assert parse(text) is not None


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(
    "text", ["", "{", '{"a":1,}', "[1,]", '{"a":1}x', "nan", "01", "+1", "'a'", "[" * 100_000, b"\xff"]
)
def test_refused_with_a_value_error(text):
    with pytest.raises(ValueError, match=r"."):
        parse(text)
