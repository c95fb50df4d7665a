from __future__ import annotations

import inspect
import os
import sys
from pathlib import Path

import pytest

from dockmagic.trees import close_to_others, remove_tree


def test_deep_trees_need_neither_long_paths_nor_recursion(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    fd = os.open(top, os.O_RDONLY)
    for _ in range(300):
        os.mkdir("d" * 250, dir_fd=fd)
        inner = os.open("d" * 250, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 50)
    try:
        remove_tree(top)
    finally:
        sys.setrecursionlimit(limit)
    assert not top.exists()


def test_modes_and_links_dont_matter(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o500)
    (tmp_path / "top" / "a" / "b").mkdir(parents=True)
    (tmp_path / "top" / "a" / "b" / "file").write_text("x")
    (tmp_path / "top" / "a" / "link").symlink_to(outside)
    (tmp_path / "top" / "a" / "dangling").symlink_to("nowhere")
    (tmp_path / "top" / "a" / "b").chmod(0o000)
    (tmp_path / "top" / "a").chmod(0o555)
    remove_tree(tmp_path / "top")
    assert not (tmp_path / "top").exists()
    assert outside.stat().st_mode & 0o777 == 0o500


def test_removing_what_is_not_there(tmp_path: Path) -> None:
    remove_tree(tmp_path / "nothing")


def test_a_directory_that_is_there_is_closed_to_others(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    close_to_others(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == 0o700


def test_a_directory_of_another_user_is_not_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(NotADirectoryError):
        close_to_others(tmp_path / "link")
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(PermissionError, match=rf"belongs to another user \(uid {owner}\)"):
        close_to_others(tmp_path)
