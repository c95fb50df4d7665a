from __future__ import annotations

from dockmagic.database import Database
from dockmagic.image.store import ImageStore
from dockmagic.image.whereabouts import Whereabouts
from dockmagic.oci.digest import Digest
from dockmagic.oci.reference import Reference
from tests.unit.image.conftest import MakeImage, MakeLayer

ONE = Digest.of(b"one")
BASE, OTHER, APP = (Reference.parse(f"r.example/{name}:1") for name in ("base", "other", "app"))


def test_the_last_repository_of_the_same_registry(database: Database) -> None:
    whereabouts = Whereabouts(database)
    assert whereabouts.elsewhere(ONE, APP) == ""
    for reference in (BASE, OTHER, APP, Reference.parse("other.example/newest:1")):
        whereabouts.note([ONE], reference)
    assert whereabouts.elsewhere(ONE, APP) == "other"
    whereabouts.note([ONE], BASE)
    assert whereabouts.elsewhere(ONE, APP) == "base"
    assert whereabouts.elsewhere(ONE, BASE) == "app"


def test_what_was_wrong_is_forgotten(database: Database) -> None:
    whereabouts = Whereabouts(database)
    whereabouts.note([ONE], BASE)
    whereabouts.forget(ONE, "r.example", "base")
    assert whereabouts.elsewhere(ONE, APP) == ""


def test_it_goes_with_the_blob(store: ImageStore, make_image: MakeImage, make_layer: MakeLayer) -> None:
    image = make_image("app", layers=(make_layer(a="a"),))
    digest = image.manifest.layers[0].digest
    store.whereabouts.note([digest, ONE], BASE)
    store.collect()
    assert store.whereabouts.elsewhere(digest, APP) == "base"
    assert store.whereabouts.elsewhere(ONE, APP) == ""
    store.remove("app")
    assert store.whereabouts.elsewhere(digest, APP) == ""
