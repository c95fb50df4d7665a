from __future__ import annotations

import pytest

from dockmagic.builder.choice import Choice, excluding, path_pattern, picking, pivoted
from dockmagic.errors import BuildError


def test_everything() -> None:
    assert Choice().includes("")
    assert Choice().includes("a/b")
    assert Choice().may_include_below("a")
    assert picking(Choice(), "").includes("a")


def test_what_is_left_out() -> None:
    choice = excluding(["a", "!a/b"])
    assert [choice.includes(path) for path in ("", "a", "a/b", "a/c", "b")] == [True, False, True, False, True]
    assert choice.may_include_below("a")
    assert not excluding(["a"]).may_include_below("a")


def test_what_is_picked() -> None:
    choice = picking(excluding(["**/*.o"]), "src/**/x*")
    assert [choice.includes(path) for path in ("", "src", "src/a/x1", "src/x/deep", "src/x.o")] == [
        False, False, True, True, False,
    ]  # fmt: skip
    assert [choice.may_include_below(path) for path in ("", "src", "lib")] == [True, True, False]


@pytest.mark.parametrize(
    ("name", "pivot"),
    [
        ("a/b", ("", "a/b")),
        ("./a/./b/../c", ("a", "c")),
        ("/./a", ("", "a")),
        ("a/./b/./c", ("a", "b/c")),
        ("a/./", ("a", "")),
        ("a/.", ("", "a")),
        (".", ("", "")),
        ("../a/./../../b", ("a", "b")),
    ],
)
def test_pivots(name: str, pivot: tuple[str, str]) -> None:
    assert pivoted(name) == pivot


def test_what_is_no_pattern() -> None:
    with pytest.raises(BuildError, match="syntax error in pattern"):
        path_pattern("[")
    with pytest.raises(BuildError, match=r"--exclude: syntax error"):
        excluding(["a", "["])
