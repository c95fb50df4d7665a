"""The body of a request, delimited by its length or in chunks. Source: RFC 9112 sections 6 and 7.1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from io import BufferedIOBase
from typing import Final

from dockmagic.registry.faults import Fault

CHUNK: Final = 1 << 18
_LINE: Final = 1 << 10  # most bytes of a line between chunks
_MOST_TRAILERS: Final = 100
_WASTE: Final = 64 << 20  # bytes of an unwanted body that are read, so that its connection can go on


class BrokenOff(ConnectionError):
    """The client went away in the middle of a body, or sent what can't be one."""


class Body:
    """Reads one body, once. `length` is None where nobody knows it before its end; `received` counts its bytes."""

    def __init__(self, stream: BufferedIOBase, headers: Mapping[str, str]) -> None:
        """Raises Fault for headers that don't say clearly where the body ends."""
        self._stream = stream
        self.headers = headers
        self.length = _length(headers)
        self.received = 0
        self._pieces = self._coded() if self.length is None else self._plain(self.length)

    def chunks(self) -> Iterator[bytes]:
        """The bytes as they arrive; raises BrokenOff where they end too early."""
        for piece in self._pieces:
            self.received += len(piece)
            yield piece

    def read(self, limit: int) -> bytes:
        """All of it; raises Fault where it is longer than `limit` bytes."""
        if (self.length or 0) > limit:
            raise _too_long(limit)
        data = bytearray()
        for piece in self.chunks():
            data += piece
            if len(data) > limit:
                raise _too_long(limit)
        return bytes(data)

    def drain(self) -> bool:
        """Read what nobody wanted, unless it is long; whether the end was reached, so that the connection can go on."""
        wasted = 0
        for piece in self.chunks():
            wasted += len(piece)
            if wasted > _WASTE:
                return False
        return True

    def _plain(self, length: int) -> Iterator[bytes]:
        """So many bytes of the stream."""
        while length:
            piece = self._stream.read1(min(length, CHUNK))
            if not piece:
                raise BrokenOff("the body ended too early")
            length -= len(piece)
            yield piece

    def _coded(self) -> Iterator[bytes]:
        """The content of chunks, up to the last one and its trailers."""
        while size := self._chunk_size():
            yield from self._plain(size)
            if self._line():
                raise BrokenOff("a chunk is longer than it says")
        for _ in range(_MOST_TRAILERS):
            if not self._line():
                return
        raise BrokenOff("there are too many trailers")

    def _chunk_size(self) -> int:
        """The length that a chunk says it has."""
        digits = self._line().partition(b";")[0].strip()
        if not digits or digits.strip(b"0123456789abcdefABCDEF") or len(digits) > 16:
            raise BrokenOff("a chunk doesn't say how long it is")
        return int(digits, 16)

    def _line(self) -> bytes:
        """A line, without its end."""
        line = self._stream.readline(_LINE)
        if not line.endswith(b"\n"):
            raise BrokenOff("the body ended too early")
        return line.rstrip(b"\r\n")


def _length(headers: Mapping[str, str]) -> int | None:
    """Number of bytes, 0 without a body, None for a body in chunks."""
    length, coding = headers.get("Content-Length"), headers.get("Transfer-Encoding")
    if coding is not None:
        if coding.strip().lower() != "chunked" or length is not None:
            message = "the body must be delimited by Content-Length, or by Transfer-Encoding: chunked"
            raise Fault("SIZE_INVALID", message)
        return None
    if length is None:
        return 0
    if not (length.isascii() and length.isdigit()) or len(length) > 19:
        raise Fault("SIZE_INVALID", f"Content-Length: {length[:40]!r} is no number")
    return int(length)


def _too_long(limit: int) -> Fault:
    message = f"the document is longer than the {limit} bytes that are allowed"
    return Fault("SIZE_INVALID", message, status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
