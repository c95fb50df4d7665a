"""What a container changed in the files of its image, in the words and the order of `docker diff`.

A directory counts as changed where it is different itself, or where something was added to it or deleted from it.
Source: Docker's reference of `container diff`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Sequence
from pathlib import Path

from dockmagic.image.lower import find_directory
from dockmagic.image.tree import Change, changes


def container_changes(upper: Path, lower: Sequence[Path], stubs: Collection[bytes]) -> tuple[Change, ...]:
    """Added (A), changed (C) and deleted (D) paths, sorted as a walk through the tree comes to them."""
    found = [change for change in changes(upper, lower) if os.fsencode(change.path[1:]) not in stubs]
    touched = {change.path.rpartition("/")[0] for change in found if change.kind != "C"}
    kept = [change for change in found if change.path in touched or not _is_same(change, upper, lower)]
    return tuple(sorted(kept, key=lambda change: change.path.split("/")))


def _is_same(change: Change, upper: Path, lower: Sequence[Path]) -> bool:
    """Whether it is a directory that is as it was, and only is there because of what is in it."""
    if change.kind != "C" or change.type != "dir":
        return False
    name = os.fsencode(change.path[1:])
    below = find_directory(lower, name)
    status = os.lstat(os.fsencode(upper) + b"/" + name)
    return below is not None and (below.mode, below.uid, below.gid, below.mtime_ns) == (
        stat.S_IMODE(status.st_mode),
        status.st_uid,
        status.st_gid,
        status.st_mtime_ns,
    )
