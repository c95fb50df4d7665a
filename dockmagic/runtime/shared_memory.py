"""The shared memory of another container, for one that joins its IPC namespace: a copy of its mount at /dev/shm.

A mount can only be copied by who is in its mount namespace, so that the caller goes there for a moment.
Source: open_tree(2), setns(2), shm_overview(7).
"""

from __future__ import annotations

import os
from typing import Final

from dockmagic.linux import mount as m
from dockmagic.linux import process as p
from dockmagic.linux.files import RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, openat2

PATH: Final = "/dev/shm"


def shared(namespace: int) -> int:
    """Descriptor of a detached copy of what is mounted at /dev/shm in a mount namespace; raises OSError.

    The caller has one thread. It must be able to come back: its root and directory are what they were before.
    """
    root, directory = (os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for path in ("/", "."))
    own = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    try:
        p.setns(namespace, p.CLONE_NEWNS)
        try:
            return _copied()
        finally:
            p.setns(own, p.CLONE_NEWNS)
            os.fchdir(root)
            os.chroot(".")
            os.fchdir(directory)
    finally:
        for descriptor in (own, root, directory):
            os.close(descriptor)


def _copied() -> int:
    """The copy, in the namespace; what a container has put in the place of the directory is not followed."""
    held = openat2(m.AT_FDCWD, PATH, os.O_PATH | os.O_DIRECTORY, 0, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)
    try:
        return m.open_tree(held, "", m.OPEN_TREE_CLONE | m.OPEN_TREE_CLOEXEC | m.AT_EMPTY_PATH)
    finally:
        os.close(held)
