"""A spec's file systems as a list of operations, and their execution.

Three trees hang on nothing in the image: /proc, /dev and /sys. They are *staged*: made beside the root file system,
where no link of an image can lead astray, often long before the container is known, and moved into place. Everything
else is *attached* after pivot_root, when every path, whatever links it crosses, ends inside the container.

Source: runtime-spec config.md "Mounts", config-linux.md "Devices", "Masked Paths", "Readonly Paths"; mount(8).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from dockmagic.linux import mount as m
from dockmagic.linux.files import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2
from dockmagic.oci.spec import Device, Mount, Spec

TREES: Final = ("/proc", "/dev", "/sys")

FLAGS: Final = {
    "ro": m.MS_RDONLY,
    "rw": 0,
    "nosuid": m.MS_NOSUID,
    "nodev": m.MS_NODEV,
    "noexec": m.MS_NOEXEC,
    "suid": 0,
    "dev": 0,
    "exec": 0,
    "noatime": m.MS_NOATIME,
    "nodiratime": m.MS_NODIRATIME,
    "relatime": m.MS_RELATIME,
    "strictatime": m.MS_STRICTATIME,
}
BIND_OPTIONS: Final = frozenset(("bind", "rbind"))
PROPAGATION: Final = {
    "private": m.MS_PRIVATE,
    "rprivate": m.MS_PRIVATE | m.MS_REC,
    "slave": m.MS_SLAVE,
    "rslave": m.MS_SLAVE | m.MS_REC,
    "shared": m.MS_SHARED,
    "rshared": m.MS_SHARED | m.MS_REC,
}
PRIVATE: Final = m.MS_PRIVATE | m.MS_REC
_KCORE: Final = "/proc/kcore"  # not every kernel has it
NULL: Final = os.makedev(1, 3)
_LINKS: Final = {
    "/dev/fd": "/proc/self/fd",
    "/dev/stdin": "/proc/self/fd/0",
    "/dev/stdout": "/proc/self/fd/1",
    "/dev/stderr": "/proc/self/fd/2",
    "/dev/ptmx": "pts/ptmx",
    "/dev/core": _KCORE,
}


@dataclass(frozen=True, slots=True)
class FileSystem:
    """Mount a file system on `target`, which is made where it is missing."""

    target: str
    type: str
    source: str
    flags: int
    data: str

    def execute(self, base: str) -> None:
        """Do it below `base`."""
        path = base + self.target
        make_directory(path)
        m.mount(self.source, path, self.type, self.flags, self.data)


@dataclass(frozen=True, slots=True)
class Node:
    """Make a device node; `mode` has the type of the node in it."""

    target: str
    mode: int
    device: int
    uid: int = 0
    gid: int = 0

    def execute(self, base: str) -> None:
        """Do it below `base`; chmod undoes the umask."""
        make_directory(os.path.dirname(base + self.target))
        os.mknod(base + self.target, self.mode, self.device)
        if self.uid or self.gid:
            os.chown(base + self.target, self.uid, self.gid)
        os.chmod(base + self.target, stat.S_IMODE(self.mode))


@dataclass(frozen=True, slots=True)
class Link:
    """Make a symbolic link."""

    target: str
    to: str

    def execute(self, base: str) -> None:
        """Do it below `base`."""
        os.symlink(self.to, base + self.target)


@dataclass(frozen=True, slots=True)
class Mask:
    """Hide a path: an empty read-only directory over a directory, /dev/null over a file; a missing one is fine."""

    target: str

    def execute(self, base: str) -> None:
        """Do it below `base`."""
        path = base + self.target
        try:
            directory = stat.S_ISDIR(os.stat(path).st_mode)
        except FileNotFoundError:
            return
        if directory:
            m.mount("tmpfs", path, "tmpfs", m.MS_RDONLY | m.MS_NOSUID | m.MS_NODEV | m.MS_NOEXEC, "size=0k")
        else:
            _show_null(base, path)


def _show_null(base: str, path: str) -> None:
    """Show the null device at a path; whatever else is in its place below `base` would hide nothing.

    Raises OSError for that.
    """
    null = m.open_tree(m.AT_FDCWD, f"{base}/dev/null", m.OPEN_TREE_CLONE | m.OPEN_TREE_CLOEXEC | m.AT_SYMLINK_NOFOLLOW)
    try:
        status = os.fstat(null)
        if not stat.S_ISCHR(status.st_mode) or status.st_rdev != NULL:
            raise OSError(errno.ENODEV, "not the null device", f"{base}/dev/null")
        m.move_mount(null, "", m.AT_FDCWD, path, m.MOVE_MOUNT_F_EMPTY_PATH | m.MOVE_MOUNT_T_SYMLINKS)
    finally:
        os.close(null)


@dataclass(frozen=True, slots=True)
class ReadOnly:
    """Make a path read-only, with all below it; a missing one is fine."""

    target: str

    def execute(self, base: str) -> None:
        """Do it below `base`; a bind mount takes its flags only in a second call."""
        path = base + self.target
        try:
            m.mount(path, path, "", m.MS_BIND | m.MS_REC)
        except FileNotFoundError:
            return
        flags = m.MS_RDONLY | m.MS_NOSUID | m.MS_NODEV | m.MS_NOEXEC
        m.mount("", path, "", m.MS_BIND | m.MS_REMOUNT | flags)


Operation = FileSystem | Node | Link | Mask | ReadOnly
_NULL_ONLY: Final = (
    FileSystem("/dev", "tmpfs", "tmpfs", m.MS_NOSUID, "mode=700,size=0k"),
    Node("/dev/null", stat.S_IFCHR | 0o666, NULL),
)
"""A /dev that the container never sees, for the masks of the other trees."""


@dataclass(frozen=True, slots=True)
class CgroupMount:
    """A hierarchy as the container sees it: `name` is the directory below /sys/fs/cgroup, "" for the whole of it."""

    name: str
    type: str
    data: str


def staged(spec: Spec, cgroups: Iterable[CgroupMount]) -> dict[str, tuple[Operation, ...]]:
    """Operations for each of the three trees; /dev comes first, since masks need its null."""
    operations = list(_staged_operations(spec, tuple(cgroups)))
    return {tree: tuple(op for op in operations if tree_of(op.target) == tree) for tree in ("/dev", "/proc", "/sys")}


def same_trees(one: Spec, other: Spec) -> bool:
    """Whether both specs want the same three trees; quicker than working them out."""
    return _ingredients(one) == _ingredients(other)


def _ingredients(spec: Spec) -> tuple[object, ...]:
    """All that decides about the trees."""
    linux, replaced = spec.linux, replaced_trees(spec)
    mounts = tuple(mount for mount in spec.mounts if is_staged(mount, replaced))
    return mounts, replaced, linux.devices, linux.masked_paths, linux.readonly_paths


def replaced_trees(spec: Spec) -> frozenset[str]:
    """Trees in whose place the container is shown something else, which is attached, with all mounts below it."""
    found = frozenset(mount.destination for mount in spec.mounts if not is_staged(mount))
    return found.intersection(TREES)


def _staged_operations(spec: Spec, cgroups: tuple[CgroupMount, ...]) -> Iterator[Operation]:
    replaced = replaced_trees(spec)
    for mount in spec.mounts:
        if is_staged(mount, replaced):
            yield from file_systems(mount, cgroups)
    if "/dev" in replaced:
        yield from _NULL_ONLY
    else:
        yield from map(_node, spec.linux.devices)
        yield from (Link(target, to) for target, to in _LINKS.items() if to != _KCORE or os.path.exists(_KCORE))
    for path in hidden(spec):
        if tree_of(path.target) and tree_of(path.target) not in replaced:
            yield path


def _node(device: Device) -> Node:
    kind = stat.S_IFBLK if device.type == "b" else stat.S_IFCHR
    number = os.makedev(device.major, device.minor)
    return Node(device.path, kind | device.file_mode, number, device.uid, device.gid)


def hidden(spec: Spec) -> Iterator[Mask | ReadOnly]:
    """What keeps the container from paths, in order."""
    yield from map(Mask, spec.linux.masked_paths)
    yield from map(ReadOnly, spec.linux.readonly_paths)


def file_systems(mount: Mount, cgroups: Sequence[CgroupMount]) -> Iterator[FileSystem]:
    """The operations that make this mount: one, but for cgroups of a legacy host.

    Those are a directory of mounts, which becomes read-only last.
    """
    flags, data = split_options(mount.options)
    if mount.type != "cgroup":
        yield FileSystem(mount.destination, mount.type, mount.source, flags, data)
        return
    if any(cgroup.name for cgroup in cgroups):
        yield FileSystem(mount.destination, "tmpfs", "tmpfs", flags & ~m.MS_RDONLY, "mode=755")
    for cgroup in cgroups:
        target = f"{mount.destination}/{cgroup.name}" if cgroup.name else mount.destination
        yield FileSystem(target, cgroup.type, "cgroup", flags, cgroup.data)
    if any(cgroup.name for cgroup in cgroups) and flags & m.MS_RDONLY:
        yield FileSystem(mount.destination, "", "", flags | m.MS_REMOUNT | m.MS_BIND, "")


def attached(spec: Spec) -> tuple[Mount, ...]:
    """Mounts that wait for pivot_root: what the image's own directories carry, and of the trees what is above."""
    replaced = replaced_trees(spec)
    found = (mount for mount in spec.mounts if not is_staged(mount, replaced))
    return tuple(sorted(found, key=lambda at: at.destination.count("/") if tree_of(at.destination) in replaced else 0))


def sources(spec: Spec) -> tuple[Mount, ...]:
    """What init needs of the host, in the order in which it takes it: the root directory, then each bind mount."""
    root = () if spec.root.overlay else (Mount("/", "bind", spec.root.path, ("rbind",)),)
    return root + tuple(mount for mount in attached(spec) if is_bind(mount))


def open_source(mount: Mount) -> int:
    """Descriptor of a detached copy of what the mount shows, taken where the host's paths still mean something."""
    recursive = m.AT_RECURSIVE if "bind" not in mount.options else 0
    if not mount.subpath:
        return m.open_tree(m.AT_FDCWD, mount.source, m.OPEN_TREE_CLONE | m.OPEN_TREE_CLOEXEC | recursive)
    root = os.open(mount.source, os.O_PATH | os.O_CLOEXEC)
    try:
        return open_below(root, mount.subpath, recursive)
    finally:
        os.close(root)


def open_below(root: int, subpath: str, recursive: int = 0) -> int:
    """Descriptor of a detached copy of what a path in the directory `root` leads to, which links can't leave.

    The path is held from the walk to the copy, so that nobody can exchange a part of it meanwhile.
    """
    if ".." in subpath.split("/"):
        raise OSError(errno.EXDEV, "the subpath leads out of the volume", subpath)
    held = openat2(root, subpath, os.O_PATH, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
    try:
        flags = m.OPEN_TREE_CLONE | m.OPEN_TREE_CLOEXEC | m.AT_EMPTY_PATH | recursive
        return m.open_tree(held, "", flags)
    finally:
        os.close(held)


def is_bind(mount: Mount) -> bool:
    """Whether the mount shows something of the host."""
    return mount.type == "bind" or bool(BIND_OPTIONS.intersection(mount.options))


def is_composed(mount: Mount) -> bool:
    """Whether the mount is put together from what the spec says: layers, or a file's content."""
    return mount.overlay is not None or mount.content is not None


def is_staged(mount: Mount, replaced: Container[str] = ()) -> bool:
    """Whether the mount is a kernel file system in one of the three trees that isn't replaced."""
    tree = tree_of(mount.destination)
    return bool(tree) and tree not in replaced and not is_bind(mount) and not is_composed(mount)


def tree_of(path: str) -> str:
    """The tree that holds `path`, or "".

    >>> tree_of("/proc/sys"), tree_of("/process")
    ('/proc', '')
    """
    return next((tree for tree in TREES if path == tree or path.startswith(tree + "/")), "")


def split_options(options: Iterable[str]) -> tuple[int, str]:
    """Flags of mount(2) and the rest as its data.

    >>> split_options(("nosuid", "mode=755", "size=1k"))
    (2, 'mode=755,size=1k')
    """
    flags, data = 0, []
    for option in options:
        if option in FLAGS:
            flags |= FLAGS[option]
        elif option not in BIND_OPTIONS and option not in PROPAGATION:
            data.append(option)
    return flags, ",".join(data)


def make_directory(path: str) -> None:
    """Make a directory and those above it, where they are missing."""
    try:
        os.mkdir(path)
    except FileExistsError:
        pass
    except FileNotFoundError:
        make_directory(os.path.dirname(path))
        os.mkdir(path)
