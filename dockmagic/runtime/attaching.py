"""Being attached to what runs: to a container's own process, or to one more that exec starts."""

from __future__ import annotations

from dataclasses import replace

from dockmagic.errors import ContainerError, InvalidState
from dockmagic.oci.convert import exec_process
from dockmagic.oci.options import ExecOptions
from dockmagic.oci.spec import Capabilities
from dockmagic.runtime import state
from dockmagic.runtime.attach import Attachment
from dockmagic.runtime.client import Client
from dockmagic.runtime.container import Containers, Row
from dockmagic.runtime.privileges import bounding_set
from dockmagic.runtime.request import ExecRequest
from dockmagic.runtime.session import OnOutput, Session


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
        connection = client.execute(row.id, ExecRequest(process), ())
        if connection is None:
            raise _not_running(containers, row)
        connection.close()
        return 0
    with Session(on_output, replace(attachment, tty=options.tty)) as session:
        request = ExecRequest(process, session.streams, foreground=True)
        connection = client.execute(row.id, request, session.descriptors)
        if connection is None:
            raise _not_running(containers, row)
        with connection:
            ended = session.follow(connection, 0, init=False)
    return state.LOST_STATUS if ended is None else int(ended["exitStatus"])


def _not_running(containers: Containers, row: Row) -> InvalidState:
    """The error in Docker's words."""
    status = containers.state(row.id).status.value
    return InvalidState(row.id, "exec in", status, f"container {row.id} is not running: it is {status}")


def _all_capabilities() -> Capabilities:
    """All that this host can give."""
    names = bounding_set()
    return Capabilities(bounding=names, effective=names, permitted=names)
