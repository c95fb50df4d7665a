"""Limits as writes to the control files of cgroup v2. Source: the kernel's admin-guide/cgroup-v2."""

from __future__ import annotations

import math

from dockmagic.oci.spec import CPU, Memory, Resources
from dockmagic.runtime.cgroup.v1 import Writes

MAX_WEIGHT = 10_000


def writes(resources: Resources) -> dict[str, Writes]:
    """File and text of each write, in order, by controller; device rules are a program of their own (`linux.bpf`)."""
    found = {
        "memory": _memory(resources.memory),
        "cpu": _cpu(resources.cpu),
        "cpuset": _cpuset(resources.cpu),
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
