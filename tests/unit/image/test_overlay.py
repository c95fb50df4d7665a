from __future__ import annotations

import os
from pathlib import Path

import pytest

from dockmagic.image import overlay


def test_a_whiteout_is_known_again(tmp_path: Path) -> None:
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        overlay.make_whiteout(b"gone", directory)
        with pytest.raises(FileExistsError):
            overlay.make_whiteout(b"gone", directory)
    finally:
        os.close(directory)
    (tmp_path / "file").touch()
    assert overlay.is_whiteout((tmp_path / "gone").lstat())
    assert not overlay.is_whiteout((tmp_path / "file").lstat())
    assert not overlay.is_whiteout(Path("/dev/null").lstat())


@pytest.mark.parametrize(
    ("xattrs", "opaque"),
    [
        ({}, False),
        ({"trusted.overlay.opaque": b"y"}, True),
        ({"user.overlay.opaque": b"y"}, True),
        ({"trusted.overlay.opaque": b"x"}, False),
        ({"user.opaque": b"y"}, False),
    ],
)
def test_opaque_directories(xattrs: dict[str, bytes], opaque: bool) -> None:
    assert overlay.is_opaque(xattrs) is opaque


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("trusted.overlay.origin", True),
        ("user.overlay.impure", True),
        ("trusted.overlays", False),
        ("user.overlay", False),
        ("security.capability", False),
    ],
)
def test_own_attributes(name: str, own: bool) -> None:
    assert overlay.is_own_attribute(name) is own


@pytest.mark.parametrize(
    ("xattrs", "name"),
    [
        ({"trusted.overlay.origin": b"", "user.redirect": b""}, None),
        ({"trusted.overlay.redirect": b"/a"}, "trusted.overlay.redirect"),
        ({"user.overlay.metacopy": b""}, "user.overlay.metacopy"),
    ],
)
def test_files_that_are_elsewhere(xattrs: dict[str, bytes], name: str | None) -> None:
    assert overlay.elsewhere(xattrs) == name
