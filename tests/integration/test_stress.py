"""Many at once and for long: nothing is lost, nothing is left, and the launcher grows no bigger by it.

With DOCKMAGIC_STRESS=full in the environment they are many more, which takes some ten minutes.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from dockmagic.engine import Engine
from dockmagic.events import ContainerOutput, Event
from dockmagic.oci.options import RunOptions
from dockmagic.runtime import attic
from tests.integration.containers import execute, run

FULL = os.environ.get("DOCKMAGIC_STRESS") == "full"
RUNS = 200 if FULL else 100
AT_ONCE = 50 if FULL else 30
CYCLES = 1000 if FULL else 50
KILLS = 200 if FULL else 12

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("busybox"), pytest.mark.timeout(900 if FULL else 120)]

WORKER = """
import random, sys, time
from pathlib import Path
from dockmagic.engine import Engine
from dockmagic.oci.options import RunOptions

root, mode, seed, seconds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
chance, end, number = random.Random(seed), time.monotonic() + seconds, 0
engine = Engine(root)
engine.build("FROM busybox")  # an interrupt while modules are loaded is none of our business
print("up", flush=True)
try:
    while time.monotonic() < end:
        number += 1
        if mode == "build":
            engine.build(f"FROM busybox\\nRUN echo {seed} {number} > /n\\nRUN cat /n")
        elif mode == "detached":
            container = engine.containers.run_detached("busybox", RunOptions(command=("sleep", "60")))
            container.stop(0)
            assert container.state().exit_status == 137
            container.rm()
        else:
            result = engine.containers.run("busybox", RunOptions(command=("sh", "-c", "exit 5"), remove=True))
            assert result.exit_status == 5
        if mode == "mixed":
            engine.close()
            if chance.random() < 0.5:
                engine = Engine(root)
except KeyboardInterrupt:
    assert engine.containers.ls() == []
    print("interrupted", flush=True)
engine.close()
"""


def worker(root: Path, mode: str, seed: int, seconds: float) -> subprocess.Popen[str]:
    """A process that works on the state root for some time; it is at it when this returns."""
    command = [sys.executable, "-c", WORKER, str(root), mode, str(seed), str(seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


def processes(engine: Engine, *names: str) -> Iterator[int]:
    """Process numbers of this state root's launcher, monitors and sandboxes."""
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            named = (entry / "comm").read_text().strip() in names
            if named and str(engine.root).encode() in (entry / "cmdline").read_bytes():
                yield int(entry.name)


def started(pid: int) -> int:
    """When a process was started, in clock ticks since boot; proc_pid_stat(5)."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def kept_by_the_launcher(engine: Engine) -> tuple[int, int]:
    """Its own memory in KiB, and how many descriptors it has."""
    pid = min(processes(engine, "dockmagic-launc"), key=started)  # a child that it has just forked has its name
    status = dict(line.split(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(status["RssAnon"].split()[0]), len(list(Path(f"/proc/{pid}/fd").iterdir()))


def test_many_runs_from_many_threads(engine: Engine) -> None:
    expected = "".join(f"{number}\n" for number in range(1, 2001))
    run(engine, "true")

    def once(number: int) -> bool:
        if number % 2:
            outcome = run(engine, "sh", "-c", "seq 1 2000")
            return (outcome.status, outcome.stdout) == (0, expected)
        return run(engine, "true").status == 0

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(once, range(50)))
        memory, descriptors = kept_by_the_launcher(engine)
        assert all(threads.map(once, range(RUNS)))
    memory_then, descriptors_then = kept_by_the_launcher(engine)
    assert memory_then < memory + 1024
    assert descriptors_then < descriptors + 10  # two for each that is starting or ending just now


def test_many_containers_at_once(engine: Engine) -> None:
    options = RunOptions(command=("sleep", "600"))
    with ThreadPoolExecutor(30) as threads:
        containers = list(threads.map(lambda _: engine.containers.run_detached("busybox", options), range(AT_ONCE)))
        assert len(engine.containers.ls()) == AT_ONCE
        list(threads.map(lambda container: container.stop(0), containers))
        assert engine.containers.ls() == []
        list(threads.map(lambda container: container.rm(), containers))
    assert engine.containers.ls(all=True) == []


def test_one_container_many_times(engine: Engine) -> None:
    container = engine.containers.create("busybox", RunOptions(command=("sleep", "600")))
    times = []
    for number in range(CYCLES):
        if number == CYCLES // 5:
            memory, descriptors = kept_by_the_launcher(engine)
        begin = time.perf_counter()
        container.start()
        times.append(time.perf_counter() - begin)
        container.stop(0)
        assert container.state().exit_status == 137
    memory_then, descriptors_then = kept_by_the_launcher(engine)
    container.rm()
    assert memory_then < memory + 1024
    assert descriptors_then < descriptors + 10 + attic.MOST
    first, last = (statistics.median(part) * 1000 for part in (times[: CYCLES // 5], times[-CYCLES // 5 :]))
    print(f"start: {first:.1f} ms in the first fifth of {CYCLES}, {last:.1f} ms in the last: {last / first:.2f}")


def test_many_processes_in_one_container(engine: Engine) -> None:
    container = engine.containers.run_detached("busybox", RunOptions(command=("sleep", "600")))
    monitor = int(Path(f"/proc/{container.state().pid}/stat").read_text().rpartition(")")[2].split()[1])
    before = len(list(Path(f"/proc/{monitor}/fd").iterdir()))

    def once(number: int) -> bool:
        outcome = execute(container, "sh", "-c", f"echo {number}; exit {number % 7}")
        return (outcome.status, outcome.stdout) == (number % 7, f"{number}\n")

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(once, range(100)))
    container.running  # noqa: B018  (by its answer it has seen all of them hang up)
    assert len(list(Path(f"/proc/{monitor}/fd").iterdir())) <= before + 1
    container.rm(force=True)


def test_a_flood_to_a_slow_reader(engine: Engine) -> None:
    digest, chunks = hashlib.md5(), 0

    def slow(event: Event) -> None:
        nonlocal chunks
        if isinstance(event, ContainerOutput):
            digest.update(event.data)
            chunks += 1
            if chunks % 100 == 0:
                time.sleep(0.02)

    script = "yes 0123456789abcdef | head -c 20000000"
    engine.containers.run("busybox", RunOptions(command=("sh", "-c", script), remove=True), on_event=slow)
    assert digest.hexdigest() == hashlib.md5((b"0123456789abcdef\n" * 1_176_471)[:20_000_000]).hexdigest()


def test_a_flood_that_nobody_reads_is_in_the_log(engine: Engine) -> None:
    container = engine.containers.run_detached("busybox", RunOptions(command=("seq", "1", "200000")))
    assert container.wait() == 0
    assert [int(line.data) for line in container.logs() if line.data.endswith(b"\n")] == list(range(1, 200_001))
    container.rm()


def test_much_input(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_bytes(random.Random(1).randbytes(20_000_000))
    with path.open("rb") as file:
        outcome = run(engine, "md5sum", stdin=file.fileno(), interactive=True)
    assert outcome.stdout.split()[0] == hashlib.md5(path.read_bytes()).hexdigest()


def test_engines_come_and_go_while_others_start(engine: Engine, state_root: Path) -> None:
    engine.close()
    workers = [worker(state_root, mode, seed, 4) for seed, mode in enumerate(("mixed", "mixed", "mixed", "detached"))]
    outcomes = [(process.communicate(timeout=30)[1], process.returncode) for process in workers]
    assert outcomes == [("", 0)] * 4
    assert engine.containers.ls(all=True) == []


def test_kills_at_random(engine: Engine, state_root: Path) -> None:
    chance = random.Random(7)
    victims = ("", "dockmagic-launc", "dockmagic-mon", "dockmagic-init")
    for number in range(KILLS):
        process = worker(state_root, chance.choice(("run", "build", "detached")), number, 60)
        time.sleep(chance.random() * 0.1)
        for pid in list(processes(engine, victims[number % 4])):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(chance.random() * 0.05)
        process.kill()
        process.communicate()
        with Engine(state_root) as other:
            assert run(other, "echo", "works").stdout == "works\n", (number, victims[number % 4])
    for container in engine.containers.ls(all=True):
        container.rm(force=True)


def test_interrupts_at_random(engine: Engine, state_root: Path) -> None:
    chance = random.Random(3)
    for number in range(8):
        process = worker(state_root, ("run", "build")[number % 2], number, 60)
        time.sleep(chance.random() * 0.15)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20) == ("interrupted\n", "")
        assert process.returncode == 0
    assert engine.containers.ls(all=True) == []
    assert list((state_root / "tmp").iterdir()) == []
