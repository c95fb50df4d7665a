"""Mounts that are put together from what the spec says: layers seen as one tree, or a file of given content.

They are made in the sandbox, which still sees the state root, as detached mounts to be attached after pivot_root.
Source: open_tree(2), tmpfs(5).
"""

from __future__ import annotations

import base64
import os
from typing import Final

from dockmagic.linux import mount as m
from dockmagic.oci.spec import Mount
from dockmagic.runtime import rootfs
from dockmagic.runtime.overlay import mount_overlay

PLACE: Final = "/composed"  # in the sandbox's own root; nothing stays mounted there
_FILE: Final = f"{PLACE}/file"
_NO_PROGRAMS: Final = m.MS_NOSUID | m.MS_NODEV | m.MS_NOEXEC


def make(mount: Mount) -> int:
    """Descriptor of the detached mount; raises OSError. The overlay's directories are as the sandbox sees them."""
    os.makedirs(PLACE, exist_ok=True)
    if mount.overlay is not None:
        mount_overlay(mount.overlay, PLACE)
        shown = PLACE
    else:
        m.mount("tmpfs", PLACE, "tmpfs", _NO_PROGRAMS, "mode=700")
        _write(base64.b64decode(mount.content or ""), mount.options)
        shown = _FILE
    try:
        return rootfs.open_source(Mount("", "bind", shown, ("bind",), subpath=mount.subpath))
    finally:
        m.umount2(PLACE, m.MNT_DETACH)


def _write(content: bytes, options: tuple[str, ...]) -> None:
    """Make the file, with the owner and mode that the options say, root's and 0400 if they don't."""
    values = dict(option.split("=", 1) for option in options if "=" in option)
    with open(_FILE, "xb") as file:
        file.write(content)
    os.chown(_FILE, int(values.get("uid", 0)), int(values.get("gid", 0)))
    os.chmod(_FILE, int(values.get("mode", "400"), 8))
