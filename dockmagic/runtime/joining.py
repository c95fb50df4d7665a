"""Namespaces of other containers, asked of their monitors."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from typing import Final

from dockmagic.errors import Conflict
from dockmagic.runtime import protocol
from dockmagic.runtime.request import CONTROL_SOCKET, Record, container_directory, record_of

_FILES: Final = {"network": "net", "shm": "mnt"}
_PATIENCE_S: Final = 5.0


def open_namespaces(run_dir: str, joined: Mapping[str, str]) -> dict[str, int]:
    """A descriptor for each kind, of a namespace of the container with that id.

    Raises Conflict where one doesn't run, OSError where one ends just now.
    """
    found: dict[str, int] = {}
    try:
        for kind, container_id in joined.items():
            found[kind] = _open(run_dir, kind, container_id)
    except BaseException:
        for descriptor in found.values():
            os.close(descriptor)
        raise
    return found


def _open(run_dir: str, kind: str, container_id: str) -> int:
    record = _record(run_dir, container_id)
    if record is None or not record.pid:
        why = f"it doesn't run, so that its {kind} namespace can't be joined; start it first"
        raise Conflict("container", container_id[:12], why)
    return os.open(f"/proc/{record.pid}/ns/{_FILES.get(kind, kind)}", os.O_RDONLY | os.O_CLOEXEC)


def _record(run_dir: str, container_id: str) -> Record | None:
    """What the container's monitor knows of it; None where it doesn't answer in time."""
    with contextlib.suppress(OSError):
        with protocol.connect(f"{container_directory(run_dir, container_id)}/{CONTROL_SOCKET}") as connection:
            connection.settimeout(_PATIENCE_S)
            protocol.send(connection, {"op": "state"})
            answer, _ = protocol.receive(connection)
            return None if answer is None else record_of(answer)
    return None
