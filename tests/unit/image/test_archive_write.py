from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from dockmagic.errors import InvalidManifest, InvalidOption, NotFound, StoreError
from dockmagic.image.archive_write import save_docker, save_oci, write_layout
from dockmagic.image.layout import Saved, saved
from dockmagic.image.store import ImageStore
from dockmagic.oci.reference import Reference
from tests.unit.image.conftest import MakeImage, MakeLayer

MakeSaved = Callable[..., Saved]


@pytest.fixture
def make_saved(store: ImageStore, make_layer: MakeLayer, make_image: MakeImage) -> MakeSaved:
    def make(*names: str, text: str = "text") -> Saved:
        """An image of one layer, to be saved under these names."""
        image = make_image(*names, layers=(make_layer(file=text),))
        return saved(store, image, [Reference.parse(name) for name in names])

    return make


def test_an_archive_holds_the_blobs_as_they_are(store: ImageStore, make_saved: MakeSaved) -> None:
    item = make_saved("app")
    out = io.BytesIO()
    save_docker([item], store, out)
    with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as tar:
        names = tar.getnames()
        for blob in (item.descriptor, item.image.manifest.config, *item.image.manifest.layers):
            member = tar.extractfile(f"blobs/sha256/{blob.digest.hex}")
            assert member is not None
            assert member.read() == store.blob_path(blob.digest).read_bytes()
        assert {member.mtime for member in tar.getmembers()} == {0}
    assert names[:2] == ["blobs", "blobs/sha256"]
    assert names[-4:] == ["index.json", "manifest.json", "oci-layout", "repositories"]


def test_the_same_images_give_the_same_bytes(store: ImageStore, make_saved: MakeSaved) -> None:
    items = [make_saved("app"), make_saved("other", text="another")]
    first, second = io.BytesIO(), io.BytesIO()
    save_oci(items, store, first)
    save_oci(items, store, second)
    assert first.getvalue() == second.getvalue()
    assert b"manifest.json" not in first.getvalue()


def test_a_lost_blob(store: ImageStore, make_saved: MakeSaved) -> None:
    item = make_saved("app")
    path = store.blob_path(item.image.manifest.layers[0].digest)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreError, match="expected"):
        save_docker([item], store, io.BytesIO())
    path.unlink()
    with pytest.raises(NotFound, match="the store is incomplete"):
        save_docker([item], store, io.BytesIO())


def test_outputs_that_take_nothing_more(store: ImageStore, make_saved: MakeSaved) -> None:
    item = make_saved("app")
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(StoreError, match="cannot write the archive"):
        save_docker([item], store, full)


def test_layouts_in_a_directory_grow(store: ImageStore, make_saved: MakeSaved, tmp_path: Path) -> None:
    first, second = make_saved("app", "app:2"), make_saved("app", text="newer")
    write_layout([first], store, tmp_path / "layout")
    write_layout([second], store, tmp_path / "layout")
    index = json.loads((tmp_path / "layout/index.json").read_text())
    found = {entry["annotations"]["io.containerd.image.name"]: entry["digest"] for entry in index["manifests"]}
    assert found == {
        "docker.io/library/app:latest": second.image.manifest_digest,
        "docker.io/library/app:2": first.image.manifest_digest,
    }
    assert (tmp_path / "layout/oci-layout").exists()
    assert len(list((tmp_path / "layout/blobs/sha256").iterdir())) == 6


def test_directories_that_are_no_layout(store: ImageStore, make_saved: MakeSaved, tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters/letter").touch()
    with pytest.raises(InvalidOption, match="choose an empty directory"):
        write_layout([make_saved()], store, tmp_path / "letters")
    (tmp_path / "letters/index.json").write_text("{")
    with pytest.raises(InvalidManifest):
        write_layout([make_saved()], store, tmp_path / "letters")
    assert sorted(path.name for path in (tmp_path / "letters").iterdir()) == ["index.json", "letter"]
