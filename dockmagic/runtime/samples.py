"""A reading of what a control group has used, from cgroup v1 or v2 files.

Opening a control file costs ten times what reading it does, so a Reader keeps its descriptors and uses pread(2).
Source: the kernel's admin-guide/cgroup-v1 (cpuacct, memory, pids), scheduler/sched-bwc and admin-guide/cgroup-v2.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import TracebackType
from typing import Final

from dockmagic.runtime.cgroup.group import UNIFIED

_SIZE: Final = 8192  # bytes; more than any of the files has


@dataclass(frozen=True, slots=True)
class Sample:
    """Counters since the group was made, and what it holds at the moment.

    `time_ns` is of CLOCK_MONOTONIC; `cpu_ns` sums over all CPUs, and so does `throttled_ns`, the time that tasks had to
    wait for the CPU limit; of `periods` of the limit `throttled_periods` were used up; `inactive_file_bytes` of
    `memory_bytes` are cache that the kernel can drop at once; `pids` counts tasks; `read_bytes` came from disks, and
    `written_bytes` went there.
    """

    time_ns: int
    cpu_ns: int = 0
    throttled_ns: int = 0
    periods: int = 0
    throttled_periods: int = 0
    memory_bytes: int = 0
    inactive_file_bytes: int = 0
    pids: int = 0
    oom_kills: int = 0
    read_bytes: int = 0
    written_bytes: int = 0

    @property
    def working_set_bytes(self) -> int:
        """Memory without the cache that can be dropped: what `docker stats` shows."""
        return max(0, self.memory_bytes - self.inactive_file_bytes)


Parser = Callable[[bytes], Mapping[str, int]]


def value(text: bytes, name: bytes) -> int:
    """The number after a name at the start of a line (every line ends in a newline); 0 without it.

    >>> value(b"nr_periods 8\\nnr_throttled 3\\n", b"nr_throttled")
    3
    """
    start = (b"\n" + text).find(b"\n" + name + b" ")
    if start < 0:
        return 0
    start += len(name) + 1
    return int(text[start : text.find(b"\n", start)])


def cpu_v1(text: bytes) -> Mapping[str, int]:
    """Of cpuacct.usage: nanoseconds."""
    return {"cpu_ns": int(text)}


def throttling_v1(text: bytes) -> Mapping[str, int]:
    """Of cpu.stat, whose throttled_time is in nanoseconds."""
    return {"throttled_ns": value(text, b"throttled_time"), **_periods(text)}


def cpu_v2(text: bytes) -> Mapping[str, int]:
    """Of cpu.stat, whose times are in microseconds; without the cpu controller it has the usage only."""
    return {
        "cpu_ns": value(text, b"usage_usec") * 1000,
        "throttled_ns": value(text, b"throttled_usec") * 1000,
        **_periods(text),
    }


def memory(text: bytes) -> Mapping[str, int]:
    """Of memory.usage_in_bytes or memory.current."""
    return {"memory_bytes": int(text)}


def cache_v1(text: bytes) -> Mapping[str, int]:
    """Of memory.stat, where the totals include the groups below."""
    return {"inactive_file_bytes": value(text, b"total_inactive_file")}


def cache_v2(text: bytes) -> Mapping[str, int]:
    """Of memory.stat."""
    return {"inactive_file_bytes": value(text, b"inactive_file")}


def pids(text: bytes) -> Mapping[str, int]:
    """Of pids.current."""
    return {"pids": int(text)}


def kills(text: bytes) -> Mapping[str, int]:
    """Of memory.oom_control (since Linux 4.13) or memory.events."""
    return {"oom_kills": value(text, b"oom_kill")}


def io_v1(text: bytes) -> Mapping[str, int]:
    """Of blkio.throttle.io_service_bytes_recursive, a line for each disk and kind: "8:0 Read 4096"."""
    words = text.split()
    return {"read_bytes": _after(words, b"Read"), "written_bytes": _after(words, b"Write")}


def _after(words: list[bytes], name: bytes) -> int:
    """The sum of the numbers that follow a name."""
    return sum(int(number) for word, number in pairwise(words) if word == name)


def io_v2(text: bytes) -> Mapping[str, int]:
    """Of io.stat, a line for each disk: "8:0 rbytes=4096 wbytes=0 rios=1 …"."""
    pairs = [word.partition(b"=") for word in text.split()]
    return {
        "read_bytes": sum(int(number) for name, _, number in pairs if name == b"rbytes"),
        "written_bytes": sum(int(number) for name, _, number in pairs if name == b"wbytes"),
    }


def _periods(text: bytes) -> dict[str, int]:
    return {"periods": value(text, b"nr_periods"), "throttled_periods": value(text, b"nr_throttled")}


_V1: Final[tuple[tuple[str, str, Parser], ...]] = (
    ("cpuacct", "cpuacct.usage", cpu_v1),
    ("cpu", "cpu.stat", throttling_v1),
    ("memory", "memory.usage_in_bytes", memory),
    ("memory", "memory.stat", cache_v1),
    ("memory", "memory.oom_control", kills),
    ("pids", "pids.current", pids),
    ("blkio", "blkio.throttle.io_service_bytes_recursive", io_v1),
)
_V2: Final[tuple[tuple[str, str, Parser], ...]] = (
    ("cpuacct", "cpu.stat", cpu_v2),
    ("memory", "memory.current", memory),
    ("memory", "memory.stat", cache_v2),
    ("memory", "memory.events", kills),
    ("pids", "pids.current", pids),
    ("blkio", "io.stat", io_v2),
)

_CACHE: Final = (cache_v1, cache_v2)


def sources(paths: Mapping[str, str]) -> Iterator[tuple[str, Parser]]:
    """The files to read, given the directories of a group by controller (`Group.paths`); v1 goes before v2."""
    for controller, name, parse in _V1:
        if controller in paths:
            yield f"{paths[controller]}/{name}", parse
    for controller, name, parse in _V2:
        if controller not in paths and UNIFIED in paths:
            yield f"{paths[UNIFIED]}/{name}", parse


class Reader:
    """The open files of one control group; not to be used by two threads at once."""

    def __init__(self, paths: Mapping[str, str]) -> None:
        """Open what is there; a file that is missing leaves its fields at 0. FileNotFoundError when nothing is."""
        self._files: list[tuple[int, Parser]] = []
        self._last = Sample(0)
        for path, parse in sources(paths):
            with contextlib.suppress(FileNotFoundError):
                self._files.append((os.open(path, os.O_RDONLY | os.O_CLOEXEC), parse))
        if not self._files:
            raise FileNotFoundError(f"no control group to measure in {', '.join(paths.values()) or 'any hierarchy'}")

    def read(self) -> Sample:
        """The group's present state; OSError with ENODEV once the group is removed.

        memory.stat costs the kernel more than all the others together, so it is left out while the usage is the same.
        """
        fields = {"time_ns": time.monotonic_ns(), "inactive_file_bytes": self._last.inactive_file_bytes}
        for fd, parse in self._files:
            if parse in _CACHE and fields.get("memory_bytes") == self._last.memory_bytes:
                continue
            fields.update(parse(os.pread(fd, _SIZE, 0)))
        self._last = Sample(**fields)
        return self._last

    def close(self) -> None:
        """Close the files. Idempotent."""
        while self._files:
            os.close(self._files.pop()[0])

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
