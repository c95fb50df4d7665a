"""Devices of the host for a container: nodes in its /dev, and rules that let it use them.

Source: docker run's reference, "Add host device to container".
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Final

from dockmagic.errors import InvalidOption
from dockmagic.oci.options import DeviceMapping
from dockmagic.oci.spec import Device, DeviceRule, Spec

_OWN: Final = frozenset(("pts", "shm", "fd", "mqueue", "console", "ptmx"))  # a container has these of its own


def with_devices(spec: Spec, mappings: Iterable[DeviceMapping], rules: Iterable[DeviceRule]) -> Spec:
    """The spec with these devices of the host, each of which it may use, and with more rules.

    Raises InvalidOption for what is no device.
    """
    devices = {device.path: device for device in spec.linux.devices}
    allowed: list[DeviceRule] = []
    for mapping in mappings:
        for device in _mapped(mapping):
            devices[device.path] = device
            allowed.append(DeviceRule(True, device.type, device.major, device.minor, mapping.access))
    resources = replace(spec.linux.resources, devices=(*spec.linux.resources.devices, *allowed, *rules))
    return replace(spec, linux=replace(spec.linux, devices=tuple(devices.values()), resources=resources))


def _mapped(mapping: DeviceMapping) -> tuple[Device, ...]:
    """The device, or all of a directory's, under their paths in the container."""
    source = os.path.realpath(mapping.source)
    try:
        status = os.stat(source)
    except OSError as error:
        raise InvalidOption(f"--device {mapping.source}: {error.strerror}; `ls /dev` lists the devices") from error
    if stat.S_ISDIR(status.st_mode):
        found = tuple(_nodes(source, "", mapping.path))
    else:
        found = tuple(_device(mapping.path, status))
    if not found:
        raise InvalidOption(f"--device {mapping.source}: it is no device and holds none; mount a file with -v")
    return found


def host_devices(directory: str = "/dev") -> tuple[Device, ...]:
    """The device nodes below the directory, by path, but for those that every container has of its own."""
    found = _nodes(directory, "", "/dev", left_out=_OWN)
    return tuple(sorted(found, key=lambda device: device.path))


def _nodes(directory: str, below: str, target: str, left_out: frozenset[str] = frozenset()) -> Iterator[Device]:
    """Nodes of a directory that is `below` the one to begin with, as they are below `target` in the container.

    What can't be read isn't there.
    """
    try:
        with os.scandir(f"{directory}{below}") as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return
    for entry in found:
        if not below and entry.name in left_out:
            continue
        path = f"{below}/{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            yield from _nodes(directory, path, target)
        elif not entry.is_file(follow_symlinks=False) and not entry.is_symlink():
            with suppress(FileNotFoundError):  # it has gone meanwhile
                yield from _device(f"{target}{path}", entry.stat(follow_symlinks=False))


def _device(path: str, status: os.stat_result) -> Iterator[Device]:
    """The device of a node, under the node's mode and owner; nothing for what is none."""
    kinds = {stat.S_IFCHR: "c", stat.S_IFBLK: "b"}
    kind = kinds.get(stat.S_IFMT(status.st_mode))
    if kind is not None:
        number, mode = status.st_rdev, stat.S_IMODE(status.st_mode)
        yield Device(path, kind, os.major(number), os.minor(number), mode, status.st_uid, status.st_gid)
