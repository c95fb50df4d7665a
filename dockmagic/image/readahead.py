"""A source that is read by a thread of its own, a few pieces ahead of whoever uses it.

Decompression and hashing, which leave the interpreter free, then run while files are being written.
"""

from __future__ import annotations

import threading
from collections import deque
from types import TracebackType
from typing import Final

from dockmagic.image.streams import Source

_CHUNK: Final = 1 << 20
_AHEAD: Final = 6  # pieces


class ReadAhead:
    """The bytes of `source`, whose errors come with a later `read`; its thread ends with the block.

    A source that can wait for long must end when the block is left by an error: see `Snapshots.unpack`.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._pieces: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._error: BaseException | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="read-ahead", daemon=True)

    def read(self, size: int = -1, /) -> bytes:
        """The next piece, whatever `size` is; none at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._pieces or self._ended)
            if self._pieces:
                piece = self._pieces.popleft()
                self._changed.notify_all()
                return piece
        if self._error is not None:
            raise self._error
        return b""

    def __enter__(self) -> ReadAhead:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._ended = True
            self._pieces.clear()
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        """Read until the end, or until nobody wants more."""
        try:
            while (piece := self._source.read(_CHUNK)) and self._put(piece):
                pass
        except BaseException as error:  # raised where the bytes are used
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _put(self, piece: bytes) -> bool:
        """Whether there was, or came to be, room for a piece."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._pieces) < _AHEAD or self._ended)
            if self._ended:
                return False
            self._pieces.append(piece)
            self._changed.notify_all()
            return True
