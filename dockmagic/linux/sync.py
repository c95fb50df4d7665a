"""Bringing files to the disk, beyond os.fsync. Source: syncfs(2), random(4) for the boot's name."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from dockmagic.linux.libc import checked, libc


def syncfs(path: Path) -> None:
    """Write out all that is dirty in the file system which holds `path`."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        checked(libc.syncfs(fd), "syncfs", str(path))
    finally:
        os.close(fd)


def fsync(path: Path) -> None:
    """Write out this file, or the names in this directory."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@cache
def boot_id() -> str:
    """Name of this boot of the machine: what was written since is in the page cache at least."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
