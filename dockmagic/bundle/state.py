"""What is known of a bundle's container: a directory for each, and what its process says. Source: runtime.md "State".

    ROOT/<id>/  state.json   what was written down at its creation
                config.json  the config as it was then; later changes to the bundle's don't matter
                start.sock   where its process waits for the start; gone once it has started

A container is `creating` until its process waits, `created` while it does, then `running`, perhaps `paused`, and
`stopped` once its process has ended.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from dockmagic.bundle import limits, load
from dockmagic.errors import Conflict, InvalidOption, InvalidState, NotFound
from dockmagic.oci.codec import decode, encode
from dockmagic.oci.config import VERSION, Config
from dockmagic.runtime.cgroup.group import Group
from dockmagic.trees import make_private, remove_tree

START_SOCKET: Final = "start.sock"
_ID: Final = re.compile(r"[A-Za-z0-9_+.-]+")
_POSSIBLE: Final = {
    "start": ("created",),
    "kill": ("created", "running", "paused"),
    "delete": ("stopped",),
    "exec in": ("running",),
    "pause": ("running", "created"),
    "resume": ("paused",),
    "update": ("created", "running", "paused"),
    "list the processes of": ("created", "running", "paused"),
}


@dataclass(frozen=True, slots=True)
class Record:
    """What is written down of a container; `ticks` tells its process from a later one of the same number.

    `own_cgroup`: its control group was made for it, and goes with it.
    """

    id: str
    bundle: str
    cgroup: str
    created: str
    pid: int = 0
    ticks: int = 0
    own_cgroup: bool = True


@dataclass(frozen=True, slots=True)
class Container:
    """A container that there is."""

    directory: str
    record: Record
    config: Config

    @property
    def group(self) -> Group:
        """Its control group."""
        return limits.group(self.record.id, self.record.cgroup)

    def status(self) -> str:
        """How it is now, in the specification's words, and `paused`."""
        if not self.record.pid:
            return "creating"
        if ticks(self.record.pid) != self.record.ticks:
            return "stopped"
        if self.group.is_frozen():
            return "paused"
        return "created" if os.path.lexists(f"{self.directory}/{START_SOCKET}") else "running"

    def document(self, status: str = "") -> dict[str, Any]:
        """Its state as the specification writes it."""
        return document(self.record, self.config, status or self.status())

    def require(self, operation: str) -> None:
        """Raise InvalidState unless the operation is possible now."""
        status = self.status()
        if status not in _POSSIBLE[operation]:
            raise InvalidState(self.record.id, operation, status)


def document(record: Record, config: Config, status: str) -> dict[str, Any]:
    """The state of a container as the specification writes it; one that has stopped has no process."""
    pid = {} if status == "stopped" else {"pid": record.pid}
    found = {"ociVersion": VERSION, "id": record.id, "status": status, **pid, "bundle": record.bundle}
    return {**found, "annotations": dict(config.annotations)}


class Containers:
    """The containers below a root directory, which is for nobody else."""

    def __init__(self, root: str) -> None:
        self.root = root

    def directory(self, container_id: str) -> str:
        """A container's own directory; raises InvalidOption for what can't be an id."""
        if not _ID.fullmatch(container_id) or container_id in (".", ".."):
            raise InvalidOption(f"container id {container_id!r}: use letters, digits and _ + . - only")
        return f"{self.root}/{container_id}"

    def reserve(self, container_id: str) -> str:
        """Make the directory of a new container; raises Conflict where the id is in use."""
        directory = self.directory(container_id)
        make_private(self.root)
        try:
            os.mkdir(directory, 0o700)
        except FileExistsError as error:
            raise Conflict("container", container_id, "a container with this id exists; delete it first") from error
        return directory

    def get(self, container_id: str) -> Container:
        """The container with this id; raises NotFound."""
        directory = self.directory(container_id)
        try:
            with open(f"{directory}/state.json") as file:
                record = decode(Record, json.load(file))
            with open(f"{directory}/config.json", "rb") as config:
                return Container(directory, record, load.parse(config.read(), config.name, lambda _: None))
        except FileNotFoundError as error:
            raise NotFound("container", container_id) from error

    def all(self) -> Iterator[Container]:
        """Every container, by id."""
        try:
            names = sorted(os.listdir(self.root))
        except FileNotFoundError:
            return
        for name in names:
            try:
                yield self.get(name)
            except NotFound:
                continue

    def forget(self, container_id: str) -> None:
        """Remove all that is known of a container. Idempotent."""
        remove_tree(self.directory(container_id))


def write(directory: str, record: Record) -> None:
    """Write a record down, so that no reader sees half of it."""
    with open(f"{directory}/state.json.new", "w") as file:
        json.dump(encode(record), file)
    os.rename(file.name, f"{directory}/state.json")


def ticks(pid: int) -> int:
    """When a process began, in clock ticks since the boot; 0 for one that has ended. Source: proc_pid_stat(5)."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0 if fields[0] in "ZXx" else int(fields[19])
