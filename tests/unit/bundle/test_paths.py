"""Paths made inside a root, which no link leaves."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockmagic.bundle.copying import copy_tree
from dockmagic.bundle.paths import find, find_or_make, is_below


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    """Descriptor of a root that is a directory in the temporary one."""
    (tmp_path / "root").mkdir()
    descriptor = os.open(tmp_path / "root", os.O_PATH)
    yield descriptor
    os.close(descriptor)


def test_what_is_missing_is_made(root: int, tmp_path: Path) -> None:
    os.close(find_or_make(root, "/a/b/c", directory=True))
    os.close(find_or_make(root, "/a/b/file", directory=False))
    assert (tmp_path / "root/a/b/c").is_dir()
    assert (tmp_path / "root/a/b/file").is_file()
    found = find(root, "/a/b")
    assert is_below(root, found, "/a")
    assert not is_below(root, found, "/b")
    os.close(found)


def test_links_stay_inside_also_those_to_nothing(root: int, tmp_path: Path) -> None:
    (tmp_path / "root/up").symlink_to("../../..")
    (tmp_path / "root/away").symlink_to("/not/there")
    os.close(find_or_make(root, "/up/x", directory=True))
    os.close(find_or_make(root, "/away", directory=False))
    assert (tmp_path / "root/x").is_dir()
    assert (tmp_path / "root/not/there").is_file()
    with pytest.raises(OSError, match="symbolic links"):
        find(root, "/up", links=False)


def test_a_circle_of_links_ends(root: int, tmp_path: Path) -> None:
    (tmp_path / "root/one").symlink_to("two")
    (tmp_path / "root/two").symlink_to("one")
    with pytest.raises(OSError, match="symbolic links"):
        find_or_make(root, "/one", directory=True)


def test_a_tree_is_copied_as_it_is(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "inner").mkdir(parents=True)
    target.mkdir()
    (source / "inner/file").write_text("x")
    (source / "inner/file").chmod(0o640)
    (source / "link").symlink_to("inner/file")
    descriptors = [os.open(path, os.O_RDONLY) for path in (source, target)]
    copy_tree(*descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    assert (target / "link").read_text() == "x"
    assert (target / "inner/file").stat().st_mode & 0o777 == 0o640
    assert (target / "inner/file").stat().st_mtime_ns == (source / "inner/file").stat().st_mtime_ns
