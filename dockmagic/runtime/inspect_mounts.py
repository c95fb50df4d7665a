"""A container's mounts in the JSON shape of `docker container inspect`. Source: Engine API, "MountPoint"."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from dockmagic.oci.options import RunOptions
from dockmagic.oci.spec import READ_ONLY_TOP, Mount
from dockmagic.oci.volumes import IMAGE, LOCAL, VolumeMount
from dockmagic.runtime.rootfs import PROPAGATION, is_bind

_FOR_READING: Final = frozenset(("ro", READ_ONLY_TOP))


def mount_points(options: RunOptions, volumes: Path) -> list[dict[str, Any]]:
    """Each mount but those of --tmpfs; `volumes` is the directory of all volumes."""
    return [*map(_mount, options.mounts), *(_volume(volume, volumes) for volume in options.volumes)]


def binds(options: RunOptions) -> list[str]:
    """Binds and named volumes as `-v` would say them."""
    bound = [(mount.source, mount.destination, _mode(mount)) for mount in options.mounts if is_bind(mount)]
    named = [volume for volume in options.volumes if volume.source and not volume.implied and volume.type != IMAGE]
    bound += [(volume.source, volume.destination, "ro" if volume.read_only else "") for volume in named]
    return [":".join(part for part in parts if part) for parts in bound]


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
