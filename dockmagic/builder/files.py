"""The rules of COPY and ADD: where each source goes, and what may take the place of what.

- The contents of a directory are copied, not itself, into a destination that is a directory or becomes one.
- A file goes into a destination that is a directory or ends with "/", else it becomes the destination.
- Links on the way to the destination are followed inside the image; a link that a copied file meets is replaced.
- A directory never takes the place of a file, nor a file that of a directory.

Modes, times and extended attributes are the sources'; directories made on the way are new. Source: Dockerfile
reference, "COPY" and "ADD"; BuildKit, whose copies these rules describe.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass

from dockmagic.builder import paths
from dockmagic.builder.attributes import Attributes, Owner, apply, attributes_of
from dockmagic.builder.modes import Mode
from dockmagic.builder.sources import Item, Source
from dockmagic.builder.unpack import is_archive, unpack
from dockmagic.builder.upper import Upper
from dockmagic.dockerfile.nodes import Heredoc
from dockmagic.errors import BuildError

_HEREDOC_MODE = 0o644
_PLAIN_KINDS = (stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO)


@dataclass(frozen=True, slots=True)
class CopyRules:
    """What is the same for all sources of an instruction.

    `destination` is absolute; "/" at its end makes it a directory. `owner` and `mode` are those of --chown and --chmod.
    Without them the sources' own count, but for `root_owned` sources, whose owner is root. `unpack` takes archives
    apart; None only those that weren't fetched.
    """

    destination: str
    owner: Owner | None = None
    mode: Mode | None = None
    root_owned: bool = True
    unpack: bool | None = False

    def attributes(self, kept: Attributes, *, is_dir: bool = False) -> Attributes:
        """What a copy of something with these attributes gets."""
        owner = self.owner or (Owner() if self.root_owned else kept.owner)
        mode = kept.mode if self.mode is None else self.mode.of(kept.mode, is_dir=is_dir)
        return Attributes(mode, owner, kept.mtime_ns, kept.xattrs)

    def unpacks(self, source: Source) -> bool:
        """Whether the source is taken apart, if it is an archive."""
        return not source.remote if self.unpack is None else self.unpack


def copy(sources: Sequence[Source], heredocs: Sequence[Heredoc], upper: Upper, rules: CopyRules) -> bool:
    """Copy everything into the upper directory; whether no file changed since it was found.

    Raises BuildError where the rules forbid it, OSError where the system does.
    """
    if len(sources) + len(heredocs) > 1:
        _require_directory(upper, rules.destination)
    stable = True
    for source in sources:
        stable &= _copy_source(source, upper, rules)
    for heredoc in heredocs:
        _write_heredoc(heredoc, upper, rules)
    return stable


def _require_directory(upper: Upper, destination: str) -> None:
    """Several sources need somewhere to go."""
    found = upper.tree.lookup(destination)
    if not destination.endswith("/") and not (found is not None and found.is_dir):
        raise BuildError(f"more than one source, so the destination has to be a directory: write {destination}/")


def _copy_source(source: Source, upper: Upper, rules: CopyRules) -> bool:
    first = source.items[0].found
    if rules.unpacks(source) and first.is_file and is_archive(first):
        target = upper.tree.resolve(rules.destination).path
        upper.make_directories(target, rules.owner or Owner())
        unpack(first, upper, target, rules.owner)
        return True
    if source.is_dir:
        return _copy_directory(source, upper, rules)
    return _copy_item(source.items[0], _file_target(source.name, upper, rules), upper, rules, {})


def _file_target(name: str, upper: Upper, rules: CopyRules) -> str:
    """Path of a file that is copied or written, once the directory for it is there."""
    destination, owner = rules.destination, rules.owner or Owner()
    directory = destination if destination.endswith("/") else paths.parent(destination)
    upper.make_directories(upper.tree.resolve(directory).path, owner)
    target = upper.tree.resolve(destination).path
    found = upper.tree.find(target)
    if found is not None and found.is_dir:
        if not name:
            raise BuildError(f"the address ends with no file's name; write one after {destination}")
        target = paths.join(target, name)
    upper.make_directories(paths.parent(target), owner)
    return target


def _copy_directory(source: Source, upper: Upper, rules: CopyRules) -> bool:
    """Copy what is in a directory; directories get their attributes last, when nothing more changes their times."""
    target = upper.tree.resolve(rules.destination).path
    upper.make_directories(target, rules.owner or Owner())
    stable, links, directories = True, dict[tuple[int, int], str](), list[tuple[Item, str]]()
    for item in source.items[1:]:
        place = paths.join(target, item.below)
        if item.found.is_dir:
            _expect_directory(upper, place)
            upper.make_directory(place)
            directories.append((item, place))
        else:
            stable &= _copy_item(item, place, upper, rules, links)
    for item, place in reversed(directories):
        apply(upper.place(place), rules.attributes(attributes_of(item.found), is_dir=True))
    return stable


def _expect_directory(upper: Upper, path: str) -> None:
    found = upper.tree.find(path)
    if found is not None and not found.is_dir:
        raise BuildError(f"cannot copy a directory to /{path}, which isn't one; remove that first, or copy elsewhere")


def _copy_item(item: Item, target: str, upper: Upper, rules: CopyRules, links: dict[tuple[int, int], str]) -> bool:
    """Copy anything but a directory; False if its content isn't what it was. `links` has what was copied already."""
    there = upper.tree.find(target)
    if there is not None and there.is_dir:
        raise BuildError(f"cannot replace the directory /{target} with a file; remove it first, or copy elsewhere")
    status, attributes = item.found.status, rules.attributes(attributes_of(item.found))
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFLNK:
        upper.symlink(target, item.found.target, attributes)
        return True
    if kind in _PLAIN_KINDS:
        upper.node(target, kind, status.st_rdev, attributes)
        return True
    inode = (status.st_dev, status.st_ino)
    if inode in links:
        upper.link(target, upper.place(links[inode]))
        return True
    if status.st_nlink > 1:
        links[inode] = target
    return _copy_file(item, target, upper, attributes)


def _copy_file(item: Item, target: str, upper: Upper, attributes: Attributes) -> bool:
    source = item.found.open()
    try:
        upper.write(target, source, attributes)
        before, after = item.found.status, os.fstat(source)
        return (before.st_size, before.st_mtime_ns, before.st_ino) == (after.st_size, after.st_mtime_ns, after.st_ino)
    finally:
        os.close(source)


def _write_heredoc(heredoc: Heredoc, upper: Upper, rules: CopyRules) -> None:
    """Make a file of a here-document."""
    target = _file_target(heredoc.name, upper, rules)
    found = upper.tree.find(target)
    if found is not None and found.is_dir:
        raise BuildError(f"cannot replace the directory /{target} with a file; choose another name")
    content = heredoc.content.encode("utf-8", "surrogateescape")
    attributes = rules.attributes(Attributes(_HEREDOC_MODE, Owner(), time.time_ns()))
    upper.create(target, lambda file: _write_all(file, content), attributes)


def _write_all(file: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(file, rest) :]
