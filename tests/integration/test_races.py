"""What goes wrong only when two things happen at the same time, or one of them stands still."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dockmagic.engine import Engine
from dockmagic.errors import StartFailed, Unsupported
from dockmagic.events import ContainerOutput, Event
from dockmagic.oci.options import RunOptions
from dockmagic.runtime import leftovers
from tests.integration.containers import Collector, execute, run, until
from tests.integration.test_stress import processes

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("busybox")]


def test_input_that_the_program_leaves_unread(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "input").write_bytes(b"x" * 5_000_000)
    for _ in range(10):
        with (tmp_path / "input").open("rb") as file:
            outcome = run(engine, "head", "-c", "1", stdin=file.fileno(), interactive=True)
        assert (outcome.status, outcome.stdout) == (0, "x")


def test_the_command_of_an_exec_can_be_long(engine: Engine) -> None:
    container = engine.containers.run_detached("busybox", RunOptions(command=("sleep", "60")))
    words = ["x" * 100_000] * 3
    assert execute(container, "sh", "-c", 'echo "$*" | wc -c', *words).stdout == "200002\n"
    with pytest.raises(StartFailed):
        execute(container, "echo", "x" * 1_000_000)
    assert container.running
    container.rm(force=True)


def test_a_container_is_started_once(engine: Engine) -> None:
    container = engine.containers.create("busybox", RunOptions(command=("sh", "-c", "echo up; sleep 60")))
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: container.start(), range(8)))
    until(lambda: list(container.logs()) != [])
    time.sleep(0.1)
    assert len(list(container.logs())) == 1
    assert execute(container, "cat", "/etc/hostname").status == 0
    container.rm(force=True)


def test_a_reader_that_stands_still_holds_up_nobody_else(engine: Engine) -> None:
    seen, go_on = threading.Event(), threading.Event()

    def still(event: Event) -> None:
        if isinstance(event, ContainerOutput):
            seen.set()
            go_on.wait(20)

    options = RunOptions(command=("sh", "-c", "seq 1 100000"), name="still")
    with ThreadPoolExecutor(1) as threads:
        result = threads.submit(lambda: engine.containers.run("busybox", options, on_event=still))
        try:
            assert seen.wait(10)
            container = engine.containers.get("still")
            until(lambda: container.state().status == "exited")
            assert container.wait() == 0
            assert sum(len(line.data) for line in container.logs()) == 588_895
        finally:
            go_on.set()
        assert result.result(20).exit_status == 0
    container.rm()


def test_a_sandbox_that_was_killed_while_it_waited(engine: Engine) -> None:
    run(engine, "true")
    until(lambda: len(list(processes(engine, "dockmagic-init"))) == 3)
    for pid in processes(engine, "dockmagic-init"):
        os.kill(pid, signal.SIGKILL)
    for _ in range(4):
        assert run(engine, "echo", "hi").stdout == "hi\n"


def test_a_collector_leaves_what_is_being_made(engine: Engine) -> None:
    done = threading.Event()

    def collect() -> None:
        while not done.is_set():
            engine.containers.rows.collect()

    collector = threading.Thread(target=collect)
    collector.start()
    try:
        for _ in range(40):
            container = engine.containers.create("busybox", RunOptions(command=("true",)))
            assert engine.containers.get(container.id).state().status == "created"
            container.rm()
    finally:
        done.set()
        collector.join()


def test_a_run_that_died_before_its_start_is_collected(engine: Engine, state_root: Path) -> None:
    script = """
import os, sys
from pathlib import Path
from dockmagic.engine import Engine
from dockmagic.oci.options import RunOptions
from dockmagic.runtime.client import Client
Client.start = lambda *_: os._exit(9)
Engine(Path(sys.argv[1])).containers.run("busybox", RunOptions(command=("true",), remove=True))
"""
    run(engine, "true")  # the launcher, which takes the run directory with it
    kept = engine.containers.create("busybox", RunOptions(command=("true",), remove=True))
    assert subprocess.run([sys.executable, "-c", script, str(state_root)], check=False).returncode == 9
    (container,) = (found for found in engine.containers.ls(all=True) if found.id != kept.id)
    old = time.time() - leftovers.YOUNG_S - 1
    os.utime(state_root / "containers" / container.id / "state.json", (old, old))
    assert (engine.run_dir / container.id[:32]).exists()
    engine.repair()
    assert not (engine.run_dir / container.id[:32]).exists()
    assert [found.id for found in engine.containers.ls(all=True)] == [kept.id]
    kept.rm()


def test_few_descriptors_here_are_no_fewer_there(engine: Engine, state_root: Path) -> None:
    script = """
import resource, sys
from pathlib import Path
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
from dockmagic.engine import Engine
from dockmagic.oci.options import RunOptions
with Engine(Path(sys.argv[1])) as engine:
    options = RunOptions(command=("sh", "-c", "test $(ulimit -n) -gt 64"), remove=True)
    sys.exit(engine.containers.run("busybox", options).exit_status)
"""
    engine.close()
    assert subprocess.run([sys.executable, "-c", script, str(state_root)], check=False).returncode == 0


def test_more_descriptors_than_select_can_take(engine: Engine) -> None:
    container = engine.containers.run_detached("busybox", RunOptions(command=("sleep", "0.3")))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with contextlib.ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        for _ in range(1100):
            stack.callback(os.close, os.open("/dev/null", os.O_RDONLY))
        assert container.wait() == 0
    container.rm()


def test_a_run_directory_that_can_t_be_written_is_named(engine: Engine) -> None:
    engine.client.run_dir = "/proc/self/fdinfo/run"
    with pytest.raises(Unsupported, match="/proc/self/fdinfo/run"):
        engine.containers.run("busybox", RunOptions(command=("true",), remove=True), on_event=Collector())
    assert engine.containers.ls(all=True) == []


def test_a_start_whose_first_try_was_killed_after_mounting(engine: Engine, state_root: Path) -> None:
    container = engine.containers.create("busybox", RunOptions(command=("sh", "-c", "exit 5"), remove=True))
    (state_root / "containers" / container.id / "work/work/incompat/volatile").mkdir(parents=True)
    container.start()
    until(lambda: engine.containers.ls(all=True) == [])
