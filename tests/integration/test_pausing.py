"""Pause, restart, rename and top, with real containers and their control groups."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from dockmagic.container import Container
from dockmagic.engine import Engine
from dockmagic.errors import Conflict, InvalidOption, InvalidState, NotFound
from dockmagic.oci.options import RunOptions
from tests.integration.containers import execute, until
from tests.unit.commands.calling import call

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("busybox")]


def detached(engine: Engine, *command: str, **options: object) -> Container:
    return engine.containers.run_detached("busybox", RunOptions(command=command, **options))  # type: ignore[arg-type]


def ticks(container: Container) -> int:
    return sum(1 for _ in container.logs())


def test_a_paused_container_stands_still_and_goes_on(engine: Engine) -> None:
    container = detached(engine, "sh", "-c", "while :; do echo tick; sleep 0.02; done")
    until(lambda: ticks(container) > 0)
    container.pause()
    found = container.inspect()["State"]
    assert (found["Status"], found["Running"], found["Paused"]) == ("paused", True, True)
    time.sleep(0.1)
    before = ticks(container)
    time.sleep(0.2)
    assert ticks(container) == before
    container.unpause()
    assert container.state().status == "running"
    until(lambda: ticks(container) > before)
    container.rm(force=True)


def test_what_is_impossible_in_a_pause_says_so(engine: Engine) -> None:
    container = detached(engine, "sleep", "60", name="still")
    with pytest.raises(InvalidState, match=r"cannot unpause container .*: it is running"):
        container.unpause()
    container.pause()
    with pytest.raises(InvalidState, match=r"cannot pause container .*: it is paused"):
        container.pause()
    with pytest.raises(InvalidState, match=r"cannot start container .*: it is paused"):
        container.start()
    assert container.commit("of-it").references[0].familiar == "of-it:latest"
    assert container.state().status == "paused"
    with pytest.raises(InvalidState, match=f"container {container.id} is paused, unpause the container before exec"):
        execute(container, "true")
    with pytest.raises(Conflict, match="it is paused; unpause and stop it first"):
        container.rm()
    assert [each.name for each in engine.containers.ls()] == ["still"]
    container.rm(force=True)
    assert engine.containers.ls(all=True) == []


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_paused_container_can_be_ended(engine: Engine, end: str) -> None:
    container = detached(engine, "sh", "-c", "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done")
    until(lambda: ticks(container) > 0)
    container.pause()
    container.kill() if end == "kill" else container.stop()
    assert container.wait() == (137 if end == "kill" else 3)
    assert container.inspect()["State"]["Paused"] is False


def test_stop_takes_another_signal_first(engine: Engine) -> None:
    container = detached(engine, "sh", "-c", "trap 'exit 9' USR1; echo ready; while :; do sleep 0.05; done")
    until(lambda: ticks(container) > 0)
    container.stop(signal="USR1")
    assert container.wait() == 9


def test_restart_starts_what_runs_anew_and_what_has_ended(engine: Engine) -> None:
    container = detached(engine, "sh", "-c", "echo run >> /count; echo $(wc -l < /count); exec sleep 60")
    until(lambda: ticks(container) == 1)
    first = container.state().pid
    container.restart(0)
    until(lambda: ticks(container) == 2)
    assert container.state().pid != first
    container.stop(0)
    container.restart()
    until(lambda: ticks(container) == 3)
    assert [line.data for line in container.logs()] == [b"1\n", b"2\n", b"3\n"]
    container.rm(force=True)


def test_a_container_that_removes_itself_is_not_restarted(engine: Engine) -> None:
    container = detached(engine, "sleep", "60", remove=True)
    with pytest.raises(Conflict, match="it removes itself when it ends"):
        container.restart(0)
    assert container.state().status == "running"
    container.rm(force=True)
    until(lambda: not list((engine.root / "containers").iterdir()))


def test_rename_moves_a_name_on(engine: Engine) -> None:
    container = engine.containers.create("busybox", RunOptions(name="old", command=("true",)))
    other = engine.containers.create("busybox", RunOptions(name="other", command=("true",)))
    container.rename("new")
    assert (container.name, engine.containers.get("new").id) == ("new", container.id)
    with pytest.raises(NotFound):
        engine.containers.get("old")
    with pytest.raises(Conflict, match="the name is already in use by container"):
        other.rename("new")
    with pytest.raises(InvalidOption, match="the same name as its current name"):
        container.rename("new")
    with pytest.raises(InvalidOption, match="only"):
        container.rename("-")
    engine.containers.create("busybox", RunOptions(name="old", command=("true",)))


def test_top_lists_the_processes_of_the_container_only(engine: Engine) -> None:
    container = detached(engine, "sh", "-c", "sleep 61 & exec sleep 60")
    until(lambda: [row[-1] for row in container.top().rows] == ["sleep 60", "sleep 61"])
    full = container.top()
    assert full.titles == ("UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD")
    assert full.rows[0][1] == str(container.state().pid) == full.rows[1][2]
    assert container.top(["-o", "pid,comm"]).rows[0] == (str(container.state().pid), "sleep")
    assert container.top(["aux"]).titles[:4] == ("USER", "PID", "%CPU", "%MEM")
    with pytest.raises(InvalidOption, match="known options of ps"):
        container.top(["--forest"])
    container.rm(force=True)
    with pytest.raises(NotFound):
        container.top()


def test_never_pulling_needs_the_image_here(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such image: nowhere"):
        engine.containers.create("nowhere", RunOptions(pull="never"))
    with pytest.raises(NotFound, match="for linux/s390x"):
        engine.containers.create("busybox", RunOptions(pull="never", platform="linux/s390x", command=("true",)))
    container = engine.containers.create("busybox", RunOptions(pull="never", annotations={"a": "b"}))
    assert container.inspect()["HostConfig"]["Annotations"] == {"a": "b"}


def test_what_stood_still_when_its_monitor_was_killed_is_ended(engine: Engine) -> None:
    container = detached(engine, "sleep", "60")
    container.pause()
    pid = container.state().pid
    monitor = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(monitor, signal.SIGKILL)
    until(lambda: not container.running)
    engine.repair()
    until(lambda: not Path(f"/proc/{pid}").exists())
    assert container.state().exit_status == 137
    engine.client.close()


def test_ps_and_inspect_show_them(engine: Engine) -> None:
    container = detached(
        engine, "sh", "-c", "head -c 5000 /dev/zero > /file; exec sleep 60", name="shown", labels={"a": "b"}
    )
    until(lambda: container.size_bytes() >= 5000)
    container.pause()
    table = call(engine, "ps", "-s", "-f", "status=paused", "-f", "label=a", "-f", "ancestor=busybox")  # type: ignore[arg-type]
    assert [each.id for each in table.values] == [container.id]
    assert "(Paused)" in str(table)
    assert "kB (virtual" in str(table)
    template = "{{.State.Status}} {{.Config.Labels.a}} {{range .Config.Cmd}}{{.}} {{end}}{{gt .SizeRw 4999}}"
    assert str(call(engine, "inspect", "-s", "-f", template, "shown")).startswith("paused b sh -c head")  # type: ignore[arg-type]
    container.rm(force=True)
