from __future__ import annotations

from pathlib import Path

import pytest

from dockmagic.linux.sync import boot_id, fsync, syncfs


def test_files_and_directories_can_be_synced(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    fsync(tmp_path / "file")
    fsync(tmp_path)
    syncfs(tmp_path)


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        syncfs(tmp_path / "nothing")


def test_boot_has_one_name() -> None:
    assert len(boot_id()) == 36
    assert boot_id() == boot_id()
