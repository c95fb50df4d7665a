from __future__ import annotations

import os
from pathlib import Path

import pytest

from dockmagic.files.stubs import stub_names
from dockmagic.oci.spec import Mount


@pytest.fixture
def upper(tmp_path: Path) -> Path:
    """An upper directory as a start leaves it: mount points only."""
    upper = tmp_path / "upper"
    for name in ("dev", "proc", "etc", "data/deep"):
        (upper / name).mkdir(parents=True)
    (upper / "etc/hosts").touch()
    return upper


@pytest.fixture
def lower(tmp_path: Path, upper: Path) -> Path:
    """A layer that has /etc as the upper directory has."""
    (tmp_path / "lower/etc").mkdir(parents=True)
    os.utime(tmp_path / "lower/etc", ns=(0, (upper / "etc").stat().st_mtime_ns))
    return tmp_path / "lower"


MOUNTS = [Mount("/data/deep", "bind", "/x"), Mount("/proc", "proc")]


def test_mount_points_are_no_changes(upper: Path, lower: Path) -> None:
    expected = {b"dev", b"proc", b"etc", b"etc/hosts", b"data", b"data/deep"}
    assert stub_names(upper, [lower], MOUNTS) == expected


def test_what_the_container_filled_is_one(upper: Path, lower: Path) -> None:
    (upper / "dev/x").touch()
    (upper / "data/y").touch()
    (upper / "etc/hosts").write_text("x")
    assert stub_names(upper, [lower], MOUNTS) == {b"proc", b"data/deep"}


def test_what_the_image_has_is_none(upper: Path, lower: Path) -> None:
    (lower / "etc/hosts").touch()
    (upper / "etc").chmod(0o700)
    assert stub_names(upper, [lower], MOUNTS) == {b"dev", b"proc", b"data", b"data/deep"}
