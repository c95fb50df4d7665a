from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from dockmagic.errors import InvalidOption, NotFound
from dockmagic.oci.options import RunOptions
from dockmagic.oci.spec import Mount
from tests.unit.commands.calling import call
from tests.unit.commands.fakes import FakeContainer, FakeContainers, FakeEngine, FakeImage, FakeImages, State

IMAGES = FakeImages({"busybox": FakeImage(), FakeImage().id: FakeImage()})
MOUNTED = RunOptions(network="host", mounts=(Mount("/inside", "bind", "/outside"),))


def engine() -> FakeEngine:
    containers = (
        FakeContainer("burn", "aa" * 32, created_ns=1, labels={"a": "b", "c": ""}),
        FakeContainer("other", "bb" * 32, created_ns=2, now=State("exited", exit_status=3)),
        FakeContainer(
            "burner", "cc" * 32, "gone", created_ns=3, now=State("paused"),
            row=SimpleNamespace(image_id="sha256:none", options=MOUNTED),
        ),
    )  # fmt: skip
    return FakeEngine(FakeContainers({each.name: each for each in containers}), IMAGES)


def names(*words: str) -> list[str]:
    found = call(engine(), "ps", "-a", "--format", "{{.Names}}", *words)
    return str(found).split()


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ("id=aaa", "burn"),
        ("name=burn", "burner burn"),
        ("name=^burn$", "burn"),
        ("name=^/other", "other"),
        ("label=a", "burn"),
        ("label=a=b label=c", "burn"),
        ("label=a=x", ""),
        ("status=exited status=paused", "burner other"),
        ("exited=3", "other"),
        ("exited=0", ""),
        ("before=burner", "other burn"),
        ("since=burn", "burner other"),
        ("ancestor=busybox", "other burn"),
        ("ancestor=gone", "burner"),
        ("volume=/inside", "burner"),
        ("volume=/outside network=host", "burner"),
        ("network=bridge", "other burn"),
        ("health=none", "burner other burn"),
        ("health=healthy", ""),
    ],
)
def test_filters(filters: str, expected: str) -> None:
    assert names(*(word for each in filters.split() for word in ("-f", each))) == expected.split()


def test_a_status_shows_all() -> None:
    assert str(call(engine(), "ps", "-q", "--filter", "status=exited")) == "b" * 12


@pytest.mark.parametrize("text", ["colour=red", "status=up", "health=fine", "exited=x", "name=(", "name"])
def test_what_is_no_filter(text: str) -> None:
    with pytest.raises(InvalidOption):
        names("-f", text)


def test_a_container_to_compare_with_has_to_be_there() -> None:
    with pytest.raises(NotFound):
        names("-f", "since=nothing")


def test_formats() -> None:
    assert names("--format", "{{.ID}}:{{.State}}")[0] == f"{'c' * 12}:paused"
    assert names("--format", '{{.Label "a"}}{{.Labels}}')[-1] == "ba=b,c="
    assert names("--format", "{{.Mounts}}{{.Networks}}")[0] == "/outsidehost"
    first = json.loads(str(call(engine(), "ps", "-l", "--format", "json")))
    assert (first["Names"], first["Image"], first["Size"]) == ("burner", "gone", "1.2kB (virtual 1.2kB)")
    table = str(call(engine(), "ps", "--format", r'table {{.Names}}\t{{upper .Image}}\t{{.Label "a"}}')).splitlines()
    assert [line.split() for line in table] == [["NAMES", "IMAGE", "a"], ["burn", "BUSYBOX", "b"]]
    with pytest.raises(InvalidOption, match="names no field"):
        names("--format", "{{.Colour}}")


def test_sizes() -> None:
    lines = str(call(engine(), "ps", "-a", "-s")).splitlines()
    assert lines[0].endswith("NAMES    SIZE")
    assert lines[1].endswith("burner   1.2kB (virtual 1.2kB)")
    assert lines[2].endswith("other    1.2kB (virtual 4.27MB)")
