"""An image of a container's files, with the config that the container has.

The layer is packed while no process of the container runs, so that it holds one moment; it is unpacked when they run
again. Source: Docker's reference of `container commit`.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from dockmagic.builder.metadata import with_env
from dockmagic.image import compression, layer
from dockmagic.image.meter import Meter, MeteredSink
from dockmagic.image.snapshot import Layer, Snapshots
from dockmagic.image.store import Image, ImageStore
from dockmagic.image.workspace import store_errors
from dockmagic.oci.descriptor import OCI_LAYER_GZIP, Descriptor
from dockmagic.oci.image import ContainerConfig, History, ImageConfig
from dockmagic.oci.options import RunOptions

_EMPTY_TAR_BYTES: Final = 1024  # two blocks of zeros


def container_config(config: ContainerConfig, options: RunOptions) -> ContainerConfig:
    """The config of an image that starts as the container did: the image's own with what the options changed."""
    entrypoint, command = config.entrypoint, config.cmd
    if options.entrypoint is not None:
        entrypoint, command = options.entrypoint or None, None
    pairs = [(name, value) for name, equals, value in (entry.partition("=") for entry in options.env) if equals]
    return replace(
        config,
        user=options.user or config.user,
        env=with_env(config.env, pairs),
        entrypoint=entrypoint,
        cmd=options.command or command,
        working_dir=options.workdir or config.working_dir,
        labels={**config.labels, **options.labels},
        stop_signal=options.stop_signal or config.stop_signal,
        healthcheck=options.healthcheck or config.healthcheck,
        on_build=(),  # for those who build upon the image, and so carried out already or not asked for
        args_escaped=config.args_escaped and not options.command,
    )


def commit_upper(
    base: Image,
    upper: Path,
    *,
    without: Collection[bytes],
    paused: AbstractContextManager[None],
    store: ImageStore,
    snapshots: Snapshots,
    meter: Meter,
) -> Layer | None:
    """The layer of what a container wrote, None where that is nothing; `without` are names to leave out.

    `paused` is held while it is read. Raises StoreError, InvalidLayer.
    """
    with store.workspaces.new("commit-") as workspace:
        blob = workspace / "blob"
        with blob.open("wb") as out:
            writer = compression.LayerWriter(out)
            with paused:
                layer.pack(upper, MeteredSink(writer, meter), without=without)
            with store_errors("store a layer"):
                writer.close()
        if writer.plain_size == _EMPTY_TAR_BYTES:
            return None
        descriptor = Descriptor(OCI_LAYER_GZIP, writer.digest, writer.size)
        store.adopt(blob, descriptor, durable=False)
        parent = base.chain_ids[-1] if base.chain_ids else None
        return snapshots.unpack(parent, descriptor, writer.diff_id)


def image_of(
    base: Image, made: Layer | None, config: ContainerConfig, *, command: str, author: str, message: str
) -> ImageConfig:
    """The config of the base with one more layer, if there is one, and with an entry in the history for it."""
    created = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
    entry = History(created, command, author, message, empty_layer=made is None)
    added = () if made is None else (made.diff_id,)
    return replace(
        base.config,
        config=config,
        created=created,
        author=author,
        diff_ids=(*base.config.diff_ids, *added),
        history=(*base.config.history, entry),
    )
