"""User namespaces for their mappings: of a container, and of a mount. Source: user_namespaces(7), mount_setattr(2)."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable

from dockmagic.linux import mount as m
from dockmagic.linux import process as p
from dockmagic.oci.config import IDMapping


def write(pid: int, uids: Iterable[IDMapping], gids: Iterable[IDMapping]) -> None:
    """Give the user namespace of a process its mappings; raises OSError."""
    for name, mappings in (("uid_map", uids), ("gid_map", gids)):
        text = "".join(f"{mapping.container_id} {mapping.host_id} {mapping.size}\n" for mapping in mappings)
        with open(f"/proc/{pid}/{name}", "w") as file:
            file.write(text)


def apply(mount: int, uids: Iterable[IDMapping], gids: Iterable[IDMapping], recursive: int) -> None:
    """Have a detached mount show owners by the mappings; raises OSError where its file system can't."""
    namespace = _make(uids, gids)
    try:
        flags = m.AT_EMPTY_PATH | recursive
        m.mount_setattr(mount, "", flags, m.MOUNT_ATTR_IDMAP, userns_fd=namespace)
    finally:
        os.close(namespace)


def _make(uids: Iterable[IDMapping], gids: Iterable[IDMapping]) -> int:
    """Descriptor of a new user namespace with these mappings, which a process has that is gone by then."""
    pid, pidfd = p.clone3(p.CLONE_NEWUSER, signal.SIGCHLD)
    if pid == 0:
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
        os._exit(0)
    try:
        write(pid, uids, gids)
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
        os.close(pidfd)
