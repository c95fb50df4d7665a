from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from dockmagic.builder.tree import Tree
from dockmagic.errors import BuildError
from tests.unit.builder.lab import fill


def layers(tmp_path: Path, *files: Mapping[str, str]) -> Tree:
    """A tree of layers with these files, topmost first; "opaque/" in a name marks its directory as opaque."""
    directories = []
    for number, content in enumerate(files):
        directory = tmp_path / str(number)
        directory.mkdir()
        fill(directory, {name: text for name, text in content.items() if not name.endswith("/.opaque")})
        for name in content:
            if name.endswith("/.opaque"):
                os.setxattr((directory / name).parent, "user.overlay.opaque", b"y")
        directories.append(directory)
    return Tree(directories)


def shown(tree: Tree) -> list[str]:
    return [found.path for found in tree.walk("") if found.path]


def test_an_upper_layer_covers_the_lower_ones(tmp_path: Path) -> None:
    tree = layers(tmp_path, {"a": "top", "d/x": "top"}, {"a": "low", "b": "low", "d/y": "low"})
    assert shown(tree) == ["a", "b", "d", "d/x", "d/y"]
    found = tree.find("a")
    assert found is not None
    assert Path(found.location).read_text() == "top"


def test_a_file_ends_what_is_below_it_and_a_directory_does_not_pass_over_a_file(tmp_path: Path) -> None:
    tree = layers(tmp_path, {"a": "file", "b/x": "x"}, {"a/y": "y", "b": "file"}, {"b/z": "z"})
    assert shown(tree) == ["a", "b", "b/x"]
    assert tree.find("a/y") is None


def test_an_opaque_directory_hides_what_is_below(tmp_path: Path) -> None:
    tree = layers(tmp_path, {"d/new": "", "d/.opaque": ""}, {"d/old": "", "e": ""})
    assert shown(tree) == ["d", "d/new", "e"]
    assert tree.find("d/old") is None


def test_an_empty_tree(tmp_path: Path) -> None:
    tree = Tree(())
    assert tree.find("") is None
    assert tree.lookup("a/b") is None
    assert shown(tree) == []


@pytest.mark.parametrize(
    ("path", "leads_to"),
    [
        ("a/b", "a/b"),
        ("./a//b/", "a/b"),
        ("link", "srv/real"),
        ("link/x/../y", "srv/real/y"),
        ("absolute/f", "srv/real/f"),
        ("chain/f", "srv/real/f"),
        ("up/f", "srv/real/f"),
        ("out", "etc/passwd"),
        ("far/etc", "etc"),
        ("nothing/link", "nothing/link"),
        ("../../srv", "srv"),
        ("dangling/x", "nowhere/x"),
    ],
)
def test_links_are_followed_inside_the_tree(tmp_path: Path, path: str, leads_to: str) -> None:
    tree = layers(
        tmp_path,
        {"link": "-> srv/real", "absolute": "-> /link", "chain": "-> absolute/.", "dangling": "-> nowhere"},
        {"srv/real/f": "", "srv/up": "-> ../link", "up": "-> srv/up", "out": "-> ../../etc/passwd", "far": "-> /.."},
    )
    assert tree.resolve(path).path == leads_to


def test_the_last_link_can_be_left_alone(tmp_path: Path) -> None:
    tree = layers(tmp_path, {"d": "-> e", "e/link": "-> x"})
    assert tree.resolve("d/link", follow_last=False).path == "e/link"


@pytest.mark.parametrize(
    ("target", "escaped"), [("-> f", False), ("-> /f", True), ("-> ../f", True), ("-> d/../f", False)]
)
def test_links_that_point_out_are_noticed(tmp_path: Path, target: str, escaped: bool) -> None:
    tree = layers(tmp_path, {"link": target, "f": "", "d/": ""})
    assert tree.resolve("link").escaped is escaped


def test_dots_in_what_was_asked_for_are_no_escape(tmp_path: Path) -> None:
    assert not layers(tmp_path, {"f": ""}).resolve("../f").escaped


def test_a_directory_as_the_root(tmp_path: Path) -> None:
    tree = layers(tmp_path, {"top/absolute": "-> /x", "top/up": "-> ../../x", "top/x/f": "", "x/f": ""})
    for name in ("absolute/f", "up/f", "x/../../x/f"):
        assert tree.resolve(name, top="top").path == "top/x/f"
    assert tree.resolve("..", top="top").path == "top"


def test_links_in_a_circle(tmp_path: Path) -> None:
    tree = layers(tmp_path, {"a": "-> b", "b": "-> a"})
    with pytest.raises(BuildError, match="too many levels of symbolic links at 'a/x'"):
        tree.resolve("a/x")


def test_a_change_of_the_top_layer_is_seen_after_forgetting(tmp_path: Path) -> None:
    tree = layers(tmp_path, {"a": ""}, {"d/old": ""})
    assert tree.names("d") == ["old"]
    fill(Path(tree.layers[0]), {"d/new": ""})
    tree.forget("d")
    assert tree.names("d") == ["new", "old"]
    tree.forget()
    assert shown(tree) == ["a", "d", "d/new", "d/old"]


def test_opening_refuses_a_link_that_came_in_between(tmp_path: Path) -> None:
    tree = layers(tmp_path, {"d/f": "inside", "other/f": "other"})
    found = tree.find("d/f")
    assert found is not None
    with os.fdopen(found.open(), "rb") as file:
        assert file.read() == b"inside"
    (tmp_path / "0/d/f").unlink()
    (tmp_path / "0/d").rmdir()
    (tmp_path / "0/d").symlink_to("other")
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        found.open()


def test_a_links_target_is_kept_letter_by_letter(tmp_path: Path) -> None:
    found = layers(tmp_path, {"l": "-> ./a//b/"}).find("l")
    assert found is not None
    assert (found.target, found.is_dir, found.is_file) == ("./a//b/", False, False)
