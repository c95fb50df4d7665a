"""Whether the host's mounts can pass on what is mounted later, as a bind asks for.

Source: mount_namespaces(7), "Shared subtrees"; proc_pid_mountinfo(5).
"""

from __future__ import annotations

import errno
import os
import re
from typing import Final

from dockmagic.oci.spec import Mount

_SHARED: Final = frozenset(("shared", "rshared"))
_SLAVE: Final = frozenset(("slave", "rslave"))
_OCTAL: Final = re.compile(r"\\([0-7]{3})")


def check(mount: Mount, mountinfo: str = "/proc/self/mountinfo") -> None:
    """Raise OSError where the bind is to share mounts with its source, or to get them, and that does neither."""
    wanted = _SHARED.union(_SLAVE).intersection(mount.options)
    if not wanted:
        return
    source = os.path.realpath(mount.source)
    with open(mountinfo) as file:
        point, fields = _holder(file.read(), source)
    shared = any(field.startswith("shared:") for field in fields)
    if not shared and wanted <= _SHARED:
        raise OSError(errno.EINVAL, f"path {source} is mounted on {point} but it is not a shared mount")
    if not shared and not any(field.startswith("master:") for field in fields):
        raise OSError(errno.EINVAL, f"path {source} is mounted on {point} but it is not a shared or slave mount")


def _holder(mountinfo: str, path: str) -> tuple[str, list[str]]:
    """The mount point that `path` is on, and the optional fields of its line; the last mount there counts."""
    point, fields = "/", list[str]()
    for line in mountinfo.splitlines():
        words = line.split(" ")
        here = _OCTAL.sub(lambda match: chr(int(match[1], 8)), words[4])
        if (path == here or path.startswith(here.rstrip("/") + "/")) and len(here) >= len(point):
            point, fields = here, words[6 : words.index("-")]
    return point, fields
