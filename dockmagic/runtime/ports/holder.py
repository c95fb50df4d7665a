"""Who holds a port of this host. Source: proc_pid_net(5), proc_pid_fd(5)."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
from collections.abc import Iterator
from typing import Final

_LISTENS: Final = {"tcp": "0A", "udp": "07"}  # states in the table
_OURS: Final = "dockmagic-"  # begins the names of monitors and forwarders
_WORD: Final = struct.Struct("=I")


def holder(protocol: str, place: str, run_dirs: str) -> str:
    """ "; container 0123456789ab has it", or "; process 12 (nginx) has it"; "" where nobody can be seen.

    `run_dirs` is where the run-time directories of all state roots are.
    """
    address, _, port = place.rpartition(":")
    inodes = set(_inodes(protocol, address.strip("[]"), int(port)))
    for pid in _numbers("/proc") if inodes else ():
        with contextlib.suppress(OSError):
            if inodes & set(_sockets(pid)):
                return f"; {_described(pid, protocol, int(port), run_dirs)} has it"
    return ""


def _inodes(protocol: str, address: str, port: int) -> Iterator[str]:
    """Inodes of sockets that are bound to the port at an address that overlaps with this one."""
    for table in (protocol, f"{protocol}6"):
        with contextlib.suppress(OSError), open(f"/proc/net/{table}") as file:
            for line in file.readlines()[1:]:
                fields = line.split()
                own, number = fields[1].split(":")
                if int(number, 16) == port and fields[3] == _LISTENS[protocol] and _overlap(_address(own), address):
                    yield fields[9]


def _address(text: str) -> str:
    """An address of the kernel's tables: words in the order of the processor's bytes.

    >>> _address("0100007F")
    '127.0.0.1'
    """
    words = (int(text[start : start + 8], 16) for start in range(0, len(text), 8))
    packed = b"".join(map(_WORD.pack, words))
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def _overlap(one: str, other: str) -> bool:
    """Whether two sockets at these addresses would be in each other's way."""
    return one == other or not {"0.0.0.0", "::"}.isdisjoint((one, other))


def _numbers(directory: str) -> list[str]:
    """Entries that are numbers."""
    return [name for name in os.listdir(directory) if name.isdecimal()]


def _sockets(pid: str) -> Iterator[str]:
    """Inodes of the process's sockets; raises OSError."""
    for number in _numbers(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            target = os.readlink(f"/proc/{pid}/fd/{number}")
            if target.startswith("socket:["):
                yield target[8:-1]


def _described(pid: str, protocol: str, port: int, run_dirs: str) -> str:
    """The container whose forwarder or monitor the process is, else the process itself; raises OSError."""
    with open(f"/proc/{pid}/comm") as file:
        name = file.read().rstrip("\n")
    found = _container(protocol, port, run_dirs) if name.startswith(_OURS) else ""
    return f"container {found[:12]}" if found else f"process {pid} ({name})"


def _container(protocol: str, port: int, run_dirs: str) -> str:
    """Beginning of the id of the container that has published the port; "" where none is found."""
    for root in os.listdir(run_dirs):
        for directory in (f"{run_dirs}/{root}/{name}" for name in _listed(f"{run_dirs}/{root}")):
            with contextlib.suppress(OSError, ValueError), open(f"{directory}/ports.json") as file:
                if any((each["protocol"], each["hostPort"]) == (protocol, port) for each in json.load(file)):
                    return os.path.basename(directory)
    return ""


def _listed(directory: str) -> list[str]:
    with contextlib.suppress(OSError):
        return os.listdir(directory)
    return []
