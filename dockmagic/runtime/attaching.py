"""Being attached to what runs: to a container's own process, or to one more that exec starts."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from dockmagic.errors import ContainerError, InvalidState
from dockmagic.oci import defaults
from dockmagic.oci.options import ExecOptions
from dockmagic.oci.spec import Capabilities, Process, User
from dockmagic.runtime import state
from dockmagic.runtime.attach import Attachment
from dockmagic.runtime.client import Client
from dockmagic.runtime.container import Containers, Row
from dockmagic.runtime.privileges import bounding_set
from dockmagic.runtime.request import ExecRequest
from dockmagic.runtime.session import OnOutput, Session

NOT_RUNNING: Final = "You cannot attach to a stopped container, start it first"


def attach(client: Client, row: Row, attachment: Attachment, on_output: OnOutput) -> int:
    """Be attached to a running container until it ends: its exit status.

    Raises ContainerError where it doesn't run, Detached; KeyboardInterrupt after an interrupt has reached it.
    """
    with Session(on_output, attachment) as session:
        answer = client.attach(row.id, session.streams, session.descriptors)
        if answer is None:
            raise ContainerError(NOT_RUNNING)
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


def exec_process(process: Process, options: ExecOptions) -> Process:
    """The process that exec starts: the container's own, with what the options change."""
    term = (f"TERM={defaults.TERM}",) if options.tty else ()
    entries = (*term, *process.env, *options.env)
    merged = {name: value for name, _, value in (entry.partition("=") for entry in entries)}
    return replace(
        process,
        args=options.command,
        env=tuple(f"{name}={value}" for name, value in merged.items()),
        user=User(username=options.user) if options.user else process.user,
        cwd=options.workdir or process.cwd,
        terminal=options.tty,
        console_size=options.console_size if options.tty else None,
        capabilities=_all_capabilities() if options.privileged else process.capabilities,
    )


def _all_capabilities() -> Capabilities:
    """All that this host can give."""
    names = bounding_set()
    return Capabilities(bounding=names, effective=names, permitted=names)
