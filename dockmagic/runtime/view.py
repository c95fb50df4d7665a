"""The root of a container as one descriptor: what it sees now, or what it would see if it ran.

Whoever looks up paths from the descriptor (openat2 with RESOLVE_IN_ROOT) crosses the container's own mounts. Nothing
is mounted where anybody else could see it: the layers of a container that doesn't run are mounted by a thread in a
mount namespace of its own, which lasts as long as its descriptor and goes with the process however that ends. No file
of a container is ever executed, or loaded by this process. Source: unshare(2), setns(2), mount_namespaces(7).
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from dockmagic.errors import ContainerError, DockmagicError, InvalidState, NotFound
from dockmagic.linux import mount as m
from dockmagic.linux.process import CLONE_FS, CLONE_NEWNS, setns, unshare
from dockmagic.oci.spec import READ_ONLY_TOP, Mount, Overlay
from dockmagic.oci.volumes import place
from dockmagic.runtime.container import Containers, Row
from dockmagic.runtime.holding import held
from dockmagic.runtime.inside import reach
from dockmagic.runtime.overlay import mount_overlay
from dockmagic.runtime.rootfs import is_bind, open_source
from dockmagic.runtime.state import ContainerState

_ROOT: Final = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC

Keep = Callable[[int], None]  # takes a descriptor that is to stay open


@contextlib.contextmanager
def opened_root(rows: Containers, row: Row) -> Iterator[int]:
    """Descriptor of the container's root, with what is mounted in it, for the block.

    A container that doesn't run has its bind mounts in place but, as in Docker, no tmpfs; it isn't started meanwhile.
    Raises NotFound, and InvalidState at the end where a running one has ended meanwhile.
    """
    with held(rows, row) as now:
        with _running_root(rows, row, now) if now.running else _mounted_root(row, rows.directory(row.id)) as fd:
            yield fd


@contextlib.contextmanager
def _running_root(rows: Containers, row: Row, now: ContainerState) -> Iterator[int]:
    """The root of the mount namespace that the container's first process is in, which may have changed its own."""
    try:
        with _made_apart(lambda keep: _join(now.pid, keep), row) as fd:
            _check_same(rows, row, now)  # by now the number could be another process's
            yield fd
    except (OSError, DockmagicError):
        _check_same(rows, row, now)
        raise
    _check_same(rows, row, now)


def _check_same(rows: Containers, row: Row, before: ContainerState) -> None:
    """Raise InvalidState, or NotFound, unless the container runs as it did."""
    now = rows.state(row.id)
    if (now.pid, now.started_ns) != (before.pid, before.started_ns):
        raise InvalidState(row.id, "copy files of", f"{now.status.value}: it ended meanwhile")


def _join(pid: int, keep: Keep) -> None:
    """Go to where this process is, and keep the root there."""
    namespace = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    try:
        unshare(CLONE_FS)
        setns(namespace, CLONE_NEWNS)
    finally:
        os.close(namespace)
    keep(os.open("/", _ROOT))


@contextlib.contextmanager
def _mounted_root(row: Row, directory: Path) -> Iterator[int]:
    """The layers with the bind mounts upon them, mounted for nobody else."""
    overlay = row.spec.root.overlay
    if overlay is None:
        raise NotFound("root file system", row.name, "its container isn't made of layers")

    def mount(keep: Keep) -> None:
        _mount(overlay, str(directory), _chosen(row), keep, readonly=row.spec.root.readonly)

    with _made_apart(mount, row) as fd:
        yield fd


def _chosen(row: Row) -> tuple[Mount, ...]:
    """The mounts that were asked for, volumes too, in the order of a start; files made for each start aren't here."""
    places = {place(mount.destination) for mount in row.options.mounts}
    places |= {place(volume.destination) for volume in row.options.volumes}
    return tuple(mount for mount in row.spec.mounts if place(mount.destination) in places)


def _mount(overlay: Overlay, target: str, binds: Sequence[Mount], keep: Keep, *, readonly: bool) -> None:
    """Mount all of it in a namespace of its own, and keep that and the root."""
    unshare(CLONE_NEWNS)  # of this thread only, and its working directory with it
    keep(os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC))
    os.chdir("/")
    m.mount("", "/", "", m.MS_REC | m.MS_PRIVATE)
    mount_overlay(overlay, target)  # over the directory that the layers' own is in
    root = os.open(target, _ROOT)
    keep(root)
    for mount in binds:
        _bind(root, mount)
    if readonly:
        m.mount_setattr(root, "", m.AT_EMPTY_PATH, m.MOUNT_ATTR_RDONLY)


@contextlib.contextmanager
def _made_apart(make: Callable[[Keep], None], row: Row) -> Iterator[int]:
    """The last descriptor that `make` keeps, for the block; it works in a thread, whose namespaces it may change.

    Raises ContainerError where it fails.
    """
    kept: list[int] = []
    errors: list[Exception] = []

    def work() -> None:
        try:
            make(kept.append)
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=work, name="files", daemon=True)
    try:
        thread.start()
        thread.join()
        if errors:
            raise ContainerError(f"cannot get at the files of container {row.name}: {errors[0]}") from errors[0]
        yield kept[-1]
    finally:
        if thread.ident is not None:
            thread.join()
        while kept:
            os.close(kept.pop())


def _bind(root: int, mount: Mount) -> None:
    """Put a bind mount in its place below the root; one whose source is gone is left out."""
    if not is_bind(mount):
        return
    try:
        source = open_source(mount)
    except FileNotFoundError:
        return
    try:
        flags = m.MOUNT_ATTR_RDONLY if {"ro", READ_ONLY_TOP}.intersection(mount.options) else 0
        m.mount_setattr(source, "", m.AT_EMPTY_PATH | m.AT_RECURSIVE, flags, m.MS_PRIVATE)
        target = reach(root, mount.destination, directory=stat.S_ISDIR(os.fstat(source).st_mode))
        try:
            m.move_mount(source, "", target, "", m.MOVE_MOUNT_F_EMPTY_PATH | m.MOVE_MOUNT_T_EMPTY_PATH)
        finally:
            os.close(target)
    finally:
        os.close(source)
