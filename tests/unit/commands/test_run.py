from __future__ import annotations

import pytest

from dockmagic.commands.results import Finished
from dockmagic.commands.run import Kept, show_id
from dockmagic.errors import InvalidOption, NotFound
from dockmagic.events import ContainerOutput, ignore
from tests.unit.commands.calling import call
from tests.unit.commands.fakes import FakeConsole, FakeContainer, FakeContainers, FakeEngine, Result


def engine_that_says(*pieces: tuple[str, bytes], result: Result | None = None) -> FakeEngine:
    events = tuple(ContainerOutput("c", stream, data) for stream, data in pieces)
    return FakeEngine(FakeContainers(events=events, result=result or Result()))


def test_a_run_in_the_foreground_shows_output_and_gives_its_end() -> None:
    console = FakeConsole()
    engine = engine_that_says(("stdout", b"hi\n"), ("stderr", b"oops\n"), result=Result(exit_status=3))
    finished = call(engine, "run", "--rm", "busybox", "sh", console=console)
    assert console.streams == {"stdout": b"hi\n", "stderr": b"oops\n"}
    assert (finished.exit_status, finished.text, finished.stderr) == (3, "hi\n", b"oops\n")
    assert engine.containers.asked[0][:2] == ("run", "busybox")
    assert engine.containers.asked[0][2].remove


def test_a_run_in_the_background_gives_the_container() -> None:
    engine = FakeEngine()
    container = call(engine, "run", "-d", "--name", "burn", "busybox")
    assert container.name == "burn"
    assert engine.containers.asked[0][0] == "run_detached"


def test_input_is_connected_with_i_only() -> None:
    without, with_input = FakeEngine(), FakeEngine()
    call(without, "run", "busybox", console=FakeConsole(stdin=7))
    call(with_input, "run", "-i", "busybox", console=FakeConsole(stdin=7))
    assert (without.containers.stdin, with_input.containers.stdin) == (None, 7)
    with pytest.raises(InvalidOption, match="%% cell"):
        call(FakeEngine(), "run", "-i", "busybox")


def test_create_does_not_start() -> None:
    engine = FakeEngine()
    call(engine, "create", "--name", "later", "busybox")
    assert [asked[0] for asked in engine.containers.asked] == ["create"]


def test_exec_runs_in_a_container() -> None:
    container = FakeContainer(said=(("stdout", b"1\n"),), exec_status=4)
    engine = FakeEngine(FakeContainers({"burn": container}))
    console = FakeConsole()
    finished = call(engine, "exec", "-w", "/tmp", "-e", "A=1", "burn", "sh", "-c", "exit 4", console=console)
    assert (finished.exit_status, finished.stdout, console.streams["stdout"]) == (4, b"1\n", b"1\n")
    options = container.calls[0][1]
    assert (options.command, options.workdir, options.env) == (("sh", "-c", "exit 4"), "/tmp", ("A=1",))


def test_exec_wants_a_command_and_a_container() -> None:
    with pytest.raises(InvalidOption, match="command is missing"):
        call(FakeEngine(), "exec", "burn")
    with pytest.raises(NotFound, match="no such container: burn"):
        call(FakeEngine(), "exec", "burn", "ls")


def test_the_last_bytes_are_kept() -> None:
    kept = Kept(ignore, most_bytes=4)
    for data in (b"ab", b"cd", b"ef", b"g"):
        kept(ContainerOutput("c", "stdout", data))
    assert kept.last("stdout") == b"defg"
    assert kept.last("stderr") == b""


def test_a_terminal_is_told_the_id_or_why_it_was_killed() -> None:
    console = FakeConsole()
    show_id(Finished(0), console)
    show_id(Finished(137, oom_killed=True, memory_limit_bytes=64 << 20), console)
    assert console.streams["stdout"] == b""
    assert b"OOM-killed at 64MiB" in console.streams["stderr"]
