from __future__ import annotations

import os
from pathlib import Path

import pytest

from dockmagic.errors import InvalidLayer
from dockmagic.image import upper


def overlay_names(path: Path) -> list[str]:
    return [name for name in os.listxattr(path, follow_symlinks=False) if ".overlay." in name]


def test_only_opaque_stays(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    for path in (tmp_path, tmp_path / "a", inner):
        os.setxattr(path, "user.overlay.impure", b"y")
        os.setxattr(path, "user.overlay.origin", b"\0\1")
    os.setxattr(inner, "user.overlay.opaque", b"y")
    os.setxattr(inner, "user.mine", b"kept")
    upper.clean(tmp_path)
    assert [overlay_names(path) for path in (tmp_path, tmp_path / "a", inner)] == [[], [], ["user.overlay.opaque"]]
    assert os.getxattr(inner, "user.mine") == b"kept"


@pytest.mark.parametrize("name", ["user.overlay.redirect", "user.overlay.metacopy"])
def test_content_that_is_elsewhere(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    os.setxattr(tmp_path / "file", name, b"/x")
    with pytest.raises(InvalidLayer, match="redirect_dir=off,metacopy=off"):
        upper.clean(tmp_path)


def test_size_counts_content_once(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_text("12345")
    (tmp_path / "link").hardlink_to(tmp_path / "a" / "file")
    (tmp_path / "symlink").symlink_to("/etc")
    (tmp_path / "other").write_text("123")
    os.mkfifo(tmp_path / "fifo")
    assert upper.size(tmp_path) == upper.clean(tmp_path) == 8
