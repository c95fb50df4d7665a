"""A config's resources in force for its control group. Source: runtime-spec config-linux.md "Control groups".

What a host can't enforce is an Unsupported that names the property.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from dockmagic.errors import ContainerError, InvalidBundle, Unsupported
from dockmagic.oci import config as c
from dockmagic.oci import defaults
from dockmagic.oci.spec import CPU, BlockIO, DeviceNumber, DeviceRule, Memory, Resources
from dockmagic.runtime.cgroup import control
from dockmagic.runtime.cgroup.group import UNIFIED, Group
from dockmagic.runtime.cgroup.hierarchy import Hierarchies, detect, open_cpuset, prepare
from dockmagic.runtime.stage import describe

PARENT: Final = "dockmagic-oci"
_NOT_V2: Final = ("memory.swappiness", "memory.disableOOMKiller", "memory.kernelTCP")
Extra = tuple[str, str, str, str, str]
"""A property, its controller, its file on v1 and on v2 ("" for none), and the text."""


def group(container_id: str, cgroups_path: str) -> Group:
    """The control group at the path: below each hierarchy's mount, or below our own group where it is relative.

    Raises InvalidBundle.
    """
    path = cgroups_path or f"/{PARENT}/{container_id}"
    if not path.startswith("/"):
        path = f"/{PARENT}/{path}"
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not parts or ".." in parts:
        raise InvalidBundle(f"linux.cgroupsPath: {cgroups_path!r} is no path of a group")
    return Group(replace(detect(), parent="/".join(parts[:-1])), parts[-1])


def path_of(group: Group) -> str:
    """The path of a group that `group` would find it by."""
    return f"/{group.hierarchies.parent}/{group.name}"


def make(group: Group) -> None:
    """Make the group, ready for processes; also one that somebody has made without a processor. Raises OSError."""
    prepare(group.hierarchies)
    group.create()
    if "cpuset" in group.hierarchies.v1:
        open_cpuset(group.hierarchies.v1["cpuset"], path_of(group).strip("/"))


def apply(group: Group, wanted: c.Resources) -> None:
    """Put the limits in force; raises Unsupported for one that can't be, InvalidBundle for one that is refused."""
    _check(group.hierarchies, wanted)
    try:
        for warning in group.apply(resources(wanted)):
            raise Unsupported("linux.resources", warning)
        for extra in _extras(wanted):
            _write(group, extra)
        for file, text in wanted.unified.items():
            _write_unified(group, file, text)
    except OSError as error:
        raise ContainerError(f"linux.resources: the kernel refuses {describe(error)}") from error


def resources(wanted: c.Resources) -> Resources:
    """The limits that containers of either kind have."""
    memory, cpu = wanted.memory, wanted.cpu
    return Resources(
        memory=Memory(memory.limit, memory.swap, memory.reservation, memory.swappiness, memory.disable_oom_killer),
        cpu=CPU(cpu.shares, cpu.quota, cpu.period, cpu.cpus, cpu.mems),
        block_io=_block_io(wanted.block_io),
        pids_limit=wanted.pids.limit,
        devices=_device_rules(wanted.devices),
    )


def _block_io(wanted: c.BlockIO) -> BlockIO:
    def rates(devices: tuple[c.ThrottleDevice, ...]) -> tuple[DeviceNumber, ...]:
        return tuple(DeviceNumber(device.major, device.minor, device.rate) for device in devices)

    weights = [d for d in wanted.weight_device if d.weight is not None]
    return BlockIO(
        wanted.weight,
        tuple(DeviceNumber(d.major, d.minor, d.weight or 0) for d in weights),
        rates(wanted.throttle_read_bps_device),
        rates(wanted.throttle_write_bps_device),
        rates(wanted.throttle_read_iops_device),
        rates(wanted.throttle_write_iops_device),
    )


def _device_rules(rules: tuple[DeviceRule, ...]) -> tuple[DeviceRule, ...]:
    """The rules, then those that let the devices be used which every container has."""
    if not rules:
        return ()
    plain = tuple(
        DeviceRule(r.allow, r.type or "a", _number(r.major), _number(r.minor), r.access or "rwm") for r in rules
    )
    return plain + tuple(rule for rule in defaults.DEVICE_RULES if rule.allow)


def _number(number: int | None) -> int | None:
    """A number of a rule; one below 0 is every one."""
    return None if number is None or number < 0 else number


def _check(hierarchies: Hierarchies, wanted: c.Resources) -> None:
    """Raise Unsupported for what has no controller here at all."""
    memory = wanted.memory
    if "memory" not in hierarchies.v1:
        given = (memory.swappiness is not None, memory.disable_oom_killer, memory.kernel_tcp is not None)
        for name, is_given in zip(_NOT_V2, given, strict=True):
            if is_given:
                raise Unsupported(f"linux.resources.{name}", "control groups of version 2 don't have it")
    network = wanted.network
    for name, given_value in (
        ("memory.kernel", memory.kernel),
        ("network.classID", network.class_id),
        ("network.priorities", network.priorities),
        ("rdma", wanted.rdma),
        ("blockIO.leafWeight", wanted.block_io.leaf_weight),
    ):
        if given_value:
            raise Unsupported(f"linux.resources.{name}", "there is no controller for it here")
    for device in wanted.block_io.weight_device:
        if device.leaf_weight is not None:
            raise Unsupported("linux.resources.blockIO.weightDevice.leafWeight", "this kernel has none")
    if wanted.unified and not hierarchies.v2:
        raise Unsupported("linux.resources.unified", "this host has no control groups of version 2")


def _extras(wanted: c.Resources) -> Iterator[Extra]:
    """Limits that only bundles have."""
    cpu, memory = wanted.cpu, wanted.memory
    if cpu.realtime_period:
        yield "cpu.realtimePeriod", "cpu", "cpu.rt_period_us", "", str(cpu.realtime_period)
    if cpu.realtime_runtime:
        yield "cpu.realtimeRuntime", "cpu", "cpu.rt_runtime_us", "", str(cpu.realtime_runtime)
    if cpu.burst is not None:
        yield "cpu.burst", "cpu", "cpu.cfs_burst_us", "cpu.max.burst", str(cpu.burst)
    if cpu.idle is not None:
        yield "cpu.idle", "cpu", "cpu.idle", "cpu.idle", str(cpu.idle)
    if memory.kernel_tcp is not None:
        yield "memory.kernelTCP", "memory", "memory.kmem.tcp.limit_in_bytes", "", str(memory.kernel_tcp)
    for limit in wanted.hugepage_limits:
        old, new = (f"hugetlb.{limit.page_size}.{name}" for name in ("limit_in_bytes", "max"))
        yield f"hugepageLimits.{limit.page_size}", "hugetlb", old, new, str(limit.limit)


def _write(group: Group, extra: Extra) -> None:
    """Write a limit to whichever file it has here. Raises Unsupported, OSError."""
    name, controller, old, new, text = extra
    paths = group.paths()
    path = f"{paths[controller]}/{old}" if controller in paths else f"{paths.get(UNIFIED, '')}/{new}"
    if controller not in paths and new:
        _enable(group, controller)
    if path.endswith("/") or not os.path.exists(path):
        raise Unsupported(f"linux.resources.{name}", "this kernel's control groups have no file for it")
    control.write(path, text)


def _write_unified(group: Group, file: str, text: str) -> None:
    if "/" in file:
        raise InvalidBundle(f"linux.resources.unified: {file!r} is no control file")
    _enable(group, file.partition(".")[0])
    path = f"{group.paths()[UNIFIED]}/{file}"
    if not os.path.exists(path):
        raise Unsupported(f"linux.resources.unified: {file}", "the group has no such file")
    for line in text.splitlines():
        control.write(path, line)


def _enable(group: Group, controller: str) -> None:
    """Hand a controller of version 2 down to the group, where there is one."""
    mount = group.hierarchies.v2
    for part in ("", *group.hierarchies.parent.split("/")):
        mount = f"{mount}/{part}" if part else mount
        with contextlib.suppress(OSError):
            control.write(f"{mount}/cgroup.subtree_control", f"+{controller}")
