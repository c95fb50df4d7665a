"""A root file system out of a tar archive, as an image of one layer. Source: Docker's reference of `image import`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from dockmagic.errors import InvalidLayer
from dockmagic.image.compression import LayerWriter, open_layer
from dockmagic.image.limits import DEFAULT_LIMITS, Guarded, Limits
from dockmagic.image.snapshot import Snapshots
from dockmagic.image.store import Image, ImageStore
from dockmagic.image.streams import Counted, Source
from dockmagic.image.tar_header import BLOCK, decode
from dockmagic.image.workspace import store_errors
from dockmagic.oci.descriptor import OCI_LAYER_GZIP, Descriptor, Platform
from dockmagic.oci.digest import Digest
from dockmagic.oci.image import ContainerConfig, History, ImageConfig
from dockmagic.oci.reference import Reference

_CHUNK: Final = 1 << 20
_WHAT: Final = "archive"


def import_root(
    source: Source,
    *,
    store: ImageStore,
    snapshots: Snapshots,
    platform: Platform,
    config: ContainerConfig,
    message: str,
    reference: Reference | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Image:
    """The image whose files are those of a tar archive, compressed (gzip, bzip2, xz, zstd) or not.

    Raises InvalidLayer, or StoreError; then what was moved into the store is nobody's, for `collect` to take away.
    """
    with store.workspaces.new("import-") as workspace:
        descriptor, diff_id = _pack(source, workspace / "blob", limits)
        store.adopt(workspace / "blob", descriptor, durable=False)
        layer = snapshots.unpack(None, descriptor, diff_id)
        created = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
        image = ImageConfig(
            platform.architecture,
            platform.os,
            config,
            diff_ids=(layer.diff_id,),
            history=(History(created=created, comment=message),),
            created=created,
            variant=platform.variant,
        )
        return store.add_image(image, [layer.descriptor], references=[] if reference is None else [reference])


def _pack(source: Source, blob: Path, limits: Limits) -> tuple[Descriptor, Digest]:
    """Descriptor of the archive's bytes, compressed into `blob`, and their diff ID; raises InvalidLayer, StoreError."""
    counted = Counted(source)
    with open_layer(counted, _WHAT) as stream, blob.open("wb") as out:
        plain = Guarded(stream, lambda: counted.size, limits, _WHAT)
        writer = LayerWriter(out)
        data = _first(plain)
        with store_errors("store a layer"):
            while data:
                writer.write(data)
                data = plain.read(_CHUNK)
            writer.close()
    return Descriptor(OCI_LAYER_GZIP, writer.digest, writer.size), writer.diff_id


def _first(plain: Source) -> bytes:
    """The first bytes of a tar archive; raises InvalidLayer for what is none."""
    data = b""
    while len(data) < 2 * BLOCK and (more := plain.read(_CHUNK)):
        data += more
    try:
        if data[:BLOCK].strip(b"\0") or len(data) < 2 * BLOCK:
            decode(data[:BLOCK].ljust(BLOCK, b"\0"))
    except ValueError as error:
        raise InvalidLayer(f"what is to be imported is no tar archive ({error}); compressed ones are fine") from error
    return data
