from __future__ import annotations

from dataclasses import replace

import pytest

from dockmagic.builder.history import BuildHistory, BuildRecord, StepRecord
from dockmagic.builder.states import States
from dockmagic.errors import NotFound
from dockmagic.events import StepState
from dockmagic.oci.image import ContainerConfig, ImageConfig
from tests.unit.builder.lab import Lab


def image(word: str) -> ImageConfig:
    """An image like no other."""
    return ImageConfig("amd64", "linux", ContainerConfig(cmd=(word,)))


def step(number: int, word: str, stage: str = "", state: StepState = StepState.DONE) -> StepRecord:
    """A step after which the image has this word; "" for none."""
    return StepRecord(number, f"RUN {word}", state, number, stage, image=image(word) if word else None)


BUILD = BuildRecord("abc123abc123", "x", "Dockerfile", 10, ("hello:latest",), 20, "sha256:feed")
DONE = replace(BUILD, steps=(step(1, "a", "one"), step(2, "b", "one"), step(3, "c", "two"), step(4, "d", "two")))
FAILED = replace(
    BUILD,
    id="bbb123bbb123",
    tags=(),
    started_ns=20,
    image_id="",
    error="no",
    steps=(step(1, "a"), step(2, "e"), step(3, "left", state=StepState.FAILED), step(5, "f")),
)


@pytest.fixture
def states(lab: Lab) -> States:
    """States of the image base:latest, of a build, and of a newer one that failed."""
    lab.base("base", {"f": "1"})
    history = BuildHistory(lab.database)
    history.record(DONE)
    history.record(FAILED)
    return States(history, lab.store)


@pytest.mark.parametrize(
    ("name", "word", "called"),
    [
        ("", "left", "bbb123bbb123:3"),
        (":", "left", "bbb123bbb123:3"),
        (":2", "e", "bbb123bbb123:2"),
        ("bbb:5", "f", "bbb123bbb123:5"),
        ("hello", "d", "hello:latest:4"),
        ("hello:latest", "d", "hello:latest:4"),
        ("hello:3", "c", "hello:latest:3"),
        ("hello:latest:3", "c", "hello:latest:3"),
        ("abc123:1", "a", "hello:latest:1"),
        ("feed:2", "b", "hello:latest:2"),
        (DONE.steps[2].image_id, "c", "step 3"),
        (DONE.steps[2].image_id[7:19], "c", "step 3"),
    ],
)
def test_names(states: States, name: str, word: str, called: str) -> None:
    found = states.find(name)
    assert (found.image.config.cmd, found.name) == ((word,), called)


def test_a_stored_image(states: States, lab: Lab) -> None:
    found = states.find("base")
    assert found.stored == lab.store.get("base")
    assert found.step is None


def test_a_tag_that_looks_like_a_step_is_a_tag(states: States, lab: Lab) -> None:
    lab.store.tag("base", "hello:3")
    assert states.find("hello:3").stored is not None
    assert states.find("hello:latest:3").image == image("c")


def test_where_images_go_first(states: States, lab: Lab) -> None:
    lab.store.tag("base", "hello")
    assert states.find("hello", images_first=True).stored is not None
    assert states.find("hello").image == image("d")


def test_the_state_before_a_step(states: States) -> None:
    assert states.find(":3", before=True).image == image("e")
    assert states.find("hello", before=True).image == image("c")


def test_a_step_that_failed_and_left_nothing_is_seen_as_it_began(lab: Lab) -> None:
    history = BuildHistory(lab.database)
    history.record(replace(BUILD, steps=(step(1, "a"), step(2, "", state=StepState.FAILED))))
    assert States(history, lab.store).find().image == image("a")


@pytest.mark.parametrize(
    ("name", "before", "message"),
    [
        (":9", False, "no such step: 9; build bbb123bbb123 has the steps 1, 2, 3, 5"),
        ("nothing:3", False, "no such build: nothing"),
        ("nothing", False, "no such build or image: nothing; write IMAGE, or .BUILD.:STEP"),
        ("No Name", False, "no such build or image: No Name"),
        ("hello:3", True, "no such state: before step 3; a stage begins with RUN c"),
        ("base", True, "no such build or image: base"),
    ],
)
def test_names_of_nothing(states: States, name: str, before: bool, message: str) -> None:
    with pytest.raises(NotFound, match=message):
        states.find(name, before=before)


def test_steps_that_came_to_nothing(lab: Lab) -> None:
    history = BuildHistory(lab.database)
    states = States(history, lab.store)
    with pytest.raises(NotFound, match="no such build"):
        states.find()
    history.record(replace(BUILD, steps=(step(1, ""),)))
    with pytest.raises(NotFound, match="before its first step"):
        states.find()
    with pytest.raises(NotFound, match="after step 1; RUN  came to nothing"):
        states.find(":1")
