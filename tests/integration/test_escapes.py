"""Attempts of a container, or of who made its image, to reach the host; each must come to nothing."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dockmagic.container import Container
from dockmagic.engine import Engine
from dockmagic.errors import StartFailed
from dockmagic.oci.options import RunOptions
from dockmagic.oci.spec import Mount
from dockmagic.runtime.state import Status
from tests.integration.containers import execute, run, shell, until

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("busybox")]


@pytest.fixture
def sleeper(engine: Engine) -> Iterator[Container]:
    """A container that does nothing, to try to enter it."""
    container = engine.containers.run_detached("busybox", RunOptions(command=("sleep", "600")))
    yield container
    container.rm(force=True)


def image(engine: Engine, change: Callable[[Path], None]) -> str:
    """An image whose files are those of busybox, changed in a way that no build would allow."""
    engine.build("FROM busybox\nRUN touch /own", tags=["hostile"])
    change(engine.snapshots.path(engine.images.get("hostile").chain_ids[-1]))
    return "hostile"


def etc(name: str, make: Callable[[Path], object]) -> Callable[[Path], None]:
    """A change that makes something else of a file in /etc."""

    def change(tree: Path) -> None:
        (tree / "etc").mkdir(exist_ok=True)
        (tree / "etc" / name).unlink(missing_ok=True)
        make(tree / "etc" / name)

    return change


def sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 30)


# -- descriptors and directories -------------------------------------------------------------------------------


def test_no_working_directory_is_found_behind_a_descriptor(engine: Engine, sleeper: Container) -> None:
    for number in range(3, 16):
        with pytest.raises(StartFailed, match="enter the working directory"):
            run(engine, "pwd", workdir=f"/proc/self/fd/{number}")
        with pytest.raises(StartFailed, match="enter the working directory"):
            execute(sleeper, "pwd", workdir=f"/proc/self/fd/{number}")


def test_no_program_is_found_behind_a_descriptor(engine: Engine, sleeper: Container) -> None:
    for number in range(3, 16):
        with pytest.raises(StartFailed, match="exec: "):
            run(engine, f"/proc/self/fd/{number}")
        with pytest.raises(StartFailed, match="exec: "):
            execute(sleeper, f"/proc/self/fd/{number}")


def test_the_root_s_own_links_lead_to_the_root(engine: Engine, sleeper: Container) -> None:
    for path in ("/proc/self/root", "/proc/1/root", "/proc/self/cwd", "/proc/1/cwd", "/../../.."):
        assert run(engine, "ls", "-d", "bin", workdir=path).stdout == "bin\n"
        assert execute(sleeper, "ls", "-d", "bin", workdir=path).stdout == "bin\n"


def test_an_executed_process_has_three_descriptors(sleeper: Container) -> None:
    assert execute(sleeper, "ls", "/proc/self/fd").stdout.split() == ["0", "1", "2", "3"]  # 3 is ls's own
    assert execute(sleeper, "ls", "/proc/1/fd").stdout.split() == ["0", "1", "2"]


def test_the_host_s_null_device_can_t_be_changed(engine: Engine, sleeper: Container) -> None:
    def now() -> tuple[int, int, int]:
        status = Path("/dev/null").stat()
        return status.st_mode, status.st_uid, status.st_gid

    before = now()
    script = "chmod 0600 /proc/self/fd/0 && chown 7:7 /proc/self/fd/0 && stat -c %a /dev/null"
    try:
        shell(engine, "true", user="nobody")
        assert execute(sleeper, "true", user="nobody").status == 0
        assert now() == before
        assert shell(engine, script) == "600\n"
        assert execute(sleeper, "sh", "-c", script).stdout == "600\n"
        assert now() == before
    finally:
        Path("/dev/null").chmod(0o666)
        os.chown("/dev/null", 0, 0)


@pytest.mark.parametrize("other", ["mkfifo /dev/null", "ln -s /proc/kmsg /dev/null", "mknod /dev/null c 1 5"])
def test_nothing_else_is_opened_as_the_null_device(engine: Engine, other: str) -> None:
    command = ("sh", "-c", f"rm /dev/null; {other}; touch /done; sleep 600")
    container = engine.containers.run_detached("busybox", RunOptions(command=command))
    upper = engine.root / "containers" / container.id / "upper"
    until(lambda: (upper / "done").exists())
    with pytest.raises(StartFailed, match="/dev/null"):
        execute(container, "true")
    container.rm(force=True)


# -- processes -------------------------------------------------------------------------------------------------


def test_a_signal_to_its_process_group_reaches_only_the_container(engine: Engine, sleeper: Container) -> None:
    other = engine.containers.run_detached("busybox", RunOptions(command=("sleep", "600")))
    assert execute(sleeper, "sh", "-c", "kill -9 0").status == 137
    assert (sleeper.state().status, other.state().status) == (Status.RUNNING, Status.RUNNING)
    execute(other, "sh", "-c", "kill -9 -1")
    assert other.state().status == Status.RUNNING
    other.rm(force=True)


def test_every_process_leads_a_session_without_a_terminal(engine: Engine, sleeper: Container) -> None:
    cut = ("cut", "-d", " ", "-f", "1,5,6,7", "/proc/self/stat")
    assert run(engine, *cut).stdout == "1 1 1 0\n"
    number, group, session, terminal = execute(sleeper, *cut).stdout.split()
    assert (group, session, terminal) == (number, number, "0")
    assert "can't open" in execute(sleeper, "sh", "-c", ": < /dev/tty").stderr


def test_a_container_that_stops_what_enters_it_hangs_nobody(engine: Engine) -> None:
    command = ("sh", "-c", "while :; do kill -STOP -1; done")
    container = engine.containers.run_detached("busybox", RunOptions(command=command))
    for _ in range(5):
        with contextlib.suppress(StartFailed):
            execute(container, "true", detach=True)
    assert container.state().status == Status.RUNNING
    container.rm(force=True)


def test_what_enters_a_container_can_t_be_looked_into(sleeper: Container) -> None:
    look = (
        "end=$(($(date +%s) + 2)); while [ $(date +%s) -lt $end ]; do for p in /proc/[0-9]*; do"
        " [ $p = /proc/1 ] || [ $p = /proc/$$ ] || readlink $p/exe $p/fd/3 $p/fd/4 $p/fd/5; done; done"
    )
    seen: list[str] = []
    looking = threading.Thread(target=lambda: seen.append(execute(sleeper, "sh", "-c", look).stdout))
    looking.start()
    while looking.is_alive():
        execute(sleeper, "true", user="nobody")
    assert {line for line in seen[0].splitlines() if line != "/bin/busybox" and not line.startswith("/proc/")} == set()


def test_the_environment_of_the_engine_stays_outside(
    engine: Engine, sleeper: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://secret@proxy")
    expected = {"PATH", "HOSTNAME", "HOME"}
    assert {line.partition("=")[0] for line in shell(engine, "exec env").splitlines()} - {"PWD", "SHLVL"} == expected
    assert {line.partition("=")[0] for line in execute(sleeper, "env").stdout.splitlines()} == expected
    names = {entry.partition("=")[0] for entry in execute(sleeper, "cat", "/proc/1/environ").stdout.split("\0")}
    assert names - {""} == expected


def test_an_executed_process_is_confined_like_the_first(sleeper: Container) -> None:
    fields = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "Seccomp", "NoNewPrivs", "SigIgn", "SigBlk", "Groups")
    search = ("grep", "-E", f"^({'|'.join(fields)}):")
    first = execute(sleeper, *search, "/proc/1/status").stdout
    assert execute(sleeper, *search, "/proc/self/status").stdout == first
    assert first.count("\n") == len(fields)
    nobody = execute(sleeper, "grep", "-E", "Cap(Inh|Prm|Eff|Amb)", "/proc/self/status", user="nobody").stdout
    assert [line.split()[1] for line in nobody.splitlines()] == ["0" * 16] * 4


# -- what an image brings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        os.mkfifo,
        Path.mkdir,
        sparse,
        lambda path: os.mknod(path, 0o20666, os.makedev(1, 5)),
        lambda path: path.symlink_to("/proc/self/fd/0"),
        lambda path: path.symlink_to(path.name),
    ],
    ids=["pipe", "directory", "huge", "zero", "stream", "loop"],
)
@pytest.mark.parametrize("name", ["passwd", "group"])
def test_a_user_file_that_is_none_ends_the_start(engine: Engine, name: str, make: Callable[[Path], None]) -> None:
    with pytest.raises(StartFailed, match=f"read /etc/passwd and /etc/group: /etc/{name}: "):
        run(engine, "true", image=image(engine, etc(name, make)))


def test_a_user_file_in_proc_is_empty(engine: Engine) -> None:
    hostile = image(engine, etc("passwd", lambda path: path.symlink_to("/proc/kmsg")))
    assert run(engine, "id", "-u", image=hostile).stdout == "0\n"


def test_a_user_file_that_becomes_a_pipe_hangs_nobody(sleeper: Container) -> None:
    assert execute(sleeper, "sh", "-c", "rm /etc/passwd && mkfifo /etc/passwd").status == 0
    with pytest.raises(StartFailed, match="not a regular file"):
        execute(sleeper, "true")
    assert sleeper.state().status == Status.RUNNING


@pytest.mark.parametrize("number", ["4294967295", "4294967296", "9" * 5000])
def test_a_number_that_no_user_has_makes_nobody_root(engine: Engine, number: str) -> None:
    text = f"app:x:{number}:{number}::/:/bin/sh\n"
    hostile = image(engine, etc("passwd", lambda path: path.write_text(text)))
    for user in ("app", number):
        with pytest.raises(StartFailed, match=r"unable to find user|in range"):
            run(engine, "id", image=hostile, user=user)


@pytest.mark.parametrize("link", ["/proc/self/status", "/proc/1/attr/current", "../proc/version"])
def test_no_link_of_an_image_puts_a_mount_into_proc(engine: Engine, link: str) -> None:
    hostile = image(engine, etc("hosts", lambda path: path.symlink_to(link)))
    with pytest.raises(StartFailed, match="/proc"):
        run(engine, "true", image=hostile)


def test_a_dangling_link_for_a_mount_is_followed_below_the_root(engine: Engine, tmp_path: Path) -> None:
    hostile = image(engine, etc("hosts", lambda path: path.symlink_to(f"../../..{tmp_path}/new")))
    assert "localhost" in shell(engine, "cat /etc/hosts", image=hostile)
    assert not (tmp_path / "new").exists()


def test_a_working_directory_behind_a_link_is_made_below_the_root(engine: Engine, tmp_path: Path) -> None:
    def plant(tree: Path) -> None:
        (tree / tmp_path.relative_to("/")).mkdir(parents=True)
        (tree / "work").symlink_to(tmp_path)

    assert shell(engine, "pwd -P", image=image(engine, plant), workdir="/work/new") == f"{tmp_path}/new\n"
    assert not (tmp_path / "new").exists()


def test_a_module_of_the_image_is_never_imported(engine: Engine, tmp_path: Path) -> None:
    def plant(tree: Path) -> None:
        for name in ("traceback", "linecache", "warnings", "_colorize"):
            path = tree / os.__file__.removeprefix("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            (path.parent / f"{name}.py").write_text("open('/planted', 'w')\n")

    hostile = image(engine, plant)
    with pytest.raises(StartFailed, match="null byte"):
        run(engine, "true", image=hostile, env=("A=\0",))
    container = engine.containers.run_detached(hostile, RunOptions(command=("sleep", "600")))
    with pytest.raises(StartFailed, match="null byte"):
        execute(container, "true", env=("A=\0",))
    assert execute(container, "ls", "/planted").status == 1
    container.rm(force=True)


# -- what is left of a container -------------------------------------------------------------------------------


def test_links_left_in_place_of_mount_points_are_not_followed(engine: Engine, tmp_path: Path) -> None:
    victim, source = tmp_path / "victim", tmp_path / "source"
    (victim / "sub").mkdir(parents=True)
    source.mkdir()
    os.utime(victim, (1, 1))
    command = ("sh", "-c", f"mv /data/at /old && ln -s {victim} /data/at")
    mount = Mount("/data/at/sub", "bind", str(source), ("rbind", "rprivate"))
    container = engine.containers.create("busybox", RunOptions(command=command, mounts=(mount,)))
    container.start()
    assert container.wait() == 0
    assert [path.name for path in victim.iterdir()] == ["sub"]
    assert victim.stat().st_mtime == 1


def test_nobody_else_on_the_host_gets_at_a_container_s_files(engine: Engine, sleeper: Container) -> None:
    for directory in (engine.root, engine.run_dir):
        assert directory.stat().st_mode & 0o077 == 0


# -- values that mean something else to the kernel -------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"env": ("A=b\0c",)},
        {"env": ("=b",)},
        {"workdir": "/a\0b"},
        {"hostname": "a\0b"},
        {"user": "a\0b"},
        {"command": ("true", "a\0b")},
        {"command": ("true", "\ud800")},
        {"command": ("true", "x" * 200_000)},
        {"command": ("",)},
    ],
    ids=["env", "name", "workdir", "hostname", "user", "null", "surrogate", "long", "empty"],
)
def test_a_value_that_the_kernel_can_t_take_is_an_error(engine: Engine, options: dict[str, object]) -> None:
    with pytest.raises(StartFailed):
        run(engine, **{"command": ("true",), **options})  # type: ignore[arg-type]


# -- the kernel's own file systems -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/proc/sys/kernel/core_pattern",
        "/proc/sysrq-trigger",
        "/proc/sys/kernel/modprobe",
        "/sys/kernel/uevent_helper",
        "/sys/fs/cgroup/release_agent",
        "/sys/fs/cgroup/memory/release_agent",
        "/sys/fs/cgroup/cgroup.procs",
    ],
)
def test_no_setting_of_the_host_can_be_written_by_any_way(engine: Engine, path: str) -> None:
    for root in ("", "/proc/self/root", "/proc/1/root", "/proc/self/cwd"):
        assert run(engine, "sh", "-c", f"echo x > {root}{path}").status == 1


@pytest.mark.parametrize("path", ["/proc/kmsg", "/proc/kcore", "/dev/mem", "/dev/kmsg"])
def test_the_host_s_memory_and_messages_can_t_be_read(engine: Engine, path: str) -> None:
    script = f"[ -e {path} ] || mknod {path} c 1 11; head -c 1 {path} | wc -c"
    assert run(engine, "sh", "-c", script).stdout.strip() == "0"


def test_devices_can_t_be_opened_below_a_mounted_tmpfs_either(engine: Engine) -> None:
    script = (
        "for d in /dev/shm /tmp /; do mknod $d/disk b 7 0 && head -c 1 $d/disk; mknod $d/mem c 1 1; cat $d/mem; done"
    )
    assert run(engine, "sh", "-c", script).stdout == ""


def parent_of(pid: int) -> int:
    """Number of a process's parent."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_the_runtime_s_own_program_can_t_be_changed_through_proc(sleeper: Container) -> None:
    """A container that names /proc/self/exe as its program gets at the file through the same mount."""
    program = f"/proc/{parent_of(sleeper.state().pid)}/exe"
    with pytest.raises(OSError, match="Read-only file system"):
        os.chmod(program, os.stat(program).st_mode)  # noqa: PTH101, PTH116 - the link itself
    with pytest.raises(OSError, match="Read-only file system"):
        os.utime(program)


# Traces every process that comes into the container, and never asks how one ended.
TRACER = """
import ctypes, time
ptrace = ctypes.CDLL(None).ptrace
while True:
    for pid in range(2, 50):
        ptrace(0x4206, pid, 0, 0)  # PTRACE_SEIZE
    time.sleep(0.01)
"""


def test_a_container_that_traces_what_enters_it_hangs_nobody(engine: Engine) -> None:
    host = Mount("/host", "bind", "/", ("rbind", "ro", "rprivate"))
    command = ("chroot", "/host", sys.executable, "-I", "-S", "-c", TRACER)
    container = engine.containers.run_detached("busybox", RunOptions(command=command, mounts=(host,)))
    statuses: list[int] = []
    thread = threading.Thread(target=lambda: statuses.append(execute(container, "sleep", "0.5").status))
    thread.start()
    thread.join(1.5)
    assert thread.is_alive(), "it wasn't traced"
    started = time.monotonic()
    assert container.state().status is Status.RUNNING
    assert time.monotonic() - started < 1
    container.rm(force=True)
    thread.join(10)
    assert not thread.is_alive()
