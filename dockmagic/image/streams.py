"""What layers are read from and written to: anything with a `read` or a `write` that deals in bytes."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from dockmagic.errors import StoreError

_HINTS: Final = {
    errno.EPERM: "; it takes root to make devices and to give files to others",
    errno.ENOSPC: "; free some space, or choose another place",
    errno.EACCES: "; choose another place",
    errno.EROFS: "; choose another place",
}


class Source(Protocol):
    """Where bytes come from: a file, a response's body, a decompressor."""

    def read(self, size: int = ..., /) -> bytes:
        """At most `size` bytes; fewer don't mean the end, none does."""


class Sink(Protocol):
    """Where bytes go: a file, or a LayerWriter."""

    def write(self, data: bytes, /) -> int:
        """Take all of `data` and return its length."""


@contextmanager
def output_errors(action: str) -> Iterator[None]:
    """Turn an OSError into a StoreError: "cannot `action`: why"; a reader that went away stays a BrokenPipeError."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        hint = _HINTS.get(error.errno or 0, "")
        raise StoreError(f"cannot {action}: {error.strerror or error}{hint}") from error


class Abandonable(Source, Protocol):
    """A source that may have to wait for its bytes, and can be told that nobody wants them any more."""

    @property
    def taken(self) -> int:
        """Number of bytes that were read."""

    def abandon(self) -> None:
        """Let a thread that reads come to an end."""


class Counted:
    """A source that knows how many bytes it has given."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.size = 0

    def read(self, size: int = -1, /) -> bytes:
        """What the source gives."""
        data = self._source.read(size)
        self.size += len(data)
        return data
