"""Digests taken in a thread, while whoever has the bytes writes them or gets more: hashlib leaves the interpreter free.

Source: Python's reference of hashlib, "update".
"""

from __future__ import annotations

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Final

from dockmagic.oci.digest import Digest

_SMALL: Final = 1 << 16  # bytes that are hashed sooner than a thread is asked


class Hashing:
    """The digest of all pieces in their order; its thread, which large pieces take, ends with the block.

    A piece must not change afterwards. At most one is on its way while `update` takes another.
    """

    def __init__(self, algorithm: str) -> None:
        self._hash = hashlib.new(algorithm)
        self._thread: ThreadPoolExecutor | None = None
        self._pending: Future[None] | None = None

    def update(self, piece: memoryview) -> None:
        """Add a piece."""
        self._settle()
        if len(piece) <= _SMALL:
            self._hash.update(piece)
            return
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "hash")
        self._pending = self._thread.submit(self._hash.update, piece)

    @property
    def digest(self) -> Digest:
        """Digest of all pieces so far."""
        self._settle()
        return Digest(f"{self._hash.name}:{self._hash.hexdigest()}")

    def __enter__(self) -> Hashing:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread is not None:
            self._thread.shutdown()

    def _settle(self) -> None:
        """Wait for the piece that is on its way."""
        if self._pending is not None:
            self._pending.result()
            self._pending = None
