from __future__ import annotations

from dockmagic.database import Database
from dockmagic.image import names
from dockmagic.oci.digest import Digest
from dockmagic.oci.reference import Reference
from tests.unit.image.conftest import MakeImage


def test_match_says_how_it_was_found(database: Database, make_image: MakeImage) -> None:
    image = make_image("app:1")
    assert names.resolve(database, "app:1") == names.Match(image.id, Reference.parse("app:1"))
    assert names.resolve(database, image.id.short) == names.Match(image.id)
    assert names.resolve(database, "app") is None


def test_whole_id_is_never_a_name(database: Database, make_image: MakeImage) -> None:
    image = make_image("app")
    assert names.resolve(database, image.id.hex) == names.Match(image.id)
    assert names.resolve(database, Digest.of(b"other")) is None


def test_digest_is_a_name_like_a_tag(database: Database, make_image: MakeImage) -> None:
    digest = Digest.of(b"manifest")
    image = make_image(f"app@{digest}")
    match = names.resolve(database, f"app@{digest}")
    assert match is not None
    assert match.image_id == image.id
    assert names.resolve(database, f"other@{digest}") is None


def test_references_are_sorted(database: Database, make_image: MakeImage) -> None:
    image = make_image("b", "a:2", "a:1")
    assert [str(reference) for reference in names.references(database, image.id)] == [
        "docker.io/library/a:1",
        "docker.io/library/a:2",
        "docker.io/library/b:latest",
    ]
