"""What holds for every process of a container, however it came into it; SECURITY.md says so."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockmagic.container import Container
from dockmagic.engine import Engine
from dockmagic.errors import DockmagicError
from dockmagic.oci.options import RunOptions
from tests.integration.containers import Outcome, execute, run, shell
from tests.integration.intruder import bind, interpreter, python

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("busybox")]


@pytest.fixture
def sleeper(engine: Engine) -> Iterator[Container]:
    """A container that does nothing, with this machine's Python to be entered."""
    options = RunOptions(command=("sleep", "600"), mounts=interpreter())
    container = engine.containers.run_detached("busybox", options)
    yield container
    container.rm(force=True)


def words(outcome: Outcome) -> list[str]:
    """What a process said; it has to end well."""
    assert (outcome.status, outcome.stderr) == (0, "")
    return outcome.stdout.split()


def test_no_mount_passes_anything_on(engine: Engine, tmp_path: Path) -> None:
    lines = shell(engine, "cat /proc/self/mountinfo", mounts=(bind(tmp_path, "/data"), bind("/", "/host"))).splitlines()
    assert len(lines) > 20
    assert [line for line in lines if " - " not in line or line.split(" - ")[0].split()[6:]] == []


def test_no_mount_of_a_container_is_the_host_s(engine: Engine) -> None:
    shell(engine, "mkdir /m && mount -t tmpfs none /m && mount -t tmpfs none /dev/shm", cap_add=("SYS_ADMIN",))
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    assert [line for line in lines if str(engine.root) in line or str(engine.run_dir) in line or " /m " in line] == []


@pytest.mark.parametrize("strict", [False, True])
def test_set_user_id_programs_give_nothing_under_no_new_privileges(engine: Engine, strict: bool) -> None:
    code = """
import shutil
shutil.copy(sys.executable, "/python"), os.chmod("/python", 0o4755)
os.setgid(1000), os.setuid(1000)
look = "print(*(line for line in open('/proc/self/status') if line.startswith(('Uid', 'CapEff'))))"
os.execv("/python", ["python", "-I", "-S", "-c", look])
"""
    said = words(run(engine, *python(code), mounts=interpreter(), no_new_privileges=strict))
    assert said[1:3] == (["1000", "1000"] if strict else ["1000", "0"])
    assert (int(said[6], 16) == 0) == strict


def test_every_container_and_every_exec_has_a_session_keyring_of_its_own(engine: Engine) -> None:
    """Number 0 of keyctl(2) gives the serial of the session keyring."""
    numbers = f"libc.syscall({ {'x86_64': 250, 'aarch64': 219}[os.uname().machine] }, 0, -3, 0)"
    command = python(f"print({numbers})")
    options = RunOptions(command=("sleep", "600"), mounts=interpreter(), seccomp="unconfined")
    container = engine.containers.run_detached("busybox", options)
    seen = [*words(execute(container, *command)), *words(execute(container, *command))]
    container.rm(force=True)
    seen += words(run(engine, *command, mounts=interpreter(), seccomp="unconfined"))
    seen += words(run(engine, *command, mounts=interpreter(), init=True, seccomp="unconfined"))
    code = f"import ctypes; libc = ctypes.CDLL(None); print({numbers})"
    seen += subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert len(set(seen)) == len(seen) == 5
    assert words(run(engine, *command, mounts=interpreter())) == ["-1"]


def test_the_user_s_terminal_never_gets_in(engine: Engine, sleeper: Container) -> None:
    """Only pipes, and terminals of the container's own, whose input nobody else reads."""
    master, slave = pty.openpty()
    try:
        look = ("readlink", "/proc/self/fd/0")
        for interactive in (False, True):
            assert words(run(engine, *look, stdin=slave, interactive=interactive))[0].startswith("pipe:")
            assert words(execute(sleeper, *look, stdin=slave, interactive=interactive))[0].startswith("pipe:")
    finally:
        os.close(master)
        os.close(slave)


def test_an_exec_is_in_the_container_s_cgroups_and_namespaces(sleeper: Container) -> None:
    look = "cd /proc/{}; cat cgroup; readlink ns/cgroup ns/ipc ns/mnt ns/net ns/pid ns/uts"
    first = words(execute(sleeper, "sh", "-c", look.format(1)))
    assert words(execute(sleeper, "sh", "-c", look.format("self"))) == first


def test_the_clock_and_the_user_namespace_are_the_host_s(sleeper: Container) -> None:
    """Root in a container is root; what keeps it in are its few capabilities."""
    for kind in ("time", "user"):
        assert words(execute(sleeper, "readlink", f"/proc/self/ns/{kind}")) == [
            str(Path(f"/proc/self/ns/{kind}").readlink())
        ]
    assert words(execute(sleeper, "cat", "/proc/self/uid_map")) == ["0", "0", "4294967295"]


def test_time_can_t_be_set(engine: Engine) -> None:
    code = "import time; print(attempt(time.clock_settime, time.CLOCK_REALTIME, time.time()))"
    for seccomp in ("default", "unconfined"):
        assert words(run(engine, *python(code), mounts=interpreter(), seccomp=seccomp)) == ["EPERM"]


def test_no_socket_has_an_abstract_name(engine: Engine, sleeper: Container) -> None:
    """Who shares the host's network could speak to it."""
    names = {line.split()[7] for line in Path("/proc/net/unix").read_text().splitlines() if len(line.split()) > 7}
    assert any(str(engine.run_dir) in name for name in names)
    assert [name for name in names if name.startswith("@") and "dockmagic" in name] == []


def test_names_and_labels_are_never_commands(engine: Engine, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    for text in (f"$(touch {marker})", f"`touch {marker}`", f"; touch {marker} #", f"'; touch {marker} '"):
        assert run(engine, "true", labels={text: text}, env=(f"A={text}",), annotations={"a": text}).status == 0
        with pytest.raises(DockmagicError):
            run(engine, "true", name=text)
        with pytest.raises(DockmagicError):
            engine.images.get(text)
    assert not marker.exists()


def test_what_a_container_writes_to_its_hosts_file_fills_its_own_disk(engine: Engine, sleeper: Container) -> None:
    execute(sleeper, "sh", "-c", "head -c 1000000 /dev/zero > /etc/hosts")
    files = [path for path in engine.run_dir.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 100_000
    assert (engine.root / "containers" / sleeper.id / "etc/hosts").stat().st_size == 1_000_000


def test_parameters_of_the_kernel_are_for_reading(engine: Engine) -> None:
    script = "find /proc/sys -type f -exec sh -c 'for f; do (: >> $f) 2> /dev/null && echo $f; done' x {} +"
    assert run(engine, "sh", "-c", script).stdout == ""


def test_run_directories_are_closed_to_others_whatever_was_there(engine: Engine) -> None:
    engine.run_dir.mkdir(parents=True, exist_ok=True)
    engine.run_dir.chmod(0o777)
    shell(engine, "true")
    assert {path.stat().st_mode & 0o777 for path in (engine.run_dir, engine.run_dir.parent)} == {0o700}


WATCH = """
import time
seen, end = set(), time.monotonic() + 2
while time.monotonic() < end:
    for pid in set(os.listdir("/proc")) - {"1", str(os.getpid())}:
        if pid.isdecimal():
            try:
                lines = open(f"/proc/{pid}/status").read().splitlines()
                seen |= {line.split()[1] for line in lines if line.startswith(("CapPrm", "CapBnd"))}
                seen |= {os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")}
                seen |= {os.readlink(f"/proc/{pid}/{name}") for name in ("root", "cwd")}
            except OSError:
                pass
print(*sorted(seen), sep="\\n")
"""


def test_who_may_trace_finds_no_process_with_more_rights_and_nothing_of_the_host(engine: Engine) -> None:
    """Not even in the moments in which a process comes in."""
    options = RunOptions(command=("sleep", "600"), cap_add=("SYS_PTRACE",), mounts=interpreter())
    container = engine.containers.run_detached("busybox", options)
    own = words(execute(container, "grep", "CapPrm", "/proc/1/status"))[1]
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.extend(words(execute(container, *python(WATCH)))))
    thread.start()
    while thread.is_alive():
        execute(container, "/bin/true")
    container.rm(force=True)
    assert own in found
    plain = (own, "/", "/dev/null")
    assert [text for text in found if text not in plain and not text.startswith(("pipe:", "socket:"))] == []
