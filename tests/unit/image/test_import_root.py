from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from dockmagic.errors import DockmagicError, InvalidLayer
from dockmagic.image.import_root import import_root
from dockmagic.image.limits import DEFAULT_LIMITS, Limits
from dockmagic.image.snapshot import Snapshots
from dockmagic.image.store import Image, ImageStore
from dockmagic.oci.descriptor import Platform
from dockmagic.oci.image import ContainerConfig
from dockmagic.oci.reference import Reference
from tests.unit.image.archives import END, member

OWNER = (os.geteuid(), os.getegid())
TAR = member("etc/passwd", b"root", owner=OWNER) + END
FORMS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda data: zstandard.compress(data),
}


def imported(store: ImageStore, snapshots: Snapshots, data: bytes, limits: Limits = DEFAULT_LIMITS) -> Image:
    return import_root(
        io.BytesIO(data),
        store=store,
        snapshots=snapshots,
        platform=Platform("linux", "arm64", "v8"),
        config=ContainerConfig(cmd=("sh",)),
        message="Imported from -",
        reference=Reference.parse("root:1"),
        limits=limits,
    )


@pytest.mark.parametrize("form", FORMS)
def test_compression_is_told_by_content(form: str, store: ImageStore, snapshots: Snapshots) -> None:
    image = imported(store, snapshots, FORMS[form](TAR))
    assert image.config.diff_ids == (f"sha256:{hashlib.sha256(TAR).hexdigest()}",)
    assert (snapshots.path(image.chain_ids[-1]) / "etc/passwd").read_bytes() == b"root"


def test_the_config_of_an_import(store: ImageStore, snapshots: Snapshots) -> None:
    image = imported(store, snapshots, TAR)
    config = image.config
    assert (config.os, config.architecture, config.variant, config.config.cmd) == ("linux", "arm64", "v8", ("sh",))
    (entry,) = config.history
    assert (entry.comment, entry.created_by, entry.empty_layer, entry.created) == (
        "Imported from -", "", False, config.created,
    )  # fmt: skip
    assert store.get("root:1").id == image.id


@pytest.mark.parametrize(
    ("data", "limits", "message"),
    [
        (b"", DEFAULT_LIMITS, "no tar archive"),
        (b"root:x:0:0\n" * 100, DEFAULT_LIMITS, "no tar archive"),
        (gzip.compress(b"text"), DEFAULT_LIMITS, "no tar archive"),
        (gzip.compress(TAR)[:-9], DEFAULT_LIMITS, "the archive's gzip stream ends too early"),
        (TAR[:1000], DEFAULT_LIMITS, "ends too early"),
        (member("../x", owner=OWNER) + END, DEFAULT_LIMITS, "refused: it leads out"),
        (TAR, Limits(max_bytes=1000), "more than 1000 bytes"),
    ],
)
def test_what_cant_be_imported(
    data: bytes, limits: Limits, message: str, store: ImageStore, snapshots: Snapshots, tmp_path: Path
) -> None:
    with pytest.raises(InvalidLayer, match=message):
        imported(store, snapshots, data, limits)
    store.collect()
    assert store.list_images() == []
    kept = [path for name in ("tmp", "layers", "blobs") for path in (tmp_path / "root" / name).rglob("*")]
    assert [path for path in kept if path.is_file()] == []


def test_an_empty_root(store: ImageStore, snapshots: Snapshots) -> None:
    image = imported(store, snapshots, END)
    assert list(snapshots.path(image.chain_ids[-1]).iterdir()) == []


def test_an_interrupted_import(store: ImageStore, snapshots: Snapshots, tmp_path: Path) -> None:
    class Interrupted:
        """A stream that the user loses patience with."""

        def __init__(self) -> None:
            self.parts = [TAR[:700]]

        def read(self, size: int = -1, /) -> bytes:
            """The first part, then an interrupt."""
            if self.parts:
                return self.parts.pop()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_root(
            Interrupted(),
            store=store,
            snapshots=snapshots,
            platform=Platform("linux", "amd64"),
            config=ContainerConfig(),
            message="",
        )
    assert list((tmp_path / "root/tmp").iterdir()) == []
    with pytest.raises(DockmagicError):
        store.get("root:1")
