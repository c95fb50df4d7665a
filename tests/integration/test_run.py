"""`run`: commands, exit statuses, streams, environment, users, limits, as Docker has them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from dockmagic.engine import Engine
from dockmagic.errors import Conflict, InvalidOption, NotFound, StartFailed
from dockmagic.events import ContainerOutput, ContainerStarted, Event
from dockmagic.oci.options import RunOptions
from dockmagic.oci.spec import Mount, Rlimit
from tests.integration.containers import run, shell

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("busybox")]


def test_streams_stay_apart_and_the_status_comes_back(engine: Engine) -> None:
    outcome = run(engine, "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (outcome.status, outcome.stdout, outcome.stderr) == (3, "out\n", "err\n")


def test_output_arrives_while_the_process_runs(engine: Engine) -> None:
    arrivals: list[float] = []

    def note(event: Event) -> None:
        if isinstance(event, ContainerOutput):
            arrivals.append(time.monotonic())

    engine.containers.run("busybox", RunOptions(command=("sh", "-c", "echo a; sleep 0.5; echo b")), on_event=note)
    assert arrivals[-1] - arrivals[0] > 0.4


def test_megabytes_of_output_arrive_whole(engine: Engine) -> None:
    outcome = run(engine, "sh", "-c", "seq 1 300000")
    assert outcome.stdout == "".join(f"{number}\n" for number in range(1, 300001))


def test_the_images_command_runs_unless_another_is_given(engine: Engine) -> None:
    engine.build('FROM busybox\nENTRYPOINT ["echo", "entry"]\nCMD ["cmd"]', tags=["both"])
    assert run(engine, image="both").stdout == "entry cmd\n"
    assert run(engine, "mine", image="both").stdout == "entry mine\n"
    assert run(engine, "mine", image="both", entrypoint=("echo",)).stdout == "mine\n"


def test_an_entrypoint_of_the_users_clears_the_images_command(engine: Engine) -> None:
    engine.build('FROM busybox\nCMD ["cmd"]', tags=["cmd"])
    assert run(engine, image="cmd", entrypoint=("echo",)).stdout == "\n"


def test_without_any_command_there_is_nothing_to_run(engine: Engine) -> None:
    engine.build("FROM busybox\nENTRYPOINT []\nCMD []", tags=["nothing"])
    with pytest.raises(InvalidOption, match="no command specified"):
        run(engine, image="nothing")


@pytest.mark.parametrize(
    ("command", "status", "words"),
    [
        (("no-such-program",), 127, "executable file not found in \\$PATH"),
        (("/no/such/program",), 127, "no such file or directory"),
        (("",), 127, "executable file not found"),
        (("/etc/passwd",), 126, "permission denied"),
        (("/etc",), 126, "permission denied"),
    ],
)
def test_a_command_that_can_t_be_run_has_dockers_status(
    engine: Engine, command: tuple[str, ...], status: int, words: str
) -> None:
    with pytest.raises(StartFailed, match=words) as caught:
        run(engine, *command)
    assert caught.value.exit_status == status
    assert engine.containers.ls(all=True) == []


def test_a_signal_gives_128_and_its_number(engine: Engine) -> None:
    assert run(engine, "sh", "-c", "sh -c 'kill -9 $$'; exit $?").status == 137
    killed = engine.containers.run_detached("busybox", RunOptions(command=("sleep", "60")))
    killed.kill("KILL")
    assert killed.wait() == 137


def test_a_foreground_container_stays_unless_rm_is_given(engine: Engine) -> None:
    engine.containers.run("busybox", RunOptions(command=("true",), name="kept"))
    (kept,) = engine.containers.ls(all=True)
    assert (kept.name, kept.state().status) == ("kept", "exited")
    kept.rm()


def test_names_are_unique_and_legal(engine: Engine) -> None:
    engine.containers.create("busybox", RunOptions(name="one"))
    with pytest.raises(Conflict, match="already in use by container"):
        engine.containers.create("busybox", RunOptions(name="one"))
    with pytest.raises(InvalidOption, match="only \\[a-zA-Z0-9\\]"):
        engine.containers.create("busybox", RunOptions(name="-bad name"))
    assert "_" in engine.containers.create("busybox", RunOptions()).name


def test_containers_are_found_by_name_and_by_the_beginning_of_their_id(engine: Engine) -> None:
    container = engine.containers.create("busybox", RunOptions(name="found"))
    assert engine.containers.get("found").id == container.id
    assert engine.containers.get(container.id[:6]).id == container.id
    with pytest.raises(NotFound, match="no such container: lost"):
        engine.containers.get("lost")


def test_environment_has_the_defaults_then_the_image_then_the_user(engine: Engine) -> None:
    engine.build("FROM busybox\nENV A=image B=image", tags=["env"])
    lines = set(shell(engine, "env", image="env", env=("B=user", "C=")).splitlines())
    assert {"A=image", "B=user", "C=", "HOME=/root"} <= lines
    assert any(line.startswith("HOSTNAME=") for line in lines)
    assert any(line.startswith("PATH=/usr/local/sbin") for line in lines)


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", "0 0 /root"),
        ("nobody", "65534 65534 /home"),
        ("1234", "1234 0 /"),
        ("1234:99", "1234 99 /"),
        ("daemon:www-data", "1 33 /usr/sbin"),
    ],
)
def test_users_are_looked_up_in_the_containers_own_files(engine: Engine, user: str, expected: str) -> None:
    assert shell(engine, "echo $(id -u) $(id -g) $HOME", user=user) == f"{expected}\n"


def test_an_unknown_user_is_refused(engine: Engine) -> None:
    with pytest.raises(StartFailed, match="unable to find user ghost: no matching entries in passwd file") as caught:
        run(engine, "true", user="ghost")
    assert caught.value.exit_status == 125


def test_added_groups_are_supplementary(engine: Engine) -> None:
    assert shell(engine, "id -G", user="1234", group_add=("www-data", "4321")).split() == ["0", "33", "4321"]


def test_the_working_directory_is_made_where_it_is_missing(engine: Engine) -> None:
    assert shell(engine, "pwd", workdir="/made/here") == "/made/here\n"


def test_host_name_and_hosts_files_are_the_containers(engine: Engine) -> None:
    assert shell(engine, "hostname; cat /etc/hostname", hostname="box") == "box\nbox\n"
    assert "localhost" in shell(engine, "cat /etc/hosts")


def test_standard_input_is_empty_unless_interactive(engine: Engine) -> None:
    assert run(engine, "cat").stdout == ""


def test_standard_input_reaches_an_interactive_container(engine: Engine, tmp_path: Path) -> None:
    source = tmp_path / "input"
    source.write_bytes(b"line\n" * 200_000)
    descriptor = os.open(source, os.O_RDONLY)
    try:
        outcome = run(engine, "wc", "-l", interactive=True, stdin=descriptor)
    finally:
        os.close(descriptor)
    assert outcome.stdout.strip() == "200000"


def test_a_process_that_reads_no_input_ends_all_the_same(engine: Engine, tmp_path: Path) -> None:
    source = tmp_path / "input"
    source.write_bytes(b"x" * (8 << 20))
    descriptor = os.open(source, os.O_RDONLY)
    try:
        assert run(engine, "true", interactive=True, stdin=descriptor).status == 0
    finally:
        os.close(descriptor)


def test_memory_limit_holds_and_an_oom_kill_is_told(engine: Engine) -> None:
    result = engine.containers.run(
        "busybox", RunOptions(command=("sh", "-c", "tail /dev/zero"), memory_bytes=32 << 20, remove=True)
    )
    assert result.oom_killed


def test_memory_below_what_starts_is_refused(engine: Engine) -> None:
    with pytest.raises(InvalidOption, match="minimum memory limit is 6m"):
        run(engine, "true", memory_bytes=1 << 20)
    assert run(engine, "true", memory_bytes=6 << 20).status == 0


def test_cpu_limit_holds(engine: Engine) -> None:
    busy = RunOptions(command=("sh", "-c", "while :; do :; done"), cpus=0.2, remove=True)
    container = engine.containers.run_detached("busybox", busy)
    series = container.watch()
    time.sleep(2)
    usage = series.usage()
    container.rm(force=True)
    assert 0.05 < usage.cpu_cores.mean() < 0.4
    assert usage.throttled.max() > 0


def test_number_of_processes_is_limited(engine: Engine) -> None:
    outcome = run(engine, "sh", "-c", "for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait", pids_limit=4)
    assert "can't fork" in outcome.stderr


def test_ulimits_are_set_and_a_raise_that_isn_t_allowed_is_an_error(engine: Engine) -> None:
    assert shell(engine, "ulimit -n", ulimits=(Rlimit("RLIMIT_NOFILE", 64, 128),)) == "64\n"
    with pytest.raises(StartFailed, match=r"--ulimit nofile=.*the host's own limit is"):
        run(engine, "true", ulimits=(Rlimit("RLIMIT_NOFILE", 1 << 30, 1 << 30),))


def test_a_bind_mount_shows_the_hosts_files(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("host\n")
    bind = Mount("/data/deep", "bind", str(tmp_path), ("rbind", "rprivate"))
    assert shell(engine, "cat /data/deep/file; echo new > /data/deep/new", mounts=(bind,)) == "host\n"
    assert (tmp_path / "new").read_text() == "new\n"


def test_a_read_only_bind_mount_can_t_be_written(engine: Engine, tmp_path: Path) -> None:
    bind = Mount("/data", "bind", str(tmp_path), ("rbind", "rprivate", "ro"))
    assert "Read-only file system" in run(engine, "touch", "/data/x", mounts=(bind,)).stderr


def test_a_file_can_be_bind_mounted(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("host\n")
    bind = Mount("/etc/mine", "bind", str(tmp_path / "file"), ("rbind", "rprivate"))
    assert shell(engine, "cat /etc/mine", mounts=(bind,)) == "host\n"


def test_a_missing_bind_source_is_an_error(engine: Engine, tmp_path: Path) -> None:
    bind = Mount("/data", "bind", str(tmp_path / "missing"), ("rbind", "rprivate"))
    with pytest.raises(StartFailed, match="missing"):
        run(engine, "true", mounts=(bind,))


def test_tmpfs_and_a_read_only_root(engine: Engine) -> None:
    tmpfs = Mount("/scratch", "tmpfs", "tmpfs", ("rw", "noexec", "nosuid", "nodev", "size=1m"))
    script = "touch /scratch/x; touch /x 2>&1; mount | grep ' /scratch '"
    outcome = run(engine, "sh", "-c", script, tmpfs=(tmpfs,), read_only=True)
    assert "/x: Read-only file system" in outcome.stdout
    assert "size=1024k" in outcome.stdout


def test_shm_has_the_size_asked_for(engine: Engine) -> None:
    assert "65536k" in shell(engine, "mount | grep /dev/shm")
    assert "size=1024k" in shell(engine, "mount | grep /dev/shm", shm_size_bytes=1 << 20)


def test_the_hosts_network_can_be_shared(engine: Engine) -> None:
    own, shared = (
        shell(engine, "readlink /proc/self/ns/net"),
        shell(engine, "readlink /proc/self/ns/net", network="host"),
    )
    host = str(Path("/proc/self/ns/net").readlink())
    assert shared.strip() == host != own.strip()


def test_an_interrupt_ends_the_container_at_once(engine: Engine) -> None:
    def interrupt(event: Event) -> None:
        if isinstance(event, ContainerStarted):
            signal.raise_signal(signal.SIGINT)

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        engine.containers.run("busybox", RunOptions(command=("sleep", "60"), remove=True), on_event=interrupt)
    assert time.monotonic() - started < 5
    assert engine.containers.ls(all=True) == []


def test_a_process_that_handles_the_interrupt_may_clean_up(engine: Engine) -> None:
    said: list[bytes] = []

    def interrupt(event: Event) -> None:
        if isinstance(event, ContainerOutput):
            said.append(event.data)
            if event.data == b"ready\n":
                signal.raise_signal(signal.SIGINT)

    script = "trap 'echo cleaned; exit 0' INT; echo ready; while :; do sleep 0.1; done"
    with pytest.raises(KeyboardInterrupt):
        engine.containers.run("busybox", RunOptions(command=("sh", "-c", script), remove=True), on_event=interrupt)
    assert b"".join(said) == b"ready\ncleaned\n"
