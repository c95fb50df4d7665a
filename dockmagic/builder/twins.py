"""Layers with the same files but for times: a command that ran again and did the same needn't change what follows.

This is the second look-up of the cache, by content: a new layer is compared with those that commands made before on the
same parent. Where one is the same, it takes the new one's place, and the layers on top of it are found by their keys.
"""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dockmagic.database import Database
from dockmagic.image.snapshot import Layer, Snapshots
from dockmagic.oci.digest import Digest

_MOST: Final = 8  # layers to compare a new one with
_CHUNK: Final = 1 << 20
_CANDIDATES: Final = """
    SELECT DISTINCT chain_id FROM build_cache JOIN layers USING (chain_id)
    WHERE parent_key IS ? AND description = ? AND chain_id <> ? AND size_bytes = ?
    ORDER BY used_ns DESC LIMIT ?
"""


class Twins:
    """Finds the layer that a new one is the same as."""

    def __init__(self, database: Database, snapshots: Snapshots) -> None:
        self._database = database
        self._snapshots = snapshots

    def find(self, layer: Layer, description: str) -> Layer | None:
        """An earlier layer on the same parent, of an action of the same kind, that differs in times at most."""
        values = (layer.parent, description, layer.chain_id, layer.size_bytes, _MOST)
        for row in self._database.query(_CANDIDATES, values):
            earlier = self._snapshots.get_whole(Digest(row["chain_id"]))
            if earlier is not None and _same_tree(self._snapshots.path(earlier.chain_id), self._path(layer)):
                return earlier
        return None

    def _path(self, layer: Layer) -> Path:
        return self._snapshots.path(layer.chain_id)


def _same_tree(one: Path, other: Path) -> bool:
    """Whether two directories hold the same, times apart; the first difference ends the comparison."""
    return all(
        first is not None and second is not None and _same_entry(first, second)
        for first, second in itertools.zip_longest(_entries(one, ""), _entries(other, ""))
    )


def _entries(root: Path, name: str) -> Iterator[tuple[Path, str]]:
    """The root and its entries, a directory before what is in it, in the order of their names."""
    yield root, name
    directory = root / name
    if stat.S_ISDIR(directory.lstat().st_mode):
        for child in sorted(path.name for path in directory.iterdir()):
            yield from _entries(root, f"{name}/{child}" if name else child)


def _same_entry(first: tuple[Path, str], second: tuple[Path, str]) -> bool:
    (one, name), (other, other_name) = first, second
    if name != other_name:
        return False
    left, right = one / name, other / other_name
    before, after = left.lstat(), right.lstat()
    if _facts(before) != _facts(after) or _attributes(left) != _attributes(right):
        return False
    if stat.S_ISLNK(before.st_mode):
        return left.readlink() == right.readlink()
    return not stat.S_ISREG(before.st_mode) or _same_bytes(left, right)


def _facts(status: os.stat_result) -> tuple[int, ...]:
    """What counts of an inode."""
    is_file = stat.S_ISREG(status.st_mode)
    size, links = (status.st_size, status.st_nlink) if is_file else (0, 0)
    return status.st_mode, status.st_uid, status.st_gid, status.st_rdev, size, links


def _attributes(path: Path) -> dict[str, bytes]:
    names = os.listxattr(path, follow_symlinks=False)
    return {name: os.getxattr(path, name, follow_symlinks=False) for name in names}


def _same_bytes(left: Path, right: Path) -> bool:
    with left.open("rb") as one, right.open("rb") as other:
        while True:
            chunk = one.read(_CHUNK)
            if chunk != other.read(_CHUNK):
                return False
            if not chunk:
                return True
