"""Detached containers: start, stop, kill, wait, logs, exec, rm, and what a second engine sees of them."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest

from dockmagic.container import Container
from dockmagic.engine import Engine
from dockmagic.errors import Conflict, InvalidOption, InvalidState, StartFailed
from dockmagic.oci.options import ExecOptions, RunOptions
from tests.integration.containers import execute, until

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("busybox")]


def detached(engine: Engine, *command: str, **options: object) -> Container:
    return engine.containers.run_detached("busybox", RunOptions(command=command, **options))  # type: ignore[arg-type]


def test_a_container_goes_through_its_states(engine: Engine) -> None:
    container = engine.containers.create("busybox", RunOptions(command=("sh", "-c", "sleep 0.3; exit 5")))
    assert container.state().status == "created"
    container.start()
    state = container.state()
    assert (state.status, state.pid > 0, state.started_ns > 0) == ("running", True, True)
    assert container.wait() == 5
    state = container.state()
    assert (state.status, state.exit_status, state.pid) == ("exited", 5, 0)
    assert state.finished_ns > state.started_ns


def test_what_a_container_wrote_survives_a_restart(engine: Engine) -> None:
    container = detached(engine, "sh", "-c", "echo run >> /count; wc -l < /count")
    container.wait()
    container.start()
    container.wait()
    assert [line.data for line in container.logs()] == [b"1\n", b"2\n"]


def test_starting_a_running_container_changes_nothing(engine: Engine) -> None:
    container = detached(engine, "sleep", "60")
    pid = container.state().pid
    container.start()
    assert container.state().pid == pid
    container.rm(force=True)


def test_stop_asks_first_and_kills_after_the_time(engine: Engine) -> None:
    polite = detached(engine, "sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.05; done")
    until(lambda: "sleep" in execute(polite, "ps").stdout)
    polite.stop()
    assert polite.state().exit_status == 7
    deaf = detached(engine, "sleep", "60")
    started = time.monotonic()
    deaf.stop(0.3)
    assert 0.3 <= time.monotonic() - started < 5
    assert deaf.state().exit_status == 137


def test_stop_uses_the_images_signal(engine: Engine) -> None:
    engine.build("FROM busybox\nSTOPSIGNAL SIGUSR1", tags=["usr1"])
    script = "trap 'exit 9' USR1; echo ready; while :; do sleep 0.05; done"
    container = engine.containers.run_detached("usr1", RunOptions(command=("sh", "-c", script)))
    until(lambda: bool(list(container.logs())))
    container.stop()
    assert container.state().exit_status == 9


def test_stopping_what_has_ended_is_fine_and_killing_it_is_not(engine: Engine) -> None:
    container = detached(engine, "true")
    container.wait()
    container.stop()
    with pytest.raises(InvalidState, match=r"cannot kill container .*: it is exited"):
        container.kill()
    with pytest.raises(InvalidOption, match="invalid signal: NOPE"):
        container.kill("NOPE")


def test_rm_refuses_a_running_container_unless_forced(engine: Engine) -> None:
    container = detached(engine, "sleep", "60", name="busy")
    with pytest.raises(Conflict, match="it is running; stop it first"):
        container.rm()
    container.rm(force=True)
    assert engine.containers.ls(all=True) == []


def test_a_detached_container_with_rm_removes_itself(engine: Engine, state_root: Path) -> None:
    container = detached(engine, "sleep", "0.2", remove=True)
    container.wait()
    until(lambda: engine.containers.ls(all=True) == [])
    until(lambda: not list((state_root / "containers").iterdir()))


def test_logs_have_both_streams_with_times_and_a_tail(engine: Engine) -> None:
    container = detached(engine, "sh", "-c", "echo one; sleep 0.1; echo two >&2; sleep 0.1; printf three")
    container.wait()
    lines = list(container.logs())
    assert [(line.stream, line.data) for line in lines] == [
        ("stdout", b"one\n"),
        ("stderr", b"two\n"),
        ("stdout", b"three"),
    ]
    assert lines[0].time_ns < lines[1].time_ns
    assert [line.data for line in container.logs(tail=1)] == [b"three"]


def test_bytes_that_are_no_text_come_back_from_the_log(engine: Engine) -> None:
    container = detached(engine, "printf", "\\xff\\xfe\\n")
    container.wait()
    assert [line.data for line in container.logs()] == [b"\xff\xfe\n"]


def test_following_the_log_ends_with_the_container(engine: Engine) -> None:
    container = detached(engine, "sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.1; done")
    assert b"".join(line.data for line in container.logs(follow=True)) == b"1\n2\n3\n"


def test_exec_runs_beside_process_1_with_its_own_status(engine: Engine) -> None:
    container = detached(engine, "sleep", "60")
    outcome = execute(container, "sh", "-c", "ps | grep -c sleep; echo err >&2; exit 4")
    assert (outcome.status, outcome.stderr) == (4, "err\n")
    pid = container.state().pid
    for kind in ("mnt", "uts", "ipc", "pid", "net", "cgroup"):
        theirs = str(Path(f"/proc/{pid}/ns/{kind}").readlink())
        assert execute(container, "readlink", f"/proc/self/ns/{kind}").stdout.strip() == theirs, kind
    container.rm(force=True)


def test_exec_joins_the_cgroup_and_keeps_the_confinement(engine: Engine) -> None:
    container = detached(engine, "sleep", "60", memory_bytes=64 << 20)
    inside = execute(container, "sh", "-c", "cat /proc/self/cgroup; grep -E 'CapEff|Seccomp:' /proc/self/status").stdout
    assert "memory:/\n" in inside or "0::/\n" in inside
    assert "CapEff:\t00000000a80425fb" in inside
    assert "Seccomp:\t2" in inside
    container.rm(force=True)


def test_exec_takes_user_directory_variables_and_input(engine: Engine, tmp_path: Path) -> None:
    container = detached(engine, "sleep", "60", env=("A=1", "B=1"))
    outcome = execute(container, "sh", "-c", "id -u; pwd; echo $A$B", user="nobody", workdir="/tmp", env=("B=2",))
    assert outcome.stdout == "65534\n/tmp\n12\n"
    source = tmp_path / "in"
    source.write_text("typed\n")
    descriptor = os.open(source, os.O_RDONLY)
    assert execute(container, "cat", stdin=descriptor, interactive=True).stdout == "typed\n"
    os.close(descriptor)
    container.rm(force=True)


def test_exec_reports_what_can_t_be_run(engine: Engine) -> None:
    container = detached(engine, "sleep", "60")
    with pytest.raises(StartFailed, match="not found") as caught:
        execute(container, "no-such-program")
    assert caught.value.exit_status == 127
    container.rm(force=True)
    stopped = engine.containers.create("busybox", RunOptions(command=("true",)))
    with pytest.raises(InvalidState, match=rf"container {stopped.id} is not running"):
        execute(stopped, "true")


def test_exec_makes_no_working_directory(engine: Engine) -> None:
    container = detached(engine, "sleep", "60")
    with pytest.raises(StartFailed, match="enter the working directory /nowhere"):
        execute(container, "true", workdir="/nowhere")
    container.rm(force=True)


def test_real_time_signals_have_names(engine: Engine) -> None:
    container = detached(engine, "sh", "-c", "trap 'exit 5' 37; echo ready; while :; do sleep 0.05; done")
    until(lambda: bool(list(container.logs())))
    container.kill("RTMIN+3")
    assert container.wait() == 5
    with pytest.raises(InvalidOption, match="invalid signal"):
        container.kill("RTMIN+99")


def test_exec_in_the_background_outlives_the_call(engine: Engine) -> None:
    container = detached(engine, "sleep", "60")
    assert container.exec(ExecOptions(("sh", "-c", "sleep 0.2; touch /done; sleep 60"), detach=True)) == 0
    until(lambda: execute(container, "ls", "/done").status == 0)
    container.rm(force=True)


def test_the_end_of_process_1_ends_what_exec_started(engine: Engine) -> None:
    container = detached(engine, "sleep", "0.5")
    outcome = execute(container, "sleep", "60")
    assert outcome.status == 137


def test_a_second_engine_finds_and_handles_the_same_containers(engine: Engine, state_root: Path) -> None:
    container = detached(engine, "sh", "-c", "echo hello; sleep 60", name="shared")
    other = Engine(state_root)
    until(lambda: bool(list(other.containers.get("shared").logs())))
    assert execute(other.containers.get("shared"), "echo", "hi").stdout == "hi\n"
    other.containers.get("shared").stop(0)
    assert container.state().status == "exited"
    other.close()


def test_a_detached_container_outlives_its_engine(engine: Engine, state_root: Path) -> None:
    first = Engine(state_root)
    started = first.containers.run_detached("busybox", RunOptions(command=("sleep", "60"), name="survivor"))
    first.close()
    assert engine.containers.get("survivor").state().pid == started.state().pid
    engine.containers.get("survivor").rm(force=True)


def test_waiting_from_several_threads(engine: Engine) -> None:
    container = detached(engine, "sh", "-c", "sleep 0.3; exit 6")
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(container.wait())) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [6] * 5


def test_inspect_has_dockers_shape(engine: Engine) -> None:
    container = detached(engine, "sleep", "60", name="seen", memory_bytes=64 << 20, cpus=0.5, env=("A=1",))
    document = json.loads(json.dumps(container.inspect()))
    assert document["Name"] == "/seen"
    assert document["State"]["Status"] == "running"
    assert document["State"]["Pid"] == container.state().pid
    assert document["HostConfig"]["Memory"] == 64 << 20
    assert document["HostConfig"]["NanoCpus"] == 500_000_000
    assert "A=1" in document["Config"]["Env"]
    container.rm(force=True)


def test_stats_are_of_the_moment_and_of_running_containers_only(engine: Engine) -> None:
    container = detached(engine, "sh", "-c", "while :; do :; done", remove=True)
    first = container.stats()
    until(lambda: container.stats().cpu_ns > first.cpu_ns)
    assert first.pids == 1
    container.rm(force=True)
    created = engine.containers.create("busybox", RunOptions(command=("true",)))
    with pytest.raises(InvalidState, match="it is created"):
        created.stats()


def test_many_containers_at_once(engine: Engine) -> None:
    def one(number: int) -> None:
        result = engine.containers.run("busybox", RunOptions(command=("sh", "-c", f"exit {number}"), remove=True))
        statuses[number] = result.exit_status

    statuses = [-1] * 24
    threads = [threading.Thread(target=one, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == list(range(24))
