"""brotli and zstandard, where a package for them is installed, undone in bounded pieces.

HTTP libraries offer these to servers as soon as the package is there, and some versions undo each piece of the body
however large it gets. What cannot be bounded here (brotli before 1.2) is left to them.
"""

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

__all__ = ("Unpack", "knows", "unpacker")

Unpack = Callable[[bytes], Iterator[bytes]]

_PIECE = 64 * 1024
_WINDOW = 23  # 8 MiB, the most that RFC 9659 lets a server ask for, as a power of two
_SIP = 32  # bytes of zstandard: a block of four can hold 128 KiB


def knows(encoding: str) -> bool:
    """Whether that encoding is undone here."""
    try:
        return unpacker(encoding) is not None
    except ImportError:
        return False


def unpacker(encoding: str) -> Unpack | None:
    """What undoes an encoding, in pieces; it raises ValueError for data that is not in it. None where it is unknown.

    Raises:
        ImportError: there is no package for it.
    """
    if encoding == "br":
        return _brotli(_first("brotli", "brotlicffi"))
    if encoding == "zstd":
        package = _first("compression.zstd", "backports.zstd", "zstandard")
        return _zstandard(package) if package.__name__ == "zstandard" else _zstd(package)
    return None


def _first(*names: str) -> Any:
    for name in names[:-1]:
        try:
            return import_module(name)
        except ImportError:
            pass
    return import_module(names[-1])


def _brotli(package: Any) -> Unpack | None:
    decompressor = package.Decompressor()
    step = getattr(decompressor, "process", None) or decompressor.decompress
    try:
        step(b"", output_buffer_limit=_PIECE)
    except TypeError:
        return None

    def unpack(data: bytes) -> Iterator[bytes]:
        while True:
            try:
                piece = step(data, output_buffer_limit=_PIECE)
            except package.error as exc:
                raise ValueError(str(exc)) from exc
            if not piece:
                return
            yield piece
            data = b""

    return unpack


def _zstd(package: Any) -> Unpack:
    """The standard library's, and its backport."""
    options = {package.DecompressionParameter.window_log_max: _WINDOW}
    decompressor = package.ZstdDecompressor(options=options)

    def unpack(data: bytes) -> Iterator[bytes]:
        nonlocal decompressor
        while True:
            if decompressor.eof:
                if not data:
                    return
                decompressor = package.ZstdDecompressor(options=options)
            try:
                piece = decompressor.decompress(data, _PIECE)
            except package.ZstdError as exc:
                raise ValueError(str(exc)) from exc
            if piece:
                yield piece
            data = decompressor.unused_data if decompressor.eof else b""
            if not data and (decompressor.eof or decompressor.needs_input):
                return

    return unpack


def _zstandard(package: Any) -> Unpack:
    made = package.ZstdDecompressor(max_window_size=1 << _WINDOW)
    decompressor = made.decompressobj()

    def unpack(data: bytes) -> Iterator[bytes]:
        nonlocal decompressor
        while data:
            if decompressor.eof:
                decompressor = made.decompressobj()
            try:
                piece = decompressor.decompress(data[:_SIP])
            except package.ZstdError as exc:
                raise ValueError(str(exc)) from exc
            if piece:
                yield piece
            data = (decompressor.unused_data if decompressor.eof else b"") + data[_SIP:]

    return unpack
