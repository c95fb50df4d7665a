"""Terminals of containers: as a program in one sees its own, and as a user at another one has it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dockmagic.container import GUEST, Container
from dockmagic.engine import Engine
from dockmagic.errors import ContainerError, StartFailed
from dockmagic.image.store import Image
from dockmagic.oci.options import RunOptions
from dockmagic.oci.spec import ConsoleSize
from dockmagic.runtime.attach import Attachment, Controls
from tests.integration.containers import Collector, execute, run
from tests.integration.terminals import screen

pytestmark = pytest.mark.root

LOOK = (
    "tty; stty size; echo TERM=$TERM; ls -1 /proc/self/fd; echo err >&2; stat -c '%n %u:%g %a' /dev/pts/0 /dev/console"
)


@pytest.fixture(autouse=True)
def _with_busybox(busybox: Image) -> None:
    """Every test has the image busybox."""


def lines(text: str) -> list[str]:
    """The lines of a terminal."""
    return text.replace("\r\n", "\n").splitlines()


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("init", [False, True])
def test_a_program_sees_a_terminal_of_its_own(engine: Engine, init: bool) -> None:
    seen = run(engine, "sh", "-c", LOOK, tty=True, console_size=ConsoleSize(33, 77), user="1000", init=init)
    assert lines(seen.stdout) == [
        "/dev/pts/0", "33 77", "TERM=xterm", "0", "1", "2", "3", "err", "/dev/pts/0 1000:5 620",
        "/dev/console 1000:5 620",
    ]  # fmt: skip
    assert seen.stderr == ""


def test_it_is_the_controlling_terminal(engine: Engine) -> None:
    assert lines(run(engine, "sh", "-c", "echo to-tty >/dev/tty; echo to-console >/dev/console", tty=True).stdout) == [
        "to-tty",
        "to-console",
    ]


def test_without_one_there_is_no_console(engine: Engine) -> None:
    assert run(engine, "sh", "-c", "tty; ls /dev/console 2>&1; ls /dev/pts").stdout.splitlines() == [
        "not a tty",
        "ls: /dev/console: No such file or directory",
        "ptmx",
    ]


def test_a_terminal_on_a_read_only_root(engine: Engine) -> None:
    assert lines(run(engine, "tty", tty=True, read_only=True).stdout) == ["/dev/pts/0"]


def test_all_output_comes_through(engine: Engine) -> None:
    seen = run(engine, "sh", "-c", "i=0; while [ $i -lt 20000 ]; do echo line-$i; i=$((i+1)); done", tty=True)
    assert lines(seen.stdout) == [f"line-{number}" for number in range(20000)]


def test_a_program_may_close_its_terminal_and_open_it_again(engine: Engine) -> None:
    script = "exec 0<&- 1<&- 2<&-; sleep 0.2; exec >/dev/console 2>&1; echo again"
    assert lines(run(engine, "sh", "-c", script, tty=True).stdout) == ["again"]


def test_the_log_has_what_the_terminal_showed(engine: Engine) -> None:
    command = ("sh", "-c", "printf 'a\\033[31mb\\n'")
    container = engine.containers.run_detached("busybox", RunOptions(command=command, tty=True))
    container.wait()
    assert [(line.stream, line.data) for line in container.logs()] == [("stdout", b"a\x1b[31mb\r\n")]
    assert container.inspect()["Config"]["Tty"] is True
    container.rm()


# at a terminal


def test_a_shell_at_a_terminal() -> None:
    with screen("run", "--rm", "-it", "busybox", "sh") as user:
        user.wait_for("# ")
        assert user.raw
        user.type("stty size\r")
        user.wait_for("30 90")
        user.resize(41, 101)
        user.type("sleep 0.3; stty size\r")
        user.wait_for("41 101")
        user.type("sleep 60\r")
        user.wait_for("sleep 60\r\n")
        time.sleep(0.2)
        user.type("\x03")
        user.type("echo st=$?\r")
        user.wait_for("st=130")
        user.type("\x04")
        assert user.end() == 0


def test_who_leaves_by_the_keys_can_come_back(engine: Engine) -> None:
    with screen("run", "-it", "--rm", "--name", "left", "busybox", "sh") as user:
        user.wait_for("# ")
        user.type("a=kept\r\x10\x11")
        assert user.end() == 0
    assert engine.containers.get("left").running
    with screen("attach", "left") as one, screen("attach", "--detach-keys", "ctrl-x", "left", rows=20) as two:
        one.wait_for("# ")
        two.wait_for("# ")
        one.type("echo $a\r")
        one.wait_for("kept\r\n")
        two.wait_for("kept\r\n")
        two.type("\x18")
        assert two.end() == 1  # as with Docker
        assert b"read escape sequence" in two.shown
        one.type("exit 4\r")
        assert one.end() == 4
    eventually(lambda: not engine.containers.ls(all=True))


def test_exec_in_a_terminal(engine: Engine) -> None:
    container = engine.containers.run_detached("busybox", RunOptions(command=("sleep", "60"), remove=True))
    with screen("exec", "-it", "-e", "A=1", "-w", "/tmp", container.name, "sh", rows=22, columns=66) as user:
        user.wait_for("# ")
        user.type("tty; stty size; echo $A $TERM; pwd\r")
        user.wait_for("/dev/pts/0\r\n22 66\r\n1 xterm\r\n/tmp\r\n")
        user.type("exit 5\r")
        assert user.end() == 5
    with screen("exec", "-it", container.name, "sleep", "50") as user:
        eventually(lambda: user.raw)
        user.type("\x10\x11")
        assert user.end() == 1
    assert "sleep 50" in execute(container, "ps").stdout
    with screen("exec", "-it", container.name, "sleep", "51") as user:
        eventually(lambda: user.raw)
        user.process.kill()
    eventually(lambda: "sleep 51" not in execute(container, "ps").stdout)
    container.rm(force=True)


def test_exec_in_a_terminal_ends_though_others_have_it_still(engine: Engine) -> None:
    container = engine.containers.run_detached("busybox", RunOptions(command=("sleep", "60"), remove=True))
    began = time.monotonic()
    seen = execute(container, "sh", "-c", "trap '' HUP; sleep 30 & echo begun", tty=True)
    assert (seen.status, lines(seen.stdout)) == (0, ["begun"])
    assert time.monotonic() - began < 20
    container.rm(force=True)


def test_a_terminal_without_input_takes_ctrl_c_as_an_interrupt() -> None:
    with screen("run", "--rm", "-t", "busybox", "sh", "-c", "echo begun; sleep 60") as user:
        user.wait_for("begun")
        assert not user.raw
        user.type("\x03")
        assert user.end() == 130


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_the_terminal_is_restored_when_the_command_line_is_ended(number: int, status: int) -> None:
    with screen("run", "--rm", "-it", "busybox", "sleep", "60") as user:
        eventually(lambda: user.raw)
        user.process.send_signal(number)
        assert user.end() == status


def test_the_terminal_is_restored_when_the_engines_side_is_killed(engine: Engine) -> None:
    with screen("run", "-it", "--name", "lost", "busybox", "sleep", "60") as user:
        eventually(lambda: user.raw)
        pid = engine.containers.get("lost").state().pid
        os.kill(parent_of(pid), signal.SIGKILL)
        assert user.end() == 137
    eventually(lambda: not Path(f"/proc/{pid}").exists())
    engine.containers.get("lost").rm()


def parent_of(pid: int) -> int:
    """The parent of a process."""
    with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123 -- not a path of ours
        return int(file.read().rpartition(")")[2].split()[1])


def test_input_that_is_no_terminal_is_refused() -> None:
    words = [sys.executable, "-m", "dockmagic", "run", "--rm", "-it", "busybox", "true"]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (125, "dockmagic: the input device is not a TTY\n")


# attached without a terminal


def test_several_are_attached_and_one_writes(engine: Engine) -> None:
    script = "while [ ! -e /go ]; do echo tick; sleep 0.05; done; read a; echo got $a; read b; echo end"
    options = RunOptions(command=("sh", "-c", script), interactive=True, remove=True)
    container = engine.containers.run_detached("busybox", options)
    both = first, second = Attached(container), Attached(container)
    eventually(lambda: all(b"tick" in one.collector.streams["stdout"] for one in both))
    execute(container, "touch", "/go")
    first.type(b"hello\n")
    eventually(lambda: all(one.collector.streams["stdout"].endswith(b"tick\ngot hello\n") for one in both))
    second.type(b"x\n")
    assert (first.end(), second.end()) == (0, 0)
    assert first.collector.streams["stdout"].endswith(b"got hello\nend\n")


class Attached:
    """Somebody who is attached, in a thread of its own."""

    def __init__(self, container: Container) -> None:
        self.collector = Collector()
        self._source, self._writer = os.pipe()
        self.controls = Controls()
        self._status: list[int | Exception] = []
        self._thread = threading.Thread(target=self._follow, args=(container,))
        self._thread.start()

    def _follow(self, container: Container) -> None:
        with self.controls:
            attachment = Attachment(self._source, controls=self.controls, owner=False)
            try:
                self._status.append(container.attach(attachment, self.collector))
            except ContainerError as error:
                self._status.append(error)

    def type(self, data: bytes) -> None:
        """Write to the container."""
        os.write(self._writer, data)

    def end(self) -> int | Exception:
        """Wait for the end."""
        self._thread.join(20)
        os.close(self._source)
        os.close(self._writer)
        return self._status[0]


def test_signals_and_leaving_from_another_thread(engine: Engine) -> None:
    script = "trap 'echo usr1' USR1; echo begun; while :; do sleep 0.05; done"
    container = engine.containers.run_detached("busybox", RunOptions(command=("sh", "-c", script), remove=True))
    one = Attached(container)
    eventually(lambda: one.controls.bell >= 0)
    one.controls.signal(signal.SIGUSR1)
    eventually(lambda: b"usr1" in one.collector.streams["stdout"])
    one.controls.detach()
    assert str(one.end()) == "read escape sequence"
    assert container.running
    container.rm(force=True)


def test_a_container_that_has_ended_can_t_be_attached_to(engine: Engine) -> None:
    container = engine.containers.create("busybox", RunOptions(command=("true",)))
    with pytest.raises(ContainerError, match="You cannot attach to a stopped container, start it first"):
        container.attach()
    container.rm()


def test_a_start_is_attached_from_the_first_byte(engine: Engine) -> None:
    options = RunOptions(command=("sh", "-c", "echo out; echo err >&2; cat; exit 6"), interactive=True)
    container = engine.containers.create("busybox", options)
    source, writer = os.pipe()
    os.write(writer, b"in\n")
    os.close(writer)
    collector = Collector()
    assert container.start_attached(GUEST.reading(source), collector) == 6
    os.close(source)
    assert collector.streams == {"stdout": b"out\nin\n", "stderr": b"err\n"}
    container.rm()


def test_flags_of_the_command_line(engine: Engine) -> None:
    def line(*words: str, text: str = "") -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "dockmagic", *words], input=text, capture_output=True, text=True, timeout=60
        )
        return done.returncode, done.stdout, done.stderr

    script = "echo out; echo err >&2; exit 3"
    assert line("run", "--rm", "-a", "stderr", "busybox", "sh", "-c", script) == (3, "", "err\n")
    begun = line("run", "--name", "fed", "-i", "-a", "stdin", "busybox", "sh", "-c", "cat; sleep 0.5", text="in\n")
    assert begun == (0, f"{engine.containers.get('fed').id}\n", "")
    assert engine.containers.get("fed").wait() == 0
    assert [each.data for each in engine.containers.get("fed").logs()] == [b"in\n"]
    line("create", "--name", "made", "-i", "busybox", "sh", "-c", f"cat; {script}")
    assert line("start", "-a", "-i", "made", text="in\n") == (3, "in\nout\n", "err\n")
    assert line("start", "-a", "made", "other")[0] == 125
    assert line("attach", "made") == (1, "", "dockmagic: You cannot attach to a stopped container, start it first\n")
    status, _, said = line("exec", "made", "true")
    assert (status, said.startswith(f"dockmagic: container {engine.containers.get('made').id} is not running")) == (
        1,
        True,
    )
    engine.containers.get("made").rm()


def test_sig_proxy(engine: Engine) -> None:
    script = "trap 'exit 7' USR2; echo begun; while :; do sleep 0.05; done"
    line = [sys.executable, "-m", "dockmagic", "run", "--name", "proxied", "busybox", "sh", "-c", script]
    with subprocess.Popen(line, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGUSR2)
        assert process.wait(20) == 7
    line[4:4] = ["--sig-proxy=false"]
    engine.containers.get("proxied").rm()
    with subprocess.Popen(line, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert engine.containers.get("proxied").running
    engine.containers.get("proxied").rm(force=True)


def test_exec_may_be_privileged(engine: Engine) -> None:
    container = engine.containers.run_detached("busybox", RunOptions(command=("sleep", "60"), remove=True))
    script = ("grep", "CapEff", "/proc/self/status")
    plain, all_of_them = execute(container, *script), execute(container, *script, privileged=True)
    mine = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapBnd"))
    assert plain.stdout.split()[1] == "00000000a80425fb"
    assert all_of_them.stdout.split()[1] == mine.split()[1]
    container.rm(force=True)


# what a container may try


def test_nothing_else_is_taken_for_the_multiplexer(engine: Engine) -> None:
    script = "umount /dev/pts && mkfifo /dev/pts/ptmx && echo done && sleep 60"
    options = RunOptions(command=("sh", "-c", script), remove=True, cap_add=("SYS_ADMIN",))
    container = engine.containers.run_detached("busybox", options)
    eventually(lambda: bool(list(container.logs())))
    with pytest.raises(StartFailed, match=r"make a terminal: .*(not the multiplexer|No such device)"):
        execute(container, "true", tty=True)
    container.rm(force=True)


def test_a_terminal_that_nobody_reads_or_fills_keeps_no_monitor_busy(engine: Engine) -> None:
    options = RunOptions(command=("sh", "-c", "stty raw -echo; yes | head -c 3000000; sleep 60"), tty=True, remove=True)
    container = engine.containers.run_detached("busybox", options)
    one = Attached(container)
    threading.Thread(target=lambda: one.type(b"x" * 300_000), daemon=True).start()
    for _ in range(20):
        assert container.running  # its monitor answers
    container.rm(force=True)
    one.end()


# --init


def test_the_init_reaps_and_forwards(engine: Engine) -> None:
    script = "cat /proc/1/comm; echo $$; (sleep 0.05 &) ; sleep 0.3; ps -o stat,args; exit 7"
    seen = run(engine, "sh", "-c", script, init=True)
    name, number, *listed = seen.stdout.splitlines()
    assert (seen.status, name, number) == (7, "docker-init", "2")
    assert not any(line.startswith("Z") for line in listed)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_program_under_the_init_has_default_actions(engine: Engine, number: signal.Signals) -> None:
    container = engine.containers.run_detached("busybox", RunOptions(command=("sleep", "60"), init=True))
    container.kill(number.name)
    assert container.wait() == 128 + number
    assert container.inspect()["HostConfig"]["Init"] is True
    container.rm()


def test_the_init_shows_nothing_of_the_host(engine: Engine) -> None:
    script = (
        "tr '\\0' ' ' </proc/1/cmdline; echo; ls /proc/1/fd; cat /proc/1/environ; cat /proc/1/mem; readlink /proc/1/exe"
    )
    seen = run(engine, "sh", "-c", script, init=True)
    assert seen.stdout.split() == ["docker-init"]
    assert seen.stderr.count("ermission denied") >= 2


def test_the_init_has_no_secrets_even_for_who_may_look(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "very-secret")
    script = "tr -d '\\0' </proc/1/environ | wc -c; grep -c -a very-secret /proc/1/cmdline"
    assert run(engine, "sh", "-c", script, init=True, cap_add=("SYS_PTRACE",)).stdout.split() == ["0", "0"]
    for comm in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if comm.read_text().startswith("dockmagic-"):
                assert b"very-secret" not in (comm.parent / "environ").read_bytes()


@pytest.mark.parametrize(("user", "effective"), [("0", "0000000000000020"), ("1000", "0000000000000000")])
def test_the_init_is_who_the_program_is_and_may_send_signals(engine: Engine, user: str, effective: str) -> None:
    script = "for p in 1 $$; do grep -E 'CapBnd|Uid|Groups|NoNewPrivs|Seccomp:|CapEff' /proc/$p/status; done"
    seen = run(engine, "sh", "-c", script, init=True, user=user, no_new_privileges=True).stdout.splitlines()
    first, second = seen[: len(seen) // 2], seen[len(seen) // 2 :]
    assert f"CapEff:\t{effective}" in first
    assert [line for line in first if "CapEff" not in line] == [line for line in second if "CapEff" not in line]


@pytest.mark.parametrize(("command", "status"), [("/nonsense", 127), ("/etc", 126)])
def test_what_can_t_be_started_under_the_init(engine: Engine, command: str, status: int) -> None:
    with pytest.raises(StartFailed) as caught:
        run(engine, command, init=True)
    assert caught.value.exit_status == status
