"""What is different between the files of two images, each a stack of layers.

Both stacks are walked at once. Where a directory is made up of the same directories of layers in both, it isn't
entered; elsewhere only names that a layer has which the other stack hasn't are looked at. Times aren't compared, and
hard links count as files of their own.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dockmagic.image.attributes import carried, read_xattrs
from dockmagic.image.merged import Found, look_up, names
from dockmagic.image.tree import TYPES, Kind

_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Facts:
    """A file: its type ("file", "dir", "symlink" …), size in bytes (0 of all but files), mode bits and owner."""

    type: str
    size_bytes: int
    mode: int
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class FileChange:
    """A path that is added (A), changed (C) or deleted (D): "/etc/passwd".

    `what` of a changed one is of "type", "content", "mode", "owner", "xattrs".
    """

    path: str
    kind: Kind
    before: Facts | None
    after: Facts | None
    what: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """The changes that lead from one image to another, by path; a directory comes before what is in it."""

    changes: tuple[FileChange, ...]

    def count(self, kind: Kind) -> int:
        """How many changes there are of a kind."""
        return sum(change.kind == kind for change in self.changes)

    @property
    def size_bytes(self) -> int:
        """How many bytes the files have more after the changes; less than 0 where there are fewer."""
        return sum(_size(change.after) - _size(change.before) for change in self.changes)


def difference(before: Sequence[Path], after: Sequence[Path]) -> Difference:
    """What is different in the second of two stacks of layers, each topmost first."""
    found = _walk(tuple(map(os.fspath, before)), tuple(map(os.fspath, after)))
    return Difference(tuple(sorted(found, key=lambda change: change.path.split("/"))))


def _walk(before: tuple[str, ...], after: tuple[str, ...]) -> Iterator[FileChange]:
    """The changes, in no order."""
    pending = [("", before, after)]
    while pending:
        path, old, new = pending.pop()
        for name in _candidates(old, new):
            former, later = look_up(old, name), look_up(new, name)
            change = _change(f"{path}/{name}", former, later)
            if change is not None:
                yield change
            inside = _directories(former), _directories(later)
            if inside[0] != inside[1]:
                pending.append((f"{path}/{name}", *inside))


def _candidates(old: Sequence[str], new: Sequence[str]) -> list[str]:
    """Names that may be something else in the two: not those that only the trunk has, which both stand on."""
    trunk = 0
    for one, other in zip(reversed(old), reversed(new), strict=False):
        if one != other:
            break
        trunk += 1
    return names((*old[: len(old) - trunk], *new[: len(new) - trunk]))


def _directories(found: Found | None) -> tuple[str, ...]:
    return () if found is None else found.directories


def _change(path: str, former: Found | None, later: Found | None) -> FileChange | None:
    """What became of a path; None for nothing."""
    if former is None:
        return None if later is None else FileChange(path, "A", None, _facts(later))
    if later is None:
        return FileChange(path, "D", _facts(former), None)
    what = () if former.path == later.path else tuple(_aspects(former, later))
    return FileChange(path, "C", _facts(former), _facts(later), what) if what else None


def _aspects(former: Found, later: Found) -> Iterator[str]:
    """In what the files differ."""
    one, other = _facts(former), _facts(later)
    if one.type != other.type:
        yield "type"
    elif not _same_content(former, later):
        yield "content"
    if one.type == other.type and one.mode != other.mode:
        yield "mode"
    if (one.uid, one.gid) != (other.uid, other.gid):
        yield "owner"
    if _xattrs(former) != _xattrs(later):
        yield "xattrs"


def _same_content(former: Found, later: Found) -> bool:
    """Whether files of the same type hold the same; directories always do."""
    mode = former.status.st_mode
    if stat.S_ISREG(mode):
        return former.status.st_size == later.status.st_size and _same_bytes(former.path, later.path)
    if stat.S_ISLNK(mode):
        return Path(former.path).readlink() == Path(later.path).readlink()
    return former.status.st_rdev == later.status.st_rdev


def _same_bytes(former: str, later: str) -> bool:
    """Whether two files of one length are the same."""
    with Path(former).open("rb") as one, Path(later).open("rb") as other:
        while piece := one.read(_CHUNK):
            if piece != other.read(_CHUNK):
                return False
    return True


def _xattrs(found: Found) -> dict[str, bytes]:
    """The extended attributes that an archive would have."""
    return carried(read_xattrs(os.fsencode(found.path)))


def _facts(found: Found) -> Facts:
    status = found.status
    size_bytes = status.st_size if stat.S_ISREG(status.st_mode) else 0
    kind = TYPES[stat.S_IFMT(status.st_mode)]
    return Facts(kind, size_bytes, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)


def _size(facts: Facts | None) -> int:
    return 0 if facts is None else facts.size_bytes
