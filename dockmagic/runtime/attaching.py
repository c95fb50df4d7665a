"""Being attached to what runs: to a container's own process, or to one more that exec starts."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from dockmagic.errors import ContainerError, InvalidState, StartFailed
from dockmagic.oci.convert import exec_process
from dockmagic.oci.options import ExecOptions
from dockmagic.oci.spec import Capabilities
from dockmagic.runtime import state
from dockmagic.runtime.attach import Attachment
from dockmagic.runtime.client import Client
from dockmagic.runtime.container import Containers, Row
from dockmagic.runtime.privileges import bounding_set
from dockmagic.runtime.request import NOT_AWAKE, ExecRequest
from dockmagic.runtime.session import OnOutput, Session

CANNOT_EXEC: Final = 126
"""Docker's status of an exec that couldn't start, but for a command that wasn't found."""


def attach(client: Client, row: Row, attachment: Attachment, on_output: OnOutput) -> int:
    """Be attached to a running container until it ends: its exit status.

    Raises ContainerError where it doesn't run, Detached; KeyboardInterrupt after an interrupt has reached it.
    """
    with Session(on_output, attachment) as session:
        answer = client.attach(row.id, session.streams, session.descriptors)
        if answer is None:
            raise ContainerError(state.STOPPED)
        with answer.connection:
            ended = session.follow(answer.connection, answer.record.pid)
    return state.LOST_STATUS if ended is None else int(ended.get("exitStatus", 0))


def execute(
    containers: Containers, client: Client, row: Row, options: ExecOptions, attachment: Attachment, on_output: OnOutput
) -> int:
    """Run one more process: its exit status, 0 in the background.

    Raises InvalidState, StartFailed, Detached.
    """
    process = exec_process(row.spec.process, options)
    if options.privileged:
        process = replace(process, capabilities=_all_capabilities())
    if options.detach:
        _started(containers, client, row, ExecRequest(process), ()).close()
        return 0
    with Session(on_output, replace(attachment, tty=options.tty)) as session:
        request = ExecRequest(process, session.streams, foreground=True)
        with _started(containers, client, row, request, session.descriptors) as connection:
            ended = session.follow(connection, 0, init=False)
    return state.LOST_STATUS if ended is None else int(ended["exitStatus"])


def _started(
    containers: Containers, client: Client, row: Row, request: ExecRequest, descriptors: Sequence[int]
) -> socket.socket:
    """The connection to a process that has started; raises InvalidState, StartFailed with Docker's status."""
    try:
        connection = client.execute(row.id, request, descriptors)
    except StartFailed as error:
        if error.failure.stage == NOT_AWAKE:
            raise _not_running(containers, row, error.failure.reason) from None
        raise StartFailed(error.failure, max(error.exit_status, CANNOT_EXEC)) from None
    if connection is None:
        raise _not_running(containers, row)
    return connection


def _not_running(containers: Containers, row: Row, words: str = "") -> InvalidState:
    """The error in Docker's words."""
    status = containers.state(row.id).status.value
    return InvalidState(row.id, "exec in", status, words or f"container {row.id} is not running: it is {status}")


def _all_capabilities() -> Capabilities:
    """All that this host can give."""
    names = bounding_set()
    return Capabilities(bounding=names, effective=names, permitted=names)
