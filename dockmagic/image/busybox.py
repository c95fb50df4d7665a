"""The file system of a BusyBox image as a layer archive; pure: the same binary gives the same bytes.

The content is that of the official image: every applet is a hard link in /bin, with the users that its /etc knows.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Sequence
from typing import Final

_DIRECTORIES: Final = (  # path, mode, uid and gid, parents first
    ("bin", 0o755, 0),
    ("dev", 0o755, 0),
    ("etc", 0o755, 0),
    ("home", 0o755, 65534),
    ("root", 0o700, 0),
    ("tmp", 0o1777, 0),
    ("usr", 0o755, 0),
    ("usr/bin", 0o755, 0),
    ("usr/sbin", 0o755, 1),
    ("var", 0o755, 0),
    ("var/spool", 0o755, 0),
    ("var/spool/mail", 0o755, 8),
    ("var/www", 0o755, 33),
)

_USERS: Final = (  # name, uid, gid, home, shell
    ("root", 0, 0, "/root", "/bin/sh"),
    ("daemon", 1, 1, "/usr/sbin", "/bin/false"),
    ("bin", 2, 2, "/bin", "/bin/false"),
    ("sys", 3, 3, "/dev", "/bin/false"),
    ("sync", 4, 100, "/bin", "/bin/sync"),
    ("mail", 8, 8, "/var/spool/mail", "/bin/false"),
    ("www-data", 33, 33, "/var/www", "/bin/false"),
    ("operator", 37, 37, "/var", "/bin/false"),
    ("nobody", 65534, 65534, "/home", "/bin/false"),
)

_GROUPS: Final = (
    ("root", 0),
    ("daemon", 1),
    ("bin", 2),
    ("sys", 3),
    ("adm", 4),
    ("tty", 5),
    ("disk", 6),
    ("lp", 7),
    ("mail", 8),
    ("kmem", 9),
    ("wheel", 10),
    ("cdrom", 11),
    ("dialout", 18),
    ("floppy", 19),
    ("video", 28),
    ("audio", 29),
    ("tape", 32),
    ("www-data", 33),
    ("operator", 37),
    ("utmp", 43),
    ("plugdev", 46),
    ("staff", 50),
    ("lock", 54),
    ("netdev", 82),
    ("users", 100),
    ("nogroup", 65534),
)


def layer_archive(binary: bytes, applets: Iterable[str]) -> bytes:
    """An uncompressed layer with BusyBox and a link for each applet; every time in it is the epoch."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path, mode, owner in _DIRECTORIES:
            tar.addfile(_member(path, tarfile.DIRTYPE, mode, owner))
        _add_file(tar, "bin/busybox", binary, 0o755)
        for applet in sorted(set(applets) - {"busybox"}):
            tar.addfile(_member(f"bin/{applet}", tarfile.LNKTYPE, 0o755, link="bin/busybox"))
        tar.addfile(_member("usr/bin/env", tarfile.SYMTYPE, 0o777, link="../../bin/env"))
        for name, text, mode in _etc():
            _add_file(tar, f"etc/{name}", text.encode(), mode)
    return archive.getvalue()


def _etc() -> Sequence[tuple[str, str, int]]:
    """Name, text and mode of the files in /etc."""
    members = {"wheel": "root"}
    group = "".join(f"{name}:x:{gid}:{members.get(name, '')}\n" for name, gid in _GROUPS)
    passwd = "".join(f"{name}:x:{uid}:{gid}:{name}:{home}:{shell}\n" for name, uid, gid, home, shell in _USERS)
    shadow = "".join(f"{name}:*:::::::\n" for name, *_ in _USERS)
    nsswitch = "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n"
    return (
        ("group", group, 0o644),
        ("nsswitch.conf", nsswitch, 0o644),
        ("passwd", passwd, 0o644),
        ("shadow", shadow, 0o600),
    )


def _add_file(tar: tarfile.TarFile, path: str, data: bytes, mode: int) -> None:
    member = _member(path, tarfile.REGTYPE, mode)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def _member(path: str, kind: bytes, mode: int, owner: int = 0, link: str = "") -> tarfile.TarInfo:
    """An entry that belongs to `owner` (uid and gid alike) and is as old as the epoch."""
    member = tarfile.TarInfo(path)
    member.type, member.mode, member.linkname = kind, mode, link
    member.uid = member.gid = owner
    member.mtime = 0
    return member
