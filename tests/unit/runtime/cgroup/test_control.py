"""Small reads and writes, and walks."""

from __future__ import annotations

from pathlib import Path

import pytest

from dockmagic.runtime.cgroup import control


def test_an_error_names_file_and_text(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="/dev/full") as caught:
        control.write("/dev/full", "64")
    assert caught.value.__notes__ == ["write '64'"]
    control.try_write("/dev/full", "64")
    control.try_write(str(tmp_path / "missing"), "64")


def test_reading_what_is_gone(tmp_path: Path) -> None:
    assert control.read(str(tmp_path / "missing")) == ""
    with pytest.raises(IsADirectoryError):
        control.read(str(tmp_path))


def test_a_name_that_begins_another() -> None:
    text = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"
    assert control.counter(text, "oom_kill") == 3
    assert control.counter(text, "oom") == 0
    assert control.counter("", "oom") == 0


def test_walks(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    assert list(control.subtree(str(tmp_path))) == [str(tmp_path), str(tmp_path / "a"), str(tmp_path / "a" / "b")]
    assert control.children(str(tmp_path / "missing")) == []


def test_removal_reports_what_stays(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "file").touch()
    assert not control.remove_tree(str(tmp_path / "a"))
    (tmp_path / "a" / "file").unlink()
    assert control.remove_tree(str(tmp_path / "a"))
    assert control.remove_tree(str(tmp_path / "a"))
