from __future__ import annotations

import pytest

from dockmagic.builder.progress import Progress
from dockmagic.dockerfile.instructions import Workdir
from dockmagic.errors import BuildError, DockerfileError, NotFound, RunFailed
from dockmagic.events import BuildOutput, BuildStep, BuildWarning, Event, StepState

SOURCE = "FROM x\nWORKDIR /a \\\n  # why\n  /b\n"
STEP = Workdir("/a /b", line=2, end_line=4, text="WORKDIR /a   /b")


def progress(events: list[Event], source: str = SOURCE) -> Progress:
    return Progress(5, events.append, source, "File")


def test_a_step_begins_and_ends() -> None:
    events: list[Event] = []
    told = progress(events)
    with told.step(STEP) as report:
        told.output("stdout", b"words")
        report(StepState.CACHED, "why")
    told.expect(2)
    with told.step(STEP) as report:
        report(StepState.DONE, "")
    assert events[0] == BuildStep(1, 5, STEP.text, StepState.RUNNING, 2)
    assert events[1] == BuildOutput(1, "stdout", b"words")
    cached, running, done = events[2:]
    assert isinstance(cached, BuildStep)
    assert (cached.state, cached.reason, cached.duration_s > 0) == (StepState.CACHED, "why", True)
    assert isinstance(running, BuildStep)
    assert isinstance(done, BuildStep)
    assert (running.number, running.total, done.state) == (2, 7, StepState.DONE)


def test_a_failure_shows_its_lines() -> None:
    events: list[Event] = []
    with pytest.raises(BuildError) as caught:
        with progress(events).step(STEP):
            raise BuildError("it is so")
    assert str(caught.value) == "File:2: it is so\n  2 | WORKDIR /a \\\n    | ^^^^^^^\n  3 |   # why\n  4 |   /b"
    assert caught.value.step == STEP.text
    last = events[-1]
    assert isinstance(last, BuildStep)
    assert (last.state, last.reason) == (StepState.FAILED, "it is so")


def test_a_failed_command_stays_what_it_is() -> None:
    with pytest.raises(RunFailed) as caught:
        with progress([], "").step(STEP):
            raise RunFailed("exit code: 3", step="", exit_status=3, output="last words")
    assert str(caught.value) == "File:2: exit code: 3"
    assert (caught.value.exit_status, caught.value.output, caught.value.step) == (3, "last words", STEP.text)


def test_an_error_with_a_place_of_its_own_keeps_it() -> None:
    error = DockerfileError("wrong", line=1).locate("[a", ".dockerignore")
    with pytest.raises(DockerfileError, match=r"\.dockerignore:1: wrong\n  1 | \[a"):
        with progress([]).step(STEP):
            raise error


def test_an_error_without_gets_the_files() -> None:
    with pytest.raises(DockerfileError, match=r"File:2: wrong\n  2 \| WORKDIR"):
        with progress([]).step(STEP):
            raise DockerfileError("wrong", line=2)


@pytest.mark.parametrize(
    ("error", "reason"), [(KeyboardInterrupt(), "KeyboardInterrupt"), (NotFound("image", "x"), "no such image: x")]
)
def test_whatever_happens_is_told(error: BaseException, reason: str) -> None:
    events: list[Event] = []
    with pytest.raises(type(error)):
        with progress(events).step(STEP):
            raise error
    last = events[-1]
    assert isinstance(last, BuildStep)
    assert (last.state, last.reason) == (StepState.FAILED, reason)


def test_warnings() -> None:
    events: list[Event] = []
    progress(events).warn("about all")
    progress(events).warn("about this", STEP)
    assert events == [BuildWarning("about all", 1), BuildWarning("about this", 2)]
