"""Watching files for changes. Source: inotify(7)."""

from __future__ import annotations

import os
from typing import Final

from dockmagic.linux.libc import checked, libc

IN_MODIFY: Final = 0x2
IN_NONBLOCK: Final = os.O_NONBLOCK
IN_CLOEXEC: Final = os.O_CLOEXEC


def inotify_init1(flags: int) -> int:
    """A descriptor that has something to read when a watched file has changed."""
    return checked(libc.inotify_init1(flags), "inotify_init1")


def inotify_add_watch(descriptor: int, path: str, mask: int) -> int:
    """Watch a file for the events of the mask; the watch's number."""
    return checked(libc.inotify_add_watch(descriptor, os.fsencode(path), mask), "inotify_add_watch", path)
