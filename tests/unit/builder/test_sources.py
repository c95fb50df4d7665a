from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from dockmagic.builder.choice import excluding
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


def chosen(context: Path, *names: str, exclude: tuple[str, ...] = (), parents: bool = False) -> list[list[str]]:
    """What each source holds, itself left out."""
    sources = find_sources(origin(context), names, excluding(exclude), parents=parents)
    return [[item.below or source.name for item in source.items if item.below or not parents] for source in sources]


HOME = {"home.txt": "", "home.md": "", "homely": "", "homes/a.txt": "", "homes/b": ""}


@pytest.mark.parametrize(
    ("name", "exclude", "left"),
    [
        ("hom*", ["*.txt"], [["home.md"], ["homely"], ["homes", "b"]]),
        ("hom*", ["*.txt", "*.md"], [["homely"], ["homes", "b"]]),
        ("hom*", ["homes"], [["home.md"], ["home.txt"], ["homely"]]),
        ("hom*", ["*", "!homely"], [["homely"]]),
        ("home.txt", ["*.txt"], []),
        ("homes", ["homes"], [["homes", "a.txt", "b"]]),
        ("homes", ["*"], [["homes"]]),
        ("homes", [" # ", "", "#b", "a.txt"], [["homes", "b"]]),
        (".", ["**/*.txt", "home?*", "!homes/b"], [["", "homes", "homes/b"]]),
        (".", ["*.txt"], [["", "home.md", "homely", "homes", "homes/a.txt", "homes/b"]]),
        (".", ["homes/a.txt", "home*.*", "homely"], [["", "homes", "homes/b"]]),
    ],
)
def test_what_is_excluded_by_the_instruction(
    context: Path, name: str, exclude: list[str], left: list[list[str]]
) -> None:
    fill(context, HOME)
    assert chosen(context, name, exclude=tuple(exclude)) == left


@pytest.mark.parametrize("pattern", ["[a", "!", "a\\"])
def test_an_exclusion_that_is_no_pattern(pattern: str) -> None:
    with pytest.raises(BuildError, match="--exclude: "):
        excluding([pattern])


DEEP = {
    "x/a.txt": "", "y/a.txt": "", "src/a.txt": "", "src/x/b.txt": "", "src/x/y/c.txt": "", "src/x/y/c.md": "",
    "t/b/c/d/foo": "", "t/b/c/d/e/bay": "", "t/b2/c/d/e/bar": "", "t/b/c2/d/e/baz": "", "t/b/c2/d/e2/baz": "",
    "t/empty/": "", "t/file": "", "l": "-> src",
}  # fmt: skip


@pytest.mark.parametrize(
    ("names", "left"),
    [
        (["./x/a.txt", "./y/a.txt"], [["x", "x/a.txt"], ["y", "y/a.txt"]]),
        (["./src/./x/*.txt"], [["x", "x/b.txt"]]),
        (["./src/**/*.txt"], [["src", "src/a.txt", "src/x", "src/x/b.txt", "src/x/y", "src/x/y/c.txt"]]),
        (["/t/b/./c/d"], [["c", "c/d", "c/d/e", "c/d/e/bay", "c/d/foo"]]),
        (["/t/b/c/d/."], [["t", "t/b", "t/b/c", "t/b/c/d", "t/b/c/d/e", "t/b/c/d/e/bay", "t/b/c/d/foo"]]),
        (["/t/./b/./c/d/foo"], [["b", "b/c", "b/c/d", "b/c/d/foo"]]),
        (["/t/./*/c/d/e/ba*"], [["b", "b/c", "b/c/d", "b/c/d/e", "b/c/d/e/bay",
                               "b2", "b2/c", "b2/c/d", "b2/c/d/e", "b2/c/d/e/bar"]]),
        (["/t/b*/./c/**/e"], [["c", "c/d", "c/d/e", "c/d/e/bay"], ["c", "c/d", "c/d/e", "c/d/e/bar"]]),
        (["/t/b/c*/./d/**/baz", "/t/b*/./c/**/bar"],
         [["d", "d/e", "d/e/baz", "d/e2", "d/e2/baz"], ["c", "c/d", "c/d/e", "c/d/e/bar"]]),
        (["t/empty"], [["t", "t/empty"]]),
        (["t/./."], [["b", "b/c", "b/c/d", "b/c/d/e", "b/c/d/e/bay", "b/c/d/foo", "b/c2", "b/c2/d", "b/c2/d/e",
                      "b/c2/d/e/baz", "b/c2/d/e2", "b/c2/d/e2/baz", "b2", "b2/c", "b2/c/d", "b2/c/d/e",
                      "b2/c/d/e/bar", "empty", "file"]]),
        (["l"], [["l"]]),
        (["l/./x/b.txt"], [["x", "x/b.txt"]]),
        (["../x/a.txt"], [["x", "x/a.txt"]]),
        (["n*"], []),
        (["n*/./x"], []),
        (["src/n*"], []),
    ],
)  # fmt: skip
def test_parents(context: Path, names: list[str], left: list[list[str]]) -> None:
    fill(context, DEEP)
    assert chosen(context, *names, parents=True) == left


def test_parents_and_what_is_excluded(context: Path) -> None:
    fill(context, DEEP)
    exclude = ("src/x/y", "**/a.*")
    assert chosen(context, "src", exclude=exclude, parents=True) == [["src", "src/x", "src/x/b.txt"]]
    assert chosen(context, "x/a.txt", exclude=exclude, parents=True) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x/none", '"x/none" not found in the build context; names'),
        ("none/./x", '"none/./x" not found'),
        ("x/a.txt/./b", "not found"),
        ("l/x/b.txt", '"l/x/b.txt" leads through a symbolic link, which --parents .* leads, src/x/b.txt'),
        ("[a", "syntax error in pattern"),
    ],
)
def test_parents_of_what_is_not_there(context: Path, name: str, message: str) -> None:
    fill(context, DEEP)
    with pytest.raises(BuildError, match=message):
        chosen(context, name, parents=True)
