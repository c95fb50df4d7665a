from __future__ import annotations

from pathlib import Path

import pytest

from dockmagic.errors import Unsupported
from dockmagic.runtime.binfmt import require, runs

ENTRY = """enabled
interpreter /usr/bin/qemu-aarch64-static
flags: {flags}
offset 0
magic 7f454c460201010000000000000000000200b700
mask ffffffffffffff00fffffffffffffffffeffffff
"""


@pytest.mark.parametrize(("flags", "expected"), [("F", True), ("OCF", True), ("", False)])
def test_an_interpreter_counts_that_needs_nothing_of_the_container(tmp_path: Path, flags: str, expected: bool) -> None:
    (tmp_path / "qemu-aarch64").write_text(ENTRY.format(flags=flags))
    (tmp_path / "status").write_text("enabled\n")
    assert runs("arm64", "amd64", tmp_path) is expected
    assert not runs("s390x", "amd64", tmp_path)


def test_what_runs_without_one(tmp_path: Path) -> None:
    assert runs("amd64", "amd64", tmp_path / "none")
    assert runs("386", "amd64", tmp_path / "none")
    assert not runs("unheard-of", "amd64", tmp_path / "none")


def test_one_that_is_switched_off(tmp_path: Path) -> None:
    (tmp_path / "qemu-aarch64").write_text(ENTRY.format(flags="F").replace("enabled", "disabled"))
    assert not runs("arm64", "amd64", tmp_path)


def test_a_foreign_image_is_refused_with_what_to_do() -> None:
    require("image app", "linux", "amd64", "amd64")
    with pytest.raises(Unsupported, match=r"image app is for linux/wasm: this machine, linux/amd64, .* no emulation"):
        require("image app", "linux", "wasm", "amd64")
    with pytest.raises(Unsupported, match="is for windows/amd64"):
        require("image app", "windows", "amd64", "amd64")
