"""Trees with a file of every kind, and descriptions of trees that can be compared."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import NamedTuple

CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")  # cap_net_raw=ep, in the form of version 2
LONG = "/".join(["long-" + letter * 60 for letter in "abcd"])
BASE_NS = 1_600_000_000_123_456_789


class Description(NamedTuple):
    """All that a layer carries of a file."""

    mode: int
    owner: tuple[int, int]
    mtime_ns: int
    content: str
    device: int
    xattrs: tuple[tuple[str, bytes], ...]
    first_name: str


def make_rich_tree(root: Path) -> Path:
    """A tree with a file of every kind, below `root`, which is made."""
    (root / "usr/bin").mkdir(parents=True)
    (root / LONG).mkdir(parents=True)
    (root / "empty").mkdir()
    files = {"usr/bin/ping": 0o755, "usr/bin/su": 0o4755, "etc": 0o644, f"{LONG}/name": 0o600, "größe\n": 0o640}
    for name, mode in files.items():
        (root / name).write_bytes(name.encode() * 300)
        (root / name).chmod(mode)
    (root / "large").write_bytes(bytes(range(256)) * 10_000)
    with (root / "sparse").open("wb") as file:
        for offset in (0, 1 << 20, 3 << 20):
            file.seek(offset)
            file.write(b"data" * 1000)
        file.truncate(5 << 20)
    os.chown(root / "usr/bin/su", 70_000, 3_000_000)
    (root / "usr/bin/su").chmod(0o6755)
    os.setxattr(root / "usr/bin/ping", "security.capability", CAPABILITY)
    os.setxattr(root / "etc", "user.note", b"\0\xff\n")
    os.setxattr(root / "usr", "user.note", b"on a directory")
    (root / "link").symlink_to("/usr/bin/ping")
    (root / "long link").symlink_to("../" * 60 + "x")
    (root / "usr/bin/hard").hardlink_to(root / "etc")
    (root / "usr/bin/harder").hardlink_to(root / "etc")
    os.mkfifo(root / "fifo", 0o622)
    os.mknod(root / "usr/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(root / "usr/disk", stat.S_IFBLK | 0o660, os.makedev(259, 70_000))
    (root / "empty").chmod(0o1777)
    os.chown(root / "empty", 1, 2)
    settle_times(root)
    return root


def settle_times(root: Path) -> None:
    """Give everything below a root a time of its own, with nanoseconds."""
    for index, path in enumerate(sorted(root.rglob("*"), reverse=True)):
        os.utime(path, ns=(0, BASE_NS + index * 1_000_000_007), follow_symlinks=False)


def describe(root: Path) -> dict[str, Description]:
    """What there is below a root, by path."""
    first_names: dict[tuple[int, int], str] = {}
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        status = path.lstat()
        first = first_names.setdefault((status.st_dev, status.st_ino), name)
        found[name] = Description(
            status.st_mode,
            (status.st_uid, status.st_gid),
            status.st_mtime_ns,
            _content(path, status),
            status.st_rdev,
            _xattrs(path),
            first,
        )
    return found


def _content(path: Path, status: os.stat_result) -> str:
    if stat.S_ISREG(status.st_mode):
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return str(path.readlink()) if stat.S_ISLNK(status.st_mode) else ""


def _xattrs(path: Path) -> tuple[tuple[str, bytes], ...]:
    names = sorted(name for name in os.listxattr(path, follow_symlinks=False) if "overlay" not in name)
    return tuple((name, os.getxattr(path, name, follow_symlinks=False)) for name in names)
