from __future__ import annotations

import os
import stat
from pathlib import Path

from dockmagic.image.merged import is_opaque, look_up, names


def layers(tmp_path: Path) -> tuple[str, str]:
    """Two layers, the upper one first: a directory in both, a file of the lower one that is gone, another in both."""
    for name in ("lower", "upper"):
        (tmp_path / name / "d").mkdir(parents=True)
        (tmp_path / name / "f").write_text(name)
    (tmp_path / "lower/gone").write_text("")
    os.mknod(tmp_path / "upper/gone", stat.S_IFCHR, os.makedev(0, 0))
    return str(tmp_path / "upper"), str(tmp_path / "lower")


def test_the_topmost_counts(tmp_path: Path) -> None:
    upper, lower = layers(tmp_path)
    file, directory = look_up((upper, lower), "f"), look_up((upper, lower), "d")
    assert file is not None
    assert (file.path, file.directories) == (f"{upper}/f", ())
    assert directory is not None
    assert directory.directories == (f"{upper}/d", f"{lower}/d")
    assert look_up((upper, lower), "gone") is None
    assert look_up((upper, lower), "nothing") is None
    assert names((upper, lower)) == ["d", "f", "gone"]


def test_an_opaque_directory_hides_those_below(tmp_path: Path) -> None:
    upper, lower = layers(tmp_path)
    os.setxattr(f"{upper}/d", "user.overlay.opaque", b"y")
    assert (is_opaque(f"{upper}/d"), is_opaque(f"{lower}/d")) == (True, False)
    found = look_up((upper, lower), "d")
    assert found is not None
    assert found.directories == (f"{upper}/d",)


def test_a_file_hides_a_directory_and_a_directory_what_is_below_a_file(tmp_path: Path) -> None:
    for name in ("low", "middle", "top"):
        (tmp_path / name).mkdir()
    (tmp_path / "low/x").mkdir()
    (tmp_path / "middle/x").write_text("a file")
    (tmp_path / "top/x").mkdir()
    stack = [str(tmp_path / name) for name in ("top", "middle", "low")]
    found = look_up(stack, "x")
    assert found is not None
    assert found.directories == (f"{tmp_path}/top/x",)
