from __future__ import annotations

from pathlib import Path

import pytest

from dockmagic.builder.seam import OnOutput, RunStep
from dockmagic.errors import RunFailed, StoreError
from dockmagic.past import Past
from tests.unit.builder.lab import Lab

TEXT = "FROM base\nRUN one\nRUN two\n"


def write(step: RunStep, output: OnOutput) -> int:
    """Write a file that is called as the command."""
    (step.upper / step.options.command[-1]).write_text("x")
    return 0


def fail(step: RunStep, output: OnOutput) -> int:
    """Write it, and fail at the second."""
    write(step, output)
    return int(step.options.command[-1] == "two")


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A lab with the image base."""
    lab = Lab(tmp_path / "state", write)
    lab.base("base", {"f": "1"})
    return lab


@pytest.fixture
def past(lab: Lab) -> Past:
    """Its past."""
    return Past(lab.database, lab.store, lab.snapshots)


def test_builds_are_found(lab: Lab, past: Past) -> None:
    lab.build(TEXT)
    (build,) = past.builds()
    assert past.build(build.id[:4]).steps == past.build().steps
    assert [step.number for step in past.build().steps] == [1, 2, 3]


def test_an_image_for_as_long_as_it_is_needed(lab: Lab, past: Past) -> None:
    built = lab.build(TEXT)
    there = lab.store.list_images()
    with past.image(past.state(":2")) as image:
        assert lab.listing(image) == ["f", "one"]
        assert image.references == ()
        assert len(lab.store.list_images()) == len(there) + 1
    assert lab.store.list_images() == there
    with past.image(past.state(":3")) as image:
        assert image == built
    with past.image(past.state("base")) as image:
        assert image == lab.store.get("base")
    assert lab.store.list_images() == there


def test_it_goes_whatever_the_end(lab: Lab, past: Past) -> None:
    lab.build(TEXT)
    there = lab.store.list_images()
    with pytest.raises(KeyboardInterrupt), past.image(past.state(":2")):
        raise KeyboardInterrupt
    assert lab.store.list_images() == there


def test_one_that_was_named_or_removed_meanwhile(lab: Lab, past: Past) -> None:
    lab.build(TEXT)
    with past.image(past.state(":2")) as image:
        lab.store.tag(image.id, "kept")
    assert lab.store.get("kept").id == image.id
    lab.store.remove("kept")
    with past.image(past.state(":2")) as image:
        lab.store.remove(image.id)


def test_what_a_failed_command_left(lab: Lab, past: Past) -> None:
    lab.command = fail
    with pytest.raises(RunFailed):
        lab.build("FROM base\nARG A=1\nRUN one\nRUN two\n")
    state = past.state()
    assert "A=1" in state.image.config.env
    with past.image(state) as image:
        assert lab.listing(image) == ["f", "one", "two"]
    assert [change.path for change in past.diff(":3", ":").changes] == ["/two"]


def test_layers_that_are_gone(lab: Lab, past: Past) -> None:
    lab.build(TEXT)
    state = past.state(":2")
    with lab.database.transaction() as transaction:
        transaction.execute("DELETE FROM build_cache")
        transaction.execute("DELETE FROM images")
    lab.store.collect()
    with pytest.raises(StoreError, match=":2 aren't kept any more; build again to look at them"), past.image(state):
        pass
    with pytest.raises(StoreError, match="aren't kept"):
        past.diff(":2", ":3")
