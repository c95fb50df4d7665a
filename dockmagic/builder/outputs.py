"""What a build writes: its files, an archive, an image layout, or an image in the store.

Source: BuildKit's README, "Output"; docker build's reference, "--output".
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from dockmagic.errors import InvalidOption
from dockmagic.image.archive_write import save_docker, save_oci, write_layout
from dockmagic.image.flatten import flatten_into, flatten_tar
from dockmagic.image.layout import saved
from dockmagic.image.snapshot import Snapshots
from dockmagic.image.store import Image, ImageStore
from dockmagic.image.streams import Sink
from dockmagic.image.whole import whole_directory, whole_file
from dockmagic.oci.reference import Reference


class OutputType(StrEnum):
    """Docker's names of what a build can write."""

    LOCAL = "local"
    TAR = "tar"
    OCI = "oci"
    DOCKER = "docker"
    IMAGE = "image"
    CACHE_ONLY = "cacheonly"


@dataclass(frozen=True, slots=True)
class Output:
    """One output. `dest` is the directory or file to write, or what takes the bytes of an archive.

    `local` and `tar` are the image's files, without its config; `oci` and `docker` the whole image, in a layout's
    directory where `is_tar` is False. `docker` without a `dest`, and `image`, put it into the store; `cacheonly` writes
    nothing. `names` are more names of the image, beside the build's tags; with `push`, an `image` is pushed under all
    of them.
    """

    type: OutputType
    dest: Path | Sink | None = None
    is_tar: bool = True
    names: tuple[Reference, ...] = ()
    push: bool = False

    def __post_init__(self) -> None:
        """Raise InvalidOption for what doesn't go together."""
        takes_dest = self.type not in {OutputType.IMAGE, OutputType.CACHE_ONLY}
        if self.dest is not None and not takes_dest:
            raise InvalidOption(f"type={self.type} has no dest")
        if self.dest is None and takes_dest and self.type is not OutputType.DOCKER:
            raise InvalidOption(f"type={self.type} needs a dest")
        if not self.is_tar and self.type is not OutputType.OCI:
            raise InvalidOption(f"type={self.type} has no tar=false; use type=oci")
        if self.push and self.type is not OutputType.IMAGE:
            raise InvalidOption(f"type={self.type} isn't pushed; use type=registry")
        if self.is_directory and not isinstance(self.dest, Path):
            raise InvalidOption("dest has to be a directory: many files are written")

    @property
    def is_stored(self) -> bool:
        """Whether the image is put into the store."""
        return self.type is OutputType.IMAGE or (self.type is OutputType.DOCKER and self.dest is None)

    @property
    def is_directory(self) -> bool:
        """Whether `dest` is a directory."""
        return self.type is OutputType.LOCAL or not self.is_tar


def pushes(outputs: Sequence[Output], tags: Sequence[Reference]) -> tuple[Reference, ...]:
    """The names that an image with these tags is pushed under; raises InvalidOption where it is to be, and has none."""
    named = [(*tags, *output.names) for output in outputs if output.push]
    if not all(named):
        raise InvalidOption("tag is needed when pushing to registry; name the image with -t")
    return tuple(dict.fromkeys(name for names in named for name in names))


@dataclass(frozen=True, slots=True)
class Exporter:
    """Writes outputs of an image, which has `tags` in archives. All files have the time `epoch_s`, if that is given."""

    store: ImageStore
    snapshots: Snapshots
    tags: tuple[Reference, ...] = ()
    epoch_s: int | None = None

    def write(self, image: Image, outputs: Sequence[Output]) -> None:
        """Write what isn't in the store yet, whole or not at all. Raises InvalidOption, StoreError, NotFound."""
        for output in outputs:
            dest = output.dest
            if isinstance(dest, Path) and output.is_directory:
                self._fill(image, output, dest)
            elif isinstance(dest, Path):
                with whole_file(dest) as file:
                    self._stream(image, output, file)
            elif dest is not None:
                self._stream(image, output, dest)

    def _fill(self, image: Image, output: Output, dest: Path) -> None:
        """Write into a directory. The files of a tree belong to whoever runs the build."""
        with whole_directory(dest) as directory:
            if output.type is OutputType.LOCAL:
                owner = (os.geteuid(), os.getegid())
                flatten_into(self.snapshots.lower(image.config.diff_ids), directory, owner, mtime_s=self.epoch_s)
            else:
                names = (*self.tags, *output.names)
                write_layout([saved(self.store, image, names)], self.store, directory)

    def _stream(self, image: Image, output: Output, sink: Sink) -> None:
        """Write an archive."""
        if output.type is OutputType.TAR:
            flatten_tar(self.snapshots.lower(image.config.diff_ids), sink, mtime_s=self.epoch_s)
            return
        save = save_docker if output.type is OutputType.DOCKER else save_oci
        save([saved(self.store, image, (*self.tags, *output.names))], self.store, sink)
