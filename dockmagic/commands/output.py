"""Bytes of a container as text on two streams, at most so much of it: a head as it arrives and a tail at the end."""

from __future__ import annotations

import codecs
from collections import deque
from typing import TextIO

from dockmagic.commands.human import binary_size

HEAD_CHARACTERS = 128_000
TAIL_CHARACTERS = 16_000


class CappedText:
    """UTF-8 pieces written to a text stream; after `head` characters the rest is kept, and its end shown by `close`.

    A character whose bytes arrive in two pieces stays whole; bytes that are no UTF-8 become U+FFFD.
    """

    def __init__(self, stream: TextIO, head: int = HEAD_CHARACTERS, tail: int = TAIL_CHARACTERS) -> None:
        self._stream = stream
        self._room = head
        self._tail_room = tail
        self._tail: deque[str] = deque()
        self._tail_size = 0
        self._left_out = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def write(self, data: bytes) -> None:
        """Show this piece, as far as there is room for it."""
        self._take(self._decoder.decode(data))

    def _take(self, text: str) -> None:
        shown, rest = text[: self._room], text[self._room :]
        if shown:
            self._room -= len(shown)
            self._stream.write(shown)
        if rest:
            self._keep(rest)

    def _keep(self, text: str) -> None:
        """Add to the tail, and drop of its beginning what is too much."""
        if not self._tail_size:
            self._stream.write(f"\n[… more than can be shown here; the last {binary_size(self._tail_room)} follow]\n")
        self._tail.append(text)
        self._tail_size += len(text)
        while self._tail_size - len(self._tail[0]) >= self._tail_room:
            dropped = len(self._tail.popleft())
            self._tail_size -= dropped
            self._left_out += dropped

    def close(self) -> None:
        """Show what is left: an unfinished character, and the tail with a word on what is missing before it."""
        self._take(self._decoder.decode(b"", final=True))
        if self._tail_size:
            tail = "".join(self._tail)
            left_out = self._left_out + max(len(tail) - self._tail_room, 0)
            gap = f"[… {binary_size(left_out)} left out …]\n" if left_out else ""
            self._stream.write(gap + tail[-self._tail_room :])
        self._tail.clear()
        self._tail_size = 0
        self._stream.flush()


class CappedStreams:
    """Standard output and standard error of a container as text on two streams."""

    def __init__(self, stdout: TextIO, stderr: TextIO) -> None:
        self._streams = {"stdout": CappedText(stdout), "stderr": CappedText(stderr)}

    def write(self, stream: str, data: bytes) -> None:
        """Show bytes of the stream with this name."""
        self._streams[stream].write(data)

    def close(self) -> None:
        """Show the ends of both."""
        for text in self._streams.values():
            text.close()
