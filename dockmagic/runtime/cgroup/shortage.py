"""Notices of a control group that runs out of memory, when it does.

Source: the kernel's admin-guide/cgroup-v1/memory, "OOM Control", and cgroup-v2, "memory.events".
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from dockmagic.linux import inotify
from dockmagic.runtime.cgroup import control
from dockmagic.runtime.cgroup.group import UNIFIED


def watch(paths: Mapping[str, str]) -> int:
    """A descriptor that has something to read after the group of these directories has been short; raises OSError.

    On v1 that comes a moment before the kernel kills.
    """
    return _watch_v1(paths["memory"]) if "memory" in paths else _watch_v2(paths[UNIFIED])


def _watch_v1(directory: str) -> int:
    bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    try:
        watched = os.open(f"{directory}/memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
        try:
            control.write(f"{directory}/cgroup.event_control", f"{bell} {watched}")
        finally:
            os.close(watched)
    except BaseException:
        os.close(bell)
        raise
    return bell


def _watch_v2(directory: str) -> int:
    bell = inotify.inotify_init1(inotify.IN_NONBLOCK | inotify.IN_CLOEXEC)
    try:
        inotify.inotify_add_watch(bell, f"{directory}/memory.events", inotify.IN_MODIFY)
    except BaseException:
        os.close(bell)
        raise
    return bell
