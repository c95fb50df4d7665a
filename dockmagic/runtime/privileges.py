"""What a privileged container gets of this host: capabilities and devices. Source: `docker run --privileged`."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Final

from dockmagic.linux import process as p
from dockmagic.oci.defaults import ALL_CAPABILITIES
from dockmagic.oci.spec import Capabilities, Device, Spec

_OWN: Final = frozenset(("pts", "shm", "fd", "mqueue", "console", "ptmx"))  # a container has these of its own


def with_host_privileges(spec: Spec) -> Spec:
    """The spec with no capability that this process can't give, and with all of the host's devices."""
    capabilities = spec.process.capabilities
    permitted = frozenset(bounding_set())
    kept = tuple(name for name in capabilities.bounding if name in permitted)
    process = replace(spec.process, capabilities=Capabilities(bounding=kept, effective=kept, permitted=kept))
    known = {device.path for device in spec.linux.devices}
    more = tuple(device for device in host_devices() if device.path not in known)
    return replace(spec, process=process, linux=replace(spec.linux, devices=spec.linux.devices + more))


def bounding_set() -> tuple[str, ...]:
    """Capabilities in this process's bounding set, by number; those that the kernel doesn't know are none."""
    return tuple(name for number, name in enumerate(ALL_CAPABILITIES) if _has(number))


def host_devices(directory: str = "/dev") -> tuple[Device, ...]:
    """The device nodes below the directory, by path, but for those that every container has of its own."""
    return tuple(sorted(_nodes(directory, ""), key=lambda device: device.path))


def _has(number: int) -> bool:
    try:
        return p.prctl(p.PR_CAPBSET_READ, number) == 1
    except OSError:
        return False


def _nodes(directory: str, below: str) -> Iterator[Device]:
    """Nodes of a directory that is `below` the one to begin with; what can't be read isn't there."""
    try:
        with os.scandir(f"{directory}{below}") as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return
    for entry in found:
        if not below and entry.name in _OWN:
            continue
        path = f"{below}/{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            yield from _nodes(directory, path)
        elif not entry.is_file(follow_symlinks=False) and not entry.is_symlink():
            with suppress(FileNotFoundError):  # it has gone meanwhile
                yield from _device(f"/dev{path}", entry.stat(follow_symlinks=False))


def _device(path: str, status: os.stat_result) -> Iterator[Device]:
    kinds = {stat.S_IFCHR: "c", stat.S_IFBLK: "b"}
    kind = kinds.get(stat.S_IFMT(status.st_mode))
    if kind is not None:
        number, mode = status.st_rdev, stat.S_IMODE(status.st_mode)
        yield Device(path, kind, os.major(number), os.minor(number), mode)
