"""Which run of the machine, or of the container that stands for it, this is. Source: random(4), proc_pid_stat(5)."""

from __future__ import annotations


def current() -> str:
    """A text that is another after every boot, and after every start of the process 1 seen here; "" if unknown."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            boot_id = file.read().strip()
        with open("/proc/1/stat") as file:
            started = file.read().rpartition(")")[2].split()[19]
    except OSError:
        return ""
    return f"{boot_id}:{started}"
