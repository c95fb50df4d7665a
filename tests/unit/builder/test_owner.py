from __future__ import annotations

from pathlib import Path

import pytest

from dockmagic.builder.attributes import Owner
from dockmagic.builder.owner import owner_of
from dockmagic.builder.tree import Tree
from dockmagic.errors import BuildError
from tests.unit.builder.lab import fill

PASSWD = "root:x:0:0::/root:/bin/sh\nbob:x:1000:1001::/home/bob:/bin/sh\nnumbers\n"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    fill(tmp_path, {"real/passwd": PASSWD, "etc/passwd": "-> /real/passwd", "etc/group": "staff:x:50:\n"})
    return Tree((tmp_path,))


@pytest.mark.parametrize(
    ("text", "owner"),
    [
        ("bob", Owner(1000, 1001)),
        ("bob:staff", Owner(1000, 50)),
        ("bob:7", Owner(1000, 7)),
        ("5", Owner(5, 5)),
        ("1000", Owner(1000, 1000)),
        ("5:6", Owner(5, 6)),
        ("5:staff", Owner(5, 50)),
        ("root", Owner(0, 0)),
    ],
)
def test_names_are_the_images(tree: Tree, text: str, owner: Owner) -> None:
    assert owner_of(text, tree) == owner


@pytest.mark.parametrize("text", ["alice", "bob:wheel", "", ":staff", "-1", "99999999999"])
def test_who_is_unknown(tree: Tree, text: str) -> None:
    with pytest.raises(BuildError, match=r"give a number|names no user"):
        owner_of(text, tree)


def test_numbers_need_no_files(tmp_path: Path) -> None:
    assert owner_of("5:6", Tree((tmp_path,))) == Owner(5, 6)


def test_a_directory_instead_of_the_file(tmp_path: Path) -> None:
    fill(tmp_path, {"etc/passwd/": ""})
    with pytest.raises(BuildError, match="unable to find user bob"):
        owner_of("bob", Tree((tmp_path,)))
