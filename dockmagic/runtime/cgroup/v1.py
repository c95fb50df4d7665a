"""Limits as writes to the control files of cgroup v1.

Source: the kernel's admin-guide/cgroup-v1 (memory, cpusets, pids, devices, blkio-controller), scheduler/sched-bwc and
block/bfq-iosched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from dockmagic.oci.spec import CPU, BlockIO, DeviceRule, Memory, Resources

Writes = list[tuple[str, str]]
OTHERWISE: Final[Mapping[str, Callable[[str], tuple[str, str]]]] = {
    "blkio.bfq.weight": lambda text: ("blkio.weight", text),
    "blkio.bfq.weight_device": lambda text: ("blkio.weight_device", text),
}
"""What to write where a kernel has another scheduler, and not the file of this name."""


def writes(resources: Resources) -> dict[str, Writes]:
    """File and text of each write, in order, by controller; what isn't set is left out."""
    found = {
        "memory": _memory(resources.memory),
        "cpu": _cpu(resources.cpu),
        "cpuset": _cpuset(resources.cpu),
        "io": _block_io(resources.block_io),
        "pids": _pids(resources.pids_limit),
        "devices": [_device(rule) for rule in resources.devices],
    }
    return {controller: entries for controller, entries in found.items() if entries}


def _memory(memory: Memory) -> Writes:
    """The limit may never exceed memsw: this is the order for a group that has no limits yet."""
    values = {
        "memory.limit_in_bytes": memory.limit,
        "memory.memsw.limit_in_bytes": memory.swap or None,  # Docker's 0 means "not set"
        "memory.soft_limit_in_bytes": memory.reservation or None,
        "memory.swappiness": memory.swappiness,
        "memory.oom_control": 1 if memory.disable_oom_killer else None,
    }
    return [(name, str(value)) for name, value in values.items() if value is not None]


def _cpu(cpu: CPU) -> Writes:
    """The period comes first, for a quota is judged by it. Docker's 0 means "not set"."""
    values = {"cpu.shares": cpu.shares, "cpu.cfs_period_us": cpu.period, "cpu.cfs_quota_us": cpu.quota}
    return [(name, str(value)) for name, value in values.items() if value]


def _cpuset(cpu: CPU) -> Writes:
    return [(name, text) for name, text in (("cpuset.cpus", cpu.cpus), ("cpuset.mems", cpu.mems)) if text]


def _block_io(block_io: BlockIO) -> Writes:
    """Weights, then the most for each device as "major:minor number"."""
    entries: Writes = [("blkio.bfq.weight", str(block_io.weight))] if block_io.weight else []
    files = {
        "blkio.bfq.weight_device": block_io.weight_device,
        "blkio.throttle.read_bps_device": block_io.throttle_read_bps_device,
        "blkio.throttle.write_bps_device": block_io.throttle_write_bps_device,
        "blkio.throttle.read_iops_device": block_io.throttle_read_iops_device,
        "blkio.throttle.write_iops_device": block_io.throttle_write_iops_device,
    }
    entries += [(name, f"{d.major}:{d.minor} {d.number}") for name, devices in files.items() for d in devices]
    return entries


def _pids(limit: int | None) -> Writes:
    return [] if limit is None else [("pids.max", str(limit) if limit > 0 else "max")]


def _device(rule: DeviceRule) -> tuple[str, str]:
    """A rule in the words of devices.allow and devices.deny; the last one that fits a device holds."""
    file = "devices.allow" if rule.allow else "devices.deny"
    if rule.type == "a" and rule.major is None and rule.minor is None:
        return file, "a"
    major, minor = ("*" if number is None else str(number) for number in (rule.major, rule.minor))
    return file, f"{rule.type} {major}:{minor} {rule.access}"
