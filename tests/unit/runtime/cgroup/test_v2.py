"""Resources as writes to control files of cgroup v2."""

from __future__ import annotations

import pytest

from dockmagic.oci.spec import CPU, BlockIO, DeviceNumber, DeviceRule, Memory, Resources
from dockmagic.runtime.cgroup.v1 import Writes
from dockmagic.runtime.cgroup.v2 import io_weight, weight, writes

MIB = 1 << 20


def test_nothing_set_nothing_written() -> None:
    assert writes(Resources(devices=(DeviceRule(False),))) == {}


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        (1, 1),
        (2, 1),
        (3, 2),
        (102, 17),
        (512, 59),
        (1024, 100),
        (2048, 174),
        (131_072, 5_478),
        (262_144, 10_000),
        (10**6, 10_000),
    ],
)
def test_weight(shares: int, expected: int) -> None:
    assert weight(shares) == expected


def test_weight_never_falls() -> None:
    found = [weight(shares) for shares in range(1, 262_145, 97)]
    assert found == sorted(found)
    assert found[0] == 1


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        (Memory(64 * MIB), [("memory.max", "67108864")]),
        (Memory(64 * MIB, 128 * MIB), [("memory.max", "67108864"), ("memory.swap.max", "67108864")]),
        (Memory(64 * MIB, 64 * MIB), [("memory.max", "67108864"), ("memory.swap.max", "0")]),
        (Memory(64 * MIB, -1), [("memory.max", "67108864"), ("memory.swap.max", "max")]),
        (Memory(64 * MIB, 0), [("memory.max", "67108864")]),
        (Memory(-1, -1), [("memory.max", "max"), ("memory.swap.max", "max")]),
        (Memory(reservation=32 * MIB), [("memory.low", "33554432")]),
    ],
)
def test_memory(memory: Memory, expected: Writes) -> None:
    assert writes(Resources(memory=memory)) == {"memory": expected}


@pytest.mark.parametrize(
    ("cpu", "expected"),
    [
        (CPU(shares=1024), [("cpu.weight", "100")]),
        (CPU(quota=50_000, period=100_000), [("cpu.max", "50000 100000")]),
        (CPU(quota=50_000), [("cpu.max", "50000")]),
        (CPU(period=20_000), [("cpu.max", "max 20000")]),
        (CPU(quota=-1), [("cpu.max", "max")]),
    ],
)
def test_cpu(cpu: CPU, expected: Writes) -> None:
    assert writes(Resources(cpu=cpu)) == {"cpu": expected}


def test_cpuset_and_pids() -> None:
    assert writes(Resources(cpu=CPU(cpus="1"), pids_limit=-1)) == {
        "cpuset": [("cpuset.cpus", "1")],
        "pids": [("pids.max", "max")],
    }


def test_block_io_has_a_line_for_each_device_and_limit() -> None:
    disk, other = DeviceNumber(254, 0, 1024), DeviceNumber(8, 16, 7)
    block_io = BlockIO(
        500,
        weight_device=(other,),
        throttle_read_bps_device=(disk,),
        throttle_write_bps_device=(disk, other),
        throttle_read_iops_device=(other,),
        throttle_write_iops_device=(disk,),
    )
    assert writes(Resources(block_io=block_io)) == {
        "io": [
            ("io.bfq.weight", "500"),
            ("io.bfq.weight", "8:16 7"),
            ("io.max", "254:0 rbps=1024"),
            ("io.max", "254:0 wbps=1024"),
            ("io.max", "8:16 wbps=7"),
            ("io.max", "8:16 riops=7"),
            ("io.max", "254:0 wiops=1024"),
        ]
    }


@pytest.mark.parametrize(("given", "expected"), [("10", "default 1"), ("100", "default 910"), ("500", "default 4950")])
def test_a_weight_for_another_scheduler(given: str, expected: str) -> None:
    assert io_weight(given) == expected


def test_what_only_v1_has_isn_t_written() -> None:
    assert writes(Resources(memory=Memory(swappiness=5, disable_oom_killer=True))) == {}
