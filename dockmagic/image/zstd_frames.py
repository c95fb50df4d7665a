"""Where zstd frames begin and end, found without decompressing. Source: RFC 8878, section 3.1."""

from __future__ import annotations

from typing import Final

_SKIPPABLE: Final = bytes.fromhex("2a4d18")  # after a first byte of 0x50 to 0x5f
_DICTIONARY_ID_BYTES: Final = (0, 1, 2, 4)
_CONTENT_SIZE_BYTES: Final = (0, 2, 4, 8)
_RUN: Final = 1  # the type of a block that holds one byte, to be repeated


class ZstdFrames:
    """Follows the frames of a stream that arrives in pieces, and knows whether the last one is whole."""

    def __init__(self) -> None:
        self._skip = 0
        self._rest = b""
        self._in_frame = False
        self._checksum_bytes = 0

    @property
    def complete(self) -> bool:
        """Whether what was fed so far ends where a frame ends."""
        return not (self._skip or self._rest or self._in_frame)

    def feed(self, data: bytes) -> None:
        """Take the next piece of the stream."""
        data = self._rest + data
        at = self._skip
        while at <= len(data):
            self._skip = 0
            used = self._block(data, at) if self._in_frame else self._frame(data, at)
            if not used:
                break
            at += used + self._skip
        self._skip = max(0, at - len(data))
        self._rest = data[at:]

    def _frame(self, data: bytes, at: int) -> int:
        """Length of the frame header at `at`, 0 where it isn't all there; sets what to skip after it."""
        head = data[at : at + 8]
        if head[1:4] == _SKIPPABLE:
            self._skip = int.from_bytes(head[4:], "little")
            return 8 if len(head) == 8 else 0
        if len(head) < 5:
            return 0
        descriptor = head[4]
        single_segment = descriptor >> 5 & 1
        content_size = _CONTENT_SIZE_BYTES[descriptor >> 6] or single_segment
        size = 5 + (not single_segment) + _DICTIONARY_ID_BYTES[descriptor & 3] + content_size
        if at + size > len(data):
            return 0
        self._checksum_bytes = descriptor & 4
        self._in_frame = True
        return size

    def _block(self, data: bytes, at: int) -> int:
        """Length of the block header at `at`, 0 where it isn't all there; sets what to skip after it."""
        if at + 3 > len(data):
            return 0
        header = int.from_bytes(data[at : at + 3], "little")
        self._skip = 1 if header >> 1 & 3 == _RUN else header >> 3
        if header & 1:
            self._skip += self._checksum_bytes
            self._in_frame = False
        return 3
