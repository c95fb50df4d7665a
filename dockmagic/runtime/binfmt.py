"""Whether the kernel runs programs of another architecture, by an interpreter. Source: binfmt-misc.rst, elf(5)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dockmagic.errors import Unsupported

DIRECTORY: Final = Path("/proc/sys/fs/binfmt_misc")
_ELF: Final = b"\x7fELF"
_MACHINES: Final = {  # e_machine as it stands in the file
    "amd64": b"\x3e\x00",
    "386": b"\x03\x00",
    "arm": b"\x28\x00",
    "arm64": b"\xb7\x00",
    "ppc64le": b"\x15\x00",
    "riscv64": b"\xf3\x00",
    "s390x": b"\x00\x16",
    "loong64": b"\x02\x01",
    "mips64": b"\x00\x08",
    "mips64le": b"\x08\x00",
}
_BY_ITSELF: Final = {"amd64": ("386",), "arm64": ("arm",)}  # what a kernel may run without anybody's help


def runs(architecture: str, host: str, directory: Path = DIRECTORY) -> bool:
    """Whether a container's programs for this architecture (GOARCH) run on a host of that one."""
    if architecture == host or architecture in _BY_ITSELF.get(host, ()):
        return True
    wanted = _MACHINES.get(architecture)
    return wanted is not None and any(magic[18:20] == wanted for magic in _magics(directory))


def require(what: str, system: str, architecture: str, host: str) -> None:
    """Raise Unsupported where a container for this system and architecture can't run on the host's architecture."""
    if system == "linux" and runs(architecture, host):
        return
    raise Unsupported(
        f"{what} is for {system}/{architecture}",
        f"this machine, linux/{host}, doesn't run its programs, and there is no emulation unless an interpreter like "
        f"qemu-user-static is registered in binfmt_misc; pull it for this machine with --platform linux/{host}",
    )


def _magics(directory: Path) -> Iterator[bytes]:
    """Beginnings of files that an interpreter is there for, also where its own path leads nowhere (flag F)."""
    try:
        entries = sorted(directory.iterdir())
    except OSError:
        return
    for entry in entries:
        fields = _fields(entry)
        magic = bytes.fromhex(fields.get("magic", ""))
        if "enabled" in fields and "F" in fields.get("flags:", "") and magic.startswith(_ELF):
            yield magic


def _fields(entry: Path) -> dict[str, str]:
    try:
        lines = entry.read_text("ascii", "replace").splitlines()
    except OSError:
        return {}
    return {name: value for name, _, value in (line.partition(" ") for line in lines)}
