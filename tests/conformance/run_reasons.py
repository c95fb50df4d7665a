"""Why podman shows something else than Docker and dockmagic, where several cases have the same reason."""

from __future__ import annotations

from typing import Final

CAPABILITIES: Final = "podman's default capabilities lack NET_RAW, MKNOD and AUDIT_WRITE, which Docker's have"
GROUPS: Final = "Docker adds the primary group to the others since CVE-2022-36109; podman 4.3 doesn't"
ACCOUNTS: Final = "podman adds a line to /etc/passwd and /etc/group for a number that has none"
SHM: Final = "Docker's /dev/shm has 64 MiB, podman's 65,536,000 bytes"
MASKS: Final = "Docker hides /proc/interrupts since 28; what it hides directories with is ours to choose"
TMPFS: Final = (
    "Docker's options of a tmpfs are noexec, nosuid and nodev; podman leaves noexec out and copies files into it"
)
MISSING_DIRECTORY: Final = "Docker makes a working directory that is missing; podman 4.3 refuses it"
