"""The sampler on real control groups."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockmagic.oci.spec import CPU, Memory, Resources
from dockmagic.runtime.cgroup.group import Group
from dockmagic.runtime.cgroup.hierarchy import detect
from dockmagic.runtime.sampler import Sampler
from dockmagic.runtime.samples import Reader

pytestmark = pytest.mark.root
ROOT = Path(__file__).parents[2]
MIB = 1 << 20


@contextlib.contextmanager
def running(script: str, resources: Resources) -> Iterator[Group]:
    """A Python script in a control group of its own."""
    group = Group(detect(), f"test-{secrets.token_hex(6)}")
    group.create()
    group.apply(resources)
    join = (
        "from dockmagic.runtime.cgroup.group import Group; from dockmagic.runtime.cgroup.hierarchy import detect;"
        f"Group(detect(), {group.name!r}).attach_self();"
    )
    process = subprocess.Popen([sys.executable, "-c", join + script], cwd=ROOT)
    try:
        while not group.pids():
            time.sleep(0.01)
        yield group
    finally:
        group.kill()
        process.wait()
        assert group.remove()


def test_a_busy_process_at_its_limit() -> None:
    resources = Resources(cpu=CPU(quota=10_000, period=100_000))  # less than it gets even on a busy machine
    with running("\nwhile True: pass", resources) as group:
        sampler = Sampler(interval_s=0.1)
        series = sampler.add("one", Reader(group.paths()))
        time.sleep(1.5)
        sampler.close()
    found = series.usage()
    assert 12 <= len(found.time_s) <= 17
    assert 0.05 < found.cpu_cores.mean() < 0.15
    assert found.throttled.mean() > 0.2
    assert found.pids.max() == 1


def test_memory_without_the_cache(tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.write_bytes(os.urandom(8 * MIB))
    script = f"import time; open({str(big)!r}, 'rb').read(); held = bytearray(b'x') * (20 << 20); time.sleep(60)"
    with running(script, Resources(memory=Memory(128 * MIB))) as group:
        with Reader(group.paths()) as reader:
            deadline = time.monotonic() + 10
            while reader.read().working_set_bytes < 20 * MIB and time.monotonic() < deadline:
                time.sleep(0.02)
            sample = reader.read()
    assert 20 * MIB <= sample.working_set_bytes < 64 * MIB
    assert sample.working_set_bytes == sample.memory_bytes - sample.inactive_file_bytes


def test_a_kill_for_want_of_memory_is_counted_where_it_happened() -> None:
    script = "\nimport os, time\nif os.fork() == 0: held = bytearray(b'x') * (99 << 20)\nos.wait(); time.sleep(60)"
    with running(script, Resources(memory=Memory(32 * MIB, 32 * MIB))) as group:
        sampler = Sampler(interval_s=0.05)
        series = sampler.add("one", Reader(group.paths()))
        deadline = time.monotonic() + 10
        while not group.oom_kills() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.1)
        sampler.close()
    assert series.rows()[-1, 8] == 1


def test_a_group_that_goes_ends_its_series() -> None:
    with running("import time; time.sleep(60)", Resources()) as group:
        sampler = Sampler(interval_s=0.02)
        series = sampler.add("one", Reader(group.paths()))
        time.sleep(0.1)
    assert series.ended.wait(5)
    assert sampler.series("one") is None
    sampler.close()
    assert len(series) > 2


def test_twenty_containers_cost_little() -> None:
    command = [sys.executable, "tests/benchmarks/sampler.py", "--json", "--seconds", "2"]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": "."}, check=True, capture_output=True, text=True
    )
    found = json.loads(done.stdout)
    assert found["containers"] == 20
    assert found["samples_each"] > 15
    assert found["core_share"] < 0.03  # 0.01 on a quiet machine
