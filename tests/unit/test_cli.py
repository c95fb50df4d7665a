from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from dockmagic import cli
from dockmagic.dockerfile.lint import LintWarning
from dockmagic.errors import Failure, NotFound, RunFailed, StartFailed
from dockmagic.events import BuildStep, ContainerOutput, Event, OnEvent, StepState
from tests.unit.commands.fakes import IMAGE_ID, FakeContainer, FakeContainers, FakeEngine, Line, Result

Main = Callable[..., tuple[int, str, str]]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """The engine that the command line will find."""
    fake = FakeEngine()
    monkeypatch.setattr(cli, "open_engine", lambda environ: fake)
    return fake


@pytest.fixture
def main(engine: FakeEngine, capfd: pytest.CaptureFixture[str]) -> Main:
    """Run a command line: exit status and what was written to descriptors 1 and 2."""

    def run(*words: str) -> tuple[int, str, str]:
        status = cli.main(words)
        captured = capfd.readouterr()
        return status, captured.out, captured.err

    return run


def test_streams_stay_apart_and_the_status_is_the_containers(main: Main, engine: FakeEngine) -> None:
    engine.containers.events = (ContainerOutput("c", "stdout", b"\xffhi\n"), ContainerOutput("c", "stderr", b"oops\n"))
    engine.containers.result = Result(exit_status=3)
    status, out, err = main("run", "--rm", "busybox")
    assert (status, out.endswith("hi\n"), err) == (3, True, "oops\n")
    assert engine.closed


def test_the_background_prints_the_id(main: Main) -> None:
    assert main("container", "run", "-d", "busybox") == (0, f"{FakeContainer().id}\n", "")


@pytest.mark.parametrize(
    ("error", "words", "status"),
    [
        (StartFailed(Failure("exec", 2, "no such file: nope"), 127), ("run", "busybox", "nope"), 127),
        (NotFound("image", "x"), ("run", "x"), 125),
    ],
)
def test_statuses_of_a_run_that_failed(
    main: Main, engine: FakeEngine, error: Exception, words: tuple[str, ...], status: int
) -> None:
    engine.containers.fails = error
    assert main(*words) == (status, "", f"dockmagic: {error}\n")


@pytest.mark.parametrize(
    ("line", "status", "message"),
    [
        ("ps --nonsense", 125, "dockmagic: unknown flag --nonsense; see dockmagic ps --help\n"),
        ("logs nothing", 1, "dockmagic: no such container: nothing\n"),
        ("frobnicate", 125, "dockmagic: unknown command 'frobnicate'; --help lists them all\n"),
        ("run -it busybox", 125, "dockmagic: the input device is not a TTY\n"),
    ],
)
def test_errors_are_a_line_on_standard_error(main: Main, line: str, status: int, message: str) -> None:
    got, out, err = main(*line.split())
    assert (got, out) == (status, "")
    assert err.startswith(message)


def test_help_and_version(main: Main) -> None:
    for words in ((), ("--help",), ("help",)):
        status, out, _ = main(*words)
        assert status == 0
        assert out.startswith("usage: dockmagic COMMAND")
    assert main("run", "--help")[1].startswith("usage: dockmagic run")
    assert main("--version")[1].startswith("dockmagic ")


def test_progress_goes_to_standard_error(main: Main, engine: FakeEngine, tmp_path: object) -> None:
    engine.events = (BuildStep(1, 1, "FROM busybox", StepState.CACHED, 1),)
    (status, out, err) = main("build", "-f", "/dev/null", str(tmp_path))
    assert (status, out, err) == (0, "", "#1 [1/1] FROM busybox\n#1 CACHED\n")


def test_a_build_in_the_style_that_was_asked_for(
    main: Main, engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Dockerfile").write_text("FROM busybox\n")
    engine.events = (BuildStep(1, 1, "FROM busybox", StepState.CACHED, 1, image_id=IMAGE_ID),)
    classic = f"Step 1/1 : FROM busybox\n ---> {IMAGE_ID[7:19]}\n"
    assert main("build", "--progress=classic", str(tmp_path)) == (0, classic, "")
    assert main("build", "--progress", "quiet", str(tmp_path)) == (0, f"{IMAGE_ID}\n", "")
    assert main("build", "--progress=rawjson", str(tmp_path))[2].startswith('{"vertexes": [{"digest": "sha256:')
    status, _, err = main("build", "--progress=tty", str(tmp_path))
    assert (status, err) == (125, "dockmagic: --progress=tty: standard error isn't a terminal; choose plain\n")
    assert main("build", "--progress=fancy", str(tmp_path))[0] == 125
    monkeypatch.setenv("DOCKER_BUILDKIT", "0")
    assert main("build", str(tmp_path)) == (0, classic, "")
    assert [build["parallel"] for build in engine.builds] == [False, True, True, False]


def test_a_failing_command_in_the_words_of_the_style(main: Main, engine: FakeEngine, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM busybox\n")
    engine.fails = RunFailed("long words", step="RUN false", exit_status=3, output="", command="/bin/sh -c false")
    told = "dockmagic: The command '/bin/sh -c false' returned a non-zero code: 3\n"
    assert main("build", "--progress=plain", str(tmp_path)) == (1, "", "dockmagic: long words\n")
    assert main("build", "--progress=classic", str(tmp_path)) == (1, "", told)


def test_logs_keep_their_streams(main: Main, engine: FakeEngine) -> None:
    lines = (Line(1, "stdout", b"one\n"), Line(2, "stderr", b"two\n"))
    engine.containers.all = {"burn": FakeContainer(lines=lines)}
    assert main("logs", "burn") == (0, "one\n", "two\n")


def interrupted(number: int) -> Callable[[OnEvent], None]:
    def meanwhile(on_event: OnEvent) -> None:
        os.kill(os.getpid(), number)
        signal.pause()

    return meanwhile


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_are_interrupts(main: Main, engine: FakeEngine, number: int) -> None:
    engine.containers = FakeContainers(meanwhile=interrupted(number))
    before = signal.getsignal(number)
    assert main("run", "busybox") == (128 + number, "", "")
    assert engine.closed
    assert signal.getsignal(number) is before


def test_a_reader_that_has_gone_ends_it_quietly(
    main: Main, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(descriptor: int, data: bytes) -> NoReturn:
        raise BrokenPipeError

    events: tuple[Event, ...] = (ContainerOutput("c", "stdout", b"hi\n"),)
    engine.containers.events = events
    monkeypatch.setattr("os.write", broken)
    assert cli.main(["run", "busybox"]) == 141


def test_a_check_that_found_something_has_status_1(main: Main, engine: FakeEngine, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM busybox\n")
    assert main("build", "--check", str(tmp_path)) == (0, "Check complete, no warnings found.\n", "")
    engine.warnings = (LintWarning("Rule", "message", "https://example.org/", 1, 1),)
    status, out, err = main("build", "--check", str(tmp_path))
    assert (status, "WARNING: Rule" in out, err) == (1, True, "")
