"""Resources as writes to control files of cgroup v1."""

from __future__ import annotations

import pytest

from dockmagic.oci.spec import CPU, BlockIO, DeviceNumber, DeviceRule, Memory, Resources
from dockmagic.runtime.cgroup.v1 import Writes, writes

MIB = 1 << 20


def test_nothing_set_nothing_written() -> None:
    assert writes(Resources()) == {}


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        (Memory(64 * MIB), [("memory.limit_in_bytes", "67108864")]),
        (
            Memory(64 * MIB, 128 * MIB),
            [("memory.limit_in_bytes", "67108864"), ("memory.memsw.limit_in_bytes", "134217728")],
        ),
        (Memory(64 * MIB, -1), [("memory.limit_in_bytes", "67108864"), ("memory.memsw.limit_in_bytes", "-1")]),
        (Memory(64 * MIB, 0), [("memory.limit_in_bytes", "67108864")]),
        (Memory(-1, -1), [("memory.limit_in_bytes", "-1"), ("memory.memsw.limit_in_bytes", "-1")]),
        (Memory(reservation=32 * MIB), [("memory.soft_limit_in_bytes", "33554432")]),
    ],
)
def test_memory(memory: Memory, expected: Writes) -> None:
    assert writes(Resources(memory=memory)) == {"memory": expected}


@pytest.mark.parametrize(
    ("cpu", "expected"),
    [
        (CPU(shares=512), [("cpu.shares", "512")]),
        (CPU(quota=50_000), [("cpu.cfs_quota_us", "50000")]),
        (CPU(quota=50_000, period=100_000), [("cpu.cfs_period_us", "100000"), ("cpu.cfs_quota_us", "50000")]),
        (CPU(quota=-1), [("cpu.cfs_quota_us", "-1")]),
    ],
)
def test_cpu(cpu: CPU, expected: Writes) -> None:
    assert writes(Resources(cpu=cpu)) == {"cpu": expected}


def test_zero_is_not_set() -> None:
    assert writes(Resources(cpu=CPU(shares=0, quota=0, period=0))) == {}


def test_cpuset_is_a_controller_of_its_own() -> None:
    assert writes(Resources(cpu=CPU(shares=2, cpus="0-1", mems="0"))) == {
        "cpu": [("cpu.shares", "2")],
        "cpuset": [("cpuset.cpus", "0-1"), ("cpuset.mems", "0")],
    }


@pytest.mark.parametrize(("limit", "text"), [(100, "100"), (-1, "max"), (0, "max")])
def test_pids(limit: int, text: str) -> None:
    assert writes(Resources(pids_limit=limit)) == {"pids": [("pids.max", text)]}


def test_device_rules_keep_their_order() -> None:
    rules = (
        DeviceRule(False),
        DeviceRule(True, "c", None, None, "m"),
        DeviceRule(True, "c", 1, 3),
        DeviceRule(False, "b", 8, None, "w"),
    )
    assert writes(Resources(devices=rules)) == {
        "devices": [
            ("devices.deny", "a"),
            ("devices.allow", "c *:* m"),
            ("devices.allow", "c 1:3 rwm"),
            ("devices.deny", "b 8:* w"),
        ]
    }


def test_block_io_has_a_line_for_each_device_and_limit() -> None:
    disk = DeviceNumber(254, 0, 1024)
    assert writes(Resources(block_io=BlockIO(500, (disk,), (disk,), (disk,), (disk,), (disk,)))) == {
        "io": [
            ("blkio.bfq.weight", "500"),
            ("blkio.bfq.weight_device", "254:0 1024"),
            ("blkio.throttle.read_bps_device", "254:0 1024"),
            ("blkio.throttle.write_bps_device", "254:0 1024"),
            ("blkio.throttle.read_iops_device", "254:0 1024"),
            ("blkio.throttle.write_iops_device", "254:0 1024"),
        ]
    }


def test_what_only_v1_has() -> None:
    assert writes(Resources(memory=Memory(swappiness=0, disable_oom_killer=True))) == {
        "memory": [("memory.swappiness", "0"), ("memory.oom_control", "1")]
    }
