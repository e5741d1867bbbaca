"""Content encodings, undone in bounded pieces: a kilobyte of gzip can hold a megabyte of nothing."""

import zlib
from collections.abc import Iterator
from typing import Any

from typestream.decode import _packers
from typestream.decode._limits import Limits
from typestream.errors import StreamLimitExceeded, StreamProtocolError

__all__ = ("Decompressor",)

_PIECE = 64 * 1024
_KEPT = 1024 * 1024  # bytes that may be undone once more, where their end turns out to be bad
_FLOOR = 8 * 1024 * 1024  # the ratio is looked at past this size
_IDENTITY = ("", "identity", "none", "utf-8", "binary", "8bit", "aws-chunked")  # the last five: seen, and no encoding
_GZIP = ("gzip", "x-gzip")
_DEFLATE = ("deflate",)


class Decompressor:
    """Undoes one content encoding.

    Args:
        encoding: the `Content-Encoding` of the response, or None.
        limits: `ratio` applies; None in it switches the check off.
    """

    def __init__(self, encoding: str | None = None, limits: Limits | None = None) -> None:
        self._encoding = _name(encoding)
        self._ratio = (limits or Limits()).ratio
        self._other = _packers.unpacker(self._encoding) if _packers.knows(self._encoding) else None
        self._kept: bytearray | None = bytearray()  # what `_other` has undone; None where that is too much
        self._zlib: Any = None
        self._read = self._given = 0

    @staticmethod
    def knows(encoding: str | None) -> bool:
        """Whether an encoding is undone here; several at once are the HTTP library's."""
        return _name(encoding) in (*_IDENTITY, *_GZIP, *_DEFLATE) or _packers.knows(_name(encoding))

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The decoded bytes, in pieces of at most 64 KiB (as they came, where there is no encoding).

        Raises:
            StreamProtocolError: an encoding that nobody asked for, or data that is not in it.
            StreamLimitExceeded: more is made of it than a text can be compressed to.
        """
        if self._encoding in _IDENTITY:
            if data:
                yield data
            return
        self._read += len(data)
        if self._other is not None:
            yield from self._unpacked(data)
            return
        while data and self._begin(data):
            before = self._zlib.copy()
            try:
                piece = self._zlib.decompress(data, _PIECE)
            except zlib.error as exc:
                yield from self._good(before, data)
                raise self._not_in_it(data) from exc
            if piece:
                self._count(len(piece))
                yield piece
            data = self._zlib.unused_data if self._zlib.eof else self._zlib.unconsumed_tail
            yield from self._held(len(piece) if not data else 0)

    def _unpacked(self, data: bytes) -> Iterator[bytes]:
        try:
            for piece in self._other(data):  # type: ignore[misc]
                self._count(len(piece))
                yield piece
        except ValueError as exc:
            if self._kept is None:
                raise self._not_in_it(data) from exc
            yield from self._once_more(data)
        if self._kept is not None:
            self._kept = self._kept + data if len(self._kept) + len(data) <= _KEPT else None

    def _once_more(self, data: bytes) -> Iterator[bytes]:
        """What there is before the first bad byte, and was not given, which must not depend on how the bytes were cut:
        these packages keep it to themselves."""
        self._other, known = _packers.unpacker(self._encoding), self._given
        assert self._other is not None and self._kept is not None
        try:
            for part in (bytes(self._kept), *(data[at : at + 1] for at in range(len(data)))):
                for piece in self._other(part):
                    known, new = max(0, known - len(piece)), piece[known:]
                    if new:
                        self._count(len(new))
                        yield new
        except ValueError as exc:
            raise self._not_in_it(data) from exc

    def _not_in_it(self, data: bytes) -> StreamProtocolError:
        return StreamProtocolError(f"The body is not in the encoding it claims, {self._encoding}.", excerpt=data)

    def _begin(self, data: bytes) -> bool:
        """Be ready to decode `data`; False where it is but padding after the end."""
        if self._zlib is not None and not self._zlib.eof:
            return True
        if self._encoding in _GZIP:
            if self._zlib is not None and data[0] != 0x1F:
                return False
            self._zlib = zlib.decompressobj(31)
            return True
        if self._encoding not in _DEFLATE:
            message = f"The body has an encoding that nobody asked for, {self._encoding[:40]!r}."
            raise StreamProtocolError(message, excerpt=data)
        if self._zlib is not None:
            return False
        # The standard's "deflate" has a zlib header, whose first byte ends in 8; some servers leave it out.
        self._zlib = zlib.decompressobj(15 if data[0] & 0x0F == 8 else -15)
        return True

    def _good(self, unpack: Any, data: bytes) -> Iterator[bytes]:
        """What there is before the first bad byte, which must not depend on how the bytes were cut."""
        for at in range(len(data)):
            try:
                piece = unpack.decompress(data[at : at + 1])
            except zlib.error:
                return
            if piece:
                self._count(len(piece))
                yield piece

    def _held(self, last: int) -> Iterator[bytes]:
        """What zlib still holds although it has taken all input: there is some only after a full piece."""
        while last == _PIECE and not self._zlib.eof:
            piece = self._zlib.decompress(b"", _PIECE)
            last = len(piece)
            if piece:
                self._count(last)
                yield piece

    def _count(self, size: int) -> None:
        self._given += size
        if self._ratio is not None and self._given > _FLOOR and self._given > self._ratio * self._read:
            message = f"The body decompresses to more than {self._ratio} times its size."
            raise StreamLimitExceeded(message, limit="ratio")


def _name(encoding: str | None) -> str:
    return (encoding or "").strip().lower()
