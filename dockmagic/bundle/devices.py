"""The nodes and links of a container's /dev. Source: config-linux.md "Devices", "Default Devices"; runtime-linux.md."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable
from typing import Final

from dockmagic.bundle.paths import find, find_or_make
from dockmagic.linux import mount as m
from dockmagic.oci import defaults
from dockmagic.oci.spec import Device
from dockmagic.runtime.stage import stage

_KINDS: Final = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}
_LINKS: Final = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}


def make(root: int, wanted: Iterable[Device]) -> None:
    """Make the devices that every container has, those that are wanted, and the usual links; raises Failed."""
    devices = {device.path: device for device in (*defaults.DEVICES, *wanted)}
    for device in devices.values():
        with stage("devices", f"make {device.path}"):
            _make(root, device)
    with stage("devices", "make the links in /dev"):
        directory = find_or_make(root, "/dev", directory=True)
        for name, to in _LINKS.items():
            _link(directory, name, to)
        if os.path.lexists("/proc/kcore"):
            _link(directory, "core", "/proc/kcore")
        os.close(directory)


def _link(directory: int, name: str, to: str) -> None:
    """Make a link; the multiplexer's takes the place of a node, other names stay as they are."""
    if name == "ptmx":
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=directory)
    with contextlib.suppress(FileExistsError):
        os.symlink(to, name, dir_fd=directory)


def _make(root: int, device: Device) -> None:
    """Make one node; where that isn't allowed the host's is shown. Raises OSError where something else is there."""
    above, name = os.path.split(device.path)
    parent = find_or_make(root, above, directory=True)
    mode, number = _KINDS[device.type] | device.file_mode, os.makedev(device.major, device.minor)
    try:
        os.mknod(name, mode, number, dir_fd=parent)
    except FileExistsError:
        _compare(os.stat(name, dir_fd=parent, follow_symlinks=False), device, number)
        return
    except PermissionError:
        _show(root, device)
        return
    finally:
        os.close(parent)
    found = find(root, device.path, links=False)
    os.chown(f"/proc/self/fd/{found}", device.uid, device.gid)
    os.chmod(f"/proc/self/fd/{found}", device.file_mode)
    os.close(found)


def _compare(status: os.stat_result, device: Device, number: int) -> None:
    """Raise FileExistsError where a node isn't the device; one that is may have another mode and owner."""
    same = stat.S_IFMT(status.st_mode) == _KINDS[device.type]
    if not same or (device.type != "p" and status.st_rdev != number):
        raise FileExistsError(f"{device.path}: something else is there already")


def _show(root: int, device: Device) -> None:
    """Show the host's node, as in a user namespace, where none can be made."""
    source = m.open_tree(m.AT_FDCWD, device.path, m.OPEN_TREE_CLONE | m.OPEN_TREE_CLOEXEC)
    target = find_or_make(root, device.path, directory=False)
    m.move_mount(source, "", target, "", m.MOVE_MOUNT_F_EMPTY_PATH | m.MOVE_MOUNT_T_EMPTY_PATH)
    os.close(source)
    os.close(target)
