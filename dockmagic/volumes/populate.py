"""An empty volume gets what the image has at its place: files, owners, modes, attributes and links.

The files are copied beside the volume, brought to the disk and renamed (`copy` to `ready`); only then do they move
into the volume, one name after the other. A copy that was cut short is thrown away, a move is finished by the next who
comes. The image is read through its layers, where no link leads anywhere else, and the copy begins in an empty
directory, so that no link of the image is ever followed while writing.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dockmagic.builder.attributes import apply, attributes_of
from dockmagic.builder.files import CopyRules, copy
from dockmagic.builder.sources import Origin, source_at
from dockmagic.builder.tree import Found, Tree
from dockmagic.builder.upper import Upper
from dockmagic.errors import InvalidOption
from dockmagic.image.workspace import store_errors
from dockmagic.linux.sync import syncfs
from dockmagic.runtime.leftovers import lock
from dockmagic.trees import remove_tree

_RULES = CopyRules("/", root_owned=False)


@dataclass(frozen=True, slots=True)
class Place:
    """A volume's content, and the directory of the volume, which no container ever sees."""

    data: Path
    home: Path

    @property
    def copy(self) -> Path:
        """A copy on its way."""
        return self.home / "_copy"

    @property
    def ready(self) -> Path:
        """A whole copy, to be moved."""
        return self.home / "_ready"

    @property
    def empty(self) -> bool:
        """Whether nothing is in the volume."""
        return not any(self.data.iterdir())


def populate(place: Place, layers: Sequence[Path], path: str) -> None:
    """Fill the volume, if it is empty, with the directory `path` of these layers (topmost first), if there is one.

    Raises StoreError, InvalidOption for a directory that nothing can be moved to, and BuildError for links in the image
    that go in circles.
    """
    with store_errors(f"fill {place.data} with the image's files"), lock(place.home, fcntl.LOCK_EX):
        if place.ready.exists():
            _move(place)
        remove_tree(place.copy)
        tree = Tree(layers)
        found = tree.lookup(path)
        if found is not None and found.is_dir and place.empty:
            _check_way(place)
            _copy(place, tree, found)
            _move(place)


def finish(place: Place) -> None:
    """Finish a move that was cut short, and throw away a copy that was."""
    if place.ready.exists() or place.copy.exists():
        populate(place, (), "/")


def _check_way(place: Place) -> None:
    """Raise InvalidOption where files can't be moved into the volume, since that is a directory of another disk.

    rename(2) looks at the file systems first; then it fails with EBUSY for names that are no names.
    """
    try:
        os.rename(f"{place.home}/.", f"{place.data}/.")  # noqa: PTH104 - a Path leaves the dots out
    except OSError as error:
        if error.errno != errno.EXDEV:
            return
        message = "is on another file system than the state root, so the image's files can't be moved into it"
        raise InvalidOption(f"{place.data} {message}; add nocopy, or put them there yourself") from error


def _copy(place: Place, tree: Tree, top: Found) -> None:
    """Copy the directory beside the volume, whole and on the disk when it has its final name."""
    place.copy.mkdir(mode=0o700)
    source = source_at(Origin(tree, "the image"), top.path, top.path)
    copy([source], (), Upper(place.copy, ()), _RULES)
    apply(place.copy, attributes_of(top))
    syncfs(place.copy)
    place.copy.rename(place.ready)


def _move(place: Place) -> None:
    """Move everything into the volume; what a container has made there meanwhile stays as it is."""
    attributes = attributes_of(Found(str(place.ready), "", place.ready.lstat()))
    place.ready.chmod(0o700)
    for entry in list(place.ready.iterdir()):
        target = place.data / entry.name
        if not target.is_symlink() and not target.exists():
            entry.rename(target)
    apply(place.data, attributes)
    remove_tree(place.ready)
