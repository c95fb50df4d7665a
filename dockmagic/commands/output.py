"""Bytes of a container as text on two streams, at most so much of it: a head as it arrives and a tail at the end."""

from __future__ import annotations

import codecs
from collections import deque
from typing import Final, TextIO

from dockmagic.commands.human import binary_size

HEAD_BYTES: Final = 128_000
TAIL_BYTES: Final = 16_000


class Tail:
    """The last bytes of a stream; cheap to add to. A thread may read it while another adds."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._pieces: deque[bytes] = deque()
        self._kept_bytes = 0
        self.size_bytes = 0
        self.lines = 0

    def add(self, data: bytes) -> None:
        """Add a piece at the end."""
        self._pieces.append(data)
        self._kept_bytes += len(data)
        self.size_bytes += len(data)
        self.lines += data.count(b"\n")
        while self._kept_bytes - len(self._pieces[0]) >= self._most_bytes:
            self._kept_bytes -= len(self._pieces.popleft())

    def last(self) -> bytes:
        """The end of what came."""
        return b"".join(self._pieces)[-self._most_bytes :]

    def last_lines(self) -> bytes:
        """The end of what came, from the beginning of a line where there is one."""
        data = self.last()
        return data[data.find(b"\n", 0, -1) + 1 :] if len(data) < self.size_bytes else data


class CappedText:
    """UTF-8 pieces written to a text stream; after `head` bytes the rest is kept, and its end shown by `close`.

    A character whose bytes arrive in two pieces stays whole; bytes that are no UTF-8 become U+FFFD. With `silent` it
    says no word of what is left out.
    """

    def __init__(self, stream: TextIO, head: int = HEAD_BYTES, tail: int = TAIL_BYTES, *, silent: bool = False) -> None:
        self._stream = stream
        self._room = head
        self._silent = silent
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.tail = Tail(tail)

    def write(self, data: bytes) -> None:
        """Show this piece, as far as there is room for it."""
        if self._room:
            shown, data = data[: self._room], data[self._room :]
            self._room -= len(shown)
            self._stream.write(self._decoder.decode(shown))
        if data:
            if not self.tail.size_bytes and not self._silent:
                self._stream.write("\n[… more than can be shown here; the end will follow]\n")
            self.tail.add(data)

    def left_out(self) -> tuple[int, int]:
        """Lines and bytes that are neither shown nor will be."""
        kept = self.tail.last_lines()
        return self.tail.lines - kept.count(b"\n"), self.tail.size_bytes - len(kept)

    def close(self, hint: str = "") -> None:
        """Show what is left: an unfinished character, and the tail with a word on what is missing before it."""
        lines, size_bytes = self.left_out()
        if size_bytes:
            self._stream.write(self._decoder.decode(b"", final=True))
            self._stream.write("" if self._silent else f"{gap(lines, size_bytes, hint)}\n")
        self._stream.write(self._decoder.decode(self.tail.last_lines(), final=True))
        self.tail = Tail(0)
        self._stream.flush()


def gap(lines: int, size_bytes: int, hint: str = "") -> str:
    """What stands for lines that aren't shown.

    >>> gap(1200, 64 << 20, "logs web shows all")
    '[… 1,200 lines (64MiB) left out; logs web shows all …]'
    """
    return f"[… {lines:,} lines ({binary_size(size_bytes)}) left out{'; ' if hint else ''}{hint} …]"


class CappedStreams:
    """Standard output and standard error of a container as text on two streams; `hint` says where all of it is."""

    def __init__(self, stdout: TextIO, stderr: TextIO, *, silent: bool = False) -> None:
        self._streams = {
            "stdout": CappedText(stdout, silent=silent),
            "stderr": CappedText(stderr, silent=silent),
        }
        self.hint = ""
        self._latest = self._streams["stdout"]

    def write(self, stream: str, data: bytes) -> None:
        """Show bytes of the stream with this name."""
        self._latest = self._streams[stream]
        self._latest.write(data)

    @property
    def full(self) -> bool:
        """Whether more came than is shown at once."""
        return any(text.tail.size_bytes for text in self._streams.values())

    def gap(self) -> str:
        """What is left out of both by now, in words; "" for nothing."""
        counts = [text.left_out() for text in self._streams.values()]
        lines, size_bytes = (sum(column) for column in zip(*counts, strict=True))
        return gap(lines, size_bytes, self.hint) if size_bytes else ""

    def latest(self, lines: int) -> str:
        """The last so many lines of the stream that was written to last."""
        return "".join(self._latest.tail.last().decode("utf-8", "replace").splitlines(keepends=True)[-lines:])

    def close(self) -> None:
        """Show the ends of both."""
        for text in self._streams.values():
            text.close(self.hint)
