"""Limits as writes to the control files of cgroup v2. Source: the kernel's admin-guide/cgroup-v2."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

from dockmagic.oci.spec import CPU, BlockIO, Memory, Resources
from dockmagic.runtime.cgroup.v1 import Writes

MAX_WEIGHT: Final = 10_000
OTHERWISE: Final[Mapping[str, Callable[[str], tuple[str, str]]]] = {
    "io.bfq.weight": lambda text: ("io.weight", io_weight(text)),
}
"""What to write where a kernel has another scheduler, and not the file of this name."""
V1_ONLY: Final = {
    "memory.swappiness": "--memory-swappiness",
    "memory.oom_control": "--oom-kill-disable",
}
"""Files of v1 whose limits v2 doesn't have, and the flags that set them."""


def writes(resources: Resources) -> dict[str, Writes]:
    """File and text of each write, in order, by controller; device rules are a program of their own (`linux.bpf`)."""
    found = {
        "memory": _memory(resources.memory),
        "cpu": _cpu(resources.cpu),
        "cpuset": _cpuset(resources.cpu),
        "io": _block_io(resources.block_io),
        "pids": [] if resources.pids_limit is None else [("pids.max", _maximum(resources.pids_limit))],
    }
    return {controller: entries for controller, entries in found.items() if entries}


def weight(shares: int) -> int:
    """The cpu.weight (1 to 10,000) of cgroup v1's shares (2 to 262,144), such that 1024 shares are the default of 100.

    The curve is that of opencontainers/cgroups: through (2, 1), (1024, 100) and (262144, 10000) in logarithms.
    """
    if shares <= 2:
        return 1
    if shares >= 262_144:
        return MAX_WEIGHT
    power = math.log2(shares)
    return math.ceil(10 ** ((power * power + 125 * power) / 612 - 7 / 34))


def io_weight(text: str) -> str:
    """The io.weight (1 to 10,000) for a weight of 10 to 1000, alone or behind a device's numbers.

    >>> io_weight("10"), io_weight("254:0 1000")
    ('default 1', '254:0 10000')
    """
    device, _, number = text.rpartition(" ")
    return f"{device or 'default'} {1 + (int(number) - 10) * (MAX_WEIGHT - 1) // 990}"


def _maximum(value: int) -> str:
    return str(value) if value > 0 else "max"


def _memory(memory: Memory) -> Writes:
    """v2 limits swap by itself, so the sum of memory and swap has the memory taken off."""
    entries: Writes = []
    if memory.limit is not None:
        entries.append(("memory.max", _maximum(memory.limit)))
    if memory.swap is not None and memory.swap < 0:
        entries.append(("memory.swap.max", "max"))
    elif memory.swap and memory.limit is not None and memory.limit > 0:
        entries.append(("memory.swap.max", str(max(0, memory.swap - memory.limit))))
    if memory.reservation:
        entries.append(("memory.low", _maximum(memory.reservation)))
    return entries


def _cpu(cpu: CPU) -> Writes:
    """A quota of 0 is Docker's "not set", one below 0 no limit; a missing period leaves the group's own."""
    entries: Writes = []
    if cpu.shares:
        entries.append(("cpu.weight", str(weight(cpu.shares))))
    if cpu.quota or cpu.period:
        quota = _maximum(cpu.quota or -1)
        entries.append(("cpu.max", f"{quota} {cpu.period}" if cpu.period else quota))
    return entries


def _cpuset(cpu: CPU) -> Writes:
    return [(name, text) for name, text in (("cpuset.cpus", cpu.cpus), ("cpuset.mems", cpu.mems)) if text]


def _block_io(block_io: BlockIO) -> Writes:
    """Weights, then the most for each device as "major:minor key=number"."""
    entries: Writes = [("io.bfq.weight", str(block_io.weight))] if block_io.weight else []
    entries += [("io.bfq.weight", f"{d.major}:{d.minor} {d.number}") for d in block_io.weight_device]
    limits = {
        "rbps": block_io.throttle_read_bps_device,
        "wbps": block_io.throttle_write_bps_device,
        "riops": block_io.throttle_read_iops_device,
        "wiops": block_io.throttle_write_iops_device,
    }
    entries += [("io.max", f"{d.major}:{d.minor} {key}={d.number}") for key, devices in limits.items() for d in devices]
    return entries
