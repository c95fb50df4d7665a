"""Where controllers are found, from the texts of /proc and from directories that look like cgroup mounts."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from dockmagic.runtime.cgroup import control
from dockmagic.runtime.cgroup.hierarchy import Hierarchies, detect, enabled, prepare, visible

V1 = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
37 31 0:34 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer
38 31 0:35 / /sys/fs/cgroup/blkio rw,relatime - cgroup cgroup rw,blkio
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
"""


def v2_line(mount: Path | str, options: str = "rw,relatime") -> str:
    return f"41 31 0:38 / {mount} {options} - cgroup2 cgroup2 rw,nsdelegate\n"


def v2_root(directory: Path, controllers: str = "cpuset cpu io memory pids") -> Path:
    directory.mkdir(exist_ok=True)
    (directory / "cgroup.controllers").write_text(controllers + "\n")
    (directory / "cgroup.subtree_control").write_text("")
    return directory


def test_v1_with_comounted_controllers() -> None:
    found = detect(V1, "")
    assert found.v1 == {
        "cpu": "/sys/fs/cgroup/cpu,cpuacct",
        "cpuacct": "/sys/fs/cgroup/cpu,cpuacct",
        "memory": "/sys/fs/cgroup/memory",
        "freezer": "/sys/fs/cgroup/freezer",
        "blkio": "/sys/fs/cgroup/blkio",
    }
    assert found.v2 == ""
    assert not found.must_join_v2
    assert found.parents == tuple(
        f"/sys/fs/cgroup/{name}/dockmagic" for name in ("cpu,cpuacct", "memory", "freezer", "blkio")
    )


def test_v1_controllers_that_are_not_mounted_are_not_served() -> None:
    found = detect(V1, "")
    assert found.serves("memory")
    assert not found.serves("pids")


def test_pure_v2(tmp_path: Path) -> None:
    root = v2_root(tmp_path / "cgroup")
    found = detect(v2_line(root), "0::/\n")
    assert found == Hierarchies({}, str(root), frozenset({"cpuset", "cpu", "io", "memory", "pids"}))
    assert found.serves("memory")
    assert found.must_join_v2


def test_hybrid(tmp_path: Path) -> None:
    root = v2_root(tmp_path / "unified", "hugetlb")
    found = detect(V1 + v2_line(root), "0::/\n")
    assert found.v1["memory"] == "/sys/fs/cgroup/memory"
    assert found.v2 == str(root)
    assert found.must_join_v2  # this v1 side has no devices controller
    assert found.parents[-1] == f"{root}/dockmagic"


def test_a_hybrid_host_whose_v1_side_does_everything(tmp_path: Path) -> None:
    devices = "39 31 0:36 / /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices\n"
    assert not detect(V1 + devices + v2_line(v2_root(tmp_path)), "").must_join_v2


def test_read_only_mounts_are_of_no_use(tmp_path: Path) -> None:
    found = detect(V1.replace("rw,relatime", "ro,relatime") + v2_line(tmp_path, "ro,nosuid"), "")
    assert found == Hierarchies()
    assert found.parents == ()


def test_a_mount_point_with_a_space() -> None:
    line = "35 31 0:32 / /my\\040groups/memory rw - cgroup cgroup rw,memory\n"
    assert detect(line, "").v1 == {"memory": "/my groups/memory"}


def test_a_delegated_group_where_the_root_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = v2_root(v2_root(tmp_path / "cgroup").joinpath("app.scope"), "memory pids")
    monkeypatch.setattr("os.access", lambda path, mode: str(path) == str(own))
    found = detect(v2_line(own.parent), "3:cpu:/x\n0::/app.scope\n")
    assert (found.v2, found.v2_controllers) == (str(own), frozenset({"memory", "pids"}))


def test_nothing_at_all() -> None:
    assert detect("22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n", "") == Hierarchies()


def test_prepare_gives_groups_the_cpus_of_the_parent(tmp_path: Path) -> None:
    (tmp_path / "dockmagic").mkdir()
    for name, text in (("cpuset.cpus", "0-3\n"), ("cpuset.mems", "0\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / "dockmagic" / name).write_text("")
    (tmp_path / "dockmagic" / "cgroup.clone_children").write_text("0\n")
    for _ in range(2):
        prepare(Hierarchies({"cpuset": str(tmp_path)}))
    assert (tmp_path / "dockmagic" / "cpuset.cpus").read_text() == "0-3\n"
    assert (tmp_path / "dockmagic" / "cpuset.mems").read_text() == "0\n"
    assert (tmp_path / "dockmagic" / "cgroup.clone_children").read_text().startswith("1")


def test_prepare_enables_what_is_not_enabled_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = v2_root(tmp_path / "cgroup", "cpu memory io")
    own = v2_root(root / "dockmagic")
    (own / "cgroup.subtree_control").write_text("memory\n")
    written: list[tuple[str, str]] = []
    monkeypatch.setattr(control, "write", lambda path, text: written.append((path, text)))
    hierarchies = detect(v2_line(root), "")
    prepare(hierarchies)
    switch = "cgroup.subtree_control"
    assert written == [
        *((f"{root}/{switch}", f"+{name}") for name in ("memory", "cpu", "io")),
        *((f"{own}/{switch}", f"+{name}") for name in ("cpu", "io")),
    ]
    assert enabled(hierarchies) == {"memory"}


def test_a_controller_that_cannot_be_enabled_stays_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, text: str) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy", path)

    root = v2_root(tmp_path / "cgroup")
    monkeypatch.setattr(control, "write", refuse)
    prepare(detect(v2_line(root), ""))
    assert enabled(detect(v2_line(root), "")) == frozenset()


def test_prepare_makes_the_parents(tmp_path: Path) -> None:
    prepare(Hierarchies({"memory": str(tmp_path)}))
    assert (tmp_path / "dockmagic").is_dir()


def test_enabled_without_cgroup2() -> None:
    assert enabled(Hierarchies()) == frozenset()


def test_a_mount_that_another_one_covers_is_not_visible(tmp_path: Path) -> None:
    device = tmp_path.stat().st_dev
    assert visible(str(tmp_path), f"{os.major(device)}:{os.minor(device)}")
    assert not visible(str(tmp_path), "0:0")
    assert not visible(str(tmp_path / "missing"), "0:0")
