"""Names in a container's upper directory that its start put there, and not the container.

They are mount points, empty, and gone once the container has ended (runtime.stubs); until then neither an archive nor a
layer nor a list of changes is to show them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from dockmagic.image.lower import find_directory
from dockmagic.oci.spec import Mount
from dockmagic.runtime.stubs import STANDARD


def stub_names(upper: Path, lower: Sequence[Path], mounts: Iterable[Mount]) -> frozenset[bytes]:
    """Names, relative to the root, of what a start made in `upper`, which lies on `lower` (topmost first)."""
    points = {os.fsencode(path.strip("/")) for path in (*STANDARD, *(mount.destination for mount in mounts))}
    above = {parent for point in points for parent in _parents(point)}
    found: set[bytes] = set()
    for name in sorted(points | above, key=lambda name: -name.count(b"/")):
        if _is_stub(os.fsencode(upper), lower, name, found):
            found.add(name)
    return frozenset(found)


def _parents(path: bytes) -> list[bytes]:
    """The directories that a relative path is in."""
    parts = path.split(b"/")[:-1]
    return [b"/".join(parts[: count + 1]) for count in range(len(parts))]


def _is_stub(upper: bytes, lower: Sequence[Path], name: bytes, found: set[bytes]) -> bool:
    """Whether there is nothing of the container's at this name: an empty file, or a directory of stubs only."""
    path = upper + b"/" + name
    try:
        status = os.lstat(path)
        if not stat.S_ISDIR(status.st_mode):
            return stat.S_ISREG(status.st_mode) and not status.st_size and not _is_in(lower, name)
        if any(name + b"/" + child not in found for child in os.listdir(path)):  # noqa: PTH208 - bytes
            return False
    except (FileNotFoundError, NotADirectoryError):
        return False
    below = find_directory(lower, name)
    if below is None:
        return not _is_in(lower, name)
    return (below.mode, below.uid, below.gid, below.mtime_ns) == (
        stat.S_IMODE(status.st_mode),
        status.st_uid,
        status.st_gid,
        status.st_mtime_ns,
    )


def _is_in(lower: Iterable[Path], name: bytes) -> bool:
    """Whether any layer has something of this name."""
    return any(os.path.lexists(os.fsencode(layer) + b"/" + name) for layer in lower)
