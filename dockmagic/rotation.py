"""Files of lines that grow, and are put aside when they are large: FILE, FILE.1, FILE.2 …, the oldest with the highest.

A reader holds open what it reads, so that it finds what comes next however often the names have moved on.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import BinaryIO, Final, Self

_BLOCK: Final = 1 << 16


def rotate(path: str, most: int) -> None:
    """Put the file aside; with the one to come there are at most `most`, and what is older goes. Raises OSError."""
    if most == 1:
        os.unlink(path)
    for number in range(most - 1, 0, -1):
        with contextlib.suppress(FileNotFoundError):
            os.rename(_name(path, number - 1), _name(path, number))


def _name(path: str, number: int) -> str:
    return f"{path}.{number}" if number else path


class Reader:
    """Complete lines of a file and of those put aside before it, oldest first; only the last `tail` at the beginning.

    Use it as a context manager: it closes what it holds open.
    """

    def __init__(self, path: str | os.PathLike[str], tail: int | None = None) -> None:
        self._path = os.fspath(path)
        self._tail = tail
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        """The reader."""
        return self

    def __exit__(self, *exception: object) -> None:
        if self._file is not None:
            self._file.close()

    def lines(self) -> Iterator[bytes]:
        """Every line that is complete by now and wasn't given before."""
        if self._file is None and not self._begin():
            return
        while True:
            yield from self._rest()
            following = self._following()
            if following is None:
                return
            yield from self._rest()  # what was written between the first look and the change of names
            if not self._open(*following):
                return

    def _rest(self) -> Iterator[bytes]:
        """What is left of the open file; an unfinished line stays for the next time."""
        assert self._file is not None
        while line := self._file.readline():
            if not line.endswith(b"\n"):
                self._file.seek(-len(line), os.SEEK_CUR)
                return
            yield line

    def _present(self) -> list[tuple[str, int]]:
        """Names and inode numbers of the files there are, newest first."""
        found: list[tuple[str, int]] = []
        number = 0
        while True:
            name = _name(self._path, number)
            try:
                found.append((name, os.stat(name).st_ino))
            except FileNotFoundError:
                if number:
                    return found
            number += 1

    def _following(self) -> tuple[str, int] | None:
        """The file after the open one; the oldest where that is gone, None where it is the newest."""
        assert self._file is not None
        own, present = os.fstat(self._file.fileno()).st_ino, self._present()
        inodes = [inode for _, inode in present]
        if own not in inodes:
            return present[-1] if present else None
        at = inodes.index(own)
        return present[at - 1] if at else None

    def _open(self, name: str, inode: int) -> bool:
        """Open a file from its beginning; False where the name is another's by now."""
        with contextlib.suppress(FileNotFoundError):
            file = os.fdopen(os.open(name, os.O_RDONLY | os.O_CLOEXEC), "rb")
            if os.fstat(file.fileno()).st_ino == inode:
                if self._file is not None:
                    self._file.close()
                self._file = file
                return True
            file.close()
        return False

    def _begin(self) -> bool:
        """Open the file where the lines begin that are wanted; False where there is none."""
        present = self._present()
        if self._tail is None:
            return bool(present) and self._open(*present[-1])
        wanted = self._tail
        for name, inode in present:
            if not self._open(name, inode):
                continue
            assert self._file is not None
            wanted -= _seek_to_last(self._file, wanted)
            if not wanted:
                break
        return self._file is not None


def _seek_to_last(file: BinaryIO, count: int) -> int:
    """Go to where the last `count` complete lines begin, or to the beginning; how many lines follow."""
    start, found = file.seek(0, os.SEEK_END), 0
    while start > 0:
        size = min(_BLOCK, start)
        start = file.seek(start - size)
        block = file.read(size)
        excess = found + block.count(b"\n") - count
        if excess > 0:
            file.seek(start + size - len(block.split(b"\n", excess)[-1]))
            return count
        found += block.count(b"\n")
    file.seek(0)
    return found
