from __future__ import annotations

import json

import pytest

from dockmagic.errors import InvalidOption
from dockmagic.image.search import Found
from tests.unit.commands.calling import call
from tests.unit.commands.fakes import FakeEngine, FakeImages

FOUND = (
    Found("busybox", "Busybox base image. " * 5, stars=3000, official=True),
    Found("me/box", "mine\x1b[2J", stars=2),
)


def engine() -> FakeEngine:
    return FakeEngine(images=FakeImages(found=FOUND))


def test_a_table_as_docker_s() -> None:
    asked = engine()
    table = call(asked, "search", "box")
    assert table.columns == ("NAME", "DESCRIPTION", "STARS", "OFFICIAL")
    assert table.rows[0][2:] == ("3000", "[OK]")
    assert table.rows[0][1].endswith("…")
    assert "\x1b" not in str(table)
    assert table[1] is FOUND[1]
    assert call(asked, "search", "--no-trunc", "box").rows[0][1].endswith("image.")
    call(asked, "search", "--limit", "50", "box")
    assert [limit for _, _, limit in asked.images.calls] == [25, 25, 50]


@pytest.mark.parametrize(
    ("filter", "names"),
    [
        ("is-official=true", ["busybox"]),
        ("is-official=false", ["me/box"]),
        ("stars=3", ["busybox"]),
        ("stars=2", ["busybox", "me/box"]),
        ("is-automated=true", []),
    ],
)
def test_filters(filter: str, names: list[str]) -> None:
    assert [one.name for one in call(engine(), "search", "-f", filter, "box")] == names


def test_formats() -> None:
    assert str(
        call(engine(), "search", "--format", "{{.Name}}: {{.StarCount}}{{.IsOfficial}}", "box")
    ).splitlines() == [
        "busybox: 3000[OK]",
        "me/box: 2",
    ]
    first = json.loads(str(call(engine(), "search", "--format", "json", "box")).splitlines()[0])
    assert (first["Name"], first["IsOfficial"], first["IsAutomated"]) == ("busybox", "true", "false")


@pytest.mark.parametrize("words", ["--limit many box", "-f stars=many box", "-f colour=red box", "--format {{.X}} box"])
def test_what_is_refused(words: str) -> None:
    with pytest.raises(InvalidOption):
        call(engine(), "search", *words.split())
