"""The containers of an engine: Docker's verbs, on rows, monitors and streams."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dockmagic.container import Container
from dockmagic.errors import Conflict, Detached, InvalidOption, NotFound, StoreError
from dockmagic.events import (
    ContainerCreated,
    ContainerExited,
    ContainerWarning,
    OnEvent,
    ignore,
)
from dockmagic.image.platform import host_platform, mismatch, platform_of, platform_option, suits
from dockmagic.image.snapshot import Snapshots
from dockmagic.image.store import Image
from dockmagic.images import Images
from dockmagic.network.verbs import Networks
from dockmagic.oci.codec import encode
from dockmagic.oci.health import merged
from dockmagic.oci.image import ContainerConfig
from dockmagic.oci.options import JOIN, RunOptions
from dockmagic.oci.ports import exposed
from dockmagic.oci.spec import Overlay
from dockmagic.runtime import binfmt
from dockmagic.runtime.attach import Attachment
from dockmagic.runtime.client import Client, Started
from dockmagic.runtime.container import Containers as Rows
from dockmagic.runtime.container import Row
from dockmagic.runtime.making import make_spec
from dockmagic.runtime.reporting import RunResult, outputs, report_start, result_of
from dockmagic.runtime.request import Record
from dockmagic.runtime.session import ALONE
from dockmagic.runtime.watcher import Watcher
from dockmagic.volumes.verbs import Surroundings, Volumes

if TYPE_CHECKING:
    from dockmagic.files.verbs import Files


class Containers:
    """The containers of an engine."""

    def __init__(
        self,
        rows: Rows,
        client: Client,
        images: Images,
        snapshots: Snapshots,
        volumes: Volumes,
        networks: Networks,
        files: Callable[[], Files],
    ) -> None:
        self.rows = rows
        self._volumes = volumes
        self._networks = networks
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
            found = self._image(image, options, on_event)
            lower = self._snapshots.lower(found.config.diff_ids)
            if not lower:
                raise InvalidOption(f"image {image} has no layers; a container needs a file system to start from")
            with self.rows.new(lower[0], once=started and options.remove) as container_id:
                try:
                    row = self._plan(container_id, image, found, lower, options, on_event)
                    row = self.rows.insert(row)
                    self._volumes.keep_images(container_id, row.options)
                    self._networks.place(container_id, row.options)
                except BaseException:
                    self._volumes.release(container_id, remove=True)
                    raise
            on_event(ContainerCreated(container_id, row.options.log.driver != "none" and not row.options.remove))
            if not options.platform and (warning := mismatch(platform_of(found.config))):
                on_event(ContainerWarning(container_id, warning))
            if options.network == "host" and (options.publish or options.publish_all):
                warning = "Published ports are discarded when using host network mode"
                on_event(ContainerWarning(container_id, warning))
            return self._handle(row)

    def _image(self, name: str, options: RunOptions, on_event: OnEvent) -> Image:
        """The image to make a container of, fetched when `options.pull` says so.

        Raises NotFound, Unsupported where this machine can't run it, and what a pull raises.
        """
        wanted = platform_option(options.platform) if options.platform else None
        if options.pull == "never":
            found = self._images.get(name)
            if wanted is not None and not suits(platform_of(found.config), wanted):
                raise NotFound("image", f"{name} for {options.platform}", "the one here is for another platform")
        else:
            found = self._images.find_or_pull(name, on_event, wanted, newest=options.pull == "always")
        binfmt.require(f"image {name}", found.config.os, found.config.architecture, host_platform().architecture)
        return found

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
        options = self._resolved(_of_image(options, config))
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
        spec = make_spec(config, placed, overlay, hostname)
        text = json.dumps(encode(spec))
        labels = {**config.labels, **options.labels}
        return Row(container_id, options.name, image.id, reference, time.time_ns(), spec, text, options, labels)

    def _resolved(self, options: RunOptions) -> RunOptions:
        """The options with other containers by their ids, and the host name that goes with a network.

        Raises NotFound.
        """
        options = self._networks.settled(options)
        options = replace(options, links=tuple((self.rows.find(name).id, alias) for name, alias in options.links))
        found = {kind: self.rows.find(name) for kind, name in options.joined().items()}
        if "pid" in found:
            options = replace(options, pid=f"{JOIN}{found['pid'].id}")
        if "ipc" in found:
            if found["ipc"].options.ipc != "shareable":
                hint = "use IpcMode:shareable for the donor container: --ipc shareable"
                raise Conflict("container", options.joined()["ipc"], f"non-shareable IPC ({hint})")
            options = replace(options, ipc=f"{JOIN}{found['ipc'].id}")
        if "network" in found:
            network, hostname = f"{JOIN}{found['network'].id}", found["network"].spec.hostname
            options = replace(options, network=network, hostname=hostname)
        return options

    def close(self) -> None:
        """End all sampling."""
        self._watcher.close()

    def _handle(self, row: Row) -> Container:
        return Container(self.rows, self._client, self._watcher, self._volumes, self._networks, self._files, row)

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


def _of_image(options: RunOptions, config: ContainerConfig) -> RunOptions:
    """The options with what the image says of its container's life where the user says nothing, and all ports."""
    signal, check = options.stop_signal or config.stop_signal, merged(options.healthcheck, config.healthcheck)
    ports = exposed(config.exposed_ports, options.expose, options.publish)
    return replace(options, stop_signal=signal, healthcheck=check, shell=config.shell or (), expose=ports)
