"""The root of a container as one descriptor: what it sees now, or what it would see if it ran.

Whoever looks up paths from the descriptor (openat2 with RESOLVE_IN_ROOT) crosses the container's own mounts. Nothing
is mounted where anybody else could see it: the layers of a container that doesn't run are mounted by a thread in a
mount namespace of its own, which lasts as long as its descriptor and goes with the process however that ends.
Source: unshare(2), mount_namespaces(7), open_tree(2), openat2(2).
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from dockmagic.errors import ContainerError, DockmagicError, InvalidState, NotFound
from dockmagic.linux import mount as m
from dockmagic.linux.files import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2
from dockmagic.linux.process import CLONE_NEWNS, unshare
from dockmagic.oci.spec import Mount, Overlay
from dockmagic.runtime.container import Containers, Row
from dockmagic.runtime.overlay import mount_overlay
from dockmagic.runtime.rootfs import is_bind, open_source
from dockmagic.runtime.state import ContainerState

_ROOT: Final = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_INSIDE: Final = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS


@contextlib.contextmanager
def opened_root(rows: Containers, row: Row) -> Iterator[int]:
    """Descriptor of the container's root, with what is mounted in it, for the block.

    A container that doesn't run has its bind mounts in place but, as in Docker, no tmpfs; it isn't started meanwhile.
    Raises NotFound, and InvalidState at the end where a running one has ended meanwhile.
    """
    with rows.held(row) as now:
        with _running_root(rows, row, now) if now.running else _mounted_root(row, rows.directory(row.id)) as fd:
            yield fd


@contextlib.contextmanager
def _running_root(rows: Containers, row: Row, now: ContainerState) -> Iterator[int]:
    """The root that the container's first process has."""
    try:
        fd = os.open(f"/proc/{now.pid}/root", _ROOT)
    except (FileNotFoundError, ProcessLookupError) as error:
        raise InvalidState(row.id, "look into", "ending") from error
    try:
        _check_same(rows, row, now)  # by now the number could be another process's
        try:
            yield fd
        except (OSError, DockmagicError):
            _check_same(rows, row, now)
            raise
        _check_same(rows, row, now)
    finally:
        os.close(fd)


def _check_same(rows: Containers, row: Row, before: ContainerState) -> None:
    """Raise InvalidState, or NotFound, unless the container runs as it did."""
    now = rows.state(row.id)
    if (now.pid, now.started_ns) != (before.pid, before.started_ns):
        raise InvalidState(row.id, "copy files of", f"{now.status.value}: it ended meanwhile")


@contextlib.contextmanager
def _mounted_root(row: Row, directory: Path) -> Iterator[int]:
    """The layers with the bind mounts upon them, mounted for nobody else."""
    overlay = row.spec.root.overlay
    if overlay is None:
        raise NotFound("root file system", row.name, "its container isn't made of layers")
    mounting = _Mounting(overlay, str(directory), row.options.mounts, readonly=row.spec.root.readonly)
    try:
        mounting.start()
        mounting.join()
        yield mounting.root()
    finally:
        mounting.close()


class _Mounting(threading.Thread):
    """Mounts in a namespace of its own, and ends: the namespace stays as long as its descriptor."""

    def __init__(self, overlay: Overlay, target: str, binds: Sequence[Mount], *, readonly: bool) -> None:
        super().__init__(name="mount", daemon=True)
        self._overlay = overlay
        self._target = target
        self._binds = binds
        self._readonly = readonly
        self._descriptors: list[int] = []
        self._error: Exception | None = None

    def run(self) -> None:
        """Make the namespace and what is mounted in it."""
        try:
            unshare(CLONE_NEWNS)  # of this thread only, with a working directory of its own
            self._descriptors.append(os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC))
            m.mount("", "/", "", m.MS_REC | m.MS_PRIVATE)
            mount_overlay(self._overlay, self._target)  # over the directory that the layers' own is in
            root = os.open(self._target, _ROOT)
            self._descriptors.append(root)
            for mount in self._binds:
                _bind(root, mount)
            if self._readonly:
                m.mount_setattr(root, "", m.AT_EMPTY_PATH, m.MOUNT_ATTR_RDONLY)
        except Exception as error:
            self._error = error

    def root(self) -> int:
        """The root's descriptor; raises ContainerError where it couldn't be mounted."""
        if self._error is not None:
            raise ContainerError(f"cannot mount the container's files: {self._error}") from self._error
        return self._descriptors[-1]

    def close(self) -> None:
        """Let go of it all."""
        if self.ident is not None:
            self.join()
        while self._descriptors:
            os.close(self._descriptors.pop())


def _bind(root: int, mount: Mount) -> None:
    """Put a bind mount in its place below the root; one whose source is gone is left out."""
    if not is_bind(mount):
        return
    try:
        source = open_source(mount)
    except FileNotFoundError:
        return
    try:
        flags = m.MOUNT_ATTR_RDONLY if "ro" in mount.options else 0
        m.mount_setattr(source, "", m.AT_EMPTY_PATH | m.AT_RECURSIVE, flags, m.MS_PRIVATE)
        target = _mount_point(root, mount.destination, directory=stat.S_ISDIR(os.fstat(source).st_mode))
        try:
            m.move_mount(source, "", target, "", m.MOVE_MOUNT_F_EMPTY_PATH | m.MOVE_MOUNT_T_EMPTY_PATH)
        finally:
            os.close(target)
    finally:
        os.close(source)


def _mount_point(root: int, path: str, *, directory: bool) -> int:
    """Descriptor of a path to mount on, made where it is missing as a start would make it."""
    with contextlib.suppress(FileNotFoundError):
        return openat2(root, path, os.O_PATH, resolve=_INSIDE)
    above, _, name = path.rstrip("/").rpartition("/")
    parent = _mount_point(root, above or "/", directory=True)
    try:
        if directory:
            os.mkdir(name, 0o755, dir_fd=parent)
        else:
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o755, dir_fd=parent))
    except FileExistsError as error:  # a link that leads nowhere
        raise OSError(errno.ENOENT, "a link leads to nothing", path) from error
    finally:
        os.close(parent)
    return openat2(root, path, os.O_PATH, resolve=_INSIDE)
