from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dockmagic.database import Database
from dockmagic.image.store import Image, ImageStore
from dockmagic.oci.descriptor import OCI_LAYER
from dockmagic.oci.digest import Digest
from dockmagic.oci.image import ContainerConfig, ImageConfig
from dockmagic.oci.reference import Reference
from dockmagic.registry.faults import Fault
from dockmagic.registry.shared import Shared
from tests.unit.registry.conftest import Serve


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ImageStore]:
    database = Database(tmp_path / "root" / "state.db")
    yield ImageStore(tmp_path / "root", database)
    database.close()


def add(store: ImageStore, *names: str, cmd: str = "sh") -> Image:
    """An image of one layer with these names; `cmd` makes it another one."""
    layer = store.put_blob(b"the layer", OCI_LAYER)
    config = ImageConfig("amd64", "linux", ContainerConfig(cmd=(cmd,)), (Digest.of(b"its tar"),))
    return store.add_image(config, [layer], references=[Reference.parse(name) for name in names])


def test_what_repositories_are_called(store: ImageStore) -> None:
    add(store, "busybox", "team/app:1", "ghcr.io/team/app:2", "lan:5000/x:y")
    shared = Shared(store)
    assert shared.repositories() == ["busybox", "team/app", "x"]
    assert shared.tags("library/busybox") == shared.tags("busybox") == shared.tags("docker.io/library/busybox")
    assert shared.tags("team/app") == ["1", "2"]
    assert shared.tags("ghcr.io/team/app") == ["2"]
    assert shared.tags("x") == ["y"]


def test_an_image_and_its_parts_are_the_stores(store: ImageStore) -> None:
    image = add(store, "app:1")
    shared = Shared(store)
    for reference in ("1", image.manifest_digest):
        document = shared.manifest("app", reference)
        assert (document.digest, document.data) == (image.manifest_digest, store.read_blob(image.manifest_digest))
    for part in (image.manifest.config, *image.manifest.layers):
        assert shared.blob("app", part.digest) == store.blob_path(part.digest)


def test_nothing_else_is_given_away(store: ImageStore) -> None:
    secret = store.put_blob(b"of no named image", OCI_LAYER)
    unnamed, other = add(store, cmd="a"), add(store, "other", cmd="b")
    add(store, "app")
    shared = Shared(store)
    for digest in (secret.digest, unnamed.id, unnamed.manifest_digest, other.id):
        with pytest.raises(Fault) as caught:
            shared.blob("app", digest)
        assert caught.value.code == "BLOB_UNKNOWN"
    with pytest.raises(Fault):
        shared.manifest("app", other.manifest_digest)
    with pytest.raises(Fault):
        shared.tags("nothing")


def test_a_mirror_knows_whose_image_is_meant(store: ImageStore, serve: Serve) -> None:
    hub, elsewhere = add(store, "team/app", cmd="a"), add(store, "ghcr.io/team/app", cmd="b")
    ask = serve(Shared(store))
    target = "/v2/team/app/manifests/latest"
    for query, image in (("", hub), ("?ns=docker.io", hub), ("?ns=ghcr.io", elsewhere), ("?ns=quay.io", hub)):
        assert ask("GET", target + query).headers["Docker-Content-Digest"] == image.manifest_digest


def test_what_is_removed_meanwhile_is_gone(store: ImageStore, serve: Serve) -> None:
    image = add(store, "app")
    ask = serve(Shared(store))
    blob = f"/v2/app/blobs/{image.manifest.layers[0].digest}"
    assert ask("GET", blob).body == b"the layer"
    store.blob_path(image.manifest.layers[0].digest).unlink()
    assert ask("GET", blob).status == 404
    store.remove("app")
    assert ask("GET", "/v2/app/manifests/latest").codes == ["MANIFEST_UNKNOWN"]


def test_it_takes_nothing(store: ImageStore, serve: Serve) -> None:
    image = add(store, "app")
    ask = serve(Shared(store))
    for method, path in (
        ("POST", "/v2/app/blobs/uploads/"),
        ("PUT", "/v2/app/manifests/latest"),
        ("DELETE", "/v2/app/manifests/latest"),
        ("DELETE", f"/v2/app/blobs/{image.id}"),
    ):
        reply = ask(method, path)
        assert (reply.status, reply.codes) == (405, ["UNSUPPORTED"])
    assert ask("GET", f"/v2/app/referrers/{image.id}").json()["manifests"] == []
