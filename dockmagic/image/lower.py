"""What the layers below know of a directory that a layer uses without describing it.

Such a directory hides the attributes of the one below, so it has to get them. Layers are directories in the overlay's
form: whiteouts are devices, opaque directories have an attribute. Source: the kernel's
Documentation/filesystems/overlayfs.rst, "Upper and Lower".
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from dockmagic.image import overlay
from dockmagic.image.attributes import read_xattrs
from dockmagic.image.tar_header import Entry
from dockmagic.image.tree_reader import entry_of


def find_directory(layers: Sequence[Path], path: bytes) -> Entry | None:
    """The directory that is at `path` in a stack of layers, the topmost first; None where it has none.

    No symlink is followed: one that is on the way is no directory.
    """
    parts = path.split(b"/")
    for layer in layers:
        entry, hides = _look(os.fsencode(layer), parts)
        if entry is not None or hides:
            return entry
    return None


def _look(place: bytes, parts: Sequence[bytes]) -> tuple[Entry | None, bool]:
    """The directory that one layer has, and whether it hides the one that layers below may have."""
    hides = False
    entry = None
    for part in parts:
        place += b"/" + part
        try:
            status = os.lstat(place)
        except FileNotFoundError:
            return None, hides
        if not stat.S_ISDIR(status.st_mode):
            return None, True
        entry = entry_of(part, status, read_xattrs(place))
        hides = hides or overlay.is_opaque(entry.xattrs)
    return entry, hides
