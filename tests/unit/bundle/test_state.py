"""What is written down of a container, and how it is seen."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dockmagic.bundle import state
from dockmagic.errors import Conflict, InvalidOption, InvalidState, NotFound
from dockmagic.oci.config import Config

CONFIG = b'{"ociVersion": "1.0.2", "annotations": {"a": "b"}}'


def stored(containers: state.Containers, pid: int, ticks: int) -> state.Container:
    """A container that is written down, with this process."""
    directory = containers.reserve("x")
    state.write(directory, state.Record("x", "/bundle", "/dockmagic-oci/none", "now", pid, ticks))
    Path(directory, "config.json").write_bytes(CONFIG)
    return containers.get("x")


def test_a_container_is_what_its_process_is(tmp_path: Path) -> None:
    containers = state.Containers(str(tmp_path / "root"))
    container = stored(containers, os.getpid(), state.ticks(os.getpid()))
    assert container.status() == "running"
    Path(container.directory, state.START_SOCKET).touch()
    assert container.document() == {
        "ociVersion": "1.2.0",
        "id": "x",
        "status": "created",
        "pid": os.getpid(),
        "bundle": "/bundle",
        "annotations": {"a": "b"},
    }
    container.require("start")
    with pytest.raises(InvalidState, match="cannot delete container x: it is created"):
        container.require("delete")
    assert [found.record.id for found in containers.all()] == ["x"]
    containers.forget("x")
    with pytest.raises(NotFound):
        containers.get("x")


def test_another_process_of_the_same_number_is_not_its(tmp_path: Path) -> None:
    container = stored(state.Containers(str(tmp_path)), os.getpid(), 1)
    assert container.status() == "stopped"
    assert "pid" not in container.document()


def test_an_id_is_used_once_and_is_no_path(tmp_path: Path) -> None:
    containers = state.Containers(str(tmp_path / "root"))
    containers.reserve("x")
    with pytest.raises(Conflict, match="exists"):
        containers.reserve("x")
    for wrong in ("", "..", "a/b", "a b"):
        with pytest.raises(InvalidOption, match="use letters"):
            containers.directory(wrong)
    assert list(state.Containers(str(tmp_path / "none")).all()) == []


def test_one_that_has_no_process_yet_is_being_created(tmp_path: Path) -> None:
    record = state.Record("x", "/b", "/c", "now")
    assert state.Container(str(tmp_path), record, Config("1.0.0")).status() == "creating"
