"""Where this host keeps its cgroup controllers: v1, v2, or both at once.

A controller is served by one hierarchy only. A hybrid host has some (or all) on v1 mounts and, beside them, a cgroup2
mount that still freezes, kills and measures pressure. Every group of ours lives in `dockmagic/` below each mount,
unless a runtime spec says where.
Source: cgroups(7), proc_pid_mountinfo(5), and the kernel's admin-guide/cgroup-v1 and cgroup-v2.
"""

from __future__ import annotations

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
    may make groups, "" for none. `v2_controllers`: those that the directory can hand down. `parent`: the path below
    each mount that our groups are in, "" for the mount itself.
    """

    v1: Mapping[str, str] = field(default_factory=dict)
    v2: str = ""
    v2_controllers: frozenset[str] = frozenset()
    parent: str = PARENT

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
        return tuple(self.parent_in(mount) for mount in mounts)

    def parent_in(self, mount: str) -> str:
        """Our directory below a mount."""
        return f"{mount}/{self.parent}" if self.parent else mount


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
        os.makedirs(parent, exist_ok=True)
    if "cpuset" in hierarchies.v1:
        open_cpuset(hierarchies.v1["cpuset"], hierarchies.parent)
    if "memory" in hierarchies.v1 and hierarchies.parent:
        # before Linux 5.11 a limit did not hold for children without this
        control.try_write(f"{hierarchies.parent_in(hierarchies.v1['memory'])}/memory.use_hierarchy", "1")
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


def open_cpuset(mount: str, parent: str) -> None:
    """Let the cpuset at this path, and each above it, have what its parent has, and every group in it the same."""
    above = mount
    for directory in _levels(mount, parent)[1:]:
        for name in ("cpuset.cpus", "cpuset.mems"):
            if not control.read(f"{directory}/{name}").strip() or directory == f"{mount}/{PARENT}":
                control.try_write(f"{directory}/{name}", control.read(f"{above}/{name}"))
        control.try_write(f"{directory}/cgroup.clone_children", "1")
        above = directory


def _levels(mount: str, parent: str) -> list[str]:
    """The mount, and each directory from there to our own."""
    parts = parent.split("/") if parent else []
    return ["/".join([mount, *parts[:depth]]) for depth in range(len(parts) + 1)]


def _hand_down(hierarchies: Hierarchies) -> None:
    """Enable the controllers for our groups; one that is refused (EBUSY, ENOENT) stays off, as `enabled` will tell."""
    for directory in _levels(hierarchies.v2, hierarchies.parent):
        on = control.read(f"{directory}/cgroup.subtree_control").split()
        for controller in V2_CONTROLLERS:
            if controller in hierarchies.v2_controllers and controller not in on:
                control.try_write(f"{directory}/cgroup.subtree_control", f"+{controller}")


def enabled(hierarchies: Hierarchies) -> frozenset[str]:
    """The v2 controllers that our groups really have; meaningful after `prepare`."""
    return (
        frozenset(control.read(f"{hierarchies.parent_in(hierarchies.v2)}/cgroup.subtree_control").split())
        if hierarchies.v2
        else frozenset()
    )
