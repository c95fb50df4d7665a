"""The parent of a container's process 1: it starts it, moves its output, answers for it, and cleans up after it.

One process a container, forked from the launcher; it outlives both launcher and engine. Its listening socket
(`<run dir>/<container>/ctl`) is the container's sign of life: where nobody answers, nothing runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NoReturn

from dockmagic.errors import Failure
from dockmagic.linux import process as p
from dockmagic.oci.codec import decode, encode
from dockmagic.oci.networks import Shape
from dockmagic.oci.spec import ConsoleSize
from dockmagic.runtime import bridges, leftovers, protocol, request
from dockmagic.runtime.links import Interface
from dockmagic.runtime.ports.forwarder import Forwarding
from dockmagic.runtime.process import exit_status
from dockmagic.runtime.running import QUIET_S, Running
from dockmagic.runtime.sandbox import Sandbox, Site
from dockmagic.runtime.stage import Failed, describe
from dockmagic.runtime.streams import Stdio, resize
from dockmagic.runtime.waiting import Waiting
from dockmagic.trees import remove_tree


def main(site: Site, starts: socket.socket, parked: int, launcher: int, *, linked: bool) -> NoReturn:
    """Make a sandbox, wait for a container to be put into it, and see it through to its end; never returns.

    Requests come on connections of the socket `starts`; `parked` is a descriptor that is closed when one has come, and
    `launcher` the parent's process number. The sandbox may be `linked` to the host.
    """
    try:
        p.set_name("dockmagic-mon")
        p.prctl(p.PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != launcher:  # it died before that
            os._exit(0)
        waiting = Waiting(site, linked=linked)
        connection = waiting.accept(starts)
        starts.close()
        os.close(parked)
        message, descriptors = protocol.receive(connection)
        if message is None:  # an engine that ended meanwhile
            waiting.dismiss()
        else:
            asked = decode(request.StartRequest, message)
            given, ports, joined = request.sorted_out(asked, descriptors)
            monitor = Monitor(site, waiting.sandbox_for(asked, joined), asked, connection, ports)
            monitor.run(given)
            if os.getppid() != launcher:  # which takes down what its containers leave
                bridges.take_down(site.run_dir, request.root_key(site.state_root))
            monitor.leave_volumes()
    except Failed as error:
        protocol.tell(connection, protocol.failed(error.failure))
    except BaseException:
        sys.excepthook(*sys.exc_info())  # to the launcher's log: nothing but this process knows of it
        os._exit(1)
    finally:
        os._exit(0)


class Monitor:
    """One container's watch. `run` does it all; a method `_on_…` answers to what one descriptor has to say."""

    def __init__(
        self, site: Site, sandbox: Sandbox, asked: request.StartRequest, owner: socket.socket, ports: int | None
    ) -> None:
        self._site = site
        self._request = asked
        self._owner = owner
        self._forwarding = Forwarding(ports)
        self._directory = request.container_directory(site.run_dir, asked.container_id)
        self._waiters = [owner]
        self._selector = selectors.PollSelector()
        self._running = Running(site, sandbox, asked, self._selector, self._directory, self._forwarding)
        self._ledger = self._running.ledger
        self._guests = self._running.guests
        self._streams = self._running.streams
        self._foreground = asked.foreground

    def run(self, descriptors: Sequence[int]) -> None:
        """Start the container, watch it, and leave nothing of it behind."""
        try:
            self._begin(descriptors)
        except Failed as error:
            self._give_up(error.failure)
        else:
            self._see_through()
        sandbox = self._running.sandbox
        if self._request.remove:
            self._leave_directory()
            sandbox.let_go_of(self._site.attic)
        sandbox.group.remove()
        self._remove()
        if self._request.remove and self._ledger.record.started_ns:
            self._ledger.note("destroy")
        self._linger()

    def _linger(self) -> None:
        """Stay until slow readers have got everything; who asks meanwhile sees at once that nothing runs."""
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket) and key.fileobj is not self._owner:
                key.fileobj.close()
        self._streams.finish()

    def _begin(self, descriptors: Sequence[int]) -> None:
        """Start the container, tell the engine, and begin to listen; raises Failed."""
        begun = self._running.begin(descriptors)
        facts = {"warnings": begun.warnings, "stubs": begun.stubs}
        protocol.tell(self._owner, {"event": "started", **facts, **encode(self._ledger.record)})
        self._running.follow()
        assert begun.listener is not None
        self._on_readable(begun.listener, partial(self._on_connection, begun.listener))
        self._listen_to(self._owner)

    def _see_through(self) -> None:
        """Watch the container to its end, which comes when nothing starts it again."""
        self._running.watch()
        try:
            while self._running.rest():
                self._running.watch()
        except Failed as error:
            self._ledger.change(exit_status=exit_status(error.failure), error=error.failure.reason)
        self._finish()

    def _on_readable(self, source: int | socket.socket, answer: Callable[[], None]) -> None:
        self._selector.register(source, selectors.EVENT_READ, answer)

    def _listen_to(self, connection: socket.socket) -> None:
        self._on_readable(connection, partial(self._on_message, connection))

    def _on_connection(self, listener: socket.socket) -> None:
        try:
            self._listen_to(listener.accept()[0])
        except OSError:  # no descriptors left: others will be given back
            time.sleep(QUIET_S)

    def _on_message(self, connection: socket.socket) -> None:
        """Do what is asked; at the end of a connection forget it, and end what ran in its foreground."""
        try:
            message, descriptors = protocol.receive(connection)
        except OSError as error:  # gone, or no descriptors left here
            protocol.tell(connection, _failed(error))
            message, descriptors = None, []
        if message is None:
            self._hung_up(connection)
            return
        try:
            self._do(connection, message, descriptors)
        except Failed as error:
            protocol.tell(connection, protocol.failed(error.failure))
        except OSError as error:
            protocol.tell(connection, _failed(error))

    def _do(self, connection: socket.socket, message: protocol.Message, descriptors: list[int]) -> None:
        """Dispatch one request; raises Failed."""
        match message["op"]:
            case "wait":
                self._waiters.append(connection)
            case "state":
                protocol.tell(connection, {"event": "state", **encode(self._ledger.record)})
            case "signal":
                self._signal(connection, message["signal"])
                if message.get("thaw") or message["signal"] == signal.SIGKILL:
                    self._running.freeze(frozen=False)
            case "connect" | "disconnect" | "shape" | "reroute":
                self._change_links(message)
                protocol.tell(connection, {"event": "changed"})
            case "rename":
                self._ledger.rename(message["name"])
                protocol.tell(connection, {"event": "renamed"})
            case "update":
                self._running.update(message["restart"], message["resources"])
                protocol.tell(connection, {"event": "updated"})
            case "freeze":
                changed = self._running.freeze(frozen=message["frozen"])
                protocol.tell(connection, {"event": "frozen", "changed": changed})
            case "exec":
                asked = decode(request.ExecRequest, json.loads(protocol.read_memory_file(descriptors[0])))
                os.close(descriptors[0])
                self._execute(asked, descriptors[1:], connection)
            case "attach":
                self._attach(connection, dict(zip(message["streams"], descriptors, strict=True)))
            case "detach":
                self._detach(connection, finished=message.get("finished", False))
            case "resize":
                resize(self._stdio(connection).pair, ConsoleSize(message["height"], message["width"]))

    def _change_links(self, message: protocol.Message) -> None:
        """Make or remove a link, or change how it is used; raises Failed."""
        match message["op"]:
            case "connect":
                self._running.connect(decode(Interface, message["interface"]))
            case "disconnect":
                self._running.disconnect(message["interface"])
            case "shape":
                self._running.shape(decode(Shape, message["shape"]))
            case "reroute":
                self._running.reroute(decode(Interface, message["interface"]))

    def _attach(self, connection: socket.socket, given: Mapping[str, int]) -> None:
        """Connect one more to the container's streams, who is told of its end."""
        self._waiters.append(connection)
        protocol.tell(connection, {"event": "attached", **encode(self._ledger.record)})
        self._streams.attach(self._running.start.stdio, given)

    def _detach(self, connection: socket.socket, *, finished: bool) -> None:
        """Let who asks leave: what it began goes on without it, and reads on unless it has `finished` writing."""
        self._guests.leave(connection)
        self._foreground = self._foreground and connection is not self._owner
        if connection not in self._guests and not finished:
            self._streams.keep(self._running.start.stdio)
        protocol.tell(connection, {"event": "detached"})

    def _stdio(self, connection: socket.socket) -> Stdio:
        """The streams of what this connection started by exec, else the container's."""
        return self._guests.stdio(connection) if connection in self._guests else self._running.start.stdio

    def _signal(self, connection: socket.socket, number: int) -> None:
        """Send the signal to what this connection started by exec, else to process 1; who waits gets no answer."""
        if connection in self._guests:
            self._guests.signal(connection, number)
            return
        self._running.signal(number)
        if connection not in self._waiters:
            protocol.tell(connection, {"event": "signalled"})

    def _execute(self, asked: request.ExecRequest, descriptors: list[int], connection: socket.socket) -> None:
        """Start one more process; raises Failed, and what came for the process is closed then."""
        try:
            self._running.check_awake()
        except Failed:
            for descriptor in descriptors:
                os.close(descriptor)
            raise
        self._guests.run(self._running.sandbox, self._running.start.spec, asked, descriptors, connection)

    def _hung_up(self, connection: socket.socket) -> None:
        """The other side is gone. What ran in its foreground goes too, as with a closed terminal."""
        self._selector.unregister(connection)
        self._guests.hang_up(connection)
        if connection in self._waiters:
            self._waiters.remove(connection)
        if connection is self._owner and self._foreground:
            self._running.end()
        connection.close()

    def _finish(self) -> None:
        """Write the end down and tell everyone; by then the container's name and directories are free again."""
        self._forwarding.close()
        self._ledger.change(restarting=False)
        self._ledger.write()
        if not self._request.remove:  # nobody will ask for one that is removed
            self._leave_directory()
            self._running.sandbox.let_go_of(self._site.attic)
        for connection in self._waiters:
            protocol.tell(connection, {"event": "exited", **encode(self._ledger.record)})

    def _give_up(self, failure: Failure) -> None:
        """The start failed: end the process, write that down, say so."""
        sandbox = self._running.sandbox
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(sandbox.pidfd, signal.SIGKILL)
        sandbox.reap()
        self._forwarding.close()
        facts = {"cgroup": sandbox.group.name, "exit_status": exit_status(failure), "error": failure.reason}
        self._ledger.change(**facts)
        self._ledger.write()
        self._leave_directory()
        self._remove()  # by now: who is told would remove it too
        protocol.tell(self._owner, protocol.failed(failure))

    def _remove(self) -> None:
        """Remove what is to go with the container."""
        for path in self._request.remove:
            leftovers.discard(path)

    def leave_volumes(self) -> None:
        """Become the program that removes unnamed volumes, unless there are none, or who waits for the end does it."""
        if self._foreground or not self._request.volumes:
            return
        package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        code = f"import sys; sys.path.insert(0, {package!r}); from dockmagic.volumes.leaving import main; "
        os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", f"{code}main({self._site.state_root!r})"])

    def _leave_directory(self) -> None:
        with contextlib.suppress(OSError):
            remove_tree(self._directory)


def _failed(error: OSError) -> protocol.Message:
    """The message for a request that this process couldn't fulfil."""
    return protocol.failed(Failure("monitor", error.errno or 0, describe(error)))
