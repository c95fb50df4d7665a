"""The processes that exec starts in a container, on their monitor's side, from their start to their status."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
from collections.abc import Callable, Sequence
from functools import partial

from dockmagic.oci.spec import Spec
from dockmagic.runtime import protocol
from dockmagic.runtime.executions import Execution, execute
from dockmagic.runtime.request import ExecRequest
from dockmagic.runtime.sandbox import Sandbox, ended, wait
from dockmagic.runtime.streams import Stdio, Streams


class Guests:
    """Who started something by exec, and what runs of it. `note` writes an event down."""

    def __init__(self, selector: selectors.BaseSelector, streams: Streams, note: Callable[..., None]) -> None:
        self._selector = selector
        self._streams = streams
        self._note = note
        self._executions: list[Execution] = []
        self._traced: list[Execution] = []
        self._connections: set[socket.socket] = set()  # what they started may have ended

    def __contains__(self, connection: socket.socket) -> bool:
        """Whether this connection started something."""
        return connection in self._connections

    @property
    def restless(self) -> bool:
        """Whether somebody has to look again soon (`look_again`)."""
        return bool(self._traced)

    def run(
        self, sandbox: Sandbox, spec: Spec, asked: ExecRequest, descriptors: Sequence[int], connection: socket.socket
    ) -> None:
        """Start a process for this connection; raises Failed."""

        def tell(status: int) -> None:
            protocol.tell(connection, {"event": "exited", "exitStatus": status})

        execution = execute(sandbox, spec, asked, descriptors, connection, tell)
        self._connections.add(connection)
        protocol.tell(connection, {"event": "started", "pid": execution.pid})
        self._begin(execution, asked)

    def run_alone(
        self,
        sandbox: Sandbox,
        spec: Spec,
        asked: ExecRequest,
        descriptors: Sequence[int],
        on_end: Callable[[int], None],
    ) -> Execution:
        """Start a process that nobody asked for, whose exit status `on_end` takes; raises Failed."""
        execution = execute(sandbox, spec, asked, descriptors, None, on_end)
        self._begin(execution, asked)
        return execution

    def _begin(self, execution: Execution, asked: ExecRequest) -> None:
        """Look after a process that has been started."""
        self._executions.append(execution)
        for action in ("exec_create", "exec_start"):
            self._note(f"{action}: {' '.join(asked.process.args)}", execID=execution.id)
        self._streams.begin(execution.stdio)
        self._selector.register(execution.pidfd, selectors.EVENT_READ, partial(self._on_end, execution))

    def stdio(self, connection: socket.socket) -> Stdio:
        """The streams of what this connection started."""
        return next((execution.stdio for execution in self._of(connection)), Stdio())

    def signal(self, connection: socket.socket, number: int) -> None:
        """Send a signal to what this connection started."""
        for execution in self._of(connection):
            _send(execution, number)

    def leave(self, connection: socket.socket) -> None:
        """Let what this connection started go on without it."""
        for execution in self._of(connection):
            execution.foreground = False

    def hang_up(self, connection: socket.socket) -> None:
        """The other side is gone, and what ran in its foreground goes too, as with a closed terminal."""
        self._connections.discard(connection)
        for execution in self._of(connection):
            if execution.foreground:
                _send(execution, signal.SIGKILL)

    def look_again(self) -> None:
        """Take the status of processes whose tracer had to get it first."""
        traced, self._traced = self._traced, []
        for execution in traced:
            self._on_end(execution)

    def finish(self) -> None:
        """Wait for all that runs, once the container's end has ended it."""
        for execution in list(self._executions):
            wait(execution.pidfd)
            self._on_end(execution)

    def _of(self, connection: socket.socket) -> list[Execution]:
        """What this connection started and has not ended."""
        return [execution for execution in self._executions if execution.connection is connection]

    def _on_end(self, execution: Execution) -> None:
        """Tell its status. A process of the container that traces it gets that first, and may take its time."""
        with contextlib.suppress(KeyError):
            self._selector.unregister(execution.pidfd)
        status = ended(execution.pidfd)
        if status is None:
            self._traced.append(execution)
            return
        self._executions.remove(execution)
        self._streams.end(execution.stdio)
        self._note("exec_die", execID=execution.id, exitCode=status)
        execution.on_end(status)
        os.close(execution.pidfd)


def _send(execution: Execution, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(execution.pidfd, number)
