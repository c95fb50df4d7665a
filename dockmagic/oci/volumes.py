"""Volumes that a container asks for. Source: docker run's reference, "Mount volume"; Engine API, "Mount"."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

LOCAL: Final = "local"
VOLUME: Final = "volume"
IMAGE: Final = "image"


@dataclass(frozen=True, slots=True)
class VolumeMount:
    """A volume at `destination`, or with type "image" the files of an image.

    `source` is the volume's name, "" for a new one without, or the image's reference. `subpath` is a path in it.
    `labels` and `driver_options` are those of a volume that doesn't exist yet. `mode` is what `docker inspect` shows.
    `implied`: nobody named this place but the image, or `-v` without a source; any other mount may take it. `image_id`
    is that of the image, once it was found.
    """

    destination: str
    source: str = ""
    type: str = VOLUME
    read_only: bool = False
    no_copy: bool = False
    subpath: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    driver_options: Mapping[str, str] = field(default_factory=dict)
    mode: str = ""
    implied: bool = False
    image_id: str = ""

    def facts(self) -> dict[str, str]:
        """What events of a mount tell of it. Source: Engine API, "Monitor events"."""
        access = "false" if self.read_only else "true"
        return {"destination": self.destination, "driver": LOCAL, "propagation": "", "read/write": access}


@dataclass(frozen=True, slots=True)
class VolumesFrom:
    """The volumes and binds of another container (name or id); `access` "ro" is for reading, "" as they are there."""

    container: str
    access: str = ""


def place(destination: str) -> str:
    """A mount point in the one way to write it.

    >>> place("//a/./b/")
    '/a/b'
    """
    return "/" + posixpath.normpath(destination).lstrip("/")
