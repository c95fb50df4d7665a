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
from typing import Final, NoReturn

from dockmagic.errors import Failure
from dockmagic.linux import process as p
from dockmagic.oci.codec import decode, encode
from dockmagic.oci.spec import ConsoleSize
from dockmagic.runtime import bridges, leftovers, protocol, request
from dockmagic.runtime.cgroup import shortage
from dockmagic.runtime.cgroup.meter import Meter
from dockmagic.runtime.guests import Guests
from dockmagic.runtime.ledger import Ledger
from dockmagic.runtime.links import Interface, connect_all, disconnect
from dockmagic.runtime.process import exit_status
from dockmagic.runtime.sandbox import Sandbox, Site
from dockmagic.runtime.stage import Failed, describe
from dockmagic.runtime.starting import Start, start
from dockmagic.runtime.streams import Stdio, Streams, resize
from dockmagic.runtime.stubs import remove_stubs
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
            own = len(descriptors) - len(asked.joined)
            joined = dict(zip(asked.joined, descriptors[own:], strict=True))
            Monitor(site, waiting.sandbox_for(asked, joined), asked, connection).run(descriptors[:own])
            if os.getppid() != launcher:  # which takes down what its containers leave
                bridges.take_down(site.run_dir, request.root_key(site.state_root))
    except Failed as error:
        protocol.tell(connection, protocol.failed(error.failure))
    except BaseException:
        sys.excepthook(*sys.exc_info())  # to the launcher's log: nothing but this process knows of it
        os._exit(1)
    finally:
        os._exit(0)


QUIET_S: Final = 0.03
LOOKS: Final = 5
LOOK_S: Final = 0.005


class Monitor:
    """One container's watch. `run` does it all; a method `_on_…` answers to what one descriptor has to say."""

    def __init__(self, site: Site, sandbox: Sandbox, asked: request.StartRequest, owner: socket.socket) -> None:
        self._site = site
        self._sandbox = sandbox
        self._request = asked
        self._owner = owner
        self._directory = request.container_directory(site.run_dir, asked.container_id)
        self._ledger = Ledger(asked, request.Record(pid=sandbox.pid, cgroup=sandbox.group.name))
        self._waiters = [owner]
        self._selector = selectors.PollSelector()
        self._streams = Streams(self._selector)
        self._guests = Guests(self._selector, self._streams, self._ledger.note)
        self._foreground = asked.foreground
        self._running = True
        self._kills = 0

    def run(self, descriptors: Sequence[int]) -> None:
        """Start the container, watch it, and leave nothing of it behind."""
        try:
            self._begin(start(self._sandbox, self._request, descriptors, self._directory))
            self._watch()
            self._finish()
        except Failed as error:
            self._give_up(error.failure)
        if self._request.remove:
            self._leave_directory()
            self._sandbox.let_go_of(self._site.attic)
        self._sandbox.group.remove()
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

    def _begin(self, begun: Start) -> None:
        """Tell the engine, write it down, and begin to watch."""
        self._start = begun
        self._ledger.change(started_ns=time.time_ns())
        self._ledger.note_mounts()
        self._ledger.note("start")
        facts = {"warnings": begun.warnings, "stubs": begun.stubs}
        protocol.tell(self._owner, {"event": "started", **facts, **encode(self._ledger.record)})
        self._streams.begin(begun.stdio)
        self._on_readable(self._sandbox.pidfd, self._on_exit)
        assert begun.listener is not None
        self._on_readable(begun.listener, self._on_connection)
        self._listen_to(self._owner)
        self._meter = Meter(self._sandbox.group.paths())

    def _watch(self) -> None:
        """Answer events until the process is gone and all its output has been read.

        That it has started is written down at the first quiet moment: many are gone before.
        """
        quiet = False
        while self._running or self._streams.reading(self._start.stdio):
            events = self._selector.select(None if quiet and not self._guests.restless else QUIET_S)
            if not events and not quiet:
                self._ledger.write()
                self._watch_memory()
                quiet = True
            self._guests.look_again()
            for key, _ in events:
                key.data()

    def _on_readable(self, source: int | socket.socket, answer: Callable[[], None]) -> None:
        self._selector.register(source, selectors.EVENT_READ, answer)

    def _listen_to(self, connection: socket.socket) -> None:
        self._on_readable(connection, partial(self._on_message, connection))

    def _on_exit(self) -> None:
        """Process 1 is gone, and with it all others: a pid namespace of its own ends with it, else they are killed."""
        self._selector.unregister(self._sandbox.pidfd)
        status = self._sandbox.reap()
        if "pid" not in self._sandbox.namespaces:
            self._sandbox.group.kill()
        self._streams.end(self._start.stdio)
        self._look_for_kills()
        used = self._meter.read()
        self._ledger.change(
            pid=0,
            paused=False,
            exit_status=status,
            finished_ns=time.time_ns(),
            cpu_ns=used.cpu_ns,
            peak_memory_bytes=used.peak_memory_bytes,
        )
        self._running = False
        lasted_s = (self._ledger.record.finished_ns - self._ledger.record.started_ns) // 10**9
        self._ledger.note("die", exitCode=status, execDuration=lasted_s)
        self._ledger.note_unmounts()

    def _watch_memory(self) -> None:
        """Be told when memory runs out; without, it comes to light at the end."""
        with contextlib.suppress(OSError):
            bell = shortage.watch(self._sandbox.group.paths())
            self._on_readable(bell, partial(self._on_shortage, bell))

    def _on_shortage(self, bell: int) -> None:
        """See whom the kernel has killed; where it is about to, wait a little."""
        os.read(bell, 4096)
        for _ in range(LOOKS):
            if self._look_for_kills():
                self._ledger.write()
                return
            time.sleep(LOOK_S)

    def _look_for_kills(self) -> bool:
        """Note that processes were killed for want of memory; whether there were any since the last time."""
        before, self._kills = self._kills, self._sandbox.group.oom_kills()
        if self._kills <= before:
            return False
        self._ledger.change(oom_killed=True)
        self._ledger.note("oom")
        return True

    def _on_connection(self) -> None:
        assert self._start.listener is not None
        try:
            self._listen_to(self._start.listener.accept()[0])
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
                    self._freeze(frozen=False)
            case "connect":
                connect_all(self._sandbox.network, (decode(Interface, message["interface"]),))
                protocol.tell(connection, {"event": "connected"})
            case "disconnect":
                disconnect(self._sandbox.network, message["interface"])
                protocol.tell(connection, {"event": "disconnected"})
            case "rename":
                self._ledger.rename(message["name"])
                protocol.tell(connection, {"event": "renamed"})
            case "freeze":
                protocol.tell(connection, {"event": "frozen", "changed": self._freeze(frozen=message["frozen"])})
            case "exec":
                asked = decode(request.ExecRequest, json.loads(protocol.read_memory_file(descriptors[0])))
                os.close(descriptors[0])
                self._check_awake(descriptors[1:])
                self._guests.run(self._sandbox, self._start.spec, asked, descriptors[1:], connection)
            case "attach":
                self._attach(connection, dict(zip(message["streams"], descriptors, strict=True)))
            case "detach":
                self._detach(connection)
            case "resize":
                resize(self._stdio(connection).pair, ConsoleSize(message["height"], message["width"]))

    def _attach(self, connection: socket.socket, given: Mapping[str, int]) -> None:
        """Connect one more to the container's streams, who is told of its end."""
        self._waiters.append(connection)
        protocol.tell(connection, {"event": "attached", **encode(self._ledger.record)})
        self._streams.attach(self._start.stdio, given)

    def _detach(self, connection: socket.socket) -> None:
        """Let who asks leave: what it began goes on without it."""
        self._guests.leave(connection)
        self._foreground = self._foreground and connection is not self._owner
        if connection not in self._guests:
            self._streams.keep(self._start.stdio)
        protocol.tell(connection, {"event": "detached"})

    def _stdio(self, connection: socket.socket) -> Stdio:
        """The streams of what this connection started by exec, else the container's."""
        return self._guests.stdio(connection) if connection in self._guests else self._start.stdio

    def _signal(self, connection: socket.socket, number: int) -> None:
        """Send the signal to what this connection started by exec, else to process 1; who waits gets no answer."""
        if connection in self._guests:
            self._guests.signal(connection, number)
            return
        if self._send(number):
            self._ledger.note("kill", signal=number)
        if connection not in self._waiters:
            protocol.tell(connection, {"event": "signalled"})

    def _send(self, number: int) -> bool:
        """Send process 1 a signal; whether it was there."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._sandbox.pidfd, number)
            return True
        return False

    def _freeze(self, *, frozen: bool) -> bool:
        """Make all processes stand still, or go on; False where they do already. Raises OSError."""
        if self._ledger.record.paused == frozen or not self._running:
            return False
        if frozen:
            self._sandbox.group.freeze()
        else:
            self._sandbox.group.thaw()
        self._ledger.change(paused=frozen)
        self._ledger.note("pause" if frozen else "unpause")
        self._ledger.write()
        return True

    def _check_awake(self, descriptors: list[int]) -> None:
        """Raise Failed where the container is paused; what came for a new process is closed then."""
        if self._ledger.record.paused:
            for descriptor in descriptors:
                os.close(descriptor)
            raise Failed(Failure("exec", 0, "the container is paused; unpause it first"))

    def _hung_up(self, connection: socket.socket) -> None:
        """The other side is gone. What ran in its foreground goes too, as with a closed terminal."""
        self._selector.unregister(connection)
        self._guests.hang_up(connection)
        if connection in self._waiters:
            self._waiters.remove(connection)
        if connection is self._owner and self._foreground and self._running:
            self._send(signal.SIGKILL)
            self._freeze(frozen=False)
        connection.close()

    def _finish(self) -> None:
        """Write the end down and tell everyone; by then the container's name and directories are free again."""
        self._guests.finish()
        overlay = self._start.spec.root.overlay
        if overlay is not None and overlay.upper and not self._request.remove:
            remove_stubs(overlay.upper, overlay.lower, self._start.stubs)
        self._ledger.write()
        if not self._request.remove:  # nobody will ask for one that is removed
            self._leave_directory()
            self._sandbox.let_go_of(self._site.attic)
        for connection in self._waiters:
            protocol.tell(connection, {"event": "exited", **encode(self._ledger.record)})

    def _give_up(self, failure: Failure) -> None:
        """The start failed: end the process, write that down, say so."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._sandbox.pidfd, signal.SIGKILL)
        self._sandbox.reap()
        self._ledger.change(pid=0, exit_status=exit_status(failure), error=failure.reason)
        self._ledger.write()
        self._leave_directory()
        self._remove()  # by now: who is told would remove it too
        protocol.tell(self._owner, protocol.failed(failure))

    def _remove(self) -> None:
        """Remove what is to go with the container."""
        for path in self._request.remove:
            leftovers.discard(path)

    def _leave_directory(self) -> None:
        with contextlib.suppress(OSError):
            remove_tree(self._directory)


def _failed(error: OSError) -> protocol.Message:
    """The message for a request that this process couldn't fulfil."""
    return protocol.failed(Failure("monitor", error.errno or 0, describe(error)))
