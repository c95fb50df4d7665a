from __future__ import annotations

import pytest

from dockmagic.builder import paths


@pytest.mark.parametrize(
    ("path", "cleaned"),
    [("", ""), ("/", ""), ("a", "a"), ("./a/", "a"), ("..", ""), ("a/../../b", "b"), ("//a", "a"), ("a/./b", "a/b")],
)
def test_relative(path: str, cleaned: str) -> None:
    assert paths.relative(path) == cleaned


@pytest.mark.parametrize(
    ("directory", "path", "whole"),
    [("/a", "b", "/a/b"), ("/a", "/b", "/b"), ("/a", "..", "/"), ("/a", ".", "/a"), ("", "", "/"), ("/", "b", "/b")],
)
def test_absolute(directory: str, path: str, whole: str) -> None:
    assert paths.absolute(directory, path) == whole


@pytest.mark.parametrize(
    ("path", "whole"), [("", "/w/"), (".", "/w/"), ("x/.", "/w/x/"), ("x/..", "/w/"), ("/", "/"), ("x", "/w/x")]
)
def test_destination(path: str, whole: str) -> None:
    assert paths.destination("/w", path) == whole


def test_parts() -> None:
    assert (paths.parent("a/b/c"), paths.parent("a"), paths.parent("")) == ("a/b", "", "")
    assert (paths.name("a/b/c"), paths.name("a"), paths.name("")) == ("c", "a", "")
    assert (paths.join("a", "b"), paths.join("", "b"), paths.join("a", ""), paths.join("", "")) == ("a/b", "b", "a", "")


@pytest.mark.parametrize(
    ("path", "climbs"), [("..", True), ("a/..", False), ("a/../..", True), ("/..", True), ("./a", False)]
)
def test_climbing_out(path: str, climbs: bool) -> None:
    assert paths.climbs_out(path) is climbs
