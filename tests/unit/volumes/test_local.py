from __future__ import annotations

from pathlib import Path

import pytest

from dockmagic.errors import InvalidOption
from dockmagic.oci.spec import Mount
from dockmagic.volumes.local import bound_directory, check_options, in_memory, mount_of

MEMORY = {"type": "tmpfs", "device": "tmpfs", "o": "size=1m,uid=7"}


def bound(directory: Path, words: str = "bind") -> dict[str, str]:
    """Options that show a directory of the host."""
    return {"type": "none", "device": str(directory), "o": words}


def test_a_volume_has_a_directory_of_its_own(tmp_path: Path) -> None:
    mount = mount_of({}, tmp_path, "/d", read_only=False)
    assert mount == Mount("/d", "bind", str(tmp_path), ("rbind", "rw", "rprivate"))
    assert mount_of({}, tmp_path, "/d", read_only=True, subpath="s").options == ("rbind", "ro", "rprivate")
    assert bound_directory({}) is None


def test_another_directory(tmp_path: Path) -> None:
    check_options(bound(tmp_path))
    assert mount_of(bound(tmp_path), tmp_path / "own", "/d", read_only=False).source == str(tmp_path)
    assert mount_of(bound(tmp_path, "rbind,ro"), tmp_path, "/d", read_only=False).options[:2] == ("rbind", "ro")
    assert bound_directory(bound(tmp_path)) == tmp_path


def test_memory(tmp_path: Path) -> None:
    check_options(MEMORY)
    assert in_memory(MEMORY)
    assert bound_directory(MEMORY) is None
    assert mount_of(MEMORY, tmp_path, "/d", read_only=True) == Mount("/d", "tmpfs", "tmpfs", ("size=1m", "uid=7", "ro"))
    with pytest.raises(InvalidOption, match="no subpath to mount"):
        mount_of(MEMORY, tmp_path, "/d", read_only=False, subpath="s")


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match=r"failed to mount local volume: mount .*: no such file or directory"):
        mount_of(bound(tmp_path / "none"), tmp_path, "/d", read_only=False)
