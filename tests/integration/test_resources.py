"""Limits of a container as the kernel has them: in its control files, in its process, in what happens at the limit."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockmagic.container import Container
from dockmagic.engine import Engine
from dockmagic.errors import InvalidOption, StartFailed
from dockmagic.events import ContainerWarning, Event
from dockmagic.oci.options import RunOptions
from dockmagic.oci.spec import BlockIO, DeviceNumber
from dockmagic.runtime.cgroup import hierarchy
from dockmagic.runtime.cgroup.group import Group
from dockmagic.runtime.privileges import bounding_set
from tests.integration.containers import run, shell

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("busybox")]
MIB = 1 << 20


@pytest.fixture
def sleeper(engine: Engine) -> Iterator[Container]:
    """A container with limits that sleeps."""
    options = RunOptions(command=("sleep", "60"), remove=True, memory_bytes=64 * MIB, cpus=0.5, pids_limit=20)
    container = engine.containers.run_detached("busybox", options)
    yield container
    container.rm(force=True)


@pytest.fixture
def disk(tmp_path: Path) -> DeviceNumber:
    """The disk below the test's directory, with a rate of 1 MiB a second."""
    number = tmp_path.stat().st_dev
    if not Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}").exists():
        number = os.makedev(*map(int, next(Path("/sys/block").glob("*/dev")).read_text().split(":")))
    return DeviceNumber(os.major(number), os.minor(number), MIB)


def limit(container: Container, controller: str, on_v1: str, on_v2: str) -> str:
    """The text of a control file, wherever this host has the controller."""
    paths = Group(hierarchy.detect(), container.state().cgroup).paths()
    path = f"{paths[controller]}/{on_v1}" if controller in paths else f"{paths['unified']}/{on_v2}"
    return Path(path).read_text().strip()


def memory(container: Container) -> int:
    """The limit of memory, in bytes."""
    return int(limit(container, "memory", "memory.limit_in_bytes", "memory.max"))


def quota(container: Container) -> float:
    """The limit of CPU time, in cores."""
    if "cpu" in hierarchy.detect().v1:
        period = int(limit(container, "cpu", "cpu.cfs_period_us", ""))
        return int(limit(container, "cpu", "cpu.cfs_quota_us", "")) / period
    allowed, period_text = limit(container, "cpu", "", "cpu.max").split()
    return int(allowed) / int(period_text)


def test_limits_change_while_it_runs(engine: Engine, sleeper: Container) -> None:
    assert (memory(sleeper), quota(sleeper)) == (64 * MIB, 0.5)
    assert sleeper.update(memory_bytes=128 * MIB, cpus=0.25, pids_limit=7) == ()
    assert (memory(sleeper), quota(sleeper)) == (128 * MIB, 0.25)
    assert limit(sleeper, "pids", "pids.max", "pids.max") == "7"
    again = engine.containers.get(sleeper.id)
    assert (again.memory_limit_bytes, again.cpu_limit) == (128 * MIB, 0.25)
    document = again.inspect()["HostConfig"]
    assert (document["Memory"], document["NanoCpus"], document["PidsLimit"]) == (128 * MIB, 250_000_000, 7)


def test_a_change_that_is_refused_changes_nothing(engine: Engine, sleeper: Container) -> None:
    with pytest.raises(InvalidOption, match="give --memory-swap too"):
        sleeper.update(memory_bytes=1 << 30)
    with pytest.raises(InvalidOption, match="--cpuset-cpus 0,4000: 4000 isn't available here; there are 0"):
        sleeper.update(cpuset_cpus="0,4000")
    assert memory(sleeper) == 64 * MIB
    assert engine.containers.get(sleeper.id).row.options.cpuset_cpus == ""


def test_a_change_holds_for_the_next_start(engine: Engine) -> None:
    container = engine.containers.create("busybox", RunOptions(command=("sleep", "60"), memory_bytes=64 * MIB))
    try:
        container.update(memory_bytes=32 * MIB)
        container.start()
        assert memory(container) == 32 * MIB
    finally:
        container.rm(force=True)


def test_update_on_the_command_line(engine: Engine, sleeper: Container) -> None:
    command = [sys.executable, "-m", "dockmagic", "update", "--memory", "100m", "--cpu-shares", "2048", sleeper.name]
    environment = {**os.environ, "DOCKMAGIC_ROOT": str(engine.root)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True, timeout=30)
    assert (done.stdout, done.stderr) == (f"{sleeper.name}\n", "")
    assert memory(sleeper) == 100 * MIB
    assert limit(sleeper, "cpu", "cpu.shares", "cpu.weight") in {"2048", "174"}


def test_kernel_parameters_are_the_containers_own(engine: Engine) -> None:
    asked = {"net.core.somaxconn": "321", "kernel.shmmni": "99", "fs.mqueue.msg_max": "11"}
    script = "cd /proc/sys; cat net/core/somaxconn kernel/shmmni fs/mqueue/msg_max; mount | grep -c 'proc .*sysctl'"
    outcome = run(engine, "sh", "-c", script, sysctls=asked)
    assert outcome.stdout == "321\n99\n11\n0\n"
    assert Path("/proc/sys/kernel/shmmni").read_text().strip() != "99"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("net.no.such", "1", "this kernel has no such parameter"),
        ("net.core.somaxconn", "many", "Invalid argument"),
        ("net.ipv4.conf.all/../../../../kernel.hostname", "x", "this kernel has no such parameter"),
    ],
)
def test_a_parameter_that_can_t_be_set_is_named(engine: Engine, name: str, value: str, message: str) -> None:
    with pytest.raises(StartFailed, match=f"--sysctl .*{message}"):
        run(engine, "true", sysctls={name: value})


def test_a_parameter_of_the_host_is_refused(engine: Engine) -> None:
    with pytest.raises(InvalidOption, match="--network host"):
        run(engine, "true", sysctls={"net.core.somaxconn": "1"}, network="host")


def test_a_process_may_be_killed_earlier(engine: Engine) -> None:
    assert shell(engine, "cat /proc/self/oom_score_adj", oom_score_adj=500) == "500\n"


def test_a_process_is_spared_only_with_the_right(engine: Engine) -> None:
    if "CAP_SYS_RESOURCE" in bounding_set():
        assert shell(engine, "cat /proc/self/oom_score_adj", oom_score_adj=-1000) == "-1000\n"
        return
    with pytest.raises(StartFailed, match="--oom-score-adj -1000: not allowed here; the least that this host allows"):
        run(engine, "true", oom_score_adj=-1000)


def test_a_rate_of_writing_holds(engine: Engine, disk: DeviceNumber, tmp_path: Path) -> None:
    warnings: list[Event] = []
    io = BlockIO(throttle_write_bps_device=(disk,), throttle_read_iops_device=(disk,))
    options = RunOptions(command=("sleep", "60"), remove=True, block_io=io)
    container = engine.containers.run_detached("busybox", options, warnings.append)
    try:
        assert [event for event in warnings if isinstance(event, ContainerWarning)] == []
        place = f"{disk.major}:{disk.minor}"
        written = limit(container, "blkio", "blkio.throttle.write_bps_device", "io.max")
        assert written in {f"{place} {MIB}", f"{place} rbps=max wbps={MIB} riops={MIB} wiops=max"}
    finally:
        container.rm(force=True)


def test_writing_takes_as_long_as_the_rate_says(engine: Engine, disk: DeviceNumber) -> None:
    script = "dd if=/dev/zero of=/x bs=1M count=3 oflag=direct 2>/dev/null"
    started = time.monotonic()
    outcome = run(engine, "sh", "-c", script, block_io=BlockIO(throttle_write_bps_device=(disk,)))
    assert outcome.status == 0
    assert time.monotonic() - started > 1.5
