"""Which mounts a container gets, of those it names, those of other containers, and those of its image. Pure.

What the container names wins a place, then what comes from others, last what the image or a bare `-v /DIR` asks for.
Source: Docker's reference, "Mount volume" and "Mount volumes from container".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from dockmagic.errors import InvalidOption
from dockmagic.oci.options import RunOptions
from dockmagic.oci.spec import Mount
from dockmagic.oci.volumes import VolumeMount, place

READ_ONLY = "ro"


@dataclass(frozen=True, slots=True)
class Given:
    """What another container gives: its binds and its volumes."""

    mounts: tuple[Mount, ...] = ()
    volumes: tuple[VolumeMount, ...] = ()


def given_by(options: RunOptions, access: str) -> Given:
    """What a container with these options gives; with access "ro" for reading only. Nothing is copied once more."""
    volumes = tuple(replace(volume, no_copy=True, implied=False) for volume in options.volumes)
    mounts = tuple(mount for mount in options.mounts if mount.overlay is None and mount.content is None)
    if access != READ_ONLY:
        return Given(mounts, volumes)
    return Given(
        tuple(replace(mount, options=_for_reading(mount.options)) for mount in mounts),
        tuple(replace(volume, read_only=True) for volume in volumes),
    )


def arranged(options: RunOptions, others: Sequence[Given], image_volumes: Iterable[str]) -> RunOptions:
    """The options with all mounts in one place each. Raises InvalidOption where two are named for one place."""
    named = [volume for volume in options.volumes if not volume.implied]
    taken = places([*options.tmpfs, *options.mounts, *named])
    mounts, volumes = _from_others(others)
    more_mounts = tuple(mount for where, mount in mounts.items() if where not in taken)
    more_volumes = tuple(volume for where, volume in volumes.items() if where not in taken)
    taken |= {*mounts, *volumes}
    bare = {place(volume.destination): volume for volume in options.volumes if volume.implied}
    bare |= {place(path): VolumeMount(place(path), implied=True) for path in image_volumes if place(path) not in bare}
    implied = tuple(volume for where, volume in bare.items() if where not in taken)
    if "/" in bare:
        raise InvalidOption("the image's VOLUME is /: destination can't be '/'; name another directory")
    return replace(options, mounts=options.mounts + more_mounts, volumes=(*named, *more_volumes, *implied))


def places(mounts: Iterable[Mount | VolumeMount]) -> set[str]:
    """Where all of these are; raises InvalidOption for a place that is there twice."""
    found: set[str] = set()
    for mount in mounts:
        where = place(mount.destination)
        if where in found:
            raise InvalidOption(f"Duplicate mount point: {where}; mount one thing there")
        found.add(where)
    return found


def _from_others(others: Sequence[Given]) -> tuple[Mapping[str, Mount], Mapping[str, VolumeMount]]:
    """What they give by place; the last one has its way."""
    mounts: dict[str, Mount] = {}
    volumes: dict[str, VolumeMount] = {}
    for given in others:
        for mount in given.mounts:
            volumes.pop(place(mount.destination), None)
            mounts[place(mount.destination)] = mount
        for volume in given.volumes:
            mounts.pop(place(volume.destination), None)
            volumes[place(volume.destination)] = volume
    return mounts, volumes


def _for_reading(options: tuple[str, ...]) -> tuple[str, ...]:
    return (*(option for option in options if option not in ("rw", READ_ONLY)), READ_ONLY)
