"""Volumes for a user of the engine: Docker's verbs, and what a new container needs of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dockmagic.database import Database
from dockmagic.errors import Conflict, NotFound
from dockmagic.oci.options import RunOptions
from dockmagic.oci.selection import Selection
from dockmagic.oci.spec import Mount, Overlay
from dockmagic.oci.volumes import IMAGE, VolumeMount
from dockmagic.volumes.local import bound_directory, in_memory, mount_of
from dockmagic.volumes.placing import arranged, given_by
from dockmagic.volumes.store import Volume, VolumeStore

if TYPE_CHECKING:
    from dockmagic.image.checking import Fault
    from dockmagic.image.pruning import Pruned

_EVERYTHING = Selection()
Layers = Sequence[Path]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What placing mounts needs to know: the image's layers (topmost first) and volumes, other containers and images.

    `options_of` gives those of another container, `image` the id and the layers of an image by its reference.
    """

    layers: Layers
    image_volumes: tuple[str, ...]
    options_of: Callable[[str], RunOptions]
    image: Callable[[str], tuple[str, Layers]]


@dataclass(frozen=True, slots=True)
class VolumeUse:
    """A volume, the containers that use it (ids), and the bytes in it."""

    volume: Volume
    containers: tuple[str, ...] = field(default=())
    size_bytes: int = 0


class Volumes:
    """The volumes of an engine."""

    def __init__(self, root: Path, database: Database) -> None:
        self._database = database
        self._store = VolumeStore(root, database)

    def create(
        self, name: str = "", *, labels: Mapping[str, str] | None = None, options: Mapping[str, str] | None = None
    ) -> Volume:
        """The volume of this name, made where there is none; one with a made-up name if that is "".

        `options` are those of the local driver: type, o, device. Raises InvalidOption, StoreError.
        """
        return self._store.ensure(name, labels or {}, options or {})

    def ls(self) -> list[VolumeUse]:
        """All volumes by name, with their users; nothing is measured."""
        self._store.collect()
        users = self._store.users()
        return [VolumeUse(volume, users.get(volume.name, ())) for volume in self._store.all()]

    def get(self, name: str) -> Volume:
        """The volume of this name; raises NotFound."""
        return self._store.find(name)

    def rm(self, name: str) -> None:
        """Remove a volume with all that is in it; raises NotFound, Conflict where a container uses it."""
        self._store.collect()
        self._store.remove(name)

    def prune(self, selection: Selection = _EVERYTHING, *, all: bool = False) -> Pruned:
        """Remove the volumes without a name that no container uses, or `all` that none uses."""
        from dockmagic.image.pruning import Pruned

        sizes: dict[str, int] = {}
        for use in self.ls():
            volume = use.volume
            wanted = (all or volume.anonymous) and selection.takes(volume.created_ns, volume.labels)
            if wanted and not use.containers:
                size = self._store.size_bytes(volume)
                try:
                    sizes[self._store.remove(volume.name).name] = size
                except (NotFound, Conflict):  # somebody was quicker
                    continue
        return Pruned(tuple(sizes), sum(sizes.values()))

    def usage(self) -> tuple[VolumeUse, ...]:
        """All volumes by name, with what they take of the disk."""
        return tuple(replace(use, size_bytes=self._store.size_bytes(use.volume)) for use in self.ls())

    def faults(self) -> tuple[Fault, ...]:
        """What is wrong: a directory that no volume has, or a volume that lost its directory."""
        from dockmagic.image.checking import Fault, Kind

        lost = (volume.name for volume in self._store.all() if not volume.mountpoint.is_dir())
        return (
            *(Fault(Kind.VOLUME, name, "isn't known any more") for name in self._store.stray()),
            *(Fault(Kind.VOLUME, name, "has lost its directory, and begins anew") for name in lost),
        )

    def mend(self, faults: Iterable[Fault]) -> tuple[Fault, ...]:
        """Make volumes of all these names, with what is there of their data; the faults that are left."""
        for fault in faults:
            self._store.ensure(fault.name, {}, {})
        return self.faults()

    def collect(self) -> None:
        """Take away the unnamed volumes of containers that took themselves away, and what removals left."""
        self._store.collect()

    def release(self, container_id: str, *, remove: bool) -> None:
        """A container is gone; with `remove` its unnamed volumes go, too, unless others use them."""
        self._store.release(container_id, remove=remove)

    # -- for a new container ------------------------------------------------------------------------------------

    def attach(
        self, container_id: str, options: RunOptions, around: Surroundings
    ) -> tuple[RunOptions, tuple[Mount, ...]]:
        """The options with every volume made, filled and named, and what is mounted for the volumes.

        The container's directory is there already, and makes it their user. Raises InvalidOption, NotFound, StoreError.
        """
        if not (options.mounts or options.tmpfs or options.volumes or options.volumes_from or around.image_volumes):
            return options, ()
        others = [given_by(around.options_of(each.container), each.access) for each in options.volumes_from]
        options = arranged(options, others, around.image_volumes)
        attached = [self._attach_one(container_id, each, around, remove=options.remove) for each in options.volumes]
        return replace(options, volumes=tuple(volume for volume, _ in attached)), tuple(mount for _, mount in attached)

    def keep_images(self, container_id: str, options: RunOptions) -> None:
        """The images that are mounted keep their layers as long as the container has a row, which it has by now."""
        rows = {(volume.image_id, container_id) for volume in options.volumes if volume.image_id}
        if not rows:
            return
        with self._database.transaction() as connection:
            connection.executemany("INSERT INTO image_users VALUES (?, ?)", sorted(rows))

    def _attach_one(
        self, container_id: str, wanted: VolumeMount, around: Surroundings, *, remove: bool
    ) -> tuple[VolumeMount, Mount]:
        if wanted.type == IMAGE:
            image_id, layers = around.image(wanted.source)
            return replace(wanted, image_id=image_id), _image_mount(wanted, layers)
        with self._database.transaction():
            volume = self._store.ensure(wanted.source, wanted.labels, wanted.driver_options)
            self._store.use(volume, container_id, remove=remove)
        mount = mount_of(
            volume.options,
            volume.mountpoint,
            wanted.destination,
            read_only=wanted.read_only,
            subpath=wanted.subpath,
        )
        if not in_memory(volume.options):
            self._fill(volume, wanted, around.layers)
        return replace(wanted, source=volume.name), mount

    def _fill(self, volume: Volume, wanted: VolumeMount, layers: Layers) -> None:
        """Give an empty volume what the image has at its place, unless that isn't wanted."""
        from dockmagic.volumes import populate

        place = populate.Place(bound_directory(volume.options) or volume.mountpoint, volume.mountpoint.parent)
        if wanted.no_copy or wanted.subpath:
            populate.finish(place)
        else:
            populate.populate(place, layers, wanted.destination)


def _image_mount(wanted: VolumeMount, layers: Layers) -> Mount:
    """An image's files, for reading only; a single layer is no overlay."""
    if len(layers) == 1:
        options = ("bind", "ro", "rprivate")
        return Mount(wanted.destination, "bind", str(layers[0]), options, subpath=wanted.subpath)
    overlay = Overlay(tuple(map(str, layers)))
    return Mount(wanted.destination, "overlay", "overlay", ("ro",), overlay, subpath=wanted.subpath)
