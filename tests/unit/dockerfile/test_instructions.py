from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from dockmagic.dockerfile.instructions import From, Program, Stage, User


def program() -> Program:
    """Stages a, without a name, b, and another a."""
    names = ("a", None, "b", "a")
    return Program((), tuple(Stage(From("x", name=name), (), index) for index, name in enumerate(names)))


@pytest.mark.parametrize(("name", "index"), [("b", 2), ("B", 2), ("a", 3), ("0", 0), ("1", 1)])
def test_stages_are_found(name: str, index: int) -> None:
    found = program().stage(name)
    assert found is not None
    assert found.index == index


@pytest.mark.parametrize("name", ["c", "4", "-1", "", "01"])
def test_other_names_are_no_stages(name: str) -> None:
    assert program().stage(name) is None


def test_a_stage_without_a_name_is_called_by_its_index() -> None:
    assert [stage.name for stage in program().stages] == ["a", "1", "b", "a"]


def test_positions_do_not_count_in_comparisons() -> None:
    assert User("a", line=1, end_line=2, text="USER a") == User("a")
    assert User("a") != User("b")


def test_instructions_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        User("a").user = "b"  # type: ignore[misc]  # what the test tries
