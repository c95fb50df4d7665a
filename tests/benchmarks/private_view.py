"""A view of this host in which every runtime runs, and which takes along most of what they leave behind.

crun, and podman with it, refuse a host with cgroups of version 1 and version 2 side by side ("cgroups in hybrid mode
not supported"). In a mount namespace of its own, where version 2 is not mounted, they run. The host's mounts stay as
they are. Source: cgroups(7), mount_namespaces(7).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from dockmagic.linux.mount import MNT_DETACH, MS_PRIVATE, MS_REC, mount, umount2
from dockmagic.linux.process import unshare

CLONE_NEWNS: Final = 0x20000


def enter() -> None:
    """Move this process, of one thread, to a mount namespace of its own; on a hybrid host one of version 1 only."""
    unshare(CLONE_NEWNS)
    mount("none", "/", "", MS_REC | MS_PRIVATE)
    if mount_points("cgroup"):
        for point in mount_points("cgroup2"):
            umount2(point, MNT_DETACH)
    for directory in ("/run", "/dev/shm"):
        mount("tmpfs", directory, "tmpfs", 0, "mode=1777")


@contextmanager
def no_new_cgroups() -> Iterator[None]:
    """Remove at the end the top-level cgroups that were not there before, as far as they are empty."""
    before = top_cgroups()
    yield
    for path in top_cgroups() - before:
        for directory in sorted((path, *path.rglob("*/")), reverse=True):
            with suppress(OSError):
                directory.rmdir()


@contextmanager
def scratch() -> Iterator[Path]:
    """A new directory for all that is measured; it goes at the end, with what is mounted in it."""
    directory = Path(tempfile.mkdtemp(prefix="dockmagic-benchmark-"))
    try:
        yield directory
    finally:
        unmount_below(directory)
        shutil.rmtree(directory)


def top_cgroups() -> set[Path]:
    """The groups right below the roots of the hierarchies."""
    points = [*mount_points("cgroup"), *mount_points("cgroup2")]
    return {path for point in points for path in Path(point).iterdir() if path.is_dir()}


def unmount_below(directory: Path) -> None:
    """Unmount what is mounted below a directory, in this namespace."""
    for point in reversed(mount_points()):
        if point.startswith(f"{directory}/"):
            umount2(point, MNT_DETACH)


def mount_points(kind: str = "") -> list[str]:
    """Where file systems, or those of one type, are mounted; in the order of mounting."""
    rows = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    return [row[1] for row in rows if kind in ("", row[2])]
