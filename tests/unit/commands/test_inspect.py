from __future__ import annotations

import json

import pytest

from dockmagic.errors import InvalidOption, NotFound
from tests.unit.commands.calling import call
from tests.unit.commands.fakes import FakeConsole, FakeContainer, FakeContainers, FakeEngine, FakeImage, FakeImages


def engine() -> FakeEngine:
    images = FakeImages({"hello": FakeImage(), "both": FakeImage()})
    return FakeEngine(FakeContainers({name: FakeContainer(name) for name in ("burn", "both")}), images)


def test_containers_go_before_images() -> None:
    found = call(engine(), "inspect", "burn", "hello", "both")
    assert [each.get("Name") for each in found] == ["/burn", None, "/both"]
    assert [each["Id"] for each in call(engine(), "inspect", "--type", "image", "both")] == [FakeImage().id]
    assert call(engine(), "inspect", "--type", "container", "both")[0]["Name"] == "/both"


def test_what_is_found_is_shown_though_other_names_are_not() -> None:
    console = FakeConsole()
    with pytest.raises(NotFound, match="no such container or image: nothing"):
        call(engine(), "inspect", "burn", "nothing", console=console)
    assert [each["Name"] for each in json.loads(console.streams["stdout"])] == ["/burn"]
    with pytest.raises(NotFound, match="no such container: hello"):
        call(engine(), "container", "inspect", "hello")
    with pytest.raises(InvalidOption, match="unknown type"):
        call(engine(), "inspect", "--type", "plugin", "burn")


def test_templates_and_sizes() -> None:
    assert str(call(engine(), "inspect", "-f", "{{.Name}}", "burn", "both")) == "/burn\n/both"
    assert call(engine(), "container", "inspect", "-s", "burn")[0]["SizeRw"] == 1200
    assert str(call(engine(), "inspect", "--size", "-f", "{{json .SizeRootFs}}", "burn")) == "1200"
    with pytest.raises(InvalidOption, match="no Nothing"):
        call(engine(), "inspect", "-f", "{{.Nothing}}", "burn")
