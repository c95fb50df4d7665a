"""What the processes of a control group have used since a certain moment: CPU time, and the most memory at a time.

Source: the kernel's admin-guide/cgroup-v1 (cpuacct, memory) and admin-guide/cgroup-v2 (cpu.stat, memory.peak).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dockmagic.runtime.cgroup.group import UNIFIED
from dockmagic.runtime.samples import Parser, cpu_v1, cpu_v2

_SIZE: Final = 4096


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used; 0 where this host doesn't tell. The memory counts the page cache, as the kernel does."""

    cpu_ns: int = 0
    peak_memory_bytes: int = 0


class Meter:
    """Counts from the moment it is made, given the directories of a group by controller (`Group.paths`)."""

    def __init__(self, paths: Mapping[str, str]) -> None:
        on_v1 = "cpuacct" in paths
        self._parse: Parser = cpu_v1 if on_v1 else cpu_v2
        self._cpu = _open(paths, "cpuacct", "cpuacct.usage", "cpu.stat")
        self._peak = _open(paths, "memory", "memory.max_usage_in_bytes", "memory.peak")
        self._before_ns = self._cpu_ns()
        with contextlib.suppress(OSError):  # before Linux 6.12 a v2 group can't be told to forget
            os.pwrite(self._peak, b"0", 0)

    def read(self) -> Usage:
        """What was used until now; the files are closed, since the group goes away."""
        usage = Usage(self._cpu_ns() - self._before_ns, int(_text(self._peak) or 0))
        for descriptor in (self._cpu, self._peak):
            if descriptor >= 0:
                os.close(descriptor)
        return usage

    def _cpu_ns(self) -> int:
        text = _text(self._cpu)
        return self._parse(text)["cpu_ns"] if text else 0


def _open(paths: Mapping[str, str], controller: str, on_v1: str, on_v2: str) -> int:
    """Descriptor of a controller's file, wherever it is served; -1 where it isn't."""
    path = f"{paths[controller]}/{on_v1}" if controller in paths else f"{paths.get(UNIFIED, '')}/{on_v2}"
    for flags in (os.O_RDWR, os.O_RDONLY):
        with contextlib.suppress(OSError):
            return os.open(path, flags | os.O_CLOEXEC)
    return -1


def _text(descriptor: int) -> bytes:
    """A small file from its beginning; nothing where it can't be read."""
    with contextlib.suppress(OSError):
        return os.pread(descriptor, _SIZE, 0)
    return b""
