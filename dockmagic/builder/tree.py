"""Layers seen as the one file tree that they make, without mounting anything.

A path is relative (see `paths`); symbolic links are followed inside the tree and can't leave it. In an upper layer a
character device 0/0 hides what is below (a whiteout), and so does a directory marked opaque. One directory alone, such
as a build context, is a tree of one layer. Source: kernel Documentation/filesystems/overlayfs.rst; path_resolution(7).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from dockmagic.builder import paths
from dockmagic.errors import BuildError
from dockmagic.image.attributes import carried
from dockmagic.image.overlay import is_opaque, is_own_attribute, is_whiteout
from dockmagic.linux.files import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2

_MAX_LINKS: Final = 40  # as many as the kernel follows


@dataclass(frozen=True)
class Found:
    """Something in the tree: the layer that it comes from, its path there, and its status (a link's own)."""

    layer: str
    path: str
    status: os.stat_result

    @property
    def location(self) -> str:
        """Where it is on the host."""
        return f"{self.layer}/{self.path}"

    @property
    def is_dir(self) -> bool:
        """Whether it is a directory."""
        return stat.S_ISDIR(self.status.st_mode)

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return stat.S_ISREG(self.status.st_mode)

    @property
    def target(self) -> str:
        """What the symbolic link says, letter by letter."""
        return os.readlink(self.location)  # noqa: PTH115 - a Path would tidy it up

    @cached_property
    def xattrs(self) -> dict[str, bytes]:
        """Extended attributes that an image can carry, sorted; a link's own, {} where the file system has none.

        They are asked for once, so that the digest of a copy and the copy itself have the same.
        """
        location = self.location
        try:
            names = os.listxattr(location, follow_symlinks=False)
        except OSError:
            return {}
        found = {name: os.getxattr(location, name, follow_symlinks=False) for name in names}
        return dict(sorted(carried(found).items()))

    def open(self) -> int:
        """Descriptor to read the file, closed by the caller; a link put in its way since then is refused (OSError)."""
        root = os.open(self.layer, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
            return openat2(root, self.path or ".", flags, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
        finally:
            os.close(root)


@dataclass(frozen=True, slots=True)
class Resolved:
    """Where a path leads: no link is on the way any more. `escaped` tells that a link pointed out of the tree."""

    path: str
    escaped: bool


class Tree:
    """A read-only view of layers, topmost first; what it has seen of directories it remembers until `forget`."""

    def __init__(self, layers: Sequence[Path]) -> None:
        self.layers = tuple(map(str, layers))
        self._directories: dict[str, tuple[str, ...]] = {"": self.layers}

    def find(self, path: str) -> Found | None:
        """What is at a path whose directories are no links; None where there is nothing."""
        if not path:
            return Found(self.layers[0], "", os.lstat(self.layers[0])) if self.layers else None
        for layer in self._layers_of(paths.parent(path)):
            status = _lstat(f"{layer}/{path}")
            if status is not None:
                return None if is_whiteout(status) else Found(layer, path, status)
        return None

    def resolve(self, path: str, *, top: str = "", follow_last: bool = True) -> Resolved:
        """Where `path` leads inside the tree; parts that don't exist stay as they are.

        It starts in the directory `top`, whose path has no links, and which is the root for links on the way.
        Raises BuildError for links that go in circles.
        """
        waiting = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        done, links, escaped = top, 0, False
        while waiting:
            part = waiting.pop()
            if part == "..":
                escaped = escaped or (links > 0 and done == top)
                done = top if done == top else paths.parent(done)
                continue
            here = paths.join(done, part)
            found = self.find(here) if waiting or follow_last else None
            if found is None or not stat.S_ISLNK(found.status.st_mode):
                done = here
                continue
            links += 1
            if links > _MAX_LINKS:
                raise BuildError(f"too many levels of symbolic links at {path!r}")
            target = found.target
            if target.startswith("/"):
                done, escaped = top, True
            waiting += [part for part in reversed(target.split("/")) if part not in ("", ".")]
        return Resolved(done, escaped)

    def lookup(self, path: str) -> Found | None:
        """What is at `path`, all links followed; None where there is nothing."""
        return self.find(self.resolve(path).path)

    def names(self, path: str) -> list[str]:
        """Names in a directory whose path has no links, sorted."""
        shown: set[str] = set()
        hidden: set[str] = set()
        for layer in self._layers_of(path):
            with os.scandir(f"{layer}/{path}") as entries:
                here = [(entry.name, _is_whiteout_entry(entry)) for entry in entries]
            shown.update(name for name, whiteout in here if not whiteout and name not in hidden)
            hidden.update(name for name, whiteout in here if whiteout and name not in shown)
        return sorted(shown)

    def walk(self, path: str) -> Iterator[Found]:
        """What is at a path without links, and everything below it: a directory before its contents, by name."""
        waiting = [path]
        while waiting:
            here = waiting.pop()
            found = self.find(here)
            if found is not None:
                yield found
                waiting += [paths.join(here, name) for name in reversed(self.names(here))] if found.is_dir else []

    def directories(self, path: str) -> tuple[str, ...]:
        """Where on the host the directory at a path without links is, topmost layer first: what to merge to see it."""
        return tuple(f"{layer}/{path}".rstrip("/") for layer in self._layers_of(path))

    def forget(self, path: str = "") -> None:
        """Look again at `path` and what is below it: the top layer has changed there."""
        if self._directories.pop(path, ()):  # it was a directory, so there may be more to forget below it
            self._directories.clear()
            self._directories[""] = self.layers

    def _layers_of(self, path: str) -> tuple[str, ...]:
        """Layers whose directory at this path is part of the tree, topmost first; () if it is no directory."""
        known = self._directories.get(path)
        if known is None:
            known = tuple(self._merged(path))
            self._directories[path] = known
        return known

    def _merged(self, path: str) -> Iterator[str]:
        for layer in self._layers_of(paths.parent(path)):
            status = _lstat(f"{layer}/{path}")
            if status is None:
                continue
            if not stat.S_ISDIR(status.st_mode):
                return
            yield layer
            if _is_opaque(f"{layer}/{path}"):
                return


def _is_whiteout_entry(entry: os.DirEntry[str]) -> bool:
    """As `is_whiteout`, without asking for the status of what can't be one."""
    ordinary = entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False) or entry.is_symlink()
    return not ordinary and is_whiteout(entry.stat(follow_symlinks=False))


def _is_opaque(directory: str) -> bool:
    """Whether the directory hides what lower layers have in it."""
    try:
        names = os.listxattr(directory, follow_symlinks=False)
    except OSError:  # a file system without extended attributes
        return False
    values = {name: os.getxattr(directory, name, follow_symlinks=False) for name in names if is_own_attribute(name)}
    return is_opaque(values)


def _lstat(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
