"""Limits that are changed fit those that stay."""

from __future__ import annotations

import pytest

from dockmagic.errors import InvalidOption
from dockmagic.oci.options import LimitChanges, RunOptions
from dockmagic.oci.spec import BlockIO, DeviceNumber
from dockmagic.runtime.updating import changed

MIB = 1 << 20


def test_only_what_is_given_changes() -> None:
    before = RunOptions(memory_bytes=64 * MIB, cpu_shares=512, block_io=BlockIO(100, (DeviceNumber(8, 0, 200),)))
    after = changed(before, {"memory_bytes": 32 * MIB, "blkio_weight": 300, "pids_limit": -1})
    assert after == RunOptions(
        memory_bytes=32 * MIB,
        cpu_shares=512,
        pids_limit=-1,
        block_io=BlockIO(300, (DeviceNumber(8, 0, 200),)),
    )


def test_memory_stays_below_memory_and_swap() -> None:
    before = RunOptions(memory_bytes=64 * MIB)
    assert changed(before, {"memory_bytes": 128 * MIB}).memory_bytes == 128 * MIB
    with pytest.raises(InvalidOption, match="limited to 134217728 bytes; give --memory-swap too"):
        changed(before, {"memory_bytes": 129 * MIB})
    assert changed(before, {"memory_bytes": 256 * MIB, "memory_swap_bytes": -1}).memory_swap_bytes == -1


@pytest.mark.parametrize(
    ("before", "changes", "message"),
    [
        (RunOptions(cpus=1.0), {"cpu_quota_us": 5000}, "--cpu-quota: --cpus limits"),
        (RunOptions(cpus=1.0), {"cpu_period_us": 5000}, "--cpu-period: --cpus limits"),
        (RunOptions(cpu_quota_us=5000), {"cpus": 1.0}, "--cpus: --cpu-quota limits"),
        (RunOptions(cpu_period_us=5000), {"cpus": 1.0}, "--cpus: --cpu-period limits"),
        (RunOptions(), {"memory_bytes": MIB}, "minimum memory limit is 6m"),
        (RunOptions(), {"memory_swap_bytes": 64 * MIB}, "set --memory too"),
    ],
)
def test_limits_that_contradict_each_other(before: RunOptions, changes: LimitChanges, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        changed(before, changes)
