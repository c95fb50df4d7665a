from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest

from dockmagic.database import Database
from dockmagic.errors import DigestMismatch
from dockmagic.events import Event, PullFinished, PullProgress
from dockmagic.image.offline import find_offer, offers, take
from dockmagic.image.platform import parse_platform, platform_option
from dockmagic.image.selection import select
from dockmagic.image.snapshot import Snapshots
from dockmagic.image.store import Image, ImageStore
from dockmagic.image.wheel import package_of, write_wheel
from dockmagic.oci.descriptor import Platform
from dockmagic.oci.reference import Reference
from tests.unit.image.conftest import MakeImage, MakeLayer

AMD64 = Platform("linux", "amd64")
Install = Callable[..., Path]


@pytest.fixture
def install(store: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.setattr(sys, "path", [*sys.path, str(site)])

    def put(*names: str, name: str = "") -> Path:
        """The directory of the layout of these images' wheel, unpacked where Python looks for packages."""
        images = select(store, names)
        package = package_of(images, name)
        with ZipFile(write_wheel(images, package, store, tmp_path)) as archive:
            archive.extractall(site)
        return site / package.module / "layout"

    return put


def take_elsewhere(name: str, root: Path, events: list[Event]) -> Image:
    """The image out of its package into another state root."""
    database = Database(root / "state.db")
    store = ImageStore(root, database)
    snapshots = Snapshots(root, database, store, store.workspaces)
    reference = Reference.parse(name)
    offer = find_offer(reference, AMD64)
    assert offer is not None
    try:
        return take(offer, reference, store=store, snapshots=snapshots, platform=AMD64, on_event=events.append)
    finally:
        database.close()


def test_an_image_goes_from_store_to_store(
    make_image: MakeImage, make_layer: MakeLayer, install: Install, tmp_path: Path
) -> None:
    image = make_image("app", "team/app:1", layers=(make_layer(a="1"),))
    install("app", "team/app:1")
    assert [(str(offer.reference), offer.package, offer.version) for offer in offers()] == [
        ("docker.io/library/app:latest", "dockmagic-image-app", "0"),
        ("docker.io/team/app:1", "dockmagic-image-app", "0"),
    ]
    events: list[Event] = []
    taken = take_elsewhere("team/app:1", tmp_path / "other", events)
    assert (taken.id, taken.manifest_digest) == (image.id, image.manifest_digest)
    assert taken.references == (Reference.parse("team/app:1"),)
    digest = image.manifest.layers[0].digest
    told = [(event.status, event.detail) for event in events if isinstance(event, PullProgress)]
    assert list(dict.fromkeys(told)) == [
        ("waiting", "from the package dockmagic-image-app 0"),
        ("extracting", "from the package dockmagic-image-app 0"),
        ("complete", ""),
    ]
    assert events[-1] == PullFinished("team/app:1", image.manifest_digest, updated=True)
    pinned = take_elsewhere(f"team/app@{image.manifest_digest}", tmp_path / "third", events)
    assert pinned.manifest.layers[0].digest == digest


def test_only_what_is_meant_is_offered(make_image: MakeImage, install: Install) -> None:
    image = make_image("app:1")
    install("app:1")
    for name in ("app", "app:2", "other:1", "ghcr.io/app:1", f"other@{image.manifest_digest}", f"app@{image.id}"):
        assert find_offer(Reference.parse(name), AMD64) is None
    assert find_offer(Reference.parse("app:1"), parse_platform("arm64", AMD64)) is None
    assert find_offer(Reference.parse("app:1"), platform_option("amd64")) is not None


def test_a_blob_that_isnt_right_is_refused(
    make_image: MakeImage, make_layer: MakeLayer, install: Install, tmp_path: Path
) -> None:
    image = make_image("app", layers=(make_layer(a="1"),))
    layout = install("app")
    blob = layout / "blobs/sha256" / image.manifest.layers[0].digest.hex
    blob.write_bytes(bytes(blob.stat().st_size))
    with pytest.raises(DigestMismatch, match="the package dockmagic-image-app is damaged, install it again"):
        take_elsewhere("app", tmp_path / "other", [])


@pytest.mark.parametrize("index", [None, b"", b"{}", b'{"schemaVersion": 2, "manifests": 1}', b" " * (9 << 20)])
def test_a_damaged_package_offers_nothing(make_image: MakeImage, install: Install, index: bytes | None) -> None:
    make_image("app", "other")
    (install("app") / "index.json").unlink()
    install("other", name="other")
    if index is not None:
        (install("app") / "index.json").write_bytes(index)
    assert [offer.package for offer in offers()] == ["other"]


def test_entry_points_lead_into_their_package_only(make_image: MakeImage, install: Install, tmp_path: Path) -> None:
    make_image("app")
    layout = install("app")
    [points] = layout.parents[1].glob("*.dist-info/entry_points.txt")
    for value in ("../x", "/etc", "a:b", ".", "a..b"):
        points.write_text(f"[dockmagic.images]\nx = {value}\n")
        assert offers() == []
