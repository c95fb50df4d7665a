"""What a container can be, and what may be done with it then.

Rule: everything that decides by a container's status is decided here, by the table. Source: runtime-spec runtime.md
"State"; Docker's API for the names and for what is an error.

    created --start--> running --(ends)--> exited --start--> running
                       running --pause--> paused --unpause--> running
                       running --(ends, with a restart policy)--> restarting --(a pause)--> running
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from dockmagic.errors import ContainerError, InvalidState
from dockmagic.runtime.request import Record

LOST: Final = "its monitor was killed, and it ended with it"
LOST_STATUS: Final = 137  # what a process gets that is killed with its monitor


class Status(StrEnum):
    """Status of a container, in Docker's words."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    EXITED = "exited"


POSSIBLE: Final = {
    "start": frozenset({Status.CREATED, Status.EXITED}),
    "kill": frozenset({Status.RUNNING, Status.PAUSED, Status.RESTARTING}),
    "exec in": frozenset({Status.RUNNING}),
    "watch": frozenset({Status.RUNNING, Status.PAUSED}),
    "pause": frozenset({Status.RUNNING}),
    "unpause": frozenset({Status.PAUSED}),
    "list the processes of": frozenset({Status.RUNNING, Status.PAUSED}),
    "remove": frozenset({Status.CREATED, Status.EXITED}),
}
"""Statuses in which each operation is possible; anywhere else it is an InvalidState."""


STOPPED: Final = "You cannot attach to a stopped container, start it first"
_NOT_ATTACHABLE: Final = {
    Status.PAUSED: "You cannot attach to a paused container, unpause it first",
    Status.RESTARTING: "You cannot attach to a restarting container, wait until it is running",
}


@dataclass(frozen=True, slots=True)
class ContainerState:
    """How a container is at one moment; times in ns since the epoch, 0 for "not yet"; `pid` is the host's number."""

    status: Status
    pid: int = 0
    exit_status: int = 0
    started_ns: int = 0
    finished_ns: int = 0
    oom_killed: bool = False
    error: str = ""
    cgroup: str = ""
    restart_count: int = 0
    health: str = ""
    failing_streak: int = 0

    @property
    def running(self) -> bool:
        """Whether its process lives, be it paused."""
        return self.status in (Status.RUNNING, Status.PAUSED)


def check(container_id: str, operation: str, status: Status) -> None:
    """Raise InvalidState unless the operation is possible in this status."""
    if status not in POSSIBLE[operation]:
        waiting = f"container {container_id} is restarting, wait until the container is running"
        raise InvalidState(container_id, operation, status.value, waiting if status is Status.RESTARTING else "")


def check_attachable(now: ContainerState) -> None:
    """Raise ContainerError, in Docker's words, unless somebody can be attached to it."""
    if now.status != Status.RUNNING:
        raise ContainerError(_NOT_ATTACHABLE.get(now.status, STOPPED))


def derive(record: Record | None, alive: bool) -> ContainerState:
    """State from what the monitor has written down, and whether it is there to answer."""
    if record is None:
        return ContainerState(Status.RUNNING if alive else Status.CREATED)
    living = Status.PAUSED if record.paused else Status.RESTARTING if record.restarting else Status.RUNNING
    status = living if alive else Status.EXITED if record.started_ns else Status.CREATED
    lost = status is Status.EXITED and not record.finished_ns
    return ContainerState(
        status,
        record.pid if alive else 0,
        LOST_STATUS if lost else record.exit_status,
        record.started_ns,
        record.finished_ns,
        record.oom_killed,
        LOST if lost else record.error,
        record.cgroup,
        record.restart_count,
        record.health,
        record.failing_streak,
    )
