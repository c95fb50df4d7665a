"""A container's process 1 as its monitor sees it: from its start over its end to the starts that follow by themselves.

begin --> watch --(the process ends)--> rest --(a pause)--> watch --> … --> rest, which says that it is over
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import selectors
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from dockmagic.errors import Conflict, Failure
from dockmagic.oci.codec import decode, encode
from dockmagic.oci.networks import Shape
from dockmagic.oci.options import RestartPolicy
from dockmagic.oci.spec import Resources
from dockmagic.runtime import leftovers, protocol
from dockmagic.runtime.cgroup import shortage
from dockmagic.runtime.cgroup.meter import Meter
from dockmagic.runtime.executions import Execution
from dockmagic.runtime.guests import Guests
from dockmagic.runtime.joining import open_namespaces
from dockmagic.runtime.ledger import Ledger
from dockmagic.runtime.links import Interface, connect_all, disconnect, reroute
from dockmagic.runtime.ports.forwarder import Forwarding
from dockmagic.runtime.probing import Prober
from dockmagic.runtime.request import NOT_AWAKE, ExecRequest, Record, StartRequest
from dockmagic.runtime.restarting import Restarts
from dockmagic.runtime.sandbox import Sandbox, Site
from dockmagic.runtime.shaping import shape
from dockmagic.runtime.stage import Failed, stage
from dockmagic.runtime.starting import Start, start
from dockmagic.runtime.streams import Streams
from dockmagic.runtime.stubs import remove_stubs
from dockmagic.runtime.waiting import make_joined

QUIET_S: Final = 0.03
_LOOKS: Final = 5
_LOOK_S: Final = 0.005


class Running:
    """The process, with its streams and what exec starts beside it. `directory` is for its run-time files."""

    start: Start

    def __init__(
        self,
        site: Site,
        sandbox: Sandbox,
        asked: StartRequest,
        selector: selectors.BaseSelector,
        directory: str,
        forwarding: Forwarding,
    ) -> None:
        self.sandbox = sandbox
        self.alive = False
        self.ledger = Ledger(asked, Record(boot=site.boot))
        self.streams = Streams(selector)
        self.guests = Guests(selector, self.streams, self.ledger.note)
        self.restarts = Restarts(asked.restart)
        self._forwarding = forwarding
        self._site = site
        self._request = asked
        self._selector = selector
        self._directory = directory
        self._pause_s: float | None = None
        self._prober: Prober | None = None
        if asked.healthcheck is not None:
            self._prober = Prober(asked.healthcheck, asked.health, self.ledger, selector, self._launch)

    def begin(self, descriptors: Sequence[int]) -> Start:
        """Start it; `follow` is to be called next. Raises Failed."""
        begun = start(self.sandbox, self._request, descriptors, self._directory)
        self._note(begun)
        return begun

    def _note(self, begun: Start) -> None:
        """Write down that it runs, as if it had never run before."""
        self.start, self.alive = begun, True
        self.ledger.change(
            pid=self.sandbox.pid,
            cgroup=self.sandbox.group.name,
            started_ns=time.time_ns(),
            finished_ns=0,
            exit_status=0,
            oom_killed=False,
            restarting=False,
        )
        self.ledger.note_mounts()
        self.ledger.note("start")

    def follow(self) -> None:
        """Begin to look after what runs now."""
        self._forwarding.begin(self.sandbox.network)
        self.streams.begin(self.start.stdio)
        self._selector.register(self.sandbox.pidfd, selectors.EVENT_READ, self._on_exit)
        self._meter = Meter(self.sandbox.group.paths())
        self._kills, self._bell = 0, -1
        if self._prober is not None:
            self._prober.begin()

    def _launch(self, command: Sequence[str], output: int, on_end: Callable[[int], None]) -> Execution:
        """Run a command as the container's process would; raises Failed."""
        process = replace(self.start.spec.process, args=tuple(command), terminal=False, console_size=None)
        asked, descriptors = ExecRequest(process, ("stdout", "stderr")), (output, os.dup(output))
        return self.guests.run_alone(self.sandbox, self.start.spec, asked, descriptors, on_end)

    def watch(self) -> None:
        """Answer events until the process is gone and all its output has been read.

        That it has started is written down at the first quiet moment: many are gone before.
        """
        quiet = False
        while self.alive or self.streams.reading(self.start.stdio):
            busy = self._turn(None if quiet and not self.guests.restless else QUIET_S)
            if not busy and not quiet:
                self.ledger.write()
                self._watch_memory()
                quiet = True

    def _turn(self, timeout_s: float | None) -> bool:
        """Answer what comes within this time, and check the container's health; False where nothing has come."""
        due_s = self._prober.remaining_s() if self._prober is not None else None
        waits = [wait for wait in (timeout_s, due_s) if wait is not None]
        events = self._selector.select(min(waits, default=None))
        self.guests.look_again()
        for key, _ in events:
            key.data()
        if self._prober is not None:
            self._prober.work()
        return bool(events)

    def rest(self) -> bool:
        """End this run, and start the next one when it is time; False where it has ended for good. Raises Failed."""
        self._end_run()
        if self._pause_s is None:
            return False
        self.ledger.write()
        self.sandbox.clear_away(self._site.attic)
        until = time.monotonic() + self._pause_s
        while not self.restarts.over:
            remaining = until - time.monotonic()
            if remaining <= 0 and self._start_again():
                return True
            self._turn(max(remaining, QUIET_S))
        self.ledger.change(finished_ns=time.time_ns())
        return False

    def _end_run(self) -> None:
        """Wait for the rest of its processes, and leave nothing in its files that only its making needed."""
        self.guests.finish()
        overlay = self.start.spec.root.overlay
        if overlay is not None and overlay.upper and not self._request.remove:
            remove_stubs(overlay.upper, overlay.lower, self.start.stubs)

    def _start_again(self) -> bool:
        """Start it once more; False while somebody works on its files. Raises Failed."""
        with contextlib.ExitStack() as stack, stage("monitor", "start it again"):
            try:
                directory = os.path.dirname(self._request.state)
                stack.enter_context(leftovers.lock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB))
            except BlockingIOError:
                return False
            self._note(self._renew())
        self.follow()
        return True

    def _renew(self) -> Start:
        """The next run, in a sandbox of its own. Raises Failed, OSError."""
        try:
            joined = open_namespaces(self._site.run_dir, self._request.joined)
        except Conflict as error:
            raise Failed(Failure("namespaces", 0, str(error))) from error
        self.sandbox = make_joined(self._site, self._request.namespaces, joined)
        asked, spec = replace(self._request, streams=()), json.dumps(encode(self.start.spec)).encode()
        try:
            return start(self.sandbox, asked, (protocol.memory_file(spec),), self._directory, self.start)
        except BaseException:
            self.sandbox.discard()
            raise

    def _on_exit(self) -> None:
        """It is gone, and with it all others: a pid namespace of its own ends with it, else they are killed."""
        self._selector.unregister(self.sandbox.pidfd)
        status = self.sandbox.reap()
        self._forwarding.end()
        if "pid" not in self.sandbox.namespaces:
            self.sandbox.group.kill()
        self.streams.end(self.start.stdio)
        self.alive = False
        if self._prober is not None:
            self._prober.suspend()
        self._look_for_kills()
        self._watch_memory_no_more()
        used, ended_ns = self._meter.read(), time.time_ns()
        lasted_s = (ended_ns - self.ledger.record.started_ns) / 1e9
        self._pause_s = self.restarts.after(status, lasted_s)
        self.ledger.change(
            pid=0,
            paused=False,
            exit_status=status,
            finished_ns=ended_ns,
            cpu_ns=used.cpu_ns,
            peak_memory_bytes=used.peak_memory_bytes,
            restarting=self._pause_s is not None,
            restart_count=self.restarts.count,
        )
        self.ledger.note("die", exitCode=status, execDuration=int(lasted_s))
        self.ledger.note_unmounts()

    def _watch_memory(self) -> None:
        """Be told when memory runs out; without, it comes to light at the end."""
        with contextlib.suppress(OSError):
            self._bell = shortage.watch(self.sandbox.group.paths())
            self._selector.register(self._bell, selectors.EVENT_READ, self._on_shortage)

    def _watch_memory_no_more(self) -> None:
        if self._bell >= 0:
            self._selector.unregister(self._bell)
            os.close(self._bell)
            self._bell = -1

    def _on_shortage(self) -> None:
        """See whom the kernel has killed; where it is about to, wait a little."""
        if self._bell < 0:  # it has ended in the same turn
            return
        os.read(self._bell, 4096)
        for _ in range(_LOOKS):
            if self._look_for_kills():
                self.ledger.write()
                return
            time.sleep(_LOOK_S)

    def _look_for_kills(self) -> bool:
        """Note that processes were killed for want of memory; whether there were any since the last time."""
        before, self._kills = self._kills, self.sandbox.group.oom_kills()
        if self._kills <= before:
            return False
        self.ledger.change(oom_killed=True)
        self.ledger.note("oom")
        return True

    def end(self) -> None:
        """Kill it, and let nothing start it again."""
        self.restarts.stop(final=True)
        if self.alive:
            self._send(signal.SIGKILL)
            self.freeze(frozen=False)

    def signal(self, number: int) -> None:
        """Send it a signal on behalf of a user, after which it may not be started again."""
        self.restarts.stop(final=number in (self._request.stop_signal or number, signal.SIGKILL))
        self.ledger.change(stopped=True)
        if self.alive and self._send(number):
            self.ledger.note("kill", signal=number)

    def _send(self, number: int) -> bool:
        """Send it a signal; whether it was there."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.sandbox.pidfd, number)
            return True
        return False

    def freeze(self, *, frozen: bool) -> bool:
        """Make all processes stand still, or go on; False where they do already. Raises OSError."""
        if self.ledger.record.paused == frozen or not self.alive:
            return False
        if frozen:
            if self._prober is not None:
                self._prober.suspend()
            self.sandbox.group.freeze()
        else:
            self.sandbox.group.thaw()
            if self._prober is not None:
                self._prober.resume()
        self.ledger.change(paused=frozen)
        self.ledger.note("pause" if frozen else "unpause")
        self.ledger.write()
        return True

    def connect(self, interface: Interface) -> None:
        """Have a link, in place of one with the same name, now and at each start; raises Failed."""
        if self.alive:
            connect_all(self.sandbox.network, (interface,))
            if self._request.shape:
                shape(self.sandbox.network, (interface.name,), self._request.shape)
        self._have((*self._others(interface.name), interface))

    def shape(self, wanted: Shape) -> None:
        """Have its links so fast and so late, now and at each start; raises Failed."""
        if self.alive:
            shape(self.sandbox.network, [each.name for each in self._request.interfaces], wanted)
        self._request = replace(self._request, shape=wanted)

    def disconnect(self, name: str) -> None:
        """Have no link with this name any more; raises Failed."""
        if self.alive:
            disconnect(self.sandbox.network, name)
        self._have(self._others(name))

    def reroute(self, interface: Interface) -> None:
        """Have this link be the way out, or not, as it says, now and at each start; raises Failed."""
        if self.alive:
            reroute(self.sandbox.network, interface)
        self._have((*self._others(interface.name), interface))

    def _others(self, name: str) -> tuple[Interface, ...]:
        return tuple(each for each in self._request.interfaces if each.name != name)

    def _have(self, interfaces: tuple[Interface, ...]) -> None:
        self._request = replace(self._request, interfaces=interfaces)

    def check_awake(self) -> None:
        """Raise Failed where it is paused, or has ended to start again."""
        record = self.ledger.record
        if record.paused or record.restarting:
            name = self._request.container_id
            asleep = f"container {name} is paused, unpause the container before exec"
            again = f"container {name} is restarting, wait until the container is running"
            raise Failed(Failure(NOT_AWAKE, 0, asleep if record.paused else again))

    def update(self, policy: Mapping[str, Any], resources: Mapping[str, Any]) -> None:
        """Have another restart policy, and from the next start on other limits."""
        self.restarts.policy = decode(RestartPolicy, policy)
        spec = self.start.spec
        self.start.spec = replace(spec, linux=replace(spec.linux, resources=decode(Resources, resources)))
