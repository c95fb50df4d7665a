"""A container's mounts in the JSON shape of `docker container inspect`. Source: Engine API, "MountPoint"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from dockmagic.oci.options import RunOptions
from dockmagic.oci.spec import READ_ONLY_TOP, Mount
from dockmagic.oci.volumes import IMAGE, LOCAL, VolumeMount
from dockmagic.runtime.rootfs import PROPAGATION, is_bind

_FOR_READING: Final = frozenset(("ro", READ_ONLY_TOP))
_ANYWAY: Final = ("noexec", "nosuid", "nodev")
_MADE_UP: Final = re.compile("[0-9a-f]{64}")  # the name of a volume that nobody named


def mount_points(options: RunOptions, volumes: Path) -> list[dict[str, Any]]:
    """Each mount but those of --tmpfs; `volumes` is the directory of all volumes."""
    return [*map(_mount, options.mounts), *(_volume(volume, volumes) for volume in options.volumes)]


def binds(options: RunOptions) -> list[str]:
    """Binds and named volumes as `-v` would say them, but for those of `--mount`."""
    bound = [(mount.source, mount.destination, _mode(mount)) for mount in options.mounts if is_bind(mount)]
    named = [volume for volume in options.volumes if volume.source and not volume.implied and volume.type != IMAGE]
    bound += [(volume.source, volume.destination, "ro" if volume.read_only else "") for volume in named]
    return [":".join(part for part in parts if part) for parts in bound if parts[1] not in options.long_mounts]


def long_mounts(options: RunOptions) -> list[dict[str, Any]]:
    """What `--mount` named, as it was asked for. Source: Engine API, "Mount"."""
    mounts = [_long(mount) for mount in options.mounts if mount.destination in options.long_mounts]
    volumes = [_long_volume(volume) for volume in options.volumes if volume.destination in options.long_mounts]
    return sorted(mounts + volumes, key=lambda each: options.long_mounts.index(each["Target"]))


def tmpfs(options: RunOptions) -> dict[str, str]:
    """What `--tmpfs` named: its options by place, without those that it has anyway."""
    return {mount.destination: ",".join(o for o in mount.options if o not in _ANYWAY) for mount in options.tmpfs}


def _long(mount: Mount) -> dict[str, Any]:
    given = dict(option.partition("=")[::2] for option in mount.options)
    if not is_bind(mount):
        own: dict[str, object] = {"SizeBytes": int(given.get("size", 0)), "Mode": int(given.get("mode", "0"), 8)}
        return _asked("tmpfs", "", mount.destination, "ro" in given, "TmpfsOptions", own)
    propagation = next((option for option in mount.options if option in PROPAGATION and option != "rprivate"), "")
    top_only = READ_ONLY_TOP in given
    own = {"Propagation": propagation, "NonRecursive": "bind" in given, "ReadOnlyNonRecursive": top_only}
    return _asked("bind", mount.source, mount.destination, "ro" in given or top_only, "BindOptions", own)


def _long_volume(volume: VolumeMount) -> dict[str, Any]:
    own: dict[str, Any] = {"Subpath": volume.subpath}
    if volume.type == IMAGE:
        return _asked(IMAGE, volume.source, volume.destination, False, "ImageOptions", own)
    driver = {"Name": LOCAL, "Options": dict(volume.driver_options)} if volume.driver_options else {}
    own |= {"NoCopy": volume.no_copy, "Labels": dict(volume.labels), "DriverConfig": driver}
    source = "" if _MADE_UP.fullmatch(volume.source) else volume.source
    return _asked(volume.type, source, volume.destination, volume.read_only, "VolumeOptions", own)


def _asked(
    kind: str, source: str, target: str, read_only: bool, name: str, own: Mapping[str, object]
) -> dict[str, Any]:
    """A mount that was asked for: what is empty is left out, as Docker does."""
    options = {key: value for key, value in own.items() if value}
    found = {"Type": kind, "Source": source, "Target": target, "ReadOnly": read_only, name: options}
    return {key: value for key, value in found.items() if value}


def _mount(mount: Mount) -> dict[str, Any]:
    if not is_bind(mount):
        return _document("tmpfs", "", mount.destination, "", not _FOR_READING.intersection(mount.options))
    propagation = next((option for option in mount.options if option in PROPAGATION), "rprivate")
    writable = not _FOR_READING.intersection(mount.options)
    return _document("bind", mount.source, mount.destination, _mode(mount), writable, propagation)


def _mode(mount: Mount) -> str:
    return "ro" if _FOR_READING.intersection(mount.options) else ""


def _volume(volume: VolumeMount, volumes: Path) -> dict[str, Any]:
    if volume.type == IMAGE:
        return {"Name": volume.source, **_document(IMAGE, "", volume.destination, "", writable=False)}
    source = str(volumes / volume.source / "_data")
    shown = _document("volume", source, volume.destination, volume.mode, not volume.read_only)
    return {"Type": shown.pop("Type"), "Name": volume.source, **shown, "Driver": LOCAL}


def _document(
    kind: str, source: str, destination: str, mode: str, writable: bool, propagation: str = ""
) -> dict[str, Any]:
    return {
        "Type": kind,
        "Source": source,
        "Destination": destination,
        "Mode": mode,
        "RW": writable,
        "Propagation": propagation,
    }
