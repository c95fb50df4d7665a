"""A handle on one container: Docker's verbs, on its row, its monitor and its streams."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Unpack

from dockmagic.errors import Conflict, InvalidState, NotFound, Unsupported
from dockmagic.events import (
    OnEvent,
    ignore,
)
from dockmagic.image import upper
from dockmagic.image.store import Image
from dockmagic.image.streams import Sink, Source
from dockmagic.image.tree import Change
from dockmagic.network.verbs import Networks
from dockmagic.oci.convert import resources
from dockmagic.oci.networks import NetworkOptions
from dockmagic.oci.options import ExecOptions, LimitChanges
from dockmagic.oci.ports import Published
from dockmagic.runtime import attaching, inspect, inspect_oci, logs, processes, state, updating
from dockmagic.runtime.attach import Attachment
from dockmagic.runtime.cgroup import hierarchy
from dockmagic.runtime.cgroup.group import Group
from dockmagic.runtime.client import Client
from dockmagic.runtime.container import Containers as Rows
from dockmagic.runtime.container import Row
from dockmagic.runtime.logs import LogLine
from dockmagic.runtime.ports.link import html_links
from dockmagic.runtime.reporting import outputs, report_start
from dockmagic.runtime.samples import Reader, Sample
from dockmagic.runtime.session import ALONE
from dockmagic.runtime.signals import signal_number
from dockmagic.runtime.state import ContainerState
from dockmagic.runtime.watcher import Watcher
from dockmagic.volumes.verbs import Volumes

if TYPE_CHECKING:
    from dockmagic.files.copying import Copied
    from dockmagic.files.verbs import CommitOptions, CopyOptions, Files
    from dockmagic.runtime.series import Series

STOP_TIMEOUT_S: Final = 10
GUEST: Final = Attachment(owner=False)


class Container:
    """A handle on a container; what it tells of the state is fresh each time."""

    def __init__(
        self,
        rows: Rows,
        client: Client,
        watcher: Watcher,
        volumes: Volumes,
        networks: Networks,
        files: Callable[[], Files],
        row: Row,
    ) -> None:
        self._rows = rows
        self._volumes = volumes
        self._networks = networks
        self._files = files
        self._client = client
        self._watcher = watcher
        self.row = row
        self.id = row.id
        self.name = row.name
        self.image = row.image_reference
        self.labels = row.labels
        self.command = row.spec.process.args
        self.created_ns = row.created_ns

    def __repr__(self) -> str:
        return f"<Container {self.name} ({self.id[:12]}) of {self.image}>"

    def __str__(self) -> str:
        """The whole id, as `docker run -d` prints it."""
        return self.id

    def _repr_html_(self) -> str:
        """Name, id, image and status, for a notebook."""
        try:
            status = self.state().status.value
        except NotFound:
            status = "removed"
        facts = (self.id[:12], self.image, " ".join(self.command), status)
        shown = [f"<code>{escape(fact)}</code>" for fact in facts]
        return f"<b>{escape(self.name)}</b> " + " · ".join([*shown, *html_links(self.ports(), os.environ)])

    @property
    def cpu_limit(self) -> float | None:
        """How many cores' time it may use, None without a limit."""
        cpu = self.row.spec.linux.resources.cpu
        return cpu.quota / cpu.period if cpu.quota and cpu.period else None

    @property
    def memory_limit_bytes(self) -> int | None:
        """How much memory it may use, None without a limit."""
        return self.row.spec.linux.resources.memory.limit

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self._client.record(self.id) is not None

    def ports(self) -> tuple[Published, ...]:
        """The ports of the host that lead to it, while it runs."""
        return self._client.published(self.id) if self.running else ()

    def size_bytes(self) -> int:
        """How much it has written over its image."""
        return upper.size(self._rows.directory(self.id) / "upper")

    def state(self) -> ContainerState:
        """How it is now; raises NotFound where it has been removed."""
        return self._rows.state(self.id)

    def start(self, on_event: OnEvent = ignore) -> None:
        """Start it in the background; fine where it runs. Raises StartFailed, InvalidState where it is paused."""
        now = self.state()
        if now.status == "paused":
            state.check(self.id, "start", now.status)
        if now.running or now.status == "restarting":
            return
        try:
            started = self._rows.start(self.row)
        except InvalidState:  # somebody else was quicker
            return
        started.connection.close()
        report_start(self.id, started, on_event)

    @property
    def _stop_signal(self) -> str:
        return self.row.options.stop_signal or "TERM"

    def stop(self, timeout_s: float | None = None, signal: str = "") -> None:
        """Ask it to end, and kill it where it hasn't in time (seconds, -1 for any; by default its own, else 10)."""
        configured = self.row.options.stop_timeout_s
        chosen = timeout_s if timeout_s is not None else STOP_TIMEOUT_S if configured is None else configured
        number = signal_number(signal or self._stop_signal)
        if self._rows.stop(self.row, number, None if chosen < 0 else chosen):
            self._rows.note(self.row, "stop")

    def restart(self, timeout_s: float | None = None, signal: str = "", on_event: OnEvent = ignore) -> None:
        """Stop it where it runs, and start it; raises StartFailed, Conflict where it removes itself at its end."""
        if self.row.options.remove and self.running:
            raise Conflict("container", self.name, "it removes itself when it ends (--rm), so it can't be restarted")
        self.stop(timeout_s, signal)
        self.start(on_event)
        self._rows.note(self.row, "restart")

    def kill(self, name: str = "KILL") -> None:
        """Send a signal, by name or number, to its process 1; raises InvalidState where it doesn't run.

        One that is paused goes on where that is its stop signal.
        """
        number = signal_number(name)
        self._rows.kill(self.row, number, thaw=number == signal_number(self._stop_signal))

    def pause(self) -> None:
        """Make all its processes stand still; raises InvalidState unless they run."""
        self._rows.freeze(self.row, frozen=True)

    def unpause(self) -> None:
        """Let its processes go on; raises InvalidState unless they are paused."""
        self._rows.freeze(self.row, frozen=False)

    def rename(self, name: str) -> None:
        """Give it another name; raises InvalidOption, Conflict where that is taken."""
        self.row = self._rows.rename(self.row, name)
        self.name = self.row.name

    def top(self, options: Sequence[str] = ()) -> processes.Listing:
        """Its processes as ps(1) lists them with these options; raises InvalidState, InvalidOption."""
        now = self.state()
        state.check(self.id, "list the processes of", now.status)
        return processes.listing(Group(hierarchy.detect(), now.cgroup).pids(), options)

    def rm(self, force: bool = False, *, volumes: bool = False) -> None:
        """Remove it with all that it wrote; raises Conflict where it runs and `force` isn't given.

        With `volumes` those of its volumes go, too, that have no name and no other user.
        """
        if self.running:
            if not force:
                status = self.state().status
                now = "paused; unpause and stop" if status == "paused" else f"{status}; stop"
                raise Conflict("container", self.name, f"it is {now} it first, or remove it with -f")
            with contextlib.suppress(InvalidState, NotFound):  # it ended, and removed itself, before we came to it
                self.kill()
                self.wait()
        self._rows.delete(self.id)
        self._volumes.release(self.id, remove=volumes or self.row.options.remove)

    def wait(self) -> int:
        """Wait until it doesn't run; its exit status."""
        return self._rows.wait(self.row).exit_status

    def logs(
        self, *, follow: bool = False, tail: int | None = None, since_ns: int = 0, until_ns: int | None = None
    ) -> Iterator[LogLine]:
        """What it wrote between two times (ns since 1970), oldest first; with `follow` also what it will write.

        Raises Unsupported where its log driver keeps nothing.
        """
        if self.row.options.log.driver == "none":
            raise Unsupported("configured logging driver does not support reading", "--log-driver none keeps nothing")
        path = self._rows.directory(self.id) / "log.jsonl"
        return logs.lines(path, (lambda: self.running) if follow else None, tail, since_ns, until_ns)

    def exec(
        self,
        options: ExecOptions,
        *,
        stdin: int | None = None,
        attachment: Attachment = ALONE,
        on_event: OnEvent = ignore,
    ) -> int:
        """Run one more process in it; its exit status, 0 in the background.

        Raises InvalidState, StartFailed, Detached.
        """
        report = outputs(self.id, on_event)
        return attaching.execute(self._rows, self._client, self.row, options, attachment.reading(stdin), report)

    def attach(self, attachment: Attachment = GUEST, on_event: OnEvent = ignore) -> int:
        """Be connected to its streams until it ends: its exit status.

        Raises ContainerError where it doesn't run, Detached; KeyboardInterrupt after an interrupt has reached it.
        """
        state.check_attachable(self.state())
        attachment = replace(attachment, tty=self.row.spec.process.terminal)
        return attaching.attach(self._client, self.row, attachment, outputs(self.id, on_event))

    def start_attached(self, attachment: Attachment = GUEST, on_event: OnEvent = ignore) -> int:
        """Start it connected to its streams from its first byte on, else like `attach`; raises StartFailed, too."""
        if self.state().running:
            return self.attach(attachment, on_event)
        on_start = partial(report_start, self.id, on_event=on_event)
        return self._rows.run(self.row, outputs(self.id, on_event), on_start, attachment).exit_status

    def update(self, **changes: Unpack[LimitChanges]) -> tuple[str, ...]:
        """Change its limits and restart policy, at once where it runs; sentences on what can't be enforced here.

        Raises InvalidOption for limits that contradict each other, and where the kernel refuses one.
        """
        before = self.row.options
        options = updating.changed(before, changes)
        limits = resources(options)
        now = self.state()
        warnings = updating.put_in_force(now.cgroup, limits) if now.running else []
        self.row = self._rows.change_limits(self.row, options, limits)
        self._client.update(self.id, options.restart, limits)
        if options.shape != before.shape:
            self._client.shape(self.id, options.shape)
        return tuple(warnings)

    def stats(self) -> Sample:
        """What it uses at this moment; raises InvalidState where it doesn't run."""
        with self._reader() as reader:
            return reader.read()

    def watch(self) -> Series:
        """Begin to sample what it uses, ten times a second, until it ends or `unwatch`; raises InvalidState.

        A container that is watched already keeps its series.
        """
        return self._watcher.watch(self.id, self._reader())

    def _reader(self) -> Reader:
        """The control files of its group, opened; raises InvalidState where it doesn't run."""
        now = self.state()
        state.check(self.id, "watch", now.status)
        return Reader(Group(hierarchy.detect(), now.cgroup).paths())

    def unwatch(self) -> None:
        """Stop sampling; the series stays as it is."""
        self._watcher.unwatch(self.id)

    def networks(self) -> list[str]:
        """Names of the networks it is connected to; its mode where it has none of its own."""
        return [place.network.name for place in self._networks.places(self.id)] or [self.row.options.network]

    def connected_to(self, network: str) -> bool:
        """Whether it is connected to the network of this name or ID."""
        places = self._networks.places(self.id)
        return network in self.networks() or any(place.network.id.startswith(network) for place in places)

    def connect(self, options: NetworkOptions) -> None:
        """Connect it to one more network, at once where it runs; raises NotFound, Conflict, InvalidOption."""
        self._networks.connect(self.id, self.row.options.network, options)

    def disconnect(self, network: str) -> None:
        """Take it out of a network, at once where it runs; raises NotFound, Conflict."""
        self._networks.disconnect(self.id, network)

    def diff(self) -> tuple[Change, ...]:
        """What it added (A), changed (C) and deleted (D) on its image, by path."""
        return self._files().diff(self.row)

    def export(self, out: Sink, on_event: OnEvent = ignore) -> None:
        """Write its files, without those of mounts, as a plain tar stream."""
        self._files().export(self.row, out, on_event)

    def commit(self, reference: str = "", **options: Unpack[CommitOptions]) -> Image:
        """Make an image of its files and its config (files.verbs); processes stand still while it is read."""
        return self._files().commit(self.row, reference, **options)

    def copy_from(self, path: str, to: str | Path | Sink, **options: Unpack[CopyOptions]) -> Copied:
        """Copy a file or directory out of it to a path of the host by Docker's rules, or as a tar stream."""
        return self._files().copy_from(self.row, path, to, **options)

    def copy_to(self, source: str | Path | Source, path: str, **options: Unpack[CopyOptions]) -> Copied:
        """Copy a file or directory of the host into it by Docker's rules, or unpack a tar stream there."""
        return self._files().copy_to(self.row, source, path, **options)

    def inspect(self) -> dict[str, Any]:
        """The container in the JSON shape of Docker."""
        now = self.state()
        settings = self._networks.settings(self.id, self.row.options.network, running=now.running)
        return inspect.document(self.row, now, self._rows.directory(self.id), settings, self.ports())

    def oci_config(self) -> dict[str, Any]:
        """Its config.json, as OCI runtimes read it; its files are to be put beside that, into rootfs."""
        return inspect_oci.config(self._rows, self.row)
