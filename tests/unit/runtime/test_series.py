"""The ring, and use per time."""

from __future__ import annotations

import numpy as np
import pytest

from dockmagic.runtime.samples import Sample
from dockmagic.runtime.series import Series

SECOND = 1_000_000_000


def filled(count: int, capacity: int = 1000) -> Series:
    series = Series(capacity)
    for number in range(count):
        series.append(Sample(number * SECOND, cpu_ns=number * SECOND // 2, pids=number))
    return series


@pytest.mark.parametrize("count", [0, 1, 127, 128, 129, 300, 999, 1000, 1001, 2500])
def test_oldest_first_and_bounded(count: int) -> None:
    series = filled(count)
    rows = series.rows()
    assert len(series) == len(rows) == min(count, 1000)
    assert rows[:, 7].tolist() == list(range(max(0, count - 1000), count))


@pytest.mark.parametrize("capacity", [1, 2, 3, 128])
def test_small_rings(capacity: int) -> None:
    assert filled(10, capacity).rows()[:, 7].tolist() == list(range(10))[-capacity:]


def test_last() -> None:
    assert Series().last() is None
    assert filled(1500).last() == Sample(1499 * SECOND, cpu_ns=1499 * SECOND // 2, pids=1499)


def test_rows_are_a_copy() -> None:
    series = filled(3)
    series.rows()[:] = 0
    assert series.rows()[2, 7] == 2


@pytest.mark.parametrize("count", [0, 1])
def test_no_interval_no_usage(count: int) -> None:
    found = filled(count).usage()
    assert [len(array) for array in (found.time_s, found.cpu_cores, found.memory_bytes, found.oom_kills)] == [0] * 4


def test_usage_of_each_interval() -> None:
    series = Series()
    series.append(Sample(5 * SECOND, 1 * SECOND, 0, memory_bytes=300, inactive_file_bytes=100, pids=1, oom_kills=1))
    series.append(
        Sample(6 * SECOND, 3 * SECOND, SECOND // 4, memory_bytes=500, inactive_file_bytes=600, pids=2, oom_kills=1)
    )
    series.append(
        Sample(8 * SECOND, 4 * SECOND, 9 * SECOND, memory_bytes=700, inactive_file_bytes=100, pids=3, oom_kills=3)
    )
    found = series.usage()
    assert found.time_s.tolist() == [1.0, 3.0]
    assert found.cpu_cores.tolist() == [2.0, 0.5]
    assert found.throttled.tolist() == [0.25, 1.0]
    assert found.memory_bytes.tolist() == [0.0, 600.0]
    assert found.oom_kills.tolist() == [0.0, 2.0]
    assert found.pids.tolist() == [2.0, 3.0]
    assert series.usage(origin_ns=0).time_s.tolist() == [6.0, 8.0]


def test_two_samples_of_one_moment_divide_nothing_by_zero() -> None:
    series = Series()
    series.append(Sample(5))
    series.append(Sample(5))
    assert np.isfinite(series.usage().cpu_cores).all()
