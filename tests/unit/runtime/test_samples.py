"""Readings from files as the kernel writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from dockmagic.runtime.samples import Reader, Sample, cache_v1, cache_v2, cpu_v2, sources, throttling_v1, value

V1 = {
    "cpuacct/cpuacct.usage": "1500000000\n",
    "cpu/cpu.stat": "nr_periods 8\nnr_throttled 3\nthrottled_time 250000000\nnr_bursts 0\nburst_time 0\n",
    "memory/memory.usage_in_bytes": "1048576\n",
    "memory/memory.stat": "cache 4096\ninactive_file 1\ntotal_cache 4096\ntotal_inactive_file 8192\n",
    "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
    "pids/pids.current": "5\n",
    "blkio/blkio.throttle.io_service_bytes_recursive": (
        "8:16 Read 4096\n8:16 Write 512\n8:16 Total 4608\n8:0 Read 1\n8:0 Write 0\n8:0 Total 1\nTotal 4609\n"
    ),
}
V2 = {
    "cpu.stat": "usage_usec 1500000\nuser_usec 9\nsystem_usec 9\nnr_periods 8\nnr_throttled 3\nthrottled_usec 250000\n",
    "memory.current": "1048576\n",
    "memory.stat": "anon 5\ninactive_file 8192\nactive_file 3\n",
    "memory.events": "low 0\nhigh 0\nmax 4\noom 2\noom_kill 2\noom_group_kill 0\n",
    "pids.current": "5\n",
    "io.stat": "8:16 rbytes=4096 wbytes=512 rios=1 wios=1 dbytes=9 dios=0\n8:0 rbytes=1 wbytes=0 rios=1 wios=0\n",
}
EXPECTED = Sample(7, 1_500_000_000, 250_000_000, 8, 3, 1_048_576, 8192, 5, 2, 4097, 512)


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def v1_paths(root: Path) -> dict[str, str]:
    return {name: str(root / name) for name in ("cpuacct", "cpu", "memory", "pids", "blkio")}


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.monotonic_ns", lambda: 7)


def test_v1(tmp_path: Path) -> None:
    with Reader(v1_paths(tree(tmp_path, V1))) as reader:
        assert reader.read() == EXPECTED


def test_v2(tmp_path: Path) -> None:
    with Reader({"unified": str(tree(tmp_path, V2))}) as reader:
        assert reader.read() == EXPECTED


def test_hybrid_takes_from_v1_what_is_there(tmp_path: Path) -> None:
    tree(tmp_path / "v1", V1)
    tree(tmp_path / "unified", V2 | {"memory.current": "9\n", "pids.current": "77\n"})
    paths = {name: path for name, path in v1_paths(tmp_path / "v1").items() if name != "pids"}
    with Reader({**paths, "unified": str(tmp_path / "unified")}) as reader:
        sample = reader.read()
    assert (sample.memory_bytes, sample.pids) == (1_048_576, 77)


def test_controllers_that_are_off_leave_zeros(tmp_path: Path) -> None:
    tree(tmp_path, {"cpu.stat": "usage_usec 3\nuser_usec 2\nsystem_usec 1\n"})
    with Reader({"unified": str(tmp_path)}) as reader:
        assert reader.read() == Sample(7, cpu_ns=3000)


@pytest.mark.parametrize("paths", [{}, {"memory": "/nowhere/memory"}])
def test_nothing_to_measure(paths: dict[str, str]) -> None:
    with pytest.raises(FileNotFoundError, match="no control group to measure in"):
        Reader(paths)


def test_the_cache_is_read_again_when_the_usage_moves(tmp_path: Path) -> None:
    paths = v1_paths(tree(tmp_path, V1))
    with Reader(paths) as reader:
        reader.read()
        tree(tmp_path, {"memory/memory.stat": "total_inactive_file 4096\n"})
        assert reader.read().inactive_file_bytes == 8192
        tree(tmp_path, {"memory/memory.usage_in_bytes": "2097152\n"})
        assert reader.read().inactive_file_bytes == 4096
        assert reader.read().working_set_bytes == 2_097_152 - 4096


def test_descriptors_are_closed(tmp_path: Path) -> None:
    before = set(Path("/proc/self/fd").iterdir())
    reader = Reader(v1_paths(tree(tmp_path, V1)))
    assert len(set(Path("/proc/self/fd").iterdir()) - before) == len(V1)
    reader.close()
    reader.close()
    assert set(Path("/proc/self/fd").iterdir()) == before


def test_the_working_set_is_never_negative() -> None:
    assert Sample(0, memory_bytes=1, inactive_file_bytes=2).working_set_bytes == 0


def test_names_that_end_or_begin_alike() -> None:
    assert value(b"inactive_file 1\ntotal_inactive_file 2\n", b"inactive_file") == 1
    assert value(b"total_inactive_file 2\n", b"inactive_file") == 0
    assert value(b"oom_kill_disable 0\noom_kill 3\n", b"oom_kill") == 3
    assert value(b"", b"oom_kill") == 0
    assert cache_v1(b"inactive_file 1\ntotal_inactive_file 2\n") == {"inactive_file_bytes": 2}
    assert cache_v2(b"inactive_file 1\n") == {"inactive_file_bytes": 1}


def test_units() -> None:
    assert throttling_v1(b"nr_periods 1\nnr_throttled 1\nthrottled_time 5\n")["throttled_ns"] == 5
    assert cpu_v2(b"usage_usec 5\nnr_periods 1\nnr_throttled 1\nthrottled_usec 5\n")["throttled_ns"] == 5000


def test_each_quantity_has_one_source() -> None:
    both = dict.fromkeys(("cpuacct", "cpu", "memory", "pids", "blkio", "unified"), "/x")
    assert len(list(sources(both))) == 7
    assert len(list(sources({"unified": "/x"}))) == 6
