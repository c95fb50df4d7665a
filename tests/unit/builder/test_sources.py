from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from dockmagic.builder.sources import Origin, find_sources
from dockmagic.builder.tree import Tree
from dockmagic.dockerfile.ignore import IgnoreFile
from dockmagic.errors import BuildError
from tests.unit.builder.lab import fill

FILES = {
    "a.txt": "a",
    "b.txt": "b",
    "c.md": "c",
    "src/m.py": "",
    "src/deep/n.py": "",
    "src/deep/link": "-> n.py",
    "lib/o.py": "",
    "arr[0].txt": "",
    "to-file": "-> a.txt",
    "to-dir": "-> src",
    "out": "-> ../../etc/passwd",
    "absolute": "-> /etc/passwd",
}


def origin(context: Path, ignore: str = "") -> Origin:
    if not any(context.iterdir()):
        fill(context, FILES)
    return Origin(Tree((context,)), "the build context", IgnoreFile.parse(ignore))


def found(context: Path, *names: str, ignore: str = "") -> dict[str, list[str]]:
    """What each source holds, by its name."""
    sources = find_sources(origin(context, ignore), names)
    return {source.name: [item.below for item in source.items] for source in sources}


def test_a_file_a_directory_and_all_in_it(context: Path) -> None:
    assert found(context, "a.txt", "/src/") == {
        "a.txt": [""],
        "src": ["", "deep", "deep/link", "deep/n.py", "m.py"],
    }


def test_the_whole_context(context: Path) -> None:
    everything = found(context, ".")[""]
    assert everything[0] == ""
    assert {"a.txt", "src/deep/link", "to-dir"} < set(everything)


def test_a_source_that_is_a_link_is_followed_and_keeps_its_name(context: Path) -> None:
    sources = find_sources(origin(context), ["to-file", "to-dir", "to-dir/m.py"])
    assert [(source.name, source.is_dir) for source in sources] == [
        ("to-file", False),
        ("to-dir", True),
        ("m.py", False),
    ]
    assert sources[0].items[0].found.path == "a.txt"


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.txt", ["a.txt", "arr[0].txt", "b.txt"]),
        ("?.txt", ["a.txt", "b.txt"]),
        ("[^a].txt", ["b.txt"]),
        ("arr[[]0].txt", ["arr[0].txt"]),
        ("*/*.py", ["o.py", "m.py"]),
        ("s*/deep", ["deep"]),
        ("to-dir/*.py", ["m.py"]),
        ("to-d*/*.py", []),
        ("nothing*", []),
        ("nowhere/*", []),
        ("a.txt/*", []),
    ],
)
def test_wildcards(context: Path, pattern: str, names: list[str]) -> None:
    assert [source.name for source in find_sources(origin(context), [pattern])] == names


def test_a_pattern_that_is_none(context: Path) -> None:
    with pytest.raises(BuildError, match="syntax error in pattern"):
        found(context, "[a")


def test_what_is_ignored_is_not_copied(context: Path) -> None:
    ignore = "*.txt\n!b.txt\nsrc/deep\n!src/deep/n.py\nlib\n"
    assert set(found(context, ".", ignore=ignore)[""]) == {
        "", "absolute", "b.txt", "c.md", "out", "src", "src/deep", "src/deep/n.py", "src/m.py", "to-dir", "to-file",
    }  # fmt: skip
    assert found(context, "*.txt", ignore=ignore) == {"b.txt": [""]}
    assert found(context, "src/deep", ignore=ignore) == {"deep": ["", "n.py"]}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none", r'"none" not found in the build context; names are relative to its root'),
        ("../outside", r'"../outside" not found in the build context: a path can\'t leave it, so .* "outside" inside'),
        ("out", r'"out" not found in the build context: a symbolic link on the way leads out of it'),
        ("absolute", r'"absolute" not found in the build context: a symbolic link on the way leads out of it'),
        ("a.txt/x", r'"a.txt/x" not found'),
        ("c.md", r'"c.md" not found in the build context: it is excluded by .dockerignore.*!c.md'),
        ("lib", r'"lib" not found in the build context: it is excluded by .dockerignore'),
        ("to-lib", r'"to-lib" not found in the build context: it is excluded by .dockerignore'),
        ("hidden", r'"hidden" not found in the build context: it is excluded by .dockerignore'),
    ],
)
def test_what_is_not_there(context: Path, name: str, message: str) -> None:
    place = origin(context, "c.md\nlib\nhidden")
    (context / "to-lib").symlink_to("lib")
    (context / "hidden").symlink_to("a.txt")
    with pytest.raises(BuildError, match=message):
        find_sources(place, [name])


def test_dots_inside_the_context_are_fine(context: Path) -> None:
    assert found(context, "src/../a.txt", "../b.txt") == {"a.txt": [""], "b.txt": [""]}


def test_sockets_are_passed_over(context: Path) -> None:
    fill(context, {"d/f": ""})
    server = socket.socket(socket.AF_UNIX)
    here = Path.cwd()
    os.chdir(context)  # a socket's name has to be short
    server.bind("d/socket")
    os.chdir(here)
    server.close()
    assert found(context, "d") == {"d": ["", "f"]}


def test_the_opened_file_is_the_one_in_the_origin(context: Path) -> None:
    (source,) = find_sources(origin(context), ["a.txt"])
    with os.fdopen(source.items[0].found.open()) as file:
        assert file.read() == "a"
