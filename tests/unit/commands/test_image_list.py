from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from dockmagic.errors import InvalidOption, NotFound
from dockmagic.oci.digest import Digest
from dockmagic.oci.image import ContainerConfig, ImageConfig
from dockmagic.oci.reference import Reference
from tests.unit.commands.calling import call
from tests.unit.commands.fakes import IMAGE_ID, FakeEngine, FakeImage, FakeImages

BOTH = FakeImage(references=(Reference.parse("hello"), Reference.parse("ghcr.io/me/hello:1")))
BARE = FakeImage(Digest.of(b"bare"), references=(), created=None)
DIGEST = Digest.of(b"manifest")
NEW = FakeImage(
    Digest.of(b"new"),
    references=(Reference.parse(f"new@{DIGEST}"),),
    created=datetime(2025, 1, 1, tzinfo=UTC),
    config=ImageConfig("amd64", "linux", ContainerConfig(labels={"a": "1", "b": ""})),
)
ENGINE = FakeEngine(images=FakeImages({"new": NEW, "hello": BOTH, "bare": BARE}))


def listed(*words: str) -> list[str]:
    """The repositories of the rows."""
    return [row[0] for row in call(ENGINE, "image", "ls", *words).rows]


def test_images_have_a_row_for_each_name() -> None:
    engine = FakeEngine(images=FakeImages({"hello": BOTH, "bare": BARE}))
    table = call(engine, "images")
    assert [row[:2] for row in table.rows] == [("hello", "latest"), ("ghcr.io/me/hello", "1"), ("<none>", "<none>")]
    assert table.rows[0][2] == IMAGE_ID.short
    assert table.rows[0][4] == "4.27MB"
    assert table.rows[2][3] == "N/A"
    assert table[2] is BARE
    assert listed("-a") == listed()


def test_images_of_one_name() -> None:
    assert listed("hello") == ["hello"]
    assert listed("hello:latest") == ["hello"]
    assert listed("hello:*") == ["hello"]
    assert listed("other") == []


def test_ids_only_and_each_once() -> None:
    engine = FakeEngine(images=FakeImages({"hello": BOTH}))
    assert str(call(engine, "images", "-q")) == IMAGE_ID.short
    assert str(call(engine, "images", "-q", "--no-trunc")) == IMAGE_ID


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ("dangling=true", ["new", "<none>"]),
        ("dangling=false", ["hello", "ghcr.io/me/hello"]),
        ("label=a", ["new"]),
        ("label=a=2", []),
        ("label=a label=b", ["new"]),
        ("before=new", ["hello", "ghcr.io/me/hello", "<none>"]),
        ("since=hello", ["new"]),
        ("since=bare before=new", ["hello", "ghcr.io/me/hello"]),
        ("until=2024-06-01", ["hello", "ghcr.io/me/hello", "<none>"]),
        ("reference=hell*", ["hello"]),
        ("reference=*:latest", ["hello"]),
        ("reference=*/*/hello", ["ghcr.io/me/hello"]),
        ("reference=hello reference=ghcr.io/me/*:1", ["hello", "ghcr.io/me/hello"]),
    ],
)
def test_filters(filters: str, found: list[str]) -> None:
    assert listed(*(word for one in filters.split() for word in ("-f", one))) == found


@pytest.mark.parametrize("text", ["colour=red", "dangling=perhaps", "reference=[", "until=soon", "label"])
def test_what_is_no_filter(text: str) -> None:
    with pytest.raises(InvalidOption):
        listed("--filter", text)


def test_an_image_to_compare_with_has_to_be_here() -> None:
    with pytest.raises(NotFound, match="no such image: lost"):
        listed("--filter", "before=lost")


def test_digests() -> None:
    table = call(ENGINE, "images", "--digests")
    assert table.columns[:4] == ("REPOSITORY", "TAG", "DIGEST", "IMAGE ID")
    assert [row[1:3] for row in table.rows[:2]] == [("<none>", DIGEST), ("latest", "<none>")]


def test_templates() -> None:
    engine = FakeEngine(images=FakeImages({"hello": FakeImage()}))

    def shown(text: str) -> str:
        return str(call(engine, "images", "--format", text))

    assert shown("{{.Repository}}:{{ .Tag }}") == "hello:latest"
    assert shown("{{.CreatedAt}}") == "2024-01-01 00:00:00 +0000 UTC"
    assert shown("{{json .Size}}") == '"4.27MB"'
    assert json.loads(shown("json"))["ID"] == json.loads(shown("{{json .}}"))["ID"] == IMAGE_ID.short
    assert shown(r"table {{.ID}}\t{{.Size}}").split() == ["IMAGE", "ID", "SIZE", IMAGE_ID.short, "4.27MB"]
    assert shown("plain") == "plain"


@pytest.mark.parametrize("text", ["{{.Colour}}", "{{range .}}", "{{.ID", "table", "{{nosuch .ID}}"])
def test_what_is_no_template(text: str) -> None:
    with pytest.raises(InvalidOption, match="--format"):
        call(ENGINE, "images", "--format", text)
