"""The bytes of a file from one descriptor to another, inside the kernel, holes kept. Source: copy_file_range(2)."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import Final

_CHUNK: Final = 1 << 30
_BUFFER: Final = 1 << 20
_SMALL: Final = 1 << 17  # bytes up to which reading and writing takes less than asking where the holes are
_BLOCK: Final = 512  # bytes; what stat(2) counts in
_NOT_HERE: Final = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF, errno.ETXTBSY)


def copy_data(source: int, target: int) -> None:
    """Give the empty file `target` the content of the file `source`; what is a hole there stays one."""
    status = os.fstat(source)
    size = status.st_size
    if size <= _SMALL and size <= status.st_blocks * _BLOCK and _copy_by_hand(source, target, 0, size) == size:
        return
    for start, end in _extents(source, size):
        _copy_range(source, target, start, end)
    os.ftruncate(target, size)


def _extents(source: int, size: int) -> Iterator[tuple[int, int]]:
    """Start and end of each stretch that isn't a hole."""
    start = 0
    while start < size:
        try:
            start = os.lseek(source, start, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole follows
                return
            yield start, size  # a file system that doesn't tell
            return
        end = os.lseek(source, start, os.SEEK_HOLE)
        yield start, min(end, size)
        start = end


def _copy_range(source: int, target: int, start: int, end: int) -> None:
    while start < end:
        try:
            count = os.copy_file_range(source, target, min(end - start, _CHUNK), start, start)
        except OSError as error:
            if error.errno not in _NOT_HERE:
                raise
            count = _copy_by_hand(source, target, start, min(end - start, _BUFFER))
        if not count:
            return  # the file has become shorter
        start += count


def _copy_by_hand(source: int, target: int, start: int, length: int) -> int:
    data = memoryview(os.pread(source, length, start))
    written = 0
    while written < len(data):
        written += os.pwrite(target, data[written:], start + written)
    return written
