"""What is left when a kernel is killed or interrupted: the next engine finds it, or clears it away."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dockmagic.engine import Engine
from dockmagic.image.store import Image
from dockmagic.runtime.request import root_key
from tests.leaks import processes
from tests.notebooks.kernel import kernel

pytestmark = [pytest.mark.root, pytest.mark.notebook]
SLOW = "FROM busybox\nRUN echo begun > /begun\nRUN sleep 1000"
PATIENCE_S = 30.0


def wait_for(condition: Callable[[], object]) -> None:
    """Return when the condition holds; fail where it doesn't in time."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.05)


def sleeping(state_root: Path) -> bool:
    """Whether `sleep 1000` runs in a container of this state root."""
    group = f"/dockmagic/{root_key(str(state_root))}-"
    return any(process.command == b"sleep\x001000\x00" and group in process.cgroups for process in processes())


def test_killed_while_a_container_runs_in_the_foreground(engine: Engine, busybox: Image, tmp_path: Path) -> None:
    with kernel(tmp_path) as running:
        running.begin("%container_run --rm --name slow busybox sleep 1000")
        wait_for(lambda: [container.name for container in engine.containers.ls()] == ["slow"])
        running.kill()
        wait_for(lambda: engine.containers.ls(all=True) == [])


def test_killed_while_a_container_runs_in_the_background(engine: Engine, busybox: Image, tmp_path: Path) -> None:
    with kernel(tmp_path) as running:
        running.run("r = %container_run -d --name back busybox sh -c 'echo begun; sleep 1000'")
        running.kill()
    with kernel(tmp_path) as running:
        assert "back" in running.run("%container_ps").text
        assert running.run("%container_logs back").stream("stdout") == "begun\n"
        running.run("%container_rm -f back")
    assert engine.containers.ls(all=True) == []


def test_killed_while_it_builds(engine: Engine, busybox: Image, state_root: Path, tmp_path: Path) -> None:
    with kernel(tmp_path) as running:
        running.begin(f"%%dockerfile -t slow\n{SLOW}")
        wait_for(lambda: sleeping(state_root))
        running.kill()
        wait_for(lambda: not sleeping(state_root))
    wait_for(lambda: _repaired(engine, state_root))
    assert [image.references[0].familiar for image in engine.images.ls()] == ["busybox:latest"]
    engine.build(SLOW.replace("sleep 1000", "sleep 0"), tags=["slow"])
    assert engine.images.get("slow").references[0].familiar == "slow:latest"


def _repaired(engine: Engine, state_root: Path) -> bool:
    """Whether a repair finds nobody at work in any workspace, and removes all."""
    engine.repair()
    return not list((state_root / "tmp").iterdir())


def test_interrupted_while_a_container_runs(engine: Engine, busybox: Image, tmp_path: Path) -> None:
    script = "trap 'echo told; exit 3' INT; sleep 1000 & wait"
    with kernel(tmp_path) as running:
        running.begin(f'%container_run --name stopped --stop-signal INT busybox sh -c "{script}"')
        wait_for(engine.containers.ls)
        time.sleep(0.2)  # until the shell has set its trap
        running.interrupt()
        assert running.ended()["status"] == "error"
        assert running.run("print('well')").stream("stdout") == "well\n"
    container = engine.containers.get("stopped")
    assert (container.state().running, container.wait()) == (False, 3)
    container.rm()


def test_interrupted_while_it_builds(engine: Engine, busybox: Image, state_root: Path, tmp_path: Path) -> None:
    with kernel(tmp_path) as running:
        running.begin(f"%%dockerfile -t slow\n{SLOW}")
        wait_for(lambda: sleeping(state_root))
        running.interrupt()
        assert running.ended()["status"] == "error"
        assert not sleeping(state_root)
        assert list((state_root / "tmp").iterdir()) == []
