from __future__ import annotations

import os
from pathlib import Path

import pytest

from dockmagic.image.debian_tree import settle

NEWEST = 1_700_000_000
SHADOW = "root:*:20000:0:99999:7:::\nnobody:*:20000:0:99999:7:::\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree as a bootstrap leaves it, with two files that packages brought."""
    tree = tmp_path / "tree"
    for name in ("etc", "dev", "proc", "tmp/x", "var/log/apt", "var/cache/apt/archives", "var/lib/dpkg", "debootstrap"):
        (tree / name).mkdir(parents=True)
    made = {
        "etc/shadow": SHADOW, "etc/shadow-": SHADOW, "etc/hostname": "here", "etc/resolv.conf": "nameserver ::1",
        "etc/machine-id": "abc", "dev/null": "", "tmp/x/y": "", "var/log/dpkg.log": "today", "var/log/apt/term.log": "",
        "var/cache/apt/archives/a.deb": "", "var/lib/dpkg/status": "kept", "var/lib/dpkg/status-old": "",
        "debootstrap/debpaths": "",
    }  # fmt: skip
    for name, text in made.items():
        (tree / name).write_text(text)
    (tree / "outside").symlink_to(tmp_path / "victim")
    for name, time in (("etc/old", NEWEST - 5), ("etc/new", NEWEST)):
        (tree / name).write_text(name)
        os.utime(tree / name, (time, time))
    return tree


def settled(tree: Path) -> int:
    """Settle the tree as if the bootstrap had begun before the files that carry the present time."""
    return settle(tree, (tree / "etc/shadow").stat().st_mtime - 1000)


def test_what_differs_between_runs_is_gone(tree: Path) -> None:
    settled(tree)
    left = {str(path.relative_to(tree)) for path in tree.rglob("*") if not path.is_dir() or path.is_symlink()}
    assert left == {"etc/shadow", "etc/machine-id", "etc/old", "etc/new", "var/lib/dpkg/status", "outside"}
    assert not (tree / "debootstrap").exists()
    assert (tree / "etc/machine-id").read_bytes() == b""
    assert {path.name for path in (tree / "var/log").iterdir()} == {"apt"}


def test_times_after_the_start_become_that_of_the_newest_package(tree: Path) -> None:
    assert settled(tree) == NEWEST
    times = {path.lstat().st_mtime for path in (tree, *tree.rglob("*"))}
    assert times == {NEWEST - 5, NEWEST}


def test_the_day_of_passwords_is_fixed(tree: Path) -> None:
    settled(tree)
    day = NEWEST // 86400
    assert (tree / "etc/shadow").read_text().splitlines()[0] == f"root:*:{day}:0:99999:7:::"


def test_no_symlink_is_followed(tree: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").write_text("")
    os.utime(victim, (1, 1))
    (tree / "run").symlink_to(victim)
    (tree / "var/log/link").symlink_to(victim)
    settled(tree)
    assert (victim / "precious").exists()
    assert victim.stat().st_mtime == 1
