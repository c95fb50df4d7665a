"""A group in directories that look like cgroup mounts; the kernel's own part is tried in the integration tests."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from dockmagic.oci.spec import CPU, BlockIO, DeviceRule, Memory, Resources
from dockmagic.runtime.cgroup import control
from dockmagic.runtime.cgroup.group import Group, leftovers
from dockmagic.runtime.cgroup.hierarchy import Hierarchies


def v1_hierarchies(root: Path, *controllers: str) -> Hierarchies:
    for controller in controllers:
        (root / controller).mkdir()
    return Hierarchies({controller: str(root / controller) for controller in controllers})


def v2_hierarchies(root: Path, controllers: str) -> Hierarchies:
    (root / "dockmagic").mkdir(parents=True)
    (root / "dockmagic" / "cgroup.subtree_control").write_text(controllers + "\n")
    return Hierarchies({}, str(root), frozenset({"cpu", "memory", "pids"}))


def files(directory: str, *names: str) -> dict[str, Path]:
    """Empty control files in a group's directory."""
    found = {name: Path(directory, name) for name in names}
    for path in found.values():
        path.touch()
    return found


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../up"])
def test_a_name_that_would_lead_elsewhere(name: str) -> None:
    with pytest.raises(ValueError, match="not the name of a control group"):
        Group(Hierarchies(), name)


def test_create_exists_remove(tmp_path: Path) -> None:
    group = Group(v1_hierarchies(tmp_path, "memory", "pids"), "one")
    assert not group.exists()
    group.create()
    group.create()
    assert group.exists()
    assert all(Path(path).is_dir() for path in group.paths().values())
    Path(group.paths()["memory"], "inner", "deeper").mkdir(parents=True)
    assert group.remove()
    assert not group.exists()
    assert group.remove()
    assert (tmp_path / "memory" / "dockmagic").is_dir()


def test_a_busy_directory_is_reported(tmp_path: Path) -> None:
    group = Group(v1_hierarchies(tmp_path, "memory"), "one")
    group.create()
    files(group.paths()["memory"], "busy")
    assert not group.remove(timeout_s=0.01)


def test_comounted_controllers_share_one_directory(tmp_path: Path) -> None:
    (tmp_path / "cpu,cpuacct").mkdir()
    mount = str(tmp_path / "cpu,cpuacct")
    group = Group(Hierarchies({"cpu": mount, "cpuacct": mount}), "one")
    group.create()
    assert set(group.paths().values()) == {f"{mount}/dockmagic/one"}


def test_limits_on_v1(tmp_path: Path) -> None:
    group = Group(v1_hierarchies(tmp_path, "memory", "cpu"), "one")
    group.create()
    memory = files(group.paths()["memory"], "memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
    cpu = files(group.paths()["cpu"], "cpu.cfs_period_us", "cpu.cfs_quota_us")
    assert group.apply(Resources(memory=Memory(1 << 26, 1 << 27), cpu=CPU(quota=5000, period=10_000))) == []
    assert [path.read_text() for path in (*memory.values(), *cpu.values())] == [
        "67108864",
        "134217728",
        "10000",
        "5000",
    ]


def test_a_missing_controller_and_a_missing_file_are_warnings(tmp_path: Path) -> None:
    group = Group(v1_hierarchies(tmp_path, "memory"), "one")
    group.create()
    files(group.paths()["memory"], "memory.limit_in_bytes")
    assert group.apply(Resources(memory=Memory(1 << 26, 1 << 27), pids_limit=5, devices=(DeviceRule(False),))) == [
        "memory.memsw.limit_in_bytes is not enforced: this kernel has no such file",
        "pids limits are not enforced: this host offers no writable pids controller",
        "devices limits are not enforced: this host offers no writable devices controller",
    ]


def test_limits_on_v2(tmp_path: Path) -> None:
    group = Group(v2_hierarchies(tmp_path / "cgroup", "memory cpu"), "one")
    group.create()
    found = files(group.paths()["unified"], "memory.max", "cpu.weight", "pids.max")
    (warning,) = group.apply(Resources(memory=Memory(1 << 26), cpu=CPU(shares=1024), pids_limit=5))
    assert warning.startswith("pids limits are not enforced: the pids controller can't be enabled in")
    assert warning.endswith("/cgroup/cgroup.subtree_control")
    assert [path.read_text() for path in found.values()] == ["67108864", "100", ""]


def test_device_rules_that_the_kernel_does_not_take(tmp_path: Path) -> None:
    group = Group(v2_hierarchies(tmp_path / "cgroup", ""), "one")
    group.create()
    (warning,) = group.apply(Resources(devices=(DeviceRule(False),)))  # the directory is not a cgroup's
    assert warning.startswith("devices limits are not enforced: the kernel refuses the program (")


def test_a_refused_write_is_tried_again_after_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a limit is raised past memsw: EINVAL until memsw is higher."""
    written: list[str] = []

    def write(path: str, text: str) -> None:
        name = path.rpartition("/")[2]
        if name == "memory.limit_in_bytes" and "memory.memsw.limit_in_bytes" not in written:
            raise OSError(errno.EINVAL, "Invalid argument", path)
        written.append(name)

    monkeypatch.setattr(control, "write", write)
    group = Group(v1_hierarchies(tmp_path, "memory"), "one")
    assert group.apply(Resources(memory=Memory(1 << 28, 1 << 29))) == []
    assert written == ["memory.memsw.limit_in_bytes", "memory.limit_in_bytes"]


def test_a_write_refused_twice_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, text: str) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy", path)

    monkeypatch.setattr(control, "write", refuse)
    group = Group(v1_hierarchies(tmp_path, "memory"), "one")
    with pytest.raises(OSError, match=r"memory\.limit_in_bytes"):
        group.apply(Resources(memory=Memory(1 << 23)))


def test_attach_on_v1_writes_zero_to_tasks(tmp_path: Path) -> None:
    group = Group(v1_hierarchies(tmp_path, "memory", "freezer", "devices"), "one")
    group.create()
    tasks = [files(path, "tasks")["tasks"] for path in group.paths().values()]
    group.attach_self()
    assert [path.read_text() for path in tasks] == ["0", "0", "0"]


@pytest.mark.parametrize(("in_v2", "text"), [(False, "0"), (True, "")])
def test_attach_on_v2(tmp_path: Path, in_v2: bool, text: str) -> None:
    group = Group(v2_hierarchies(tmp_path / "cgroup", ""), "one")
    group.create()
    procs = files(group.paths()["unified"], "cgroup.procs")["cgroup.procs"]
    group.attach_self(in_v2=in_v2)
    assert procs.read_text() == text


def test_pids_of_nested_groups_without_those_of_other_namespaces(tmp_path: Path) -> None:
    group = Group(v1_hierarchies(tmp_path, "freezer"), "one")
    group.create()
    outer = Path(group.paths()["freezer"])
    (outer / "inner").mkdir()
    (outer / "cgroup.procs").write_text("12\n0\n")
    (outer / "inner" / "cgroup.procs").write_text("7\n")
    assert group.pids() == [7, 12]


def test_pids_of_a_group_that_is_gone(tmp_path: Path) -> None:
    assert Group(v1_hierarchies(tmp_path, "freezer"), "one").pids() == []
    assert Group(Hierarchies(), "one").pids() == []


def test_oom_kills(tmp_path: Path) -> None:
    v1 = Group(v1_hierarchies(tmp_path, "memory"), "one")
    v1.create()
    Path(v1.paths()["memory"], "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    assert v1.oom_kills() == 2
    v2 = Group(v2_hierarchies(tmp_path / "cgroup", "memory"), "one")
    v2.create()
    Path(v2.paths()["unified"], "memory.events").write_text("low 0\nmax 12\noom 1\noom_kill 1\noom_group_kill 0\n")
    assert v2.oom_kills() == 1


def test_freeze_on_v1(tmp_path: Path) -> None:
    group = Group(v1_hierarchies(tmp_path, "freezer"), "one")
    group.create()
    state = files(group.paths()["freezer"], "freezer.state")["freezer.state"]
    group.freeze()
    assert state.read_text() == "FROZEN"
    assert group.is_frozen()
    group.thaw()
    assert state.read_text() == "THAWED"
    assert not group.is_frozen()


def test_freeze_on_v2_waits_for_the_event(tmp_path: Path) -> None:
    group = Group(v2_hierarchies(tmp_path / "cgroup", ""), "one")
    group.create()
    found = files(group.paths()["unified"], "cgroup.freeze", "cgroup.events")
    found["cgroup.events"].write_text("populated 1\nfrozen 1\n")
    group.freeze()
    assert found["cgroup.freeze"].read_text() == "1"
    assert group.is_frozen()
    found["cgroup.events"].write_text("populated 1\nfrozen 0\n")
    assert not group.is_frozen()


def test_no_freezer_at_all(tmp_path: Path) -> None:
    group = Group(v1_hierarchies(tmp_path, "memory"), "one")
    with pytest.raises(OSError, match="no freezer") as caught:
        group.freeze()
    assert caught.value.errno == errno.ENOTSUP
    assert not group.is_frozen()


def test_v2_dirfd_without_cgroup2(tmp_path: Path) -> None:
    assert Group(v1_hierarchies(tmp_path, "memory"), "one").v2_dirfd() is None


def test_leftovers(tmp_path: Path) -> None:
    hierarchies = v1_hierarchies(tmp_path, "memory", "pids")
    assert leftovers(hierarchies, ()) == []
    for name in ("alive", "dead"):
        Group(hierarchies, name).create()
    (tmp_path / "pids" / "dockmagic" / "half").mkdir()
    (tmp_path / "memory" / "foreign").mkdir()
    assert leftovers(hierarchies, {"alive"}) == ["dead", "half"]


def test_a_weight_goes_to_the_scheduler_that_there_is(tmp_path: Path) -> None:
    hierarchies = v2_hierarchies(tmp_path, "io")
    group = Group(hierarchies, "one")
    group.create()
    weight = files(group.paths()["unified"], "io.weight")["io.weight"]
    assert group.apply(Resources(block_io=BlockIO(1000))) == []
    assert weight.read_text() == "default 10000"
    bfq = files(group.paths()["unified"], "io.bfq.weight")["io.bfq.weight"]
    assert group.apply(Resources(block_io=BlockIO(300))) == []
    assert (weight.read_text(), bfq.read_text()) == ("default 10000", "300")


def test_a_weight_without_a_scheduler_is_told(tmp_path: Path) -> None:
    group = Group(v1_hierarchies(tmp_path, "blkio"), "one")
    group.create()
    (warning,) = group.apply(Resources(block_io=BlockIO(300)))
    assert warning == "blkio.weight is not enforced: this kernel has neither that file nor blkio.bfq.weight"


def test_limits_that_v2_lacks_are_told(tmp_path: Path) -> None:
    group = Group(v2_hierarchies(tmp_path, "memory"), "one")
    group.create()
    files(group.paths()["unified"], "memory.max")
    warnings = group.apply(Resources(memory=Memory(64, swappiness=5, disable_oom_killer=True)))
    assert [warning.partition(" ")[0] for warning in warnings] == ["--memory-swappiness", "--oom-kill-disable"]
    only = group.apply(Resources(memory=Memory(swappiness=5)))
    assert only == ["--memory-swappiness is not enforced: control groups of version 2 don't have it"]
