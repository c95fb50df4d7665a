"""What can be done with the files of a container: Docker's diff, export, commit and cp."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TypedDict

from dockmagic.builder.changes import changed_by
from dockmagic.errors import InvalidOption, NotFound, StoreError
from dockmagic.events import OnEvent, ignore
from dockmagic.files import commit, copying, rules
from dockmagic.files.copying import Copied
from dockmagic.files.diff import container_changes
from dockmagic.files.place import Place, host
from dockmagic.files.stubs import stub_names
from dockmagic.image.attributes import Owner
from dockmagic.image.flatten import flatten_tar
from dockmagic.image.limits import Limits
from dockmagic.image.meter import Meter, MeteredSink
from dockmagic.image.snapshot import Layer, Snapshots
from dockmagic.image.store import Image, ImageStore
from dockmagic.image.streams import Sink, Source, output_errors
from dockmagic.image.tree import Change
from dockmagic.oci.reference import Reference
from dockmagic.runtime.container import Containers, Row
from dockmagic.runtime.holding import held, present
from dockmagic.runtime.pause import paused
from dockmagic.runtime.view import opened_root

_ROOT: Owner = (0, 0)
_TRIES = 20


class CopyOptions(TypedDict, total=False):
    """`archive` keeps owners, else they are the destination's; `follow` takes what a link leads to."""

    archive: bool
    follow: bool
    on_event: OnEvent


class CommitOptions(TypedDict, total=False):
    """`changes` are instructions of a Dockerfile; without `pause` (True) the processes run on while files are read."""

    author: str
    message: str
    changes: Sequence[str]
    pause: bool
    on_event: OnEvent


class Files:
    """The files of all containers of an engine."""

    def __init__(self, rows: Containers, store: ImageStore, snapshots: Snapshots, limits: Limits) -> None:
        """`limits` are for archives that are unpacked into containers."""
        self._rows = rows
        self._store = store
        self._snapshots = snapshots
        self._limits = limits

    def diff(self, row: Row) -> tuple[Change, ...]:
        """What the container changed on its image, by path; raises NotFound, StoreError."""
        with present(self._rows, row):
            upper, lower = self._layers(row)
            for _ in range(_TRIES):
                with suppress(FileNotFoundError, NotADirectoryError):  # a process removed it just now
                    return container_changes(upper, lower, stub_names(upper, lower, row.spec.mounts))
            raise StoreError(f"the files of {row.name} change faster than they can be compared; try again")

    def export(self, row: Row, out: Sink, on_event: OnEvent = ignore) -> None:
        """Write its files, without those of mounts, as a plain tar stream; raises StoreError, NotFound."""
        with present(self._rows, row):
            upper, lower = self._layers(row)
            stubs = stub_names(upper, lower, row.spec.mounts)
            meter = Meter(f"exporting {row.name}", on_event)
            flatten_tar([upper, *lower], MeteredSink(out, meter), without=stubs, pads=True)

    def commit(
        self,
        row: Row,
        reference: str = "",
        *,
        author: str = "",
        message: str = "",
        changes: Sequence[str] = (),
        pause: bool = True,
        on_event: OnEvent = ignore,
    ) -> Image:
        """Make an image of its files and its config; raises NotFound, InvalidOption, ContainerError, StoreError."""
        names = [Reference.parse(reference)] if reference else []
        with self._store.workspaces.hold():
            base = self._store.get(row.image_id)
            start = commit.container_config(base.config.config, row.options)
            config = changed_by(start, changes)
            layer = self._layer(row, base, Meter(f"committing {row.name}", on_event), pause=pause)
            command = " ".join(start.cmd or ())
            image = commit.image_of(base, layer, config, command=command, author=author, message=message)
            blobs = [*base.manifest.layers, *([] if layer is None else [layer.descriptor])]
            return self._store.add_image(image, blobs, references=names)

    def _layer(self, row: Row, base: Image, meter: Meter, *, pause: bool) -> Layer | None:
        """What the container wrote as a layer upon its image; None where it wrote nothing."""
        with held(self._rows, row) as now:
            upper, lower = self._layers(row)
            stubs = stub_names(upper, lower, row.spec.mounts)
            still = (
                paused(self._rows.directory(row.id), now.cgroup) if pause and now.status == "running" else nullcontext()
            )
            return commit.commit_upper(
                base,
                upper,
                without=stubs,
                paused=still,
                store=self._store,
                snapshots=self._snapshots,
                meter=meter,
            )

    def copy_from(
        self,
        row: Row,
        path: str,
        target: str | Path | Sink,
        *,
        archive: bool = False,
        follow: bool = False,
        on_event: OnEvent = ignore,
    ) -> Copied:
        """Copy a file or directory out of it, to a path or as a tar stream. Raises NotFound, InvalidOption, StoreError.

        `archive` keeps owners; `follow` takes what a link leads to.
        """
        inside = rules.absolute(path)
        with self._inside(row) as place, host() as outside, output_errors(f"copy {place.shown(inside)}"):
            meter = Meter(f"copying {place.shown(inside)}", on_event)
            if not isinstance(target, str | Path):
                return copying.copy_to_stream(place, inside, MeteredSink(target, meter), follow=follow)
            to = _local(target)
            owner = None if archive else (os.geteuid(), os.getegid())
            return copying.copy(place, inside, outside, to, owner=owner, follow=follow, meter=meter)

    def copy_to(
        self,
        row: Row,
        source: str | Path | Source,
        path: str,
        *,
        archive: bool = False,
        follow: bool = False,
        on_event: OnEvent = ignore,
    ) -> Copied:
        """Copy a file or directory into it, or unpack a tar stream there; as `copy_from`."""
        inside = rules.absolute(path)
        owner = None if archive else _ROOT
        with self._inside(row) as place, host() as outside, output_errors(f"copy to {place.shown(inside)}"):
            meter = Meter(f"copying to {place.shown(inside)}", on_event)
            if not isinstance(source, str | Path):
                return copying.copy_from_stream(source, place, inside, owner=owner, limits=self._limits, meter=meter)
            return copying.copy(outside, _local(source), place, inside, owner=owner, follow=follow, meter=meter)

    @contextmanager
    def _inside(self, row: Row) -> Iterator[Place]:
        """The container's root."""
        with opened_root(self._rows, row) as fd:
            yield Place(fd, row.name)

    def _layers(self, row: Row) -> tuple[Path, list[Path]]:
        """The upper directory, and the image's layers, topmost first."""
        overlay = row.spec.root.overlay
        if overlay is None:
            raise NotFound("layer", row.name, "its container isn't made of layers")
        return Path(overlay.upper), self._rows.without_stubs(overlay.lower)


def _local(path: str | Path) -> str:
    """A path of the host, absolute, with what says "directory" at its end."""
    text = str(path) if isinstance(path, str) else os.fspath(path)
    if not text:
        raise InvalidOption("the path is empty")
    return rules.absolute(text, os.getcwd())  # noqa: PTH109 - a name, not a Path
