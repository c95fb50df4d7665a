"""An overlay's upper directory on its way to become a layer. Source: Documentation/filesystems/overlayfs.rst."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from dockmagic.errors import InvalidLayer
from dockmagic.image import overlay


def clean(directory: Path) -> int:
    """Remove the attributes that overlayfs keeps for itself, all but those that say "opaque"; the size as of `size`.

    Raises InvalidLayer for a file whose content is in a layer below: overlay options other than ours made it.
    """
    _clean_file(os.fspath(directory))
    sizes: dict[int, int] = {}
    for entry in _walk(directory):
        _clean_file(entry.path)
        _count(entry, sizes)
    return sum(sizes.values())


def size(directory: Path) -> int:
    """Bytes in the regular files of a directory tree; one with several links counts once."""
    sizes: dict[int, int] = {}
    for entry in _walk(directory):
        _count(entry, sizes)
    return sum(sizes.values())


def _count(entry: os.DirEntry[str], sizes: dict[int, int]) -> None:
    """Note the size of a regular file by its inode."""
    if entry.is_file(follow_symlinks=False):
        sizes[entry.inode()] = entry.stat(follow_symlinks=False).st_size


def _clean_file(path: str) -> None:
    """Remove the overlay's own attributes from one file."""
    own = [name for name in os.listxattr(path, follow_symlinks=False) if overlay.is_own_attribute(name)]
    if not own:
        return
    xattrs = {name: os.getxattr(path, name, follow_symlinks=False) for name in own}
    reason = overlay.elsewhere(xattrs)
    if reason is not None:
        raise InvalidLayer(f"{path} has {reason}: mount the overlay with redirect_dir=off,metacopy=off")
    for name, value in xattrs.items():
        if not overlay.is_opaque({name: value}):
            os.removexattr(path, name, follow_symlinks=False)


def _walk(directory: Path) -> Iterator[os.DirEntry[str]]:
    """All entries below a directory; symbolic links are not followed."""
    pending = [os.fspath(directory)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                yield entry
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
