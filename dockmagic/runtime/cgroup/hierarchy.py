"""Where this host keeps its cgroup controllers: v1, v2, or both at once.

A controller is served by one hierarchy only. A hybrid host has some (or all) on v1 mounts and, beside them, a cgroup2
mount that still freezes, kills and measures pressure. Every group of ours lives in `dockmagic/` below each mount.
Source: cgroups(7), proc_pid_mountinfo(5), and the kernel's admin-guide/cgroup-v1 and cgroup-v2.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from dockmagic.runtime.cgroup import control

PARENT: Final = "dockmagic"
V1_CONTROLLERS: Final = ("memory", "cpu", "cpuacct", "cpuset", "pids", "devices", "freezer", "blkio")
V2_CONTROLLERS: Final = ("memory", "cpu", "cpuset", "pids", "io")
V1_NAMES: Final = {"io": "blkio"}
"""Name on v1 by name on v2, where they differ."""


@dataclass(frozen=True, slots=True)
class Hierarchies:
    """The mounts that serve controllers.

    `v1`: controller → mount point; co-mounted ones share it. `v2`: the directory in the cgroup2 mount below which we
    may make groups, "" for none. `v2_controllers`: those that the directory can hand down.
    """

    v1: Mapping[str, str] = field(default_factory=dict)
    v2: str = ""
    v2_controllers: frozenset[str] = frozenset()

    def serves(self, controller: str) -> bool:
        """Whether limits of this controller can be set here at all."""
        return controller in self.v1 or (bool(self.v2) and controller in self.v2_controllers)

    @property
    def must_join_v2(self) -> bool:
        """Whether a process has to be in the cgroup2 group too, since something that v1 lacks is done there."""
        return bool(self.v2) and ("freezer" not in self.v1 or "devices" not in self.v1)

    @property
    def parents(self) -> tuple[str, ...]:
        """Our directory in each hierarchy, each once."""
        mounts = dict.fromkeys([*self.v1.values(), *([self.v2] if self.v2 else [])])
        return tuple(f"{mount}/{PARENT}" for mount in mounts)


def detect(mountinfo: str | None = None, cgroup: str | None = None) -> Hierarchies:
    """Hierarchies of this host, from the text of /proc/self/mountinfo and /proc/self/cgroup.

    Without a given text, mounts that others cover are left out.
    """
    mounts = _mounts(control.read("/proc/self/mountinfo"), visible) if mountinfo is None else _mounts(mountinfo)
    v1: dict[str, str] = {}
    v2 = ""
    for kind, point, options in mounts:
        if kind == "cgroup2":
            v2 = v2 or point
            continue
        for controller in V1_CONTROLLERS:
            if controller in options:
                v1.setdefault(controller, point)
    if v2:
        v2 = _delegated(v2, control.read("/proc/self/cgroup") if cgroup is None else cgroup)
    return Hierarchies(v1, v2, frozenset(control.read(f"{v2}/cgroup.controllers").split()) if v2 else frozenset())


def prepare(hierarchies: Hierarchies) -> None:
    """Make our directory in every hierarchy, ready to have groups made in it. Idempotent."""
    for parent in hierarchies.parents:
        with contextlib.suppress(FileExistsError):
            os.mkdir(parent)
    if "cpuset" in hierarchies.v1:
        _open_cpuset(hierarchies.v1["cpuset"])
    if "memory" in hierarchies.v1:  # before Linux 5.11 a limit did not hold for children without this
        control.try_write(f"{hierarchies.v1['memory']}/{PARENT}/memory.use_hierarchy", "1")
    if hierarchies.v2:
        _hand_down(hierarchies)


def visible(point: str, device: str) -> bool:
    """Whether what is seen at this path is the mount of this device ("major:minor"), not one that covers it."""
    try:
        found = os.stat(point).st_dev
    except OSError:
        return False
    return device == f"{os.major(found)}:{os.minor(found)}"


def _mounts(
    mountinfo: str, counts: Callable[[str, str], bool] = lambda *_: True
) -> list[tuple[str, str, frozenset[str]]]:
    """File system type, mount point and super options of each writable cgroup mount that counts."""
    found = []
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, (kind, *rest) = before.split(), after.split() or [""]
        if kind in ("cgroup", "cgroup2") and "rw" in fields[5].split(","):
            point = fields[4].encode("latin-1").decode("unicode_escape")  # a space is written \040
            if counts(point, fields[2]):
                found.append((kind, point, frozenset(rest[-1].split(","))))
    return found


def _delegated(mount: str, cgroup: str) -> str:
    """The mount itself where we may make groups in it, else this process's own group below it, which may be ours."""
    if os.access(mount, os.W_OK):
        return mount
    own = next((line[3:] for line in cgroup.splitlines() if line.startswith("0::")), "/")
    return mount + own.rstrip("/") if os.access(mount + own, os.W_OK) else mount


def _open_cpuset(mount: str) -> None:
    """Let our cpuset have what its parent has, and let every group in it start with the same."""
    parent = f"{mount}/{PARENT}"
    for name in ("cpuset.cpus", "cpuset.mems"):
        control.try_write(f"{parent}/{name}", control.read(f"{mount}/{name}"))
    control.try_write(f"{parent}/cgroup.clone_children", "1")


def _hand_down(hierarchies: Hierarchies) -> None:
    """Enable the controllers for our groups; one that is refused (EBUSY, ENOENT) stays off, as `enabled` will tell."""
    for directory in (hierarchies.v2, f"{hierarchies.v2}/{PARENT}"):
        on = control.read(f"{directory}/cgroup.subtree_control").split()
        for controller in V2_CONTROLLERS:
            if controller in hierarchies.v2_controllers and controller not in on:
                control.try_write(f"{directory}/cgroup.subtree_control", f"+{controller}")


def enabled(hierarchies: Hierarchies) -> frozenset[str]:
    """The v2 controllers that our groups really have; meaningful after `prepare`."""
    return (
        frozenset(control.read(f"{hierarchies.v2}/{PARENT}/cgroup.subtree_control").split())
        if hierarchies.v2
        else frozenset()
    )
