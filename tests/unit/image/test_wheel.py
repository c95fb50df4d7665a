from __future__ import annotations

import base64
import csv
import hashlib
import io
from pathlib import Path
from zipfile import ZipFile

import pytest

from dockmagic.errors import DigestMismatch, InvalidOption, NotFound
from dockmagic.image.selection import select
from dockmagic.image.store import ImageStore
from dockmagic.image.wheel import package_of, write_wheel
from dockmagic.oci.digest import Digest
from tests.unit.image.conftest import MakeImage, MakeLayer


def write(store: ImageStore, directory: Path, *names: str, name: str = "", version: str = "") -> Path:
    """The wheel of these images."""
    images = select(store, names)
    return write_wheel(images, package_of(images, name, version), store, directory)


def test_a_wheel_records_all_that_is_in_it(
    store: ImageStore, make_image: MakeImage, make_layer: MakeLayer, tmp_path: Path
) -> None:
    make_image("team/app:2.0", layers=(make_layer(a="1"),))
    path = write(store, tmp_path / "wheels", "team/app:2.0")
    assert path == tmp_path / "wheels/dockmagic_image_app-2.0-py3-none-any.whl"
    with ZipFile(path) as archive:
        assert archive.testzip() is None
        files = {name: archive.read(name) for name in archive.namelist()}
    *_, last = files
    assert last == "dockmagic_image_app-2.0.dist-info/RECORD"
    for name, digest, size in csv.reader(io.StringIO(files[last].decode())):
        if name != last:
            content = files.pop(name)
            expected = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            assert (digest, size) == (f"sha256={expected}", str(len(content)))
    assert list(files) == [last]


def test_the_same_images_give_the_same_bytes(
    store: ImageStore, make_image: MakeImage, make_layer: MakeLayer, tmp_path: Path
) -> None:
    make_image("app", "other:1", layers=(make_layer(a="1"),))
    one, two = (write(store, tmp_path / name, "app", "other").read_bytes() for name in ("a", "b"))
    assert one == two
    with ZipFile(io.BytesIO(one)) as archive:
        blobs = [name for name in archive.namelist() if "/blobs/" in name]
    assert len(blobs) == len(set(blobs)) == 3


@pytest.mark.parametrize(
    ("names", "name", "version", "filename"),
    [
        (["team/app:2.0"], "", "", "dockmagic_image_app-2.0-py3-none-any.whl"),
        (["x"], "", "", "dockmagic_image_x-0-py3-none-any.whl"),
        (["x", "team/app:2.0"], "My.Images", "2024.02", "my_images-2024.2-py3-none-any.whl"),
        (["x:v1.0-RC1"], "", "", "dockmagic_image_x-1.0rc1-py3-none-any.whl"),
    ],
)
def test_names_and_versions(
    store: ImageStore, make_image: MakeImage, names: list[str], name: str, version: str, filename: str
) -> None:
    make_image("team/app:2.0", "x", "x:v1.0-RC1")
    images = select(store, [each if ":" in each else f"{each}:latest" for each in names])
    assert package_of(images, name, version).filename == filename


def test_what_no_package_can_be_called(store: ImageStore, make_image: MakeImage) -> None:
    image = make_image("app")
    images = select(store, ["app"])
    for name in ("-x", "a b", "../x", "ä", "1app"):
        with pytest.raises(InvalidOption, match="--name"):
            package_of(images, name)
    with pytest.raises(InvalidOption, match="--version"):
        package_of(images, version="new")
    with pytest.raises(InvalidOption, match="give the image by its name"):
        package_of(select(store, [image.id]))


def test_a_damaged_store_gives_no_wheel(
    store: ImageStore, make_image: MakeImage, make_layer: MakeLayer, tmp_path: Path
) -> None:
    image = make_image("app", layers=(make_layer(a="1"),))
    path = store.blob_path(image.manifest.layers[0].digest)
    content = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(bytes(len(content)))
    with pytest.raises(DigestMismatch):
        write(store, tmp_path / "wheels", "app")
    path.unlink()
    with pytest.raises(NotFound):
        write(store, tmp_path / "wheels", "app")
    assert list((tmp_path / "wheels").iterdir()) == []
    assert Digest.of(content) == image.manifest.layers[0].digest
