"""A container's control group: one directory in each hierarchy, handled as one thing.

`create` and `apply` come before the process; the process puts itself in with `attach_self`. On v1 a process that writes
"0" to `tasks` moves itself at once, while any other move waits for an RCU grace period of about ten milliseconds; on
v2 only clone3 with CLONE_INTO_CGROUP and `v2_dirfd` avoids that. Source: cgroups(7), clone3(2).
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from collections.abc import Callable, Collection
from typing import Final

from dockmagic.oci.spec import DeviceRule, Resources
from dockmagic.runtime.cgroup import control, devices, v1, v2
from dockmagic.runtime.cgroup.hierarchy import V1_NAMES, Hierarchies, enabled, prepare

UNIFIED: Final = "unified"  # the key of the cgroup2 directory among the controllers of `paths`
_PAUSE_S: Final = 0.002
_OTHERWISE: Final = {**v1.OTHERWISE, **v2.OTHERWISE}


class Group:
    """The group of this name below our parent. Making the object touches nothing; several processes may hold one."""

    def __init__(self, hierarchies: Hierarchies, name: str) -> None:
        if not name or "/" in name or name in (".", ".."):
            raise ValueError(f"not the name of a control group: {name!r}")
        self.hierarchies = hierarchies
        self.name = name
        self._v1 = {
            controller: f"{hierarchies.parent_in(mount)}/{name}" for controller, mount in hierarchies.v1.items()
        }
        self._v2 = f"{hierarchies.parent_in(hierarchies.v2)}/{name}" if hierarchies.v2 else ""
        self._directories = tuple(f"{parent}/{name}" for parent in hierarchies.parents)

    def paths(self) -> dict[str, str]:
        """Directory by v1 controller, and that of the cgroup2 hierarchy under "unified"."""
        return {**self._v1, UNIFIED: self._v2} if self._v2 else dict(self._v1)

    def create(self) -> None:
        """Make the directories; those that exist stay as they are. OSError names the directory."""
        for directory in self._directories:
            with contextlib.suppress(FileExistsError):
                try:
                    os.mkdir(directory)
                except FileNotFoundError:
                    prepare(self.hierarchies)
                    os.mkdir(directory)

    def exists(self) -> bool:
        """Whether the group is there in any hierarchy."""
        return any(os.path.isdir(directory) for directory in self._directories)

    def apply(self, resources: Resources) -> list[str]:
        """Set the limits; returns what can't be enforced here, as sentences for the user.

        Raises an OSError that names the control file where the kernel refuses a value (EBUSY: more is in use already).
        """
        old, new = v1.writes(resources), v2.writes(resources)
        names = {controller: V1_NAMES.get(controller, controller) for controller in {**new, **old}}
        on_v1 = {controller: self._v1[name] for controller, name in names.items() if name in self._v1}
        on_v2 = enabled(self.hierarchies) if names.keys() - on_v1.keys() - {"devices"} else frozenset()
        warnings: list[str] = []
        for controller in names:
            if controller in on_v1:
                warnings += _write_all(on_v1[controller], old.get(controller, []))
            elif controller in on_v2:
                warnings += _write_all(self._v2, new.get(controller, []))
                warnings += _only_on_v1(old.get(controller, []))
            elif controller == "devices":
                warnings += self._confine(resources.devices)
            else:
                warnings.append(f"{controller} limits are not enforced: {self._missing(controller)}")
        return warnings

    def attach_self(self, *, in_v2: bool = False) -> None:
        """Move the calling process, which must have one thread only, into the group.

        `in_v2`: it was cloned into the cgroup2 directory. On a hybrid host whose v1 side can do everything, a process
        that wasn't is left where it is there, since the move would cost ten milliseconds and bring nothing.
        """
        for directory in dict.fromkeys(self._v1.values()):
            control.write(f"{directory}/tasks", "0")
        if self._v2 and not in_v2 and (not self._v1 or self.hierarchies.must_join_v2):
            control.write(f"{self._v2}/cgroup.procs", "0")

    def v2_dirfd(self) -> int | None:
        """A descriptor of the cgroup2 directory for CLONE_INTO_CGROUP, the caller's to close; None without cgroup2."""
        return os.open(self._v2, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) if self._v2 else None

    def freeze(self) -> None:
        """Stop every process of the group; returns once they stand still (at most a second is waited)."""
        self._freeze(frozen=True)

    def thaw(self) -> None:
        """Let the processes go on."""
        self._freeze(frozen=False)

    def is_frozen(self) -> bool:
        """Whether every process of the group stands still."""
        if "freezer" in self._v1:
            return control.read(f"{self._v1['freezer']}/freezer.state").strip() == "FROZEN"
        return bool(self._v2) and control.counter(control.read(f"{self._v2}/cgroup.events"), "frozen") == 1

    def pids(self) -> list[int]:
        """Process numbers in the group and in groups below it, as this process's pid namespace sees them."""
        directory = self._v1.get("freezer") or self._v2 or next(iter(self._v1.values()), "")
        found: set[int] = set()
        for path in control.subtree(directory):
            found.update(int(line) for line in control.read(f"{path}/cgroup.procs").split())
        return sorted(found - {0})

    def kill(self, timeout_s: float = 2.0) -> bool:
        """SIGKILL every process, frozen ones too; whether none was left in time. Zombies don't count."""
        deadline = time.monotonic() + timeout_s
        if self._v2:
            with contextlib.suppress(OSError):  # cgroup.kill came with Linux 5.14
                control.write(f"{self._v2}/cgroup.kill", "1")
        while pids := self.pids():
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(OSError):
                self.thaw()
            if time.monotonic() > deadline:
                return False
            time.sleep(_PAUSE_S)
        return True

    def oom_kills(self) -> int:
        """How many of the group's processes the kernel has killed for want of memory."""
        if "memory" in self._v1:
            return control.counter(control.read(f"{self._v1['memory']}/memory.oom_control"), "oom_kill")
        return control.counter(control.read(f"{self._v2}/memory.events"), "oom_kill")

    def remove(self, timeout_s: float = 0.5) -> bool:
        """Remove the directories and groups made below them; False where one is still busy. Missing is fine."""
        deadline = time.monotonic() + timeout_s
        left = self._directories
        while left := tuple(directory for directory in left if not control.remove_tree(directory)):
            if time.monotonic() > deadline:
                return False
            time.sleep(_PAUSE_S)
        return True

    def _freeze(self, *, frozen: bool) -> None:
        """Set the state where it is kept here: freezer.state on v1, cgroup.freeze on v2."""
        if "freezer" in self._v1:
            path = f"{self._v1['freezer']}/freezer.state"
            wanted = "FROZEN" if frozen else "THAWED"
            control.write(path, wanted)
            _await(lambda: control.read(path).strip() == wanted)
        elif self._v2:
            control.write(f"{self._v2}/cgroup.freeze", str(int(frozen)))
            _await(lambda: control.counter(control.read(f"{self._v2}/cgroup.events"), "frozen") == int(frozen))
        else:
            raise OSError(errno.ENOTSUP, "this host has no freezer", self.name)

    def _confine(self, rules: tuple[DeviceRule, ...]) -> list[str]:
        """Put device rules in force where v1 has no controller for them; returns why that can't be."""
        directory = self.v2_dirfd()
        if directory is None:
            return [f"devices limits are not enforced: {self._missing('devices')}"]
        try:
            devices.enforce(directory, rules)
        except OSError as error:
            return [f"devices limits are not enforced: the kernel refuses the program ({error.strerror})"]
        finally:
            os.close(directory)
        return []

    def _missing(self, controller: str) -> str:
        """Why a controller's limits can't be set here."""
        if controller in self.hierarchies.v2_controllers:
            return f"the {controller} controller can't be enabled in {self.hierarchies.v2}/cgroup.subtree_control"
        return f"this host offers no writable {controller} controller"


def leftovers(hierarchies: Hierarchies, live: Collection[str]) -> list[str]:
    """Names of our groups that belong to no live container, in any hierarchy."""
    found: set[str] = set()
    for parent in hierarchies.parents:
        found.update(path.rpartition("/")[2] for path in control.children(parent))
    return sorted(found - set(live))


def _write_all(directory: str, entries: v1.Writes) -> list[str]:
    """Write the entries; one that is refused gets a second try after the others, once.

    Raising a memory limit past memsw needs memsw first, lowering it needs it last; the same holds for quota and period.
    """
    refused: v1.Writes = []
    warnings: list[str] = []
    for name, text in entries:
        try:
            control.write(f"{directory}/{name}", text)
        except FileNotFoundError:
            warnings += _write_otherwise(directory, name, text)
        except OSError:
            refused.append((name, text))
    for name, text in refused:
        control.write(f"{directory}/{name}", text)
    return warnings


def _write_otherwise(directory: str, name: str, text: str) -> list[str]:
    """Write what stands for a file that this kernel doesn't have; a warning where nothing does."""
    missing = [f"{name} is not enforced: this kernel has no such file"]
    otherwise = _OTHERWISE.get(name)
    if otherwise is None:
        return missing
    other, value = otherwise(text)
    try:
        control.write(f"{directory}/{other}", value)
    except FileNotFoundError:
        return [f"{other} is not enforced: this kernel has neither that file nor {name}"]
    return []


def _only_on_v1(entries: v1.Writes) -> list[str]:
    """A warning for each limit that v2 doesn't have."""
    return [
        f"{v2.V1_ONLY[name]} is not enforced: control groups of version 2 don't have it"
        for name, _ in entries
        if name in v2.V1_ONLY
    ]


def _await(done: Callable[[], bool], timeout_s: float = 1.0) -> None:
    """Return when `done` is true, or when the time is up."""
    deadline = time.monotonic() + timeout_s
    while not done() and time.monotonic() < deadline:
        time.sleep(_PAUSE_S)
