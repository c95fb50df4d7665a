from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from dockmagic.image import overlay
from dockmagic.image.lower import find_directory


@pytest.fixture
def layers(tmp_path: Path) -> list[Path]:
    """Two layers, the topmost first; the lower one has the directory a/b with a mode of its own."""
    top, bottom = tmp_path / "top", tmp_path / "bottom"
    top.mkdir()
    (bottom / "a/b").mkdir(parents=True)
    (bottom / "a/b").chmod(0o1777)
    os.utime(bottom / "a/b", ns=(0, 5))
    return [top, bottom]


def _mode(layers: list[Path], path: bytes = b"a/b") -> int | None:
    entry = find_directory(layers, path)
    return None if entry is None else entry.mode


def test_what_the_directory_is_like(layers: list[Path]) -> None:
    os.setxattr(layers[1] / "a/b", "user.note", b"1")
    entry = find_directory(layers, b"a/b")
    assert entry is not None
    assert (entry.mode, entry.uid, entry.mtime_ns) == (0o1777, os.geteuid(), 5)
    assert entry.xattrs["user.note"] == b"1"


def test_the_topmost_counts(layers: list[Path]) -> None:
    (layers[0] / "a/b").mkdir(parents=True, mode=0o700)
    assert _mode(layers) == 0o700


def test_a_parent_alone_hides_nothing(layers: list[Path]) -> None:
    (layers[0] / "a").mkdir()
    assert _mode(layers) == 0o1777


@pytest.mark.parametrize("path", [b"a/c", b"x", b"a/b/c"])
def test_nothing_there(path: bytes, layers: list[Path]) -> None:
    assert _mode(layers, path) is None


@pytest.mark.parametrize("name", ["a", "a/b"])
def test_whiteouts_and_files_hide(name: str, layers: list[Path]) -> None:
    path = layers[0] / name
    path.parent.mkdir(exist_ok=True)
    os.mknod(path, stat.S_IFCHR, overlay.WHITEOUT_DEVICE)
    assert _mode(layers) is None
    path.unlink()
    path.symlink_to(layers[1] / "a")
    assert _mode(layers) is None


def test_an_opaque_parent_hides(layers: list[Path]) -> None:
    (layers[0] / "a").mkdir()
    os.setxattr(layers[0] / "a", "user.overlay.opaque", b"y")
    assert _mode(layers) is None


def test_an_opaque_directory_is_found_itself(layers: list[Path]) -> None:
    os.setxattr(layers[1] / "a/b", "user.overlay.opaque", b"y")
    assert _mode(layers) == 0o1777
