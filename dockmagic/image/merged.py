"""A stack of layers as overlayfs would show it, without a mount: what a name is, and what makes up a directory.

Directories are given topmost first. Only directories are entered, by the names they have in a layer, so no symbolic
link is ever followed. Source: Documentation/filesystems/overlayfs.rst.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from dockmagic.image import overlay


@dataclass(frozen=True, slots=True)
class Found:
    """A file of the merged view: where it is, its status, and, of a directory, those that make it up."""

    path: str
    status: os.stat_result
    directories: tuple[str, ...] = ()


def look_up(below: Sequence[str], name: str) -> Found | None:
    """What `name` is in the merged view of these directories."""
    top: tuple[str, os.stat_result] | None = None
    directories: list[str] = []
    for directory in below:
        path = f"{directory}/{name}"
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            continue
        if overlay.is_whiteout(status):
            break
        top = top or (path, status)
        if not stat.S_ISDIR(status.st_mode):
            break
        directories.append(path)
        if is_opaque(path):
            break
    return None if top is None else Found(*top, tuple(directories))


def names(directories: Iterable[str]) -> list[str]:
    """Names in these directories, each once, sorted; whiteouts too."""
    return sorted(set(chain.from_iterable(map(os.listdir, directories))))


def is_opaque(directory: str) -> bool:
    """Whether a directory hides those below it."""
    found = os.listxattr(directory, follow_symlinks=False)
    own = {name: os.getxattr(directory, name) for name in found if overlay.is_own_attribute(name)}
    return overlay.is_opaque(own)
