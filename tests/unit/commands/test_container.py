from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

import pytest

from dockmagic.commands.catalogue import by_name
from dockmagic.commands.ps import status_text
from dockmagic.errors import DockmagicError, InvalidOption, InvalidState, NotFound
from tests.unit.commands.calling import call
from tests.unit.commands.fakes import FakeConsole, FakeContainer, FakeContainers, FakeEngine, Line, State

if TYPE_CHECKING:
    from dockmagic.runtime.state import ContainerState

SECOND = 10**9
NOW = 1_700_000_000 * SECOND


def engine_with(*containers: FakeContainer) -> FakeEngine:
    return FakeEngine(FakeContainers({container.name: container for container in containers}))


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (State("running", started_ns=NOW - 3 * SECOND), "Up 3 seconds"),
        (State("paused", started_ns=NOW - 3 * SECOND), "Up 3 seconds (Paused)"),
        (State("running", started_ns=NOW - 3 * SECOND, health="healthy"), "Up 3 seconds (healthy)"),
        (State("running", started_ns=NOW - 3 * SECOND, health="starting"), "Up 3 seconds (health: starting)"),
        (State("restarting", exit_status=1, finished_ns=NOW - 5 * SECOND), "Restarting (1) 5 seconds ago"),
        (State("exited", exit_status=0, finished_ns=NOW - 5 * SECOND), "Exited (0) 5 seconds ago"),
        (State("exited", exit_status=137, finished_ns=NOW - 300 * SECOND), "Exited (137) 5 minutes ago"),
        (State("created"), "Created"),
    ],
)
def test_states_in_dockers_words(state: State, text: str) -> None:
    assert status_text(cast("ContainerState", state), NOW) == text


def test_ps_shows_those_that_run_newest_first() -> None:
    now = time.time_ns()
    running = FakeContainer("burn", created_ns=now - 120 * SECOND, now=State(started_ns=now - 3 * SECOND))
    newer = FakeContainer("newer", created_ns=now - 61 * SECOND, command=("sh",), now=State(started_ns=now))
    ended = FakeContainer("ended", created_ns=now, now=State("exited", finished_ns=now))
    engine = engine_with(running, ended, newer)
    lines = str(call(engine, "ps")).splitlines()
    assert lines[0].split("   ")[0] == "CONTAINER ID"
    assert lines[1].endswith("newer")
    assert "sh -c 'while :; do …" in lines[2]
    assert "2 minutes ago" in lines[2]
    assert "Up 3 seconds" in lines[2]
    assert len(lines) == 3
    assert [container.name for container in call(engine, "ps", "-a").values] == ["ended", "newer", "burn"]
    assert [container.name for container in call(engine, "ps", "-l").values] == ["ended"]
    assert [container.name for container in call(engine, "ps", "-n", "2").values] == ["ended", "newer"]


def test_ps_ids_only() -> None:
    assert str(call(engine_with(FakeContainer()), "ps", "-q")) == "c0ffee000000"
    assert str(call(engine_with(FakeContainer()), "ps", "-q", "--no-trunc")) == FakeContainer().id


@pytest.mark.parametrize(
    ("words", "noted"),
    [
        ("start burn", ("start",)),
        ("stop burn", ("stop", None)),
        ("stop -t 3 burn", ("stop", 3)),
        ("stop -s INT -t -1 burn", ("stop", -1, "INT")),
        ("restart -t 0 --signal HUP burn", ("restart", 0, "HUP")),
        ("restart burn", ("restart", None, "")),
        ("pause burn", ("pause",)),
        ("container unpause burn", ("unpause",)),
        ("kill burn", ("kill", "KILL")),
        ("kill -s INT burn", ("kill", "INT")),
        ("rm burn", ("rm", False)),
        ("container remove -f burn", ("rm", True)),
        ("rm -fv burn", ("rm", True, "volumes")),
    ],
)
def test_commands_call_the_engine_and_give_the_names(words: str, noted: tuple[object, ...]) -> None:
    container = FakeContainer()
    assert call(engine_with(container), *words.split()) == ("burn",)
    assert container.calls == [noted]


def test_rename_says_nothing_and_top_gives_a_table() -> None:
    container = FakeContainer()
    assert str(call(engine_with(container), "rename", "burn", "cool")) == ""
    assert str(call(engine_with(container), "top", "burn", "-o", "pid,cmd")) == "PID   CMD\n7     sh"
    assert container.calls == [("rename", "cool"), ("top", "-o", "pid,cmd")]


def test_one_failure_does_not_keep_the_others_waiting() -> None:
    broken, fine, console = (
        FakeContainer("a", fails=InvalidState("a", "stop", "exited")),
        FakeContainer("b"),
        FakeConsole(),
    )
    with pytest.raises(InvalidState, match="cannot stop"):
        call(engine_with(broken, fine), "stop", "a", "b", console=console)
    assert fine.calls == [("stop", None)]
    assert console.streams["stdout"] == b"b\n"


def test_several_failures_are_all_told() -> None:
    with pytest.raises(DockmagicError, match="no such container: x\nno such container: y"):
        call(FakeEngine(), "rm", "x", "y")


def test_forcing_the_removal_of_what_is_not_there_is_no_failure() -> None:
    console = FakeConsole()
    assert call(engine_with(FakeContainer("b")), "rm", "-f", "x", "b", console=console) == ("b",)
    assert b"no such container: x" in console.streams["stderr"]


def test_wait_goes_on_after_a_name_that_is_none() -> None:
    console = FakeConsole()
    with pytest.raises(NotFound, match="no such container: x"):
        call(engine_with(FakeContainer(now=State("exited", exit_status=3))), "wait", "x", "burn", console=console)
    assert console.streams["stdout"] == b"3\n"


def test_wait_gives_exit_statuses() -> None:
    assert call(engine_with(FakeContainer(now=State("exited", exit_status=3))), "wait", "burn") == (3,)


def test_inspect_gives_documents() -> None:
    engine = engine_with(FakeContainer())
    assert call(engine, "container", "inspect", "burn")[0]["Name"] == "/burn"
    assert call(engine, "inspect", "burn")[0]["Name"] == "/burn"
    with pytest.raises(NotFound, match="no such container or image: nothing"):
        call(engine, "inspect", "nothing")
    with pytest.raises(NotFound, match="no such container: nothing"):
        call(engine, "inspect", "--type", "container", "nothing")


LINES = (Line(1_700_000_000_123_456_789, "stdout", b"one\n"), Line(2 * SECOND, "stderr", b"two\n"))


def test_a_log_is_a_value() -> None:
    log = call(engine_with(FakeContainer(lines=LINES)), "logs", "burn")
    assert str(log) == "one\ntwo\n"
    assert len(call(engine_with(FakeContainer(lines=LINES)), "logs", "-n", "1", "burn").lines) == 1


def test_a_log_keeps_its_streams_apart(capsys: pytest.CaptureFixture[str]) -> None:
    console = FakeConsole()
    log = call(engine_with(FakeContainer(lines=LINES)), "logs", "burn")
    by_name()["logs"].show(log, console)
    assert console.streams == {"stdout": b"one\n", "stderr": b"two\n"}
    log._ipython_display_()
    assert capsys.readouterr() == ("one\n", "two\n")


def test_a_log_with_times() -> None:
    log = call(engine_with(FakeContainer(lines=LINES)), "logs", "-t", "burn")
    assert str(log).splitlines()[0] == "2023-11-14T22:13:20.123456789Z one"


def test_a_log_that_is_followed_is_shown_as_it_grows() -> None:
    console = FakeConsole()
    container = FakeContainer(lines=LINES)
    shown = call(engine_with(container), "logs", "-f", "burn", console=console)
    assert console.streams == {"stdout": b"one\n", "stderr": b"two\n"}
    assert str(shown) == ""
    assert container.calls == [("logs", True, None)]


def test_a_signal_that_is_none() -> None:
    with pytest.raises(InvalidOption, match="isn't a signal"):
        call(FakeEngine(), "kill", "-s", "??", "burn")
