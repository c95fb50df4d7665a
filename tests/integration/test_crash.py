"""Processes that are killed, and disks that are full: nothing is lost, nothing is left, and the next engine repairs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from dockmagic.engine import Engine
from dockmagic.errors import DockmagicError, StoreError
from dockmagic.oci.options import RunOptions
from tests.integration.containers import execute, run, until

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("busybox")]

PRELUDE = """
import sys
from pathlib import Path
from dockmagic.engine import Engine
from dockmagic.events import BuildOutput, ContainerOutput
from dockmagic.oci.options import RunOptions

def say(event):
    if isinstance(event, (BuildOutput, ContainerOutput)):
        sys.stdout.buffer.write(event.data)
        sys.stdout.flush()

engine = Engine(Path(sys.argv[1]))
"""


@contextmanager
def other_process(state_root: Path, script: str) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that works on the same state root; killed at the end, if it is still there."""
    code = PRELUDE + textwrap.dedent(script)
    process = subprocess.Popen([sys.executable, "-c", code, str(state_root)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def first_line(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().decode().strip()


def kill_by_name(engine: Engine, name: str) -> None:
    """Kill the processes of this engine's state root that have this name."""
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            named = (entry / "comm").read_text().strip() == name
            if named and str(engine.root).encode() in (entry / "cmdline").read_bytes():
                os.kill(int(entry.name), signal.SIGKILL)


def test_a_foreground_container_goes_with_a_killed_engine(engine: Engine, state_root: Path) -> None:
    script = "engine.containers.run('busybox', RunOptions(command=('sh', '-c', 'echo up; sleep 60')), on_event=say)"
    with other_process(state_root, script) as process:
        assert first_line(process) == "up"
        (container,) = engine.containers.ls()
        process.kill()
        assert container.wait() == 137
    container.rm()


def test_a_foreground_container_with_rm_leaves_nothing(engine: Engine, state_root: Path) -> None:
    script = """
        options = RunOptions(command=('sh', '-c', 'echo up; sleep 60'), remove=True)
        engine.containers.run('busybox', options, on_event=say)
    """
    with other_process(state_root, script) as process:
        assert first_line(process) == "up"
        process.kill()
        until(lambda: not list((state_root / "containers").iterdir()))
    assert engine.containers.ls(all=True) == []


def test_a_detached_container_survives_a_killed_engine(engine: Engine, state_root: Path) -> None:
    script = """
        engine.containers.run_detached('busybox', RunOptions(command=('sh', '-c', 'echo alive; sleep 60'), name='kept'))
        print('started', flush=True)
        sys.stdin.read()
    """
    with other_process(state_root, script) as process:
        assert first_line(process) == "started"
        process.kill()
        process.wait()
        kept = engine.containers.get("kept")
        assert execute(kept, "echo", "here").stdout == "here\n"
        until(lambda: [line.data for line in kept.logs()] == [b"alive\n"])
        kept.rm(force=True)


def test_a_build_in_progress_goes_with_a_killed_engine(engine: Engine, state_root: Path) -> None:
    script = "engine.build('FROM busybox\\nRUN echo building; sleep 60', tags=['never'], on_event=say)"
    with other_process(state_root, script) as process:
        assert first_line(process) == "building"
        process.kill()
        process.wait()
    assert engine.store.find("never") is None
    time.sleep(0.2)
    Engine(state_root).close()
    assert list((state_root / "tmp").iterdir()) == []
    assert engine.build("FROM busybox\nRUN echo building", tags=["now"]).references


def test_containers_survive_their_launcher(engine: Engine) -> None:
    container = engine.containers.run_detached("busybox", RunOptions(command=("sleep", "60"), name="kept"))
    pid = container.state().pid
    kill_by_name(engine, "dockmagic-launc")
    assert run(engine, "echo", "a new launcher").stdout == "a new launcher\n"
    assert container.state().pid == pid
    assert execute(container, "echo", "hi").stdout == "hi\n"
    container.rm(force=True)


def test_a_container_ends_with_its_monitor_and_is_repaired(engine: Engine, state_root: Path) -> None:
    container = engine.containers.run_detached("busybox", RunOptions(command=("sleep", "60"), name="orphan"))
    until(lambda: (state_root / "containers" / container.id / "state.json").exists())
    pid = container.state().pid
    parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(parent, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{pid}").exists())
    state = container.state()
    assert (state.status, state.exit_status) == ("exited", 137)
    assert "monitor was killed" in state.error
    container.start()
    assert container.state().running
    container.rm(force=True)


def test_two_processes_build_and_run_on_one_root(engine: Engine, state_root: Path) -> None:
    script = """
        for number in range(5):
            engine.build(f'FROM busybox\\nRUN echo {number} > /n; sleep 0.05\\nRUN cat /n', tags=['shared'])
            result = engine.containers.run('shared', RunOptions(command=('cat', '/n'), remove=True), on_event=say)
            assert result.exit_status == 0
        engine.close()
    """
    with other_process(state_root, script) as one, other_process(state_root, script) as two:
        for process in (one, two):
            output, _ = process.communicate(timeout=60)
            assert process.returncode == 0
            assert len(output.split()) == 5
    assert run(engine, "cat", "/n", image="shared").stdout == "4\n"


@pytest.fixture
def small_root(tmp_path: Path) -> Iterator[Path]:
    """A state root on a file system of 12 MiB."""
    root = tmp_path / "small"
    root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(root)], check=True)
    yield root
    until(lambda: subprocess.run(["umount", str(root)], check=False, stderr=subprocess.DEVNULL).returncode == 0)


def test_a_full_disk_while_a_layer_is_written(small_root: Path) -> None:
    with Engine(small_root) as engine:
        engine.images.bootstrap("busybox")
        before = sorted(path.name for path in (small_root / "layers").iterdir())
        with pytest.raises(DockmagicError):
            engine.build("FROM busybox\nRUN dd if=/dev/urandom of=/big bs=1M count=5 2> /dev/null", tags=["big"])
        assert engine.store.find("big") is None
        assert sorted(path.name for path in (small_root / "layers").iterdir()) == before
        assert list((small_root / "tmp").iterdir()) == []
        assert run(engine, "echo", "works").stdout == "works\n"


def test_a_full_disk_inside_a_container_is_the_programs_own_trouble(small_root: Path) -> None:
    with Engine(small_root) as engine:
        engine.images.bootstrap("busybox")
        outcome = run(engine, "sh", "-c", "cat /dev/zero > /big; echo $?")
        assert "No space left on device" in outcome.stderr
        assert outcome.stdout == "1\n"
        until(lambda: not list((small_root / "containers").iterdir()))
        assert run(engine, "echo", "works").stdout == "works\n"
        assert engine.containers.ls(all=True) == []


def test_a_state_root_that_can_t_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        Engine(tmp_path / "file" / "root")
