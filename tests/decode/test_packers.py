"""brotli and zstandard: bounded, whoever's package undoes them."""

import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.faultserver import FAULTS, FULL, Request, dechunk
from typestream import StreamLimitExceeded, StreamProtocolError, TextDelta
from typestream.decode import _packers
from typestream.decode.wire import Decompressor, WireDecoder

BODY = dechunk(FAULTS["ok"].make(Request("chat"))).data


def _brotli() -> Any:
    package = pytest.importorskip("brotli")
    if not _packers.knows("br"):
        pytest.skip("this brotli cannot be bounded")
    return lambda data: package.compress(data, quality=5)


def _zstandard(name: str) -> Any:
    package = pytest.importorskip(name)
    if name == "zstandard":
        return lambda data: package.ZstdCompressor(level=3).compress(data)
    return package.compress


PACKERS = {
    "br": ("br", _brotli),
    "zstandard": ("zstd", lambda: _zstandard("zstandard")),
    "backports.zstd": ("zstd", lambda: _zstandard("backports.zstd")),
    "compression.zstd": ("zstd", lambda: _zstandard("compression.zstd")),
}
each = pytest.mark.parametrize("name", PACKERS)


def use(name: str, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Callable[[bytes], bytes]]:
    """An encoding as that package undoes it, and what packs."""
    encoding, make = PACKERS[name]
    pack = make()
    first = _packers._first
    monkeypatch.setattr(_packers, "_first", lambda *names: first(name) if encoding == "zstd" else first(*names))
    return encoding, pack


def read(encoding: str, parts: list[bytes]) -> tuple[str, str, Exception | None]:
    decoder = WireDecoder("text/event-stream", encoding=encoding)
    events = [event for part in parts for event in decoder.decode(part)] + decoder.end()
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    return text, decoder.completion, next((each for each in events if isinstance(each, Exception)), None)


@each
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_stream_cut_anywhere(name: str, data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        encoding, pack = use(name, monkeypatch)
        packed = pack(BODY)
        at = sorted(data.draw(st.lists(st.integers(0, len(packed)), max_size=5)))
        parts = [packed[start:end] for start, end in zip([0, *at], [*at, len(packed)], strict=True)]
        assert read(encoding, parts) == (FULL, "complete", None)


@each
def test_a_byte_at_a_time_and_what_is_large(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    encoding, pack = use(name, monkeypatch)
    packed = pack(BODY)
    assert read(encoding, [packed[at : at + 1] for at in range(len(packed))]) == (FULL, "complete", None)
    data = bytes(range(256)) * 4000
    pieces = list(Decompressor(encoding).feed(pack(data)))
    assert b"".join(pieces) == data


@each
def test_two_frames(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    encoding, pack = use(name, monkeypatch)
    if encoding == "br":
        pytest.skip("brotli has one")
    half = len(BODY) // 2
    assert read(encoding, [pack(BODY[:half]) + pack(BODY[half:])]) == (FULL, "complete", None)


@each
def test_junk(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    encoding, _ = use(name, monkeypatch)
    text, completion, error = read(encoding, [b"\xffthis is not it" * 9])
    assert (text, completion) == ("", "incomplete")
    assert isinstance(error, StreamProtocolError)


@each
@pytest.mark.parametrize("fill", [b"\0", b":xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n"])
def test_a_bomb_takes_bounded_memory(name: str, fill: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    encoding, pack = use(name, monkeypatch)
    packed = pack(fill * ((128 << 20) // len(fill)))
    tracemalloc.start()
    _, _, error = read(encoding, [packed])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(error, StreamLimitExceeded)
    assert peak < 8 << 20


def test_a_window_of_more_than_8_mib_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    encoding, _ = use("zstandard", monkeypatch)
    package = pytest.importorskip("zstandard")
    parameters = package.ZstdCompressionParameters.from_level(3, window_log=27)
    packer = package.ZstdCompressor(compression_params=parameters).compressobj()
    _, _, error = read(encoding, [packer.compress(BODY) + packer.flush()])
    assert isinstance(error, StreamProtocolError)


def test_what_is_not_installed_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*names: str) -> Any:
        raise ImportError(names)

    monkeypatch.setattr(_packers, "_first", missing)
    assert not _packers.knows("br")
    assert not Decompressor.knows("zstd")
    with pytest.raises(StreamProtocolError, match="nobody asked for, 'br'"):
        list(Decompressor("br").feed(b"x"))


@each
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_what_is_before_the_first_bad_byte_does_not_depend_on_how_the_bytes_were_cut(name: str, data: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        encoding, pack = use(name, patch)
        packed = pack(BODY)
        whole = data.draw(st.booleans())
        bad = packed + b"\r\n" if whole else packed[: len(packed) // 2] + b"\xff\x00" * 40
        cuts = sorted(data.draw(st.lists(st.integers(0, len(bad)), max_size=4)))
        parts = [bad[a:b] for a, b in pairwise([0, *cuts, len(bad)])]
        text, completion, error = read(encoding, parts)
        expected, how, raised = read(encoding, [bad[at : at + 1] for at in range(len(bad))])
        assert (text, completion, type(error)) == (expected, how, type(raised))
        assert expected == FULL or not whole
