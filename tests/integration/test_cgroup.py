"""Control groups in the kernel's own hands: limits hold, groups freeze, die and go."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dockmagic.linux import bpf
from dockmagic.oci.spec import CPU, DeviceRule, Memory, Resources
from dockmagic.runtime.cgroup.group import Group, leftovers
from dockmagic.runtime.cgroup.hierarchy import Hierarchies, detect, prepare
from dockmagic.runtime.samples import Reader

pytestmark = pytest.mark.root
MIB = 1 << 20


@pytest.fixture(scope="module")
def hierarchies() -> Hierarchies:
    found = detect()
    prepare(found)
    return found


@pytest.fixture
def group(hierarchies: Hierarchies) -> Iterator[Group]:
    group = Group(hierarchies, f"test-{secrets.token_hex(6)}")
    group.create()
    yield group
    group.kill()
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    assert group.remove()
    assert group.name not in leftovers(group.hierarchies, ())


def child(group: Group, work: Callable[[], object]) -> int:
    """Process number of a child that joins the group and does the work; it exits with 1 where that raises."""
    ready, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            group.attach_self()
            os.write(theirs, b"x")
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    os.close(theirs)
    joined = os.read(ready, 1)
    os.close(ready)
    assert joined == b"x"
    return pid


def status(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def spin() -> None:
    while True:
        pass


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_the_child_is_in_every_group(group: Group) -> None:
    pid = child(group, signal.pause)
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    inside = {line.split(":")[1] for line in lines if line.endswith(f"/dockmagic/{group.name}")}
    assert inside >= set(group.hierarchies.v1)
    assert group.pids() == [pid]


def test_a_process_over_its_memory_limit_is_killed(group: Group) -> None:
    assert group.apply(Resources(memory=Memory(16 * MIB, 16 * MIB))) == []
    pid = child(group, lambda: bytearray(64 * MIB))
    assert status(pid) == -signal.SIGKILL
    assert group.oom_kills() == 1


def test_limits_are_raised_and_lowered(group: Group) -> None:
    for megabytes in (32, 256, 16):
        assert group.apply(Resources(memory=Memory(megabytes * MIB, megabytes * MIB))) == []


def test_a_limit_below_the_usage_is_refused_with_the_file_s_name(group: Group) -> None:
    def hold() -> None:
        held = bytearray(os.urandom(1)) * (24 * MIB)
        signal.pause()
        del held

    group.apply(Resources(memory=Memory(64 * MIB, 64 * MIB)))
    child(group, hold)
    with Reader(group.paths()) as reader:
        while reader.read().memory_bytes < 24 * MIB:
            time.sleep(0.005)
    refused = ""
    try:
        group.apply(Resources(memory=Memory(8 * MIB, 8 * MIB)))
    except OSError as error:
        refused = error.filename
    assert "memory." in refused or group.oom_kills() > 0  # cgroup v2 takes the limit, and kills


def test_no_more_processes_than_allowed(group: Group) -> None:
    def fork_three() -> None:
        made = 0
        with contextlib.suppress(OSError):
            for _ in range(3):
                if os.fork() == 0:
                    signal.pause()
                made += 1
        os._exit(made)

    assert group.apply(Resources(pids_limit=3)) == []
    assert status(child(group, fork_three)) == 2


def test_half_a_cpu(group: Group) -> None:
    assert group.apply(Resources(cpu=CPU(quota=20_000, period=100_000))) == []
    pid = child(group, spin)
    with Reader(group.paths()) as reader:
        before = reader.read()
        time.sleep(1.0)
        after = reader.read()
    share = (after.cpu_ns - before.cpu_ns) / (after.time_ns - before.time_ns)
    assert 0.05 < share < 0.35
    assert after.throttled_periods > before.throttled_periods
    assert after.throttled_ns > before.throttled_ns
    assert cpu_seconds(pid) < 0.6


def test_a_refused_cpu_names_the_file(group: Group) -> None:
    resources = Resources(cpu=CPU(cpus="4000"))
    if not group.hierarchies.serves("cpuset"):
        assert [warning.partition(" ")[0] for warning in group.apply(resources)] == ["cpuset"]
        return
    with pytest.raises(OSError, match=r"cpuset\.cpus"):
        group.apply(resources)


RULES = (DeviceRule(False), DeviceRule(True, "c", 1, 3), DeviceRule(True, "c", 1, 5, "r"))


def opened() -> None:
    """Exit with a bit for each attempt that the rules let through."""
    result = 0
    attempts = (
        ("/dev/null", os.O_RDWR),
        ("/dev/zero", os.O_RDONLY),
        ("/dev/zero", os.O_WRONLY),
        ("/dev/full", os.O_RDWR),
    )
    for bit, (path, flags) in enumerate(attempts):
        with contextlib.suppress(PermissionError):
            os.open(path, flags)
            result |= 1 << bit
    os._exit(result)


def test_devices(group: Group) -> None:
    assert group.apply(Resources(devices=RULES)) == []
    assert status(child(group, opened)) == 0b0011


@pytest.fixture
def unified(hierarchies: Hierarchies) -> Iterator[Group]:
    """A group in the cgroup2 hierarchy alone."""
    if not hierarchies.v2:
        pytest.fail("this host has no cgroup2 mount")
    alone = Hierarchies({}, hierarchies.v2, hierarchies.v2_controllers)
    prepare(alone)
    group = Group(alone, f"test-{secrets.token_hex(6)}")
    group.create()
    yield group
    assert group.kill()
    assert group.remove()


def test_devices_without_the_v1_controller(unified: Group) -> None:
    for rules in ((DeviceRule(False),), RULES):  # the second takes the place of the first
        assert unified.apply(Resources(devices=rules)) == []
    assert status(child(unified, opened)) == 0b0011
    directory = unified.v2_dirfd()
    assert directory is not None
    assert len(bpf.prog_query(directory, bpf.CGROUP_DEVICE)) == 1
    os.close(directory)


def test_freeze_and_kill_without_v1(unified: Group) -> None:
    pid = child(unified, spin)
    assert unified.pids() == [pid]
    unified.freeze()
    before = cpu_seconds(pid)
    time.sleep(0.1)
    assert cpu_seconds(pid) == before
    assert unified.kill()
    assert status(pid) == -signal.SIGKILL


def test_freeze_and_thaw(group: Group) -> None:
    pid = child(group, spin)
    group.freeze()
    before = cpu_seconds(pid)
    time.sleep(0.2)
    assert cpu_seconds(pid) == before
    group.thaw()
    time.sleep(0.2)
    assert cpu_seconds(pid) > before


def test_a_frozen_group_can_be_killed_with_all_that_it_forked(group: Group) -> None:
    def family() -> None:
        if os.fork() == 0:
            signal.pause()
        signal.pause()

    pid = child(group, family)
    while len(group.pids()) < 2:
        time.sleep(0.005)
    group.freeze()
    assert group.kill()
    assert status(pid) == -signal.SIGKILL
    assert group.pids() == []


def test_groups_made_inside_are_removed_too(group: Group) -> None:
    for directory in group.paths().values():
        Path(directory, "inner").mkdir(exist_ok=True)
    assert group.remove()
    assert not group.exists()


def test_a_group_in_use_stays(group: Group) -> None:
    child(group, signal.pause)
    assert not group.remove(timeout_s=0.02)
    assert group.exists()


def test_leftovers_are_found(group: Group) -> None:
    assert group.name in leftovers(group.hierarchies, ())
    assert group.name not in leftovers(group.hierarchies, {group.name})


def test_a_descriptor_for_clone3(group: Group) -> None:
    fd = group.v2_dirfd()
    if "unified" in group.paths():
        assert fd is not None
        assert not os.get_inheritable(fd)
        assert str(Path(f"/proc/self/fd/{fd}").readlink()) == group.paths()["unified"]
        os.close(fd)
    else:
        assert fd is None


def test_making_and_limiting_is_quick(group: Group) -> None:
    resources = Resources(memory=Memory(64 * MIB, 128 * MIB), cpu=CPU(quota=50_000, period=100_000), pids_limit=100)
    took = []
    for _ in range(10):
        assert group.remove()
        begun = time.perf_counter()
        group.create()
        group.apply(resources)
        took.append(time.perf_counter() - begun)
    assert min(took) < 0.002
