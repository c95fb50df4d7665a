from __future__ import annotations

import pytest

from dockmagic.errors import InvalidOption
from dockmagic.files.rules import Landing, Source, Target, absolute, container_and_path, entry_name, landing, split

FILE, DIRECTORY = Source("/s/file", False), Source("/s/dir", True)
CONTENTS = Source("/s/dir/.", True)


def target(path: str, kind: str) -> Target:
    """A target where there is a "file", a "dir" or nothing ("")."""
    return Target(path, bool(kind), kind == "dir", f"c:{path}")


@pytest.mark.parametrize(
    ("source", "to", "directory", "name"),
    [
        (FILE, target("/t/new", ""), "/t", "new"),
        (FILE, target("/t/old", "file"), "/t", "old"),
        (FILE, target("/t", "dir"), "/t", "file"),
        (FILE, target("/t/", "dir"), "/t/", "file"),
        (FILE, target("/", "dir"), "/", "file"),
        (DIRECTORY, target("/t/new", ""), "/t", "new"),
        (DIRECTORY, target("/t/new/", ""), "/t", "new"),
        (DIRECTORY, target("/t/new/.", ""), "/t/new", "."),
        (DIRECTORY, target("/t", "dir"), "/t", "dir"),
        (CONTENTS, target("/t/new", ""), "/t", "new"),
        (CONTENTS, target("/t", "dir"), "/t", "."),
        (Source("/", True), target("/t", "dir"), "/t", "."),
        (Source("/s/dir/", True), target("/t", "dir"), "/t", "dir"),
    ],
)
def test_where_things_land(source: Source, to: Target, directory: str, name: str) -> None:
    assert landing(source, to) == Landing(directory, name)


@pytest.mark.parametrize(
    ("source", "to", "message"),
    [
        (FILE, target("/t/new/", ""), "c:/t/new/: there is no such directory"),
        (FILE, target("/t/new/.", ""), "there is no such directory"),
        (DIRECTORY, target("/t/old", "file"), "can't copy the directory /s/dir to c:/t/old, which is a file"),
        (CONTENTS, target("/t/old", "file"), "can't copy the directory"),
    ],
)
def test_what_cant_be(source: Source, to: Target, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        landing(source, to)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", "/"),
        ("/", "/"),
        ("//a//b", "/a/b"),
        ("a/../../b", "/b"),
        (".", "/."),
        ("a/.", "/a/."),
        ("a/./", "/a/"),
        ("a/", "/a/"),
        ("/..", "/"),
        ("a/..", "/"),
    ],
)
def test_paths_keep_what_says_directory(path: str, expected: str) -> None:
    assert absolute(path) == expected


def test_no_path_has_a_nul() -> None:
    with pytest.raises(InvalidOption, match="has a NUL in it"):
        absolute("/etc\0/x")


def test_paths_of_the_host() -> None:
    assert absolute("a", "/home/me") == "/home/me/a"
    assert absolute(".", "/home/me") == "/home/me/."
    assert absolute("..", "/home/me") == "/home"


def test_names_in_a_directory() -> None:
    assert [entry_name(path) for path in ("/a/b", "/a/b/", "/a/b/.", "/", "/.")] == ["b", "b", ".", ".", "."]
    assert split("/a/./") == ("/a", ".")


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("c:/x", ("c", "/x")),
        ("c:", ("c", "")),
        ("c:x:y", ("c", "x:y")),
        ("/c:x", ("", "/c:x")),
        ("./c:x", ("", "./c:x")),
        ("../c:x", ("", "../c:x")),
        ("-", ("", "-")),
        ("file", ("", "file")),
    ],
)
def test_which_side_is_in_a_container(argument: str, expected: tuple[str, str]) -> None:
    assert container_and_path(argument) == expected
