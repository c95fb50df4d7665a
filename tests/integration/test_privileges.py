"""What a container may do to the host, as flags widen it: devices, system calls, paths of the kernel, everything."""

from __future__ import annotations

import json
import os
import stat
from functools import partial
from pathlib import Path

import pytest

from dockmagic.engine import Engine
from dockmagic.errors import InvalidOption, Unsupported
from dockmagic.oci.options import DeviceMapping, GpuRequest, RunOptions
from dockmagic.oci.spec import DeviceRule
from dockmagic.runtime import making
from dockmagic.runtime.gpus import with_gpus
from dockmagic.runtime.privileges import bounding_set
from tests.integration.containers import execute, run, shell

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("busybox")]


def test_a_device_can_be_used_as_far_as_it_was_given(engine: Engine) -> None:
    mapping = DeviceMapping("/dev/zero", "/dev/in/nought", "r")
    script = "ls -l /dev/in/nought | cut -c1; head -c 3 /dev/in/nought | wc -c; stat -c %t:%T /dev/in/nought"
    assert shell(engine, script, devices=(mapping,)) == "c\n3\n1:5\n"


def test_a_disk_is_closed_until_it_is_given(engine: Engine) -> None:
    disk = next(path for path in Path("/dev").iterdir() if path.is_block_device())
    number = disk.stat().st_rdev
    node = f"mknod /d b {os.major(number)} {os.minor(number)}; head -c 0 /d"
    assert "Operation not permitted" in run(engine, "sh", "-c", node).stderr
    assert shell(engine, node, device_rules=(DeviceRule(True, "b", os.major(number), None, "r"),)) == ""
    write = f"echo > {disk}"
    refused = run(engine, "sh", "-c", write, devices=(DeviceMapping(str(disk), str(disk), "r"),))
    assert "Operation not permitted" in refused.stderr


def test_a_device_that_isn_t_there(engine: Engine) -> None:
    with pytest.raises(InvalidOption, match="--device /dev/none: No such file"):
        run(engine, "true", devices=(DeviceMapping("/dev/none", "/dev/none"),))


def test_a_profile_of_the_users_own(engine: Engine) -> None:
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}
    text = json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]})
    script = "grep Seccomp: /proc/self/status; mkdir /x"
    outcome = run(engine, "sh", "-c", script, seccomp="profile", seccomp_profile=text)
    assert outcome.stdout == "Seccomp:\t2\n"
    assert "No space left on device" in outcome.stderr


def test_a_profile_that_is_none_is_refused_at_once(engine: Engine) -> None:
    with pytest.raises(InvalidOption, match="it isn't a profile"):
        run(engine, "true", seccomp="profile", seccomp_profile="{")
    assert engine.containers.ls(all=True) == []


def test_paths_of_the_kernel_can_be_opened(engine: Engine) -> None:
    parameter = "/proc/sys/kernel/shmmni"
    script = f"mount | grep -c -e '/proc/' -e '/sys/firmware'; echo 7 > {parameter} && cat {parameter}"
    assert shell(engine, script, unconfined_paths=True) == "0\n7\n"


def test_a_privileged_container_has_what_the_host_has(engine: Engine) -> None:
    facts = shell(engine, "grep -e CapEff -e Seccomp: /proc/self/status; ls /dev", privileged=True).splitlines()
    assert int(facts[0].split()[1], 16).bit_count() == len(bounding_set())
    assert facts[1] == "Seccomp:\t0"
    assert {path.name for path in Path("/dev").iterdir() if path.is_block_device()} <= set(facts[2:])


def test_a_privileged_container_may_mount_and_make_groups(engine: Engine) -> None:
    script = "mkdir /m && mount -t tmpfs none /m && mkdir /sys/fs/cgroup/*/x /sys/fs/cgroup/x 2>&1 | grep -c Read-only"
    assert run(engine, "sh", "-c", script, privileged=True).stdout == "0\n"


def test_a_command_in_a_privileged_container_is_privileged_too(engine: Engine) -> None:
    options = RunOptions(command=("sleep", "60"), privileged=True, remove=True)
    container = engine.containers.run_detached("busybox", options)
    try:
        assert execute(container, "grep", "Seccomp:", "/proc/self/status").stdout == "Seccomp:\t0\n"
        assert container.inspect()["HostConfig"]["Privileged"] is True
    finally:
        container.rm(force=True)


def test_gpus_come_with_their_driver(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = tmp_path / "host"
    for name in ("dev", "usr/bin", "usr/lib"):
        (host / name).mkdir(parents=True)
    os.mknod(host / "dev/nvidia0", 0o666 | stat.S_IFCHR, os.makedev(1, 5))  # stands for one: zeros are read from it
    (host / "usr/bin/nvidia-smi").write_text("#!/bin/sh\necho a card\n")
    (host / "usr/bin/nvidia-smi").chmod(0o755)
    (host / "usr/lib/libcuda.so.1").write_text("a library")
    cache = "\tlibcuda.so.1 (libc6,x86-64) => /usr/lib/libcuda.so.1\n"
    found = partial(with_gpus, root=str(host), cache=lambda root: cache)
    monkeypatch.setattr(making, "with_gpus", found)
    script = "nvidia-smi; head -c 4 /dev/nvidia0 | wc -c; cat $LD_LIBRARY_PATH/libcuda.so.1"
    assert shell(engine, script, gpus=(GpuRequest(-1),)) == "a card\n4\na library"
    with pytest.raises(Unsupported, match="2 are asked for, and there are 1"):
        shell(engine, "true", gpus=(GpuRequest(2),))
