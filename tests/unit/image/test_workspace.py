from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dockmagic.errors import StoreError
from dockmagic.image.workspace import Workspaces, store_errors

# Makes a workspace with a file in it, says so, and waits to be killed.
VICTIM = """
import sys
from pathlib import Path
from dockmagic.image.workspace import Workspaces
with Workspaces(Path(sys.argv[1])).new("victim-") as path:
    (path / "file").write_text("x")
    print(path, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def workspaces(tmp_path: Path) -> Workspaces:
    return Workspaces(tmp_path / "root")


def names(workspaces: Workspaces) -> list[str]:
    return [path.name for path in workspaces.directory.iterdir()]


def test_others_are_kept_out(workspaces: Workspaces) -> None:
    root = workspaces.directory.parent
    assert [path.stat().st_mode & 0o777 for path in (root, root / "tmp", root / "layers")] == [0o700] * 3


def test_fresh_private_and_gone_afterwards(workspaces: Workspaces) -> None:
    with workspaces.new("build-") as one, workspaces.new("build-") as other:
        assert one != other
        assert one.name.startswith("build-")
        assert one.stat().st_mode & 0o777 == 0o700
        (one / "sub").mkdir()
        (one / "sub" / "file").write_text("x")
    assert names(workspaces) == []


def test_gone_after_an_interruption(workspaces: Workspaces) -> None:
    with pytest.raises(KeyboardInterrupt), workspaces.new():
        raise KeyboardInterrupt
    assert names(workspaces) == []


def test_content_may_be_moved_away(workspaces: Workspaces, tmp_path: Path) -> None:
    with workspaces.new() as path:
        path.rename(tmp_path / "kept")
    assert (tmp_path / "kept").is_dir()


def test_collect_leaves_what_is_in_use(workspaces: Workspaces) -> None:
    with workspaces.new() as path:
        assert workspaces.collect() == 0
        assert path.exists()


def test_collect_takes_what_a_killed_process_left(workspaces: Workspaces, tmp_path: Path) -> None:
    command = [sys.executable, "-c", VICTIM, str(tmp_path / "root")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as victim:
        assert victim.stdout is not None
        left = Path(victim.stdout.readline().strip())
        assert workspaces.collect() == 0
        victim.kill()
    assert (left / "file").exists()
    assert workspaces.collect() == 1
    assert names(workspaces) == []


def test_collect_ignores_stray_files(workspaces: Workspaces) -> None:
    (workspaces.directory / "file").write_text("")
    assert workspaces.collect() == 0


def test_alone_only_while_nobody_holds(workspaces: Workspaces) -> None:
    with workspaces.hold(), workspaces.hold(), workspaces.alone() as alone:
        assert not alone
    with workspaces.new(), workspaces.alone() as alone:
        assert not alone
    with workspaces.new(hold=False), workspaces.alone() as alone:
        assert alone


def test_holders_wait_for_who_is_alone(workspaces: Workspaces) -> None:
    done = threading.Event()

    def hold() -> None:
        with workspaces.hold():
            done.set()

    holder = threading.Thread(target=hold)
    with workspaces.alone():
        holder.start()
        assert not done.wait(0.1)
    holder.join(10)
    assert done.is_set()


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.ENOSPC, "cannot do it: No space left on device; free some space"),
        (errno.EROFS, "cannot do it: Read-only file system; choose another state root"),
        (errno.EIO, "cannot do it: Input/output error"),
    ],
)
def test_errors_say_what_to_do(number: int, says: str) -> None:
    with pytest.raises(StoreError, match=says), store_errors("do it"):
        raise OSError(number, os.strerror(number))


def test_root_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "root").write_text("")
    with pytest.raises(StoreError, match="cannot use the state root"):
        Workspaces(tmp_path / "root")


def test_a_state_root_is_closed_to_others_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        Workspaces(tmp_path / "new")
    finally:
        os.umask(before)
    (tmp_path / "there").mkdir()
    (tmp_path / "there").chmod(0o777)
    Workspaces(tmp_path / "there")
    (tmp_path / "new").chmod(0o755)
    Workspaces(tmp_path / "new")
    for root in (tmp_path / "new", tmp_path / "there"):
        for directory in (root, root / "layers", root / "tmp"):
            assert directory.stat().st_mode & 0o777 == 0o700


def test_an_open_directory_with_other_files_becomes_no_state_root(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(StoreError, match=r"others can get into .*; close it \(chmod 700\)"):
        Workspaces(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == 0o755
