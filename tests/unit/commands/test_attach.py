from __future__ import annotations

import os
import pty
import signal
import termios
from dataclasses import replace

import pytest

from dockmagic.commands.raw import forwarding, raw, window
from dockmagic.errors import ContainerError, InvalidOption
from dockmagic.events import ContainerStarted
from dockmagic.oci.spec import ConsoleSize
from dockmagic.runtime.attach import Attachment, Controls
from tests.unit.commands.calling import call
from tests.unit.commands.fakes import FakeConsole, FakeContainer, FakeContainers, FakeEngine, State

RUNNING = State(status="running")


def engine_with(container: FakeContainer) -> FakeEngine:
    return FakeEngine(containers=FakeContainers(all={container.name: container}))


def attachment_of(engine: FakeEngine) -> Attachment:
    """How the last run was attached, but for its controls."""
    assert engine.containers.attachment is not None
    return replace(engine.containers.attachment, controls=None)


def test_a_terminal_is_given_over_when_the_container_has_started() -> None:
    engine = FakeEngine(containers=FakeContainers(events=(ContainerStarted("c" * 64, 7),)))
    console = FakeConsole(stdin=7, typing=True)
    call(engine, "run", "-it", "--detach-keys", "ctrl-x", "busybox", console=console)
    options = engine.containers.asked[0][2]
    assert (options.tty, options.interactive, options.console_size) == (True, True, ConsoleSize(25, 81))
    assert attachment_of(engine) == Attachment(7, keys=b"\x18", tty=True)
    assert console.given == [(True, True)]


@pytest.mark.parametrize(
    ("flags", "attachment"),
    [
        ("", Attachment()),
        ("-i", Attachment(7)),
        ("-t", Attachment(tty=True)),
        ("-a stdout", Attachment(outputs=("stdout",))),
        ("-i -a STDERR -a stdin", Attachment(7, outputs=("stderr",))),
        ("-i -a stdout", Attachment(outputs=("stdout",))),
        ("--sig-proxy=false", Attachment(proxy=False)),
    ],
)
def test_what_is_attached(flags: str, attachment: Attachment) -> None:
    engine = FakeEngine()
    call(engine, "run", *flags.split(), "busybox", console=FakeConsole(stdin=7))
    assert attachment_of(engine) == attachment


@pytest.mark.parametrize(
    ("line", "stdin", "message"),
    [
        ("run -it busybox", 7, "the input device is not a TTY"),
        ("run -it busybox", None, "-it: a cell can't type into a terminal; start it with -d -t"),
        ("run -i busybox", None, "-i: there is nothing to read here"),
        ("run -d -a stdout busybox", None, "-a: conflicting options"),
        ("run --detach-keys ctrl-1 busybox", None, "--detach-keys: invalid detach keys"),
        ("exec -it burn sh", 7, "the input device is not a TTY"),
        ("start -a burn other", None, "you cannot start and attach multiple containers at once"),
    ],
)
def test_what_cannot_be_attached(line: str, stdin: int | None, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        call(engine_with(FakeContainer()), *line.split(), console=FakeConsole(stdin=stdin))


def test_in_the_background_a_terminal_needs_nobody() -> None:
    container = FakeContainer(now=RUNNING)
    call(engine_with(container), "exec", "-d", "-it", "--privileged", "burn", "sh")
    options = container.calls[0][1]
    assert (options.tty, options.detach, options.privileged) == (True, True, True)


def test_attach() -> None:
    container = FakeContainer(now=RUNNING, interactive=True, said=(("stdout", b"hi\n"),), exec_status=4)
    console = FakeConsole(stdin=7)
    assert call(engine_with(container), "attach", "--sig-proxy=false", "burn", console=console).exit_status == 4
    assert console.streams["stdout"] == b"hi\n"
    assert container.attachment is not None
    assert replace(container.attachment, controls=None) == Attachment(7, proxy=False, owner=False)
    call(engine_with(container), "attach", "--no-stdin", "burn", console=console)
    assert container.attachment.stdin is None


def test_attaching_to_a_terminal_has_it_shown_anew() -> None:
    container = FakeContainer(now=RUNNING, interactive=True, tty=True)
    call(engine_with(container), "attach", "burn", console=FakeConsole(stdin=7, typing=True))
    assert container.attachment is not None
    assert container.attachment.controls is not None
    asked = [(message["height"], message["width"]) for message in container.attachment.controls.take()]
    assert asked == [(26, 81), (25, 81)]


def test_attach_to_what_does_not_run() -> None:
    with pytest.raises(ContainerError, match="You cannot attach to a stopped container, start it first"):
        call(engine_with(FakeContainer(now=State(status="exited"))), "attach", "burn")


def test_start_in_the_foreground() -> None:
    container = FakeContainer(interactive=True, exec_status=3)
    assert call(engine_with(container), "start", "-ai", "burn", console=FakeConsole(stdin=7)).exit_status == 3
    assert container.calls == [("start attached",)]
    assert container.attachment is not None
    assert (container.attachment.stdin, container.attachment.owner) == (7, False)


# the user's own terminal


def test_raw_is_undone_whatever_happens() -> None:
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)

    def fail() -> None:
        with raw(slave):
            assert not termios.tcgetattr(slave)[3] & (termios.ICANON | termios.ECHO | termios.ISIG)
            raise OSError

    with pytest.raises(OSError, match=r"^$"):
        fail()
    assert termios.tcgetattr(slave) == before
    os.close(master)
    os.close(slave)


def test_the_size_of_the_first_terminal_counts() -> None:
    (source, end), (master, slave) = os.pipe(), pty.openpty()
    assert window(source, slave) is None  # it doesn't know
    termios.tcsetwinsize(slave, (12, 34))
    assert window(source, slave) == ConsoleSize(12, 34)
    for descriptor in (source, end, master, slave):
        os.close(descriptor)


@pytest.mark.parametrize("proxy", [True, False])
def test_signals_and_sizes_are_passed_on_and_handlers_restored(proxy: bool) -> None:
    before = signal.getsignal(signal.SIGUSR1), signal.getsignal(signal.SIGWINCH)
    sizes = [ConsoleSize(1, 1), ConsoleSize(2, 2)]
    with Controls() as controls:
        with forwarding(controls, lambda: sizes.pop(0), proxy=proxy):
            assert controls.take() == [{"op": "resize", "height": 1, "width": 1}]
            signal.raise_signal(signal.SIGWINCH)
            if proxy:
                signal.raise_signal(signal.SIGUSR1)
            asked = controls.take()
        assert asked[0]["height"] == 2
        assert asked[1:] == ([{"op": "signal", "signal": signal.SIGUSR1}] if proxy else [])
    assert (signal.getsignal(signal.SIGUSR1), signal.getsignal(signal.SIGWINCH)) == before


def test_a_door_with_terminals_of_its_own_has_them_for_it() -> None:
    engine, console = FakeEngine(FakeContainers({"web": FakeContainer("web")})), FakeConsole()
    console.embeds = True
    result = call(engine, "run", "-it", "--rm", "busybox", "sh", console=console)
    assert str(result) == ""
    assert engine.containers.asked[0][0] == "create"
    assert len(console.embedded) == 1
    assert console.embedded[0].endswith("· busybox")
    call(engine, "exec", "-it", "web", "sh", console=console)
    assert console.embedded[1].endswith("· exec")
    call(engine, "run", "-t", "busybox", console=console)
    call(engine, "exec", "-t", "web", "sh", console=console)
    assert len(console.embedded) == 2
