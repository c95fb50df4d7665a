"""A freshly bootstrapped Debian tree, without what differs from one run or machine to the next.

Only names that the tree's own root contains are touched, and no symlink of it is followed.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_EMPTIED: Final = (  # directories that stay, without what is in them
    "debootstrap",
    "dev",
    "proc",
    "run",
    "sys",
    "tmp",
    "var/cache/apt",
    "var/cache/ldconfig",
    "var/lib/apt/lists",
    "var/tmp",
)
_REMOVED: Final = (  # this machine's, or copies of what was there before
    "etc/.pwd.lock",
    "etc/hostname",
    "etc/resolv.conf",
    "var/lib/dbus/machine-id",
    "var/lib/systemd/random-seed",
    "root/.bash_history",
)
_BACKUPS: Final = ("etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-", "etc/subuid-", "etc/subgid-")
_EMPTY_FILE: Final = "etc/machine-id"  # systemd fills it at the first start
_DAY_S: Final = 86400


def settle(tree: Path, started_s: float) -> int:
    """Clean the tree and make its times reproducible; the time (s since the epoch) that stands for "made now".

    `started_s` is when the bootstrap began: what is younger was made by it, and becomes as old as the youngest file
    that a package brought.
    """
    _clean(tree)
    times = (path.lstat().st_mtime for path in _walk(tree))
    epoch_s = int(max((time for time in times if time < started_s), default=0))
    _settle_shadow(tree / "etc/shadow", epoch_s)
    for path in _walk(tree):
        if path.lstat().st_mtime >= epoch_s:
            os.utime(path, (epoch_s, epoch_s), follow_symlinks=False)
    return epoch_s


def _clean(tree: Path) -> None:
    """Remove caches, logs, and what belongs to this machine."""
    for name in _EMPTIED:
        directory = tree / name
        if directory.is_dir() and not directory.is_symlink():
            _empty(directory)
    if (tree / "debootstrap").is_dir():
        (tree / "debootstrap").rmdir()
    for name in (*_REMOVED, *_BACKUPS):
        (tree / name).unlink(missing_ok=True)
    for name in ("var/lib/dpkg", "var/cache/debconf"):
        for backup in (tree / name).glob("*-old"):
            backup.unlink()
    for log in [path for path in _walk(tree / "var/log") if stat.S_ISREG(path.lstat().st_mode)]:
        log.unlink()
    (tree / _EMPTY_FILE).unlink(missing_ok=True)
    (tree / _EMPTY_FILE).touch(0o444)


def _empty(directory: Path) -> None:
    """Remove all that is in a directory."""
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _settle_shadow(shadow: Path, epoch_s: int) -> None:
    """Replace the day of each password's last change, which was today."""
    day = str(epoch_s // _DAY_S)
    rows = [line.split(":") for line in shadow.read_text().splitlines()]
    shadow.write_text("".join(":".join([*row[:2], day, *row[3:]]) + "\n" for row in rows))


def _walk(directory: Path) -> Iterator[Path]:
    """The directory and all below it, what is inside before what it is in; symlinks are not followed."""
    for parent, directories, files in os.walk(directory, topdown=False):
        yield from (Path(parent, name) for name in files)
        yield from (Path(parent, name) for name in directories if Path(parent, name).is_symlink())
        yield Path(parent)
