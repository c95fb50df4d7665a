"""A mount's options, sorted by what they ask of the kernel. Source: runtime-spec config.md "Mounts"; mount(8). Pure.

An option is a flag of mount(2), an attribute for a mount and all below it (mount_setattr(2)), a propagation, one of
the specification's own words, or else the file system's business.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from dockmagic.linux import mount as m
from dockmagic.runtime import rootfs

_FLAGS: Final = {
    "ro": (m.MS_RDONLY, 0),
    "rw": (0, m.MS_RDONLY),
    "nosuid": (m.MS_NOSUID, 0),
    "suid": (0, m.MS_NOSUID),
    "nodev": (m.MS_NODEV, 0),
    "dev": (0, m.MS_NODEV),
    "noexec": (m.MS_NOEXEC, 0),
    "exec": (0, m.MS_NOEXEC),
    "sync": (m.MS_SYNCHRONOUS, 0),
    "async": (0, m.MS_SYNCHRONOUS),
    "dirsync": (m.MS_DIRSYNC, 0),
    "remount": (m.MS_REMOUNT, 0),
    "mand": (m.MS_MANDLOCK, 0),
    "nomand": (0, m.MS_MANDLOCK),
    "noatime": (m.MS_NOATIME, 0),
    "atime": (0, m.MS_NOATIME),
    "nodiratime": (m.MS_NODIRATIME, 0),
    "diratime": (0, m.MS_NODIRATIME),
    "relatime": (m.MS_RELATIME, 0),
    "norelatime": (0, m.MS_RELATIME),
    "strictatime": (m.MS_STRICTATIME, 0),
    "nostrictatime": (0, m.MS_STRICTATIME),
    "iversion": (m.MS_I_VERSION, 0),
    "noiversion": (0, m.MS_I_VERSION),
    "lazytime": (m.MS_LAZYTIME, 0),
    "nolazytime": (0, m.MS_LAZYTIME),
    "silent": (m.MS_SILENT, 0),
    "loud": (0, m.MS_SILENT),
    "nosymfollow": (m.MS_NOSYMFOLLOW, 0),
    "symfollow": (0, m.MS_NOSYMFOLLOW),
    "defaults": (0, 0),
}
_RECURSIVE: Final = {
    "rro": (m.MOUNT_ATTR_RDONLY, 0),
    "rrw": (0, m.MOUNT_ATTR_RDONLY),
    "rnosuid": (m.MOUNT_ATTR_NOSUID, 0),
    "rsuid": (0, m.MOUNT_ATTR_NOSUID),
    "rnodev": (m.MOUNT_ATTR_NODEV, 0),
    "rdev": (0, m.MOUNT_ATTR_NODEV),
    "rnoexec": (m.MOUNT_ATTR_NOEXEC, 0),
    "rexec": (0, m.MOUNT_ATTR_NOEXEC),
    "rnoatime": (m.MOUNT_ATTR_NOATIME, m.MOUNT_ATTR_ATIME),
    "ratime": (0, m.MOUNT_ATTR_ATIME),
    "rrelatime": (0, m.MOUNT_ATTR_ATIME),
    "rnorelatime": (0, m.MOUNT_ATTR_ATIME),
    "rstrictatime": (m.MOUNT_ATTR_STRICTATIME, m.MOUNT_ATTR_ATIME),
    "rnostrictatime": (0, m.MOUNT_ATTR_ATIME),
    "rnodiratime": (m.MOUNT_ATTR_NODIRATIME, 0),
    "rdiratime": (0, m.MOUNT_ATTR_NODIRATIME),
    "rnosymfollow": (m.MOUNT_ATTR_NOSYMFOLLOW, 0),
    "rsymfollow": (0, m.MOUNT_ATTR_NOSYMFOLLOW),
}
PROPAGATION: Final = {
    **rootfs.PROPAGATION,
    "unbindable": m.MS_UNBINDABLE,
    "runbindable": m.MS_UNBINDABLE | m.MS_REC,
}
_ATTRIBUTES: Final = {  # of a bind mount, which takes no flags of mount(2) at once
    m.MS_RDONLY: (m.MOUNT_ATTR_RDONLY, 0),
    m.MS_NOSUID: (m.MOUNT_ATTR_NOSUID, 0),
    m.MS_NODEV: (m.MOUNT_ATTR_NODEV, 0),
    m.MS_NOEXEC: (m.MOUNT_ATTR_NOEXEC, 0),
    m.MS_NOATIME: (m.MOUNT_ATTR_NOATIME, m.MOUNT_ATTR_ATIME),
    m.MS_STRICTATIME: (m.MOUNT_ATTR_STRICTATIME, m.MOUNT_ATTR_ATIME),
    m.MS_NODIRATIME: (m.MOUNT_ATTR_NODIRATIME, 0),
    m.MS_NOSYMFOLLOW: (m.MOUNT_ATTR_NOSYMFOLLOW, 0),
}
OWN_WORDS: Final = ("bind", "rbind", "tmpcopyup", "idmap", "ridmap")


@dataclass(frozen=True, slots=True)
class MountOptions:
    """Flags of mount(2); attributes set and cleared for a tree of mounts; propagations; own words; the rest."""

    flags: int = 0
    recursive_set: int = 0
    recursive_clear: int = 0
    propagation: tuple[int, ...] = ()
    words: frozenset[str] = frozenset()
    data: tuple[str, ...] = ()

    @property
    def attributes(self) -> tuple[int, int]:
        """The flags as attributes to set and to clear first."""
        chosen = [pair for flag, pair in _ATTRIBUTES.items() if self.flags & flag]
        return sum(pair[0] for pair in chosen), _union(pair[1] for pair in chosen)


def parse(options: Iterable[str]) -> MountOptions:
    """The options, sorted.

    >>> parse(("nosuid", "rprivate", "mode=755", "size=1k")).data
    ('mode=755', 'size=1k')
    """
    flags, attributes, clear = 0, 0, 0
    propagation, words, data = list[int](), set[str](), list[str]()
    for option in options:
        if option in _FLAGS:
            on, off = _FLAGS[option]
            flags = (flags | on) & ~off
        elif option in _RECURSIVE:
            on, off = _RECURSIVE[option]
            attributes, clear = (attributes & ~off) | on, clear | off
        elif option in PROPAGATION:
            propagation.append(PROPAGATION[option])
        elif option in OWN_WORDS:
            words.add(option)
        else:
            data.append(option)
    return MountOptions(flags, attributes, clear, tuple(propagation), frozenset(words), tuple(data))


def names() -> list[str]:
    """All options that aren't a file system's own business, by name."""
    return sorted([*_FLAGS, *_RECURSIVE, *PROPAGATION, *OWN_WORDS])


def _union(masks: Iterable[int]) -> int:
    found = 0
    for mask in masks:
        found |= mask
    return found
