"""Mounts that are made from what the spec says: layers seen as one tree, a file of given content, a file system.

They are made in the sandbox, which still sees the state root, as detached mounts to be attached after pivot_root.
Source: open_tree(2), tmpfs(5).
"""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from typing import Final

from dockmagic.linux import mount as m
from dockmagic.oci.spec import Mount
from dockmagic.runtime import rootfs
from dockmagic.runtime.overlay import mount_overlay

PLACE: Final = "/composed"  # in the sandbox's own root; nothing stays mounted there
_FILE: Final = f"{PLACE}/file"
_NO_PROGRAMS: Final = m.MS_NOSUID | m.MS_NODEV | m.MS_NOEXEC


def make(mount: Mount, cgroups: Sequence[rootfs.CgroupMount] = ()) -> int:
    """Descriptor of the detached mount; raises OSError. The overlay's directories are as the sandbox sees them."""
    os.makedirs(PLACE, exist_ok=True)
    shown = mounted = PLACE
    if mount.overlay is not None:
        mount_overlay(mount.overlay, PLACE)
    elif mount.content is not None:
        m.mount("tmpfs", PLACE, "tmpfs", _NO_PROGRAMS, "mode=700")
        _write(base64.b64decode(mount.content), mount.options)
        shown = _FILE
    else:
        shown = mounted = PLACE + mount.destination
        for operation in rootfs.file_systems(mount, cgroups):
            operation.execute(PLACE)
    try:
        return rootfs.open_source(Mount("", "bind", shown, ("rbind",), subpath=mount.subpath))
    finally:
        m.umount2(mounted, m.MNT_DETACH)


def _write(content: bytes, options: tuple[str, ...]) -> None:
    """Make the file, with the owner and mode that the options say, root's and 0400 if they don't."""
    values = dict(option.split("=", 1) for option in options if "=" in option)
    with open(_FILE, "xb") as file:
        file.write(content)
    os.chown(_FILE, int(values.get("uid", 0)), int(values.get("gid", 0)))
    os.chmod(_FILE, int(values.get("mode", "400"), 8))
