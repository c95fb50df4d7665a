"""What layers are read from and written to: anything with a `read` or a `write` that deals in bytes."""

from __future__ import annotations

from typing import Protocol


class Source(Protocol):
    """Where bytes come from: a file, a response's body, a decompressor."""

    def read(self, size: int = ..., /) -> bytes:
        """At most `size` bytes; fewer don't mean the end, none does."""


class Sink(Protocol):
    """Where bytes go: a file, or a LayerWriter."""

    def write(self, data: bytes, /) -> int:
        """Take all of `data` and return its length."""
