"""The processors and memory nodes of this host, and lists of them. Source: cpuset(7), "Formats"."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from dockmagic.errors import InvalidOption
from dockmagic.oci.spec import CPU

_SYSTEM: Final = Path("/sys/devices/system")


def check_available(cpu: CPU, system: Path = _SYSTEM) -> None:
    """Raise InvalidOption for processors or memory nodes that this host hasn't; cgroup v2 would take any."""
    for flag, kind, asked in (("--cpuset-cpus", "cpu", cpu.cpus), ("--cpuset-mems", "node", cpu.mems)):
        if not asked:
            continue
        online = _online(system / kind / "online")
        missing = parse_list(asked) - parse_list(online)
        if missing:
            raise InvalidOption(f"{flag} {asked}: {min(missing)} isn't available here; there are {online}")


def parse_list(text: str) -> set[int]:
    """The numbers of a list such as "0-2,4".

    >>> parse_list("0-2,4")
    {0, 1, 2, 4}
    """
    ranges = [part.partition("-") for part in text.split(",") if part]
    return {number for first, _, last in ranges for number in range(int(first), int(last or first) + 1)}


def _online(path: Path) -> str:
    """What is online; a kernel without NUMA has one node and no file that says so."""
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return "0"
