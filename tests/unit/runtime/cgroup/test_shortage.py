from __future__ import annotations

import os
from pathlib import Path

import pytest

from dockmagic.runtime.cgroup import shortage


def test_a_change_of_the_events_of_v2_is_told(tmp_path: Path) -> None:
    (tmp_path / "memory.events").write_text("oom_kill 0\n")
    bell = shortage.watch({"unified": str(tmp_path)})
    try:
        with pytest.raises(BlockingIOError):
            os.read(bell, 4096)
        (tmp_path / "memory.events").write_text("oom_kill 1\n")
        assert os.read(bell, 4096)
    finally:
        os.close(bell)


def test_v1_is_given_a_bell_to_ring(tmp_path: Path) -> None:
    (tmp_path / "memory.oom_control").touch()
    (tmp_path / "cgroup.event_control").touch()
    bell = shortage.watch({"memory": str(tmp_path), "unified": "/nonsense"})
    assert (tmp_path / "cgroup.event_control").read_text().split()[0] == str(bell)
    os.close(bell)


def test_a_group_without_the_controller_says_nothing(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for paths in ({"memory": str(tmp_path)}, {"unified": str(tmp_path)}):
        with pytest.raises(FileNotFoundError):
            shortage.watch(paths)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
