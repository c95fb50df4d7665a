from __future__ import annotations

from dataclasses import replace

import pytest

from dockmagic.builder import history
from dockmagic.builder.history import BuildHistory, BuildRecord, StepRecord, new_build_id
from dockmagic.errors import NotFound
from dockmagic.events import StepState
from dockmagic.oci.image import ContainerConfig, History, ImageConfig
from tests.unit.builder.lab import Lab

IMAGE = ImageConfig("amd64", "linux", ContainerConfig(env=("A=1",)), history=(History("2024-01-01T00:00:00Z", "x"),))
STEPS = (
    StepRecord(1, "FROM x", StepState.CACHED, 1, reason="here", started_ns=5, image=IMAGE),
    StepRecord(2, "RUN y", StepState.FAILED, 2, "one", "why", 6, 7, 8, 9, "c0ffee"),
)
BUILD = BuildRecord("abc123", "name", "Dockerfile", 10, ("hello:latest",), 20, "sha256:feed", "", STEPS)


def test_a_build_comes_back_as_it_was(lab: Lab) -> None:
    kept = BuildHistory(lab.database)
    kept.record(BUILD)
    assert kept.get() == BUILD
    assert kept.builds() == [replace(BUILD, steps=())]


@pytest.mark.parametrize(
    "name", ["", "abc", "abc123", "hello", "hello:latest", "docker.io/library/hello", "sha256:feed", "fee"]
)
def test_the_names_of_a_build(lab: Lab, name: str) -> None:
    kept = BuildHistory(lab.database)
    kept.record(replace(BUILD, id="older", started_ns=1))
    kept.record(BUILD)
    assert kept.get(name) == BUILD


def test_a_name_that_is_none(lab: Lab) -> None:
    with pytest.raises(NotFound, match="no such build: x"):
        BuildHistory(lab.database).get("x")


def test_the_oldest_are_forgotten(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST_BUILDS", 3)
    kept = BuildHistory(lab.database)
    for number in range(5):
        kept.record(replace(BUILD, id=f"b{number}", started_ns=number))
    assert [build.id for build in kept.builds()] == ["b4", "b3", "b2"]
    assert len(lab.database.query("SELECT 1 FROM build_history")) == 6


def test_an_image_is_known_whatever_its_times(lab: Lab) -> None:
    kept = BuildHistory(lab.database)
    kept.record(BUILD)
    later = replace(IMAGE, created="2025-01-01T00:00:00Z", history=(History("2025-01-01T00:00:00Z", "x"),))
    assert kept.known(later) == IMAGE
    assert kept.known(replace(later, author="other")) is None


def test_ids_differ() -> None:
    assert len({new_build_id() for _ in range(10)}) == 10


def test_a_tag_goes_before_the_beginning_of_an_id(lab: Lab) -> None:
    kept = BuildHistory(lab.database)
    kept.record(replace(BUILD, id="feed00", tags=("abc:latest",), started_ns=1))
    kept.record(BUILD)
    assert kept.get("abc").id == "feed00"
    assert kept.get("abc1").id == "abc123"
    assert kept.find("a_c") is None


def test_how_many_steps_there_were(lab: Lab) -> None:
    kept = BuildHistory(lab.database)
    kept.record(BUILD)
    kept.record(replace(BUILD, id="empty", steps=()))
    assert kept.counts() == {"abc123": (2, 1)}


def test_the_step_that_an_image_came_of(lab: Lab) -> None:
    kept = BuildHistory(lab.database)
    kept.record(BUILD)
    assert kept.step_of(STEPS[0].image_id) == kept.step_of(STEPS[0].image_id[7:19]) == STEPS[0]
    assert kept.step_of("c0ffee00") is None
