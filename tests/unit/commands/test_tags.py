from __future__ import annotations

import json

import pytest

from dockmagic.errors import InvalidOption
from tests.unit.commands.calling import call
from tests.unit.commands.fakes import FakeEngine, FakeImages

TAGS = ("1.9", "1.10", "1.10-alpine", "latest", "bad\x1b[2J<b>")


def engine() -> FakeEngine:
    return FakeEngine(images=FakeImages(tag_names=TAGS))


def test_tags_are_values_and_print_safely() -> None:
    tags = call(engine(), "image", "tags", "app")
    assert tuple(tags) == TAGS
    assert str(tags).splitlines() == ["1.9", "1.10", "1.10-alpine", "latest", "bad\\x1b[2J<b>"]
    assert "&lt;b&gt;" in tags._repr_html_()
    assert "\x1b" not in tags._repr_html_()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("-f 1.*", ("1.9", "1.10", "1.10-alpine")),
        ("--filter tag=1.* --limit 2", ("1.9", "1.10")),
        ("-f *-alpine -f latest", ("1.10-alpine", "latest")),
        ("--limit 1", ("1.9",)),
        ("-f nothing", ()),
    ],
)
def test_which_tags(words: str, expected: tuple[str, ...]) -> None:
    assert tuple(call(engine(), "image", "tags", *words.split(), "app")) == expected


def test_the_json_form_is_that_of_skopeo() -> None:
    shown = call(engine(), "image", "tags", "--format", "json", "-f", "1.9", "app")
    assert json.loads(str(shown)) == {"Repository": "docker.io/library/app", "Tags": ["1.9"]}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("app:1", "give the repository alone, app"),
        ("--limit 0 app", "isn't a number of names"),
        ("-f colour=red app", "invalid filter 'colour'"),
        ("--format table app", "write json"),
    ],
)
def test_what_is_refused(words: str, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        call(engine(), "image", "tags", *words.split())


def test_the_catalog() -> None:
    asked = engine()
    assert tuple(call(asked, "image", "catalog", "--limit", "2", "r.example:5000")) == ("1.9", "1.10")
    assert asked.images.calls == [("catalog", "r.example:5000")]


def test_very_many_names_leave_the_notebook_usable() -> None:
    many = FakeEngine(images=FakeImages(tag_names=tuple(map(str, range(5000)))))
    assert "… and 3000 more" in call(many, "image", "tags", "app")._repr_html_()
