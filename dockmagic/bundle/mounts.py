"""A config's mounts, in order, below the root that is to be the container's. Source: runtime-spec config.md "Mounts".

What comes from the host is taken before, as detached mounts, while the host's paths still mean something; the places
are found inside the root, whatever links are on the way. A place may be covered by an earlier mount.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from dockmagic.bundle import idmap, options
from dockmagic.bundle.copying import copy_tree
from dockmagic.bundle.paths import find, find_or_make, is_below
from dockmagic.errors import Failure
from dockmagic.linux import mount as m
from dockmagic.oci.config import Mount
from dockmagic.runtime.cgroup.group import UNIFIED
from dockmagic.runtime.stage import Failed, stage

_REAL: Final = ("proc", "sysfs")  # what must not be led elsewhere by a link, for masks go by their paths
_CLONE: Final = m.OPEN_TREE_CLONE | m.OPEN_TREE_CLOEXEC
Cgroups = Mapping[str, int]
"""The container's own control groups as detached mounts, by the name that they have below /sys/fs/cgroup."""


def is_bind(mount: Mount) -> bool:
    """Whether the mount shows something of the host."""
    return mount.type == "bind" or bool(options.parse(mount.options).words & {"bind", "rbind"})


def source_of(mount: Mount, bundle: str) -> str:
    """The host's path of a bind mount's source, which is relative to the bundle."""
    return os.path.join(bundle, mount.source)


def open_sources(mounts: Sequence[Mount], bundle: str) -> dict[int, int]:
    """A detached mount for each bind mount, by its place in the list; raises Failed."""
    found: dict[int, int] = {}
    for index, mount in enumerate(mounts):
        if is_bind(mount):
            words = options.parse(mount.options).words
            recursive = 0 if "bind" in words and "rbind" not in words else m.AT_RECURSIVE
            path = source_of(mount, bundle)
            with stage("mounts", f"open {path} for {mount.destination}"):
                found[index] = m.open_tree(m.AT_FDCWD, path, _CLONE | recursive)
                if mount.uid_mappings:
                    deep = m.AT_RECURSIVE if "ridmap" in words else 0
                    idmap.apply(found[index], mount.uid_mappings, mount.gid_mappings, deep)
    return found


def open_cgroups(paths: Mapping[str, str], mounts: Mapping[str, str]) -> dict[str, int]:
    """The container's own groups as detached mounts, by the names of the hierarchies' mounts. `paths` by controller."""
    names = {controller: os.path.basename(mounts[controller]) for controller in paths if controller in mounts}
    found = {names[c]: m.open_tree(m.AT_FDCWD, paths[c], _CLONE) for c in dict.fromkeys(names)}
    if UNIFIED in paths:
        found[UNIFIED if found else ""] = m.open_tree(m.AT_FDCWD, paths[UNIFIED], _CLONE)
    return found


def attach_all(root: int, mounts: Sequence[Mount], sources: Mapping[int, int], cgroups: Cgroups) -> None:
    """Mount everything below `root`; raises Failed."""
    for index, mount in enumerate(mounts):
        with stage("mounts", f"mount {mount.type or 'bind'} on {mount.destination}"):
            if is_bind(mount):
                _bind(root, mount, sources[index])
            elif mount.type == "cgroup":
                _mount_cgroups(root, mount, cgroups)
            else:
                _mount(root, mount)


def _bind(root: int, mount: Mount, source: int) -> None:
    """Attach a detached mount, then give it its options; without a propagation it follows what the host does."""
    wanted = options.parse(mount.options)
    directory = stat.S_ISDIR(os.fstat(source).st_mode)
    target = find_or_make(root, mount.destination, directory=directory)
    _refuse_strangers(root, target, mount, directory=directory)
    _move(source, target)
    os.close(target)
    placed = find(root, mount.destination)
    here = f"/proc/self/fd/{placed}"
    for propagation in wanted.propagation or (m.MS_SLAVE | m.MS_REC,):
        m.mount("", here, "", propagation)
    on, off = wanted.attributes
    _set_attributes(placed, on, off, 0)
    _set_attributes(placed, wanted.recursive_set, wanted.recursive_clear, m.AT_RECURSIVE)
    os.close(placed)


def _refuse_strangers(root: int, target: int, mount: Mount, *, directory: bool) -> None:
    """Raise Failed where a link leads into /proc, or a directory would cover a file or the other way round."""
    if is_below(root, target, "/proc") and not os.path.normpath(mount.destination).startswith("/proc"):
        raise OSError(errno.EXDEV, "a link in the root leads into /proc", mount.destination)
    if stat.S_ISDIR(os.fstat(target).st_mode) != directory:
        what, onto = ("a directory", "a file") if directory else ("a file", "a directory")
        reason = f"{what} can't be mounted on {mount.destination}, which is {onto} in the root"
        raise Failed(Failure("mounts", errno.ENOTDIR if directory else errno.EISDIR, reason))


def _mount(root: int, mount: Mount) -> None:
    """Make a new file system on its place."""
    wanted = options.parse(mount.options)
    target = find_or_make(root, mount.destination, directory=True, links=mount.type not in _REAL)
    if wanted.flags & m.MS_REMOUNT:
        m.mount(mount.source, f"/proc/self/fd/{target}", mount.type, wanted.flags, ",".join(wanted.data))
        os.close(target)
        return
    data = list(wanted.data)
    if mount.type == "tmpfs" and not any(option.startswith("mode=") for option in data):
        data.append(f"mode={stat.S_IMODE(os.fstat(target).st_mode):o}")
    copied = "tmpcopyup" in wanted.words
    flags = wanted.flags & ~m.MS_RDONLY if copied else wanted.flags
    m.mount(mount.source or mount.type, f"/proc/self/fd/{target}", mount.type, flags, ",".join(data))
    placed = find(root, mount.destination)
    if copied:
        _copy_up(target, placed)
        if wanted.flags & m.MS_RDONLY:
            _set_attributes(placed, m.MOUNT_ATTR_RDONLY, 0, 0)
    for propagation in wanted.propagation:
        m.mount("", f"/proc/self/fd/{placed}", "", propagation)
    _set_attributes(placed, wanted.recursive_set, wanted.recursive_clear, m.AT_RECURSIVE)
    os.close(target)
    os.close(placed)


def _copy_up(below: int, placed: int) -> None:
    """Copy what the mount covers; a path through /proc leads to the directory itself, not to what is on it."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    source, target = os.open(f"/proc/self/fd/{below}", flags), os.open(f"/proc/self/fd/{placed}", flags)
    try:
        copy_tree(source, target)
    finally:
        os.close(source)
        os.close(target)


def _mount_cgroups(root: int, mount: Mount, cgroups: Cgroups) -> None:
    """Show the container's own groups: one directory on a unified host, else a directory for each hierarchy."""
    wanted = options.parse(mount.options)
    on, off = wanted.attributes
    if "" in cgroups:
        target = find_or_make(root, mount.destination, directory=True)
        _move(cgroups[""], target)
    else:
        tmpfs = tuple(option for option in mount.options if option != "ro")
        _mount(root, Mount(mount.destination, "tmpfs", "tmpfs", (*tmpfs, "mode=755")))
        for name, tree in cgroups.items():
            _move(tree, find_or_make(root, f"{mount.destination}/{name}", directory=True))
        _link_controllers(root, mount.destination, cgroups)
    for name in ("", *cgroups):
        placed = find(root, f"{mount.destination}/{name}")
        m.mount("", f"/proc/self/fd/{placed}", "", m.MS_PRIVATE)
        _set_attributes(placed, on, off, 0)
        os.close(placed)


def _link_controllers(root: int, destination: str, names: Iterable[str]) -> None:
    """For hierarchies of several controllers a link of each one's name."""
    place = find(root, destination)
    for name in names:
        for part in name.split(",") if "," in name else ():
            os.symlink(name, part, dir_fd=place)
    os.close(place)


def _move(source: int, target: int) -> None:
    """Attach a detached mount on what a descriptor names."""
    m.move_mount(source, "", target, "", m.MOVE_MOUNT_F_EMPTY_PATH | m.MOVE_MOUNT_T_EMPTY_PATH)


def _set_attributes(placed: int, on: int, off: int, recursive: int) -> None:
    if on or off:
        m.mount_setattr(placed, "", m.AT_EMPTY_PATH | recursive, on, attr_clr=off)
