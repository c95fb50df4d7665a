from __future__ import annotations

import pytest

from dockmagic.database import Database
from dockmagic.errors import Conflict
from dockmagic.image.store import Image, ImageStore
from dockmagic.oci.digest import Digest
from tests.unit.image.conftest import MakeImage

CONTAINER = "c0ffee" * 10


def use(database: Database, image: Image) -> None:
    """Make a container of this image, that doesn't run."""
    with database.transaction() as transaction:
        transaction.execute(
            "INSERT INTO containers (id, name, image_id, created_ns) VALUES (?, 'burn', ?, 0)", (CONTAINER, image.id)
        )


def left(store: ImageStore, image: Image) -> list[str]:
    return [reference.familiar for reference in store.get(image.id).references]


def test_one_name_of_several(store: ImageStore, make_image: MakeImage) -> None:
    image = make_image("app:1", "app:2")
    assert store.remove("app:1") == ["Untagged: app:1"]
    assert left(store, image) == ["app:2"]


def test_last_name_takes_the_image_along(store: ImageStore, make_image: MakeImage) -> None:
    image = make_image("app")
    assert store.remove("app") == ["Untagged: app:latest", f"Deleted: {image.id}"]
    assert store.find(image.id) is None


def test_last_tag_takes_digests_of_its_repository_along(store: ImageStore, make_image: MakeImage) -> None:
    digest = Digest.of(b"manifest")
    image = make_image("app:1", f"app@{digest}")
    assert store.remove("app:1") == ["Untagged: app:1", f"Untagged: app@{digest}", f"Deleted: {image.id}"]


def test_digest_goes_alone(store: ImageStore, make_image: MakeImage) -> None:
    digest = Digest.of(b"manifest")
    image = make_image("app:1", f"app@{digest}")
    assert store.remove(f"app@{digest}") == [f"Untagged: app@{digest}"]
    assert left(store, image) == ["app:1"]


def test_digest_of_another_repository_stays(store: ImageStore, make_image: MakeImage) -> None:
    digest = Digest.of(b"manifest")
    image = make_image("app:1", f"other@{digest}")
    assert store.remove("app:1") == ["Untagged: app:1"]
    assert left(store, image) == [f"other@{digest}"]


def test_id_of_a_nameless_image(store: ImageStore, make_image: MakeImage) -> None:
    image = make_image()
    assert store.remove(image.id.short) == [f"Deleted: {image.id}"]


def test_id_of_an_image_with_one_name(store: ImageStore, make_image: MakeImage) -> None:
    image = make_image("app")
    assert store.remove(image.id) == ["Untagged: app:latest", f"Deleted: {image.id}"]


def test_id_of_an_image_with_several_names(store: ImageStore, make_image: MakeImage) -> None:
    image = make_image("app", "host:5000/app")
    with pytest.raises(Conflict, match=r"must be forced\): it has several names \(app:latest, host:5000/app:latest\)"):
        store.remove(image.id)
    assert left(store, image) == ["app:latest", "host:5000/app:latest"]
    assert store.remove(image.id, force=True)[-1] == f"Deleted: {image.id}"


def test_stopped_container_keeps_the_last_name(store: ImageStore, database: Database, make_image: MakeImage) -> None:
    image = make_image("app", "app:1")
    use(database, image)
    store.remove("app:1")
    with pytest.raises(Conflict, match=r"app:latest: unable to remove \(must force\): container c0ffeec0ffee"):
        store.remove("app")
    with pytest.raises(Conflict, match="must be forced"):
        store.remove(image.id)
    assert left(store, image) == ["app:latest"]
    assert store.remove("app", force=True) == ["Untagged: app:latest", f"Deleted: {image.id}"]


def test_running_container_keeps_the_image(store: ImageStore, database: Database, make_image: MakeImage) -> None:
    image = make_image("app")
    use(database, image)
    with pytest.raises(Conflict, match=r"cannot be forced\): container c0ffeec0ffee uses it and is running"):
        store.remove(image.id, force=True, in_use=[image.id])
    with pytest.raises(Conflict, match="must force"):
        store.remove("app", in_use=[image.id])
    assert store.remove("app", force=True, in_use=[image.id]) == ["Untagged: app:latest"]
    assert left(store, image) == []
