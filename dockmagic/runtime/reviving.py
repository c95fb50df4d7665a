"""Containers that a boot, or the death of their monitor, has ended, and whose restart policy wants them to run.

There is no daemon that would start with the machine: the first engine that opens the state root does it. What has the
policy `always` starts again after every boot, what has `unless-stopped` unless somebody had stopped it; both do, too,
where their monitor was killed. As with Docker, `on-failure` says nothing of either.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dockmagic.errors import DockmagicError
from dockmagic.runtime import boot
from dockmagic.runtime.request import Record

if TYPE_CHECKING:
    from dockmagic.runtime.container import Containers, Row


def revive(containers: Containers, rows: Sequence[Row]) -> None:
    """Start those of the containers again that should run and don't; one that can't start keeps nobody else down."""
    lasting = [row for row in rows if row.options.restart.name in ("always", "unless-stopped")]
    now = boot.current() if lasting else ""
    due = [row for row in lasting if not containers.runs(row.id) and wanted(row, containers.record(row.id), now)]
    for row in sorted(due, key=lambda row: len(row.options.joined())):  # those that others join come first
        with contextlib.suppress(DockmagicError, OSError):
            containers.start(row).connection.close()


def wanted(row: Row, record: Record | None, now: str) -> bool:
    """Whether a container that doesn't run should, by what its monitor has left; `now` is this run of the machine."""
    if record is None or not record.started_ns:
        return False
    if record.stopped and (row.options.restart.name == "unless-stopped" or record.boot == now):
        return False
    return record.boot != now or record.restarting or not record.finished_ns
