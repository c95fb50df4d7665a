"""A step's upper directory: what is written here lies over the lower layers and becomes the layer.

An upper directory hides nothing of a lower directory with the same name, but its mode, owner and attributes count. So
the directories on the way to a new file are made as they are below (the overlay's copy-up). All paths are relative to
the root and have no links in them: `Tree.resolve` first. Source: kernel Documentation/filesystems/overlayfs.rst.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from dockmagic.builder import paths
from dockmagic.builder.attributes import Attributes, Owner, apply, attributes_of
from dockmagic.builder.data import copy_data
from dockmagic.builder.tree import Tree
from dockmagic.errors import BuildError
from dockmagic.image.overlay import OPAQUE, WHITEOUT_DEVICE
from dockmagic.trees import remove_tree

_NEW_DIRECTORY_MODE: Final = 0o755
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Upper:
    """Writes into an empty directory over layers, topmost first; `tree` is what the image has with it.

    The directory itself is the root, and has its attributes already (`Snapshots.prepare`).
    """

    def __init__(self, directory: Path, lower: Sequence[Path]) -> None:
        self.directory = directory
        self._root = str(directory)
        self.tree = Tree((directory, *lower))
        self._below = Tree(lower)
        self._ready = {""}  # directories that are known to be in the upper directory

    def make_directories(self, path: str, owner: Owner, mtime_s: int | None = None) -> None:
        """The directory `path` exists; those that are new have mode 0755, this owner and this time (now).

        Raises BuildError where something else than a directory is in the way.
        """
        missing: list[str] = []
        found = self.tree.find(path)
        while found is None:
            missing.append(path)
            path = paths.parent(path)
            found = self.tree.find(path)
        if not found.is_dir:
            raise BuildError(f"/{path} isn't a directory, so nothing can be put into it; choose another destination")
        for new in reversed(missing):
            apply(self.make_directory(new), _new_directory(owner, mtime_s))

    def make_directory(self, path: str) -> Path:
        """The directory `path` is in the upper directory, empty if it is new; where that is on the host.

        The caller gives it its attributes at the end. Replaces what isn't a directory.
        """
        place = self.place(path)
        status = _lstat(place)
        if status is not None and stat.S_ISDIR(status.st_mode):
            return place
        if status is not None:
            place.unlink()
        place.mkdir(0o700)
        below = self._below.find(path)
        if status is not None and below is not None and below.is_dir:
            os.setxattr(place, OPAQUE, b"y")  # a file of this step had already taken the place of that directory
        self.tree.forget(path)
        return place

    def place(self, path: str) -> Path:
        """Where `path` is to be made on the host; the directories above it are there."""
        self._copy_up(paths.parent(path))
        return self.directory / path

    def make_way(self, path: str) -> Path:
        """As `place`, and nothing is there any more in the upper directory."""
        place = self.place(path)
        status = _lstat(place)
        if status is not None and stat.S_ISDIR(status.st_mode):
            remove_tree(place)
            self._ready = {""}
        elif status is not None:
            place.unlink()
        self.tree.forget(path)
        return place

    def create(self, path: str, fill: Callable[[int], None], attributes: Attributes) -> None:
        """A regular file, whose content `fill` writes to a descriptor."""
        self._copy_up(paths.parent(path))
        try:
            target = os.open(f"{self._root}/{path}", _NEW_FILE, 0o600)
        except FileExistsError:
            target = os.open(self.make_way(path), _NEW_FILE, 0o600)
        self.tree.forget(path)
        try:
            fill(target)
            apply(target, attributes)
        finally:
            os.close(target)

    def write(self, path: str, source: int, attributes: Attributes) -> None:
        """A regular file with the content of the descriptor `source`."""
        self.create(path, lambda target: copy_data(source, target), attributes)

    def link(self, path: str, existing: Path) -> None:
        """One more name for a file of the upper directory, given by its place on the host."""
        self.make_way(path).hardlink_to(existing)

    def symlink(self, path: str, target: str, attributes: Attributes) -> None:
        """A symbolic link; `target` is stored as it is."""
        place = self.make_way(path)
        place.symlink_to(target)
        apply(place, attributes, link=True)

    def node(self, path: str, kind: int, device: int, attributes: Attributes) -> None:
        """A device or a named pipe; `kind` is one of stat.S_IFCHR, S_IFBLK, S_IFIFO.

        Raises BuildError for the device 0/0, which means to a layer that something is removed.
        """
        if kind == stat.S_IFCHR and device == WHITEOUT_DEVICE:
            raise BuildError(f"/{path} would be the character device 0/0, which a layer can't hold; leave it out")
        place = self.make_way(path)
        os.mknod(place, kind | 0o600, device)
        apply(place, attributes)

    def bring_up(self, path: str) -> Path:
        """The file `path` is in the upper directory, copied there if need be; where it is on the host.

        Raises BuildError if there is no such file.
        """
        found = self.tree.find(path)
        if found is None or found.is_dir:
            raise BuildError(f"there is no file /{path} to link to")
        if found.layer == self._root:
            return Path(found.location)
        if stat.S_ISLNK(found.status.st_mode):
            self.symlink(path, found.target, attributes_of(found))
            return self.place(path)
        source = found.open()
        try:
            self.write(path, source, attributes_of(found))
        finally:
            os.close(source)
        return self.place(path)

    def _copy_up(self, path: str) -> None:
        """The directory `path` of the tree is in the upper directory too, as it is below."""
        if path in self._ready:
            return
        found = self.tree.find(path)
        if found is None:
            return
        if found.layer != self._root:
            self._copy_up(paths.parent(path))
            place = self.directory / path
            place.mkdir(0o700)
            apply(place, attributes_of(found))
            self.tree.forget(path)
        if found.is_dir:
            self._ready.add(path)


def _new_directory(owner: Owner, mtime_s: int | None = None) -> Attributes:
    mtime_ns = time.time_ns() if mtime_s is None else mtime_s * 1_000_000_000
    return Attributes(_NEW_DIRECTORY_MODE, owner, mtime_ns)


def _lstat(place: Path) -> os.stat_result | None:
    try:
        return place.lstat()
    except FileNotFoundError:
        return None
