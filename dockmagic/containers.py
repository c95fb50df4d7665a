"""The containers of an engine: Docker's verbs, on rows, monitors and streams."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Unpack

from dockmagic.errors import Conflict, Detached, InvalidOption, InvalidState, NotFound, StoreError
from dockmagic.events import ContainerExited, OnEvent, ignore
from dockmagic.image.platform import host_platform
from dockmagic.image.snapshot import Snapshots
from dockmagic.image.store import Image
from dockmagic.image.streams import Sink, Source
from dockmagic.image.tree import Change
from dockmagic.images import Images
from dockmagic.oci.codec import encode
from dockmagic.oci.convert import resources
from dockmagic.oci.options import JOIN, ExecOptions, LimitChanges, RunOptions
from dockmagic.oci.spec import Overlay
from dockmagic.runtime import attaching, binfmt, inspect, logs, state, updating
from dockmagic.runtime.attach import Attachment
from dockmagic.runtime.cgroup import hierarchy
from dockmagic.runtime.cgroup.group import Group
from dockmagic.runtime.client import Client, Started
from dockmagic.runtime.container import Containers as Rows
from dockmagic.runtime.container import Row
from dockmagic.runtime.logs import LogLine
from dockmagic.runtime.making import make_spec
from dockmagic.runtime.reporting import RunResult, outputs, report_start, result_of
from dockmagic.runtime.request import Record
from dockmagic.runtime.samples import Reader, Sample
from dockmagic.runtime.session import ALONE
from dockmagic.runtime.signals import signal_number
from dockmagic.runtime.state import ContainerState
from dockmagic.runtime.watcher import Watcher
from dockmagic.volumes.verbs import Surroundings, Volumes

if TYPE_CHECKING:
    from dockmagic.files.copying import Copied
    from dockmagic.files.verbs import CommitOptions, CopyOptions, Files
    from dockmagic.runtime.series import Series

STOP_TIMEOUT_S: Final = 10
GUEST: Final = Attachment(owner=False)


class Containers:
    """The containers of an engine."""

    def __init__(
        self,
        rows: Rows,
        client: Client,
        images: Images,
        snapshots: Snapshots,
        volumes: Volumes,
        files: Callable[[], Files],
    ) -> None:
        self.rows = rows
        self._volumes = volumes
        self._files = files
        self._client = client
        self._images = images
        self._snapshots = snapshots
        self._watcher = Watcher()

    def ls(self, all: bool = False) -> list[Container]:
        """Running containers, or all of them; newest first."""
        found = [self._handle(row) for row in self.rows.rows()]
        return [container for container in found if all or container.running]

    def get(self, name: str) -> Container:
        """The container with this name, id or beginning of an id; raises NotFound."""
        return self._handle(self.rows.find(name))

    def create(self, image: str, options: RunOptions, on_event: OnEvent = ignore) -> Container:
        """Make a container, the image fetched first where it isn't here; it is not started yet.

        Raises InvalidOption, Conflict, and what a pull raises.
        """
        return self._create(image, options, on_event)

    def _create(self, image: str, options: RunOptions, on_event: OnEvent, *, started: bool = False) -> Container:
        """`create`; `started` says that the container is going to be started at once."""
        with self._images.kept():
            found = self._images.find_or_pull(image, on_event)
            binfmt.require(f"image {image}", found.config.os, found.config.architecture, host_platform().architecture)
            lower = self._snapshots.lower(found.config.diff_ids)
            if not lower:
                raise InvalidOption(f"image {image} has no layers; a container needs a file system to start from")
            with self.rows.new(lower[0], once=started and options.remove) as container_id:
                try:
                    row = self._plan(container_id, image, found, lower, options, on_event)
                    row = self.rows.insert(row)
                    self._volumes.keep_images(container_id, row.options)
                    return self._handle(row)
                except BaseException:
                    self._volumes.release(container_id, remove=True)
                    raise

    def _plan(
        self,
        container_id: str,
        reference: str,
        image: Image,
        lower: Sequence[Path],
        options: RunOptions,
        on_event: OnEvent,
    ) -> Row:
        """Everything that is decided when a container is created; its volumes are made and filled."""
        config = image.config.config
        options = self._resolved(replace(options, stop_signal=options.stop_signal or config.stop_signal))
        directory = self.rows.directory(container_id)
        writable = str(directory / "upper"), str(directory / "work")
        overlay = Overlay(tuple(map(str, self.rows.with_stubs(lower))), *writable, volatile=options.remove)
        hostname = options.hostname or container_id[:12]

        def other_image(name: str) -> tuple[str, Sequence[Path]]:
            other = self._images.find_or_pull(name, on_event)
            return other.id, self._snapshots.lower(other.config.diff_ids)

        around = Surroundings(lower, config.volumes, lambda name: self.rows.find(name).options, other_image)
        options, shown = self._volumes.attach(container_id, options, around)
        placed = replace(options, mounts=options.mounts + shown)
        spec = make_spec(self._client.run_dir, container_id, config, placed, overlay, hostname)
        text = json.dumps(encode(spec))
        labels = {**config.labels, **options.labels}
        return Row(container_id, options.name, image.id, reference, time.time_ns(), spec, text, options, labels)

    def _resolved(self, options: RunOptions) -> RunOptions:
        """The options with other containers by their ids, and the host name that goes with a network.

        Raises NotFound.
        """
        found = {kind: self.rows.find(name) for kind, name in options.joined().items()}
        if "pid" in found:
            options = replace(options, pid=f"{JOIN}{found['pid'].id}")
        if "network" in found:
            network, hostname = f"{JOIN}{found['network'].id}", found["network"].spec.hostname
            options = replace(options, network=network, hostname=hostname)
        return options

    def close(self) -> None:
        """End all sampling."""
        self._watcher.close()

    def _handle(self, row: Row) -> Container:
        return Container(self.rows, self._client, self._watcher, self._volumes, self._files, row)

    def run(
        self,
        image: str,
        options: RunOptions,
        *,
        stdin: int | None = None,
        attachment: Attachment = ALONE,
        on_event: OnEvent = ignore,
    ) -> RunResult:
        """Run a container to its end, its output reported as it comes. `stdin`: a descriptor to read its input from.

        `attachment` says which streams are connected, and how the user may leave it before.

        Raises StartFailed; KeyboardInterrupt after an interrupt has stopped it.
        """
        row = self._create(image, options, on_event, started=True).row
        started = left = False

        def on_start(answer: Started) -> None:
            nonlocal started
            started = True
            report_start(row.id, answer, on_event)

        try:
            record = self.rows.run(row, outputs(row.id, on_event), on_start, attachment.reading(stdin))
        except Detached:
            left = True
            return result_of(row.id, Record(), detached=True)
        finally:
            if options.remove and not left:
                self._forget(row, started)
        on_event(ContainerExited(row.id, record.exit_status, record.oom_killed))
        return result_of(row.id, record)

    def _forget(self, row: Row, started: bool) -> None:
        """A container that was to remove itself is gone, and its unnamed volumes go with it."""
        if not started:
            self.rows.delete(row.id)
        with contextlib.suppress(StoreError):  # a full disk: these go when somebody finds the container gone
            if started:  # its monitor removes the rest
                self.rows.forget(row.id)
            if row.options.volumes:
                self._volumes.release(row.id, remove=True)

    def run_detached(self, image: str, options: RunOptions, on_event: OnEvent = ignore) -> Container:
        """Start a container in the background; raises StartFailed."""
        container = self._create(image, options, on_event, started=True)
        try:
            container.start(on_event)
        except BaseException:
            if options.remove:
                self._forget(container.row, started=False)
            raise
        return container


class Container:
    """A handle on a container; what it tells of the state is fresh each time."""

    def __init__(
        self, rows: Rows, client: Client, watcher: Watcher, volumes: Volumes, files: Callable[[], Files], row: Row
    ) -> None:
        self._rows = rows
        self._volumes = volumes
        self._files = files
        self._client = client
        self._watcher = watcher
        self.row = row
        self.id = row.id
        self.name = row.name
        self.image = row.image_reference
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
        return f"<b>{escape(self.name)}</b> " + " · ".join(f"<code>{escape(fact)}</code>" for fact in facts)

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

    def state(self) -> ContainerState:
        """How it is now; raises NotFound where it has been removed."""
        return self._rows.state(self.id)

    def start(self, on_event: OnEvent = ignore) -> None:
        """Start it in the background; fine where it runs already. Raises StartFailed."""
        if self.state().running:
            return
        try:
            started = self._rows.start(self.row)
        except InvalidState:  # somebody else was quicker
            return
        started.connection.close()
        report_start(self.id, started, on_event)

    def stop(self, timeout_s: float | None = None) -> None:
        """Ask it to end, and kill it where it hasn't in time (seconds; by default its own, else 10)."""
        configured = self.row.options.stop_timeout_s
        chosen = timeout_s if timeout_s is not None else STOP_TIMEOUT_S if configured is None else configured
        self._rows.stop(self.row, signal_number(self.row.options.stop_signal or "TERM"), chosen)

    def kill(self, name: str = "KILL") -> None:
        """Send a signal, by name or number, to its process 1; raises InvalidState where it doesn't run."""
        self._rows.kill(self.row, signal_number(name))

    def rm(self, force: bool = False, *, volumes: bool = False) -> None:
        """Remove it with all that it wrote; raises Conflict where it runs and `force` isn't given.

        With `volumes` those of its volumes go, too, that have no name and no other user.
        """
        if self.running:
            if not force:
                raise Conflict("container", self.name, "it is running; stop it first, or remove it with -f")
            with contextlib.suppress(InvalidState, NotFound):  # it ended, and removed itself, before we came to it
                self.kill()
                self.wait()
        self._rows.delete(self.id)
        self._volumes.release(self.id, remove=volumes or self.row.options.remove)

    def wait(self) -> int:
        """Wait until it doesn't run; its exit status."""
        return self._rows.wait(self.row).exit_status

    def logs(self, *, follow: bool = False, tail: int | None = None) -> Iterator[LogLine]:
        """What it wrote, oldest first; with `follow` also what it will write, until it ends."""
        path = self._rows.directory(self.id) / "log.jsonl"
        if follow:
            return logs.follow(path, running=lambda: self.running, tail=tail)
        return logs.read(path, tail=tail)

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
        attachment = replace(attachment, tty=self.row.spec.process.terminal)
        return attaching.attach(self._client, self.row, attachment, outputs(self.id, on_event))

    def start_attached(self, attachment: Attachment = GUEST, on_event: OnEvent = ignore) -> int:
        """Start it connected to its streams from its first byte on, else like `attach`; raises StartFailed, too."""
        if self.state().running:
            return self.attach(attachment, on_event)
        on_start = partial(report_start, self.id, on_event=on_event)
        return self._rows.run(self.row, outputs(self.id, on_event), on_start, attachment).exit_status

    def update(self, **changes: Unpack[LimitChanges]) -> tuple[str, ...]:
        """Change its limits, at once where it runs; what can't be enforced here comes back as sentences.

        Raises InvalidOption for limits that contradict each other, and where the kernel refuses one.
        """
        options = updating.changed(self.row.options, changes)
        limits = resources(options)
        now = self.state()
        warnings = updating.put_in_force(now.cgroup, limits) if now.running else []
        self.row = self._rows.change_limits(self.row, options, limits)
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
        return inspect.document(self.row, self.state(), self._rows.directory(self.id))
