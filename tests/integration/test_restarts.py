"""Restart policies with real containers: who starts again, what a pause between two runs allows, and what ends it."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest

from dockmagic.container import Container
from dockmagic.engine import Engine
from dockmagic.errors import Conflict, ContainerError, InvalidState
from dockmagic.oci.options import RestartPolicy, RunOptions
from dockmagic.runtime import leftovers
from dockmagic.runtime.cgroup import hierarchy
from dockmagic.runtime.cgroup.group import Group
from tests.integration.containers import Collector, execute, until
from tests.unit.commands.calling import call
from tests.unit.commands.fakes import FakeEngine

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("busybox")]


def command(engine: Engine, *words: str) -> str:
    """What a command line gives."""
    return str(call(cast("FakeEngine", engine), *words))


ALWAYS = RestartPolicy("always")
LIMITS = ("memory.limit_in_bytes", "memory.max")
UNLESS_STOPPED = RestartPolicy("unless-stopped")
FAILING = ("sh", "-c", "echo run; exit 3")


def detached(engine: Engine, *command: str, **options: object) -> Container:
    return engine.containers.run_detached("busybox", RunOptions(command=command, **options))  # type: ignore[arg-type]


@contextmanager
def resting(engine: Engine, **options: object) -> Iterator[Container]:
    """A container that has ended, and doesn't start again while the block works on its files."""
    container = detached(engine, "sh", "-c", "echo run; cat /go; exit 3", restart=ALWAYS, **options)
    with leftovers.lock(engine.root / "containers" / container.id, fcntl.LOCK_SH):
        until(lambda: container.state().status == "restarting")
        yield container


def test_a_failure_is_tried_again_so_many_times(engine: Engine) -> None:
    seen = Collector()
    options = RunOptions(name="tried", command=FAILING, restart=RestartPolicy("on-failure", 2))
    assert engine.containers.run("busybox", options, on_event=seen).exit_status == 3
    assert seen.streams["stdout"] == b"run\n"  # who is attached is so to the first run
    container = engine.containers.get("tried")
    assert [line.data for line in container.logs()] == [b"run\n"] * 3
    found = container.inspect()
    assert (found["RestartCount"], found["State"]["Status"], found["State"]["ExitCode"]) == (2, "exited", 3)
    assert found["HostConfig"]["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 2}
    actions = [entry.action for entry in engine.journal.entries(until_ns=time.time_ns()) if entry.id == container.id]
    assert actions == ["create", *["start", "die"] * 3]


def test_a_success_is_enough_on_failure(engine: Engine) -> None:
    container = detached(engine, "true", restart=RestartPolicy("on-failure"))
    assert (container.wait(), container.state().restart_count) == (0, 0)


def test_between_two_runs(engine: Engine) -> None:
    with resting(engine) as container:
        found = container.inspect()["State"]
        assert (found["Status"], found["Running"], found["Restarting"], found["ExitCode"]) == (
            *("restarting", True, True, 3),
        )
        listed = command(engine, "ps", "--filter", "status=restarting", "--format", "{{.ID}} {{.Status}}")
        assert listed.startswith(f"{container.id[:12]} Restarting (3) ")
        waiting = f"container {container.id} is restarting, wait until the container is running"
        with pytest.raises(InvalidState, match=waiting):
            execute(container, "true")
        for refused in (container.pause, container.top, container.stats):
            with pytest.raises(InvalidState, match=waiting):
                refused()
        with pytest.raises(ContainerError, match="You cannot attach to a restarting container, wait until it is"):
            container.attach()
        with pytest.raises(Conflict, match="it is restarting; stop it first"):
            container.rm()
        container.start()
        before = container.state().restart_count
    until(lambda: container.state().restart_count > before)
    container.rm(force=True)


def test_a_stop_between_two_runs_is_the_end(engine: Engine) -> None:
    with resting(engine) as container:
        container.stop()
        state = container.state()
        assert (state.status, state.exit_status) == ("exited", 3)
    container.start()
    until(lambda: container.state().restart_count == 1)
    container.kill()
    assert container.wait() == 3


@pytest.mark.parametrize("policy", [ALWAYS, UNLESS_STOPPED])
def test_what_is_stopped_stays_so(engine: Engine, policy: RestartPolicy) -> None:
    container = detached(engine, "sleep", "60", restart=policy)
    container.stop(0)
    assert (container.state().status, container.state().restart_count) == ("exited", 0)
    container.start()
    container.restart(0)
    assert container.state().status == "running"
    container.kill()
    assert container.wait() == 137


def test_what_dies_by_itself_starts_again_in_a_sandbox_like_the_first(engine: Engine) -> None:
    script = "hostname; cat /etc/hostname; id -u; sleep 60"
    container = detached(engine, "sh", "-c", script, restart=ALWAYS, user="7", hostname="twice", memory_bytes=32 << 20)
    for runs in (1, 2):
        until(lambda: len(list(container.logs())) == 3 * runs)  # noqa: B023
        os.kill(container.state().pid, signal.SIGKILL)
        until(lambda: container.state().restart_count == runs and container.state().running)  # noqa: B023
        container.update(memory_bytes=64 << 20, memory_swap_bytes=64 << 20)
    until(lambda: len(list(container.logs())) == 9)
    assert b"".join(line.data for line in container.logs()) == b"twice\ntwice\n7\n" * 3
    paths = Group(hierarchy.detect(), container.state().cgroup).paths()
    limits = [Path(directory) / name for directory in paths.values() for name in LIMITS]
    assert {path.read_text().strip() for path in limits if path.exists()} == {str(64 << 20)}
    container.rm(force=True)


def test_a_policy_is_changed_while_it_runs(engine: Engine) -> None:
    container = detached(engine, "sh", "-c", "while ! test -f /go; do sleep 0.02; done; exit 3")
    assert command(engine, "update", "--restart", "on-failure:1", container.name) == container.name
    execute(container, "touch", "/go")
    assert container.wait() == 3
    assert container.state().restart_count == 1
    assert engine.containers.get(container.name).row.options.restart == RestartPolicy("on-failure", 1)


def test_a_run_that_cannot_start_is_the_last(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "go").write_text("#!/bin/sh\nrm /go\nexit 3\n")
    (tmp_path / "go").chmod(0o755)
    container = engine.containers.create("busybox", RunOptions(command=("/go",), restart=ALWAYS))
    container.copy_to(tmp_path / "go", "/go")
    container.start()
    container.wait()
    state = container.state()
    assert (state.status, state.exit_status, state.restart_count) == ("exited", 127, 1)
    assert "/go" in state.error


def test_another_s_namespace_is_joined_anew(engine: Engine) -> None:
    other = detached(engine, "sleep", "60")
    script = "readlink /proc/self/ns/net; exit 3"
    policy = RestartPolicy("on-failure", 1)
    container = detached(engine, "sh", "-c", script, restart=policy, network=f"container:{other.id}")
    container.wait()
    found = {line.data.decode().strip() for line in container.logs()}
    assert found == {str(Path(f"/proc/{other.state().pid}/ns/net").readlink())}
    other.rm(force=True)


def test_its_networks_are_joined_anew(engine: Engine) -> None:
    command(engine, "network", "create", "later")
    container = detached(engine, "sleep", "60", restart=ALWAYS)
    command(engine, "network", "connect", "later", container.name)
    look = ("sh", "-c", "ip -o -4 addr; ip route; ip -o link | grep -o link/ether.*")
    before = execute(container, *look).stdout
    os.kill(container.state().pid, signal.SIGKILL)
    until(lambda: container.state().restart_count == 1 and container.state().running)
    assert execute(container, *look).stdout == before
    gateway = before.partition("default via ")[2].split()[0]
    assert execute(container, "ping", "-c", "1", "-W", "2", gateway).status == 0
    container.rm(force=True)
    command(engine, "network", "rm", "later")


def test_it_goes_on_without_the_engine_and_the_launcher(engine: Engine, state_root: Path) -> None:
    line = [sys.executable, "-m", "dockmagic", "run", "-d", "--name", "alone", "--restart", "always", "busybox"]
    with subprocess.Popen([*line, "sleep", "0.05"], stdout=subprocess.PIPE) as process:
        process.wait()
    container = engine.containers.get("alone")
    until(lambda: container.state().restart_count >= 2)
    container.rm(force=True)


def test_one_in_the_foreground_ends_with_who_waits_for_it(engine: Engine) -> None:
    line = [sys.executable, "-m", "dockmagic", "run", "--name", "watched", "--restart", "always", "busybox"]
    with subprocess.Popen([*line, "sh", "-c", "echo; sleep 60"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
    container = engine.containers.get("watched")
    assert (container.wait(), container.state().restart_count) == (137, 0)


def monitor_of(container: Container) -> int:
    fields = Path(f"/proc/{container.state().pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[1])


def test_what_lost_its_monitor_is_started_by_the_next_engine(engine: Engine, state_root: Path) -> None:
    lasting = detached(engine, "sleep", "60", restart=UNLESS_STOPPED)
    other = detached(engine, "sleep", "60", restart=RestartPolicy("on-failure"))
    for container in (lasting, other):
        until(lambda: (state_root / "containers" / container.id / "state.json").exists())  # noqa: B023
        os.kill(monitor_of(container), signal.SIGKILL)
        until(lambda: not container.running)  # noqa: B023
    with Engine(state_root) as second:
        assert [each.id for each in second.containers.ls()] == [lasting.id]
    lasting.rm(force=True)


def test_after_a_boot(engine: Engine, state_root: Path) -> None:
    stopped = {name: detached(engine, "sleep", "60", restart=RestartPolicy(name)) for name in (
        "always", "unless-stopped", "on-failure"
    )}  # fmt: skip
    for container in stopped.values():
        container.stop(0)
    with Engine(state_root) as second:
        assert second.containers.ls() == []
    for container in stopped.values():
        path = state_root / "containers" / container.id / "state.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "boot": "another"}))
    with Engine(state_root) as second:
        assert [each.id for each in second.containers.ls()] == [stopped["always"].id]
    stopped["always"].rm(force=True)
