from __future__ import annotations

import pytest

from dockmagic.builder.explain import Explanation
from dockmagic.builder.progress import Progress
from dockmagic.builder.seam import RunEnd
from dockmagic.dockerfile.instructions import Workdir
from dockmagic.errors import BuildError, DockerfileError, NotFound, RunFailed
from dockmagic.events import BuildOutput, BuildStep, BuildWarning, Event, StepState
from dockmagic.oci.digest import Digest
from dockmagic.oci.image import ContainerConfig, ImageConfig
from dockmagic.oci.image_json import dump_image_config

SOURCE = "FROM x\nWORKDIR /a \\\n  # why\n  /b\n"
IMAGE = ImageConfig("amd64", "linux", ContainerConfig())
STEP = Workdir("/a /b", line=2, end_line=4, text="WORKDIR /a   /b")


def progress(events: list[Event], source: str = SOURCE) -> Progress:
    return Progress(5, events.append, source, "File")


def test_a_step_begins_and_ends() -> None:
    events: list[Event] = []
    told = progress(events)
    with told.step(STEP, 1) as report:
        report.output("stdout", b"words")
        report.ended(StepState.CACHED, Explanation("why"), None)
    told.expect(2)
    with told.step(STEP, 2, "build") as report:
        report.container_id, report.used = "c0ffee", RunEnd(0, 7, 8)
        report.running()
        report.ended(StepState.DONE, Explanation(""), IMAGE)
    assert events[0] == BuildStep(1, 5, STEP.text, StepState.RUNNING, 2)
    assert events[1] == BuildOutput(1, "stdout", b"words")
    cached, running, started, done = events[2:]
    assert isinstance(cached, BuildStep)
    assert (cached.state, cached.reason, cached.duration_s > 0) == (StepState.CACHED, "why", True)
    assert isinstance(running, BuildStep)
    assert isinstance(done, BuildStep)
    assert (running.number, running.total, done.state) == (2, 7, StepState.DONE)
    assert isinstance(started, BuildStep)
    assert (started.state, started.stage, started.container_id) == (StepState.RUNNING, "build", "c0ffee")
    assert (done.cpu_ns, done.peak_memory_bytes, done.container_id) == (7, 8, "c0ffee")
    assert done.image_id == Digest.of(dump_image_config(IMAGE))
    assert [(record.number, record.state, record.stage, record.image) for record in told.records] == [
        (1, StepState.CACHED, "", None),
        (2, StepState.DONE, "build", IMAGE),
    ]


def test_a_step_has_its_place_in_its_stage() -> None:
    events: list[Event] = []
    told = progress(events)
    with told.step(STEP, 1, "one"):
        pass
    told.expect_stage(1, 2)
    told.expect_stage(3, 4)
    told.expect_stage(3, 5)
    for number, stage in ((2, "one"), (3, "two"), (5, "two"), (5, "")):
        with told.step(STEP, number, stage):
            pass
    steps = [event for event in events if isinstance(event, BuildStep)]
    assert [step.place for step in steps] == [(0, 0), (2, 2), (1, 5), (3, 5), (3, 5)]
    assert [step.label for step in steps] == ["one 1/5", "one 2/2", "two 1/5", "two 3/5", "5/5"]
    assert steps[0].instruction == "WORKDIR"


def test_a_failure_shows_its_lines() -> None:
    events: list[Event] = []
    with pytest.raises(BuildError) as caught:
        with progress(events).step(STEP, 1):
            raise BuildError("it is so")
    assert str(caught.value) == "File:2: it is so\n  2 | WORKDIR /a \\\n    | ^^^^^^^\n  3 |   # why\n  4 |   /b"
    assert caught.value.step == STEP.text
    last = events[-1]
    assert isinstance(last, BuildStep)
    assert (last.state, last.reason) == (StepState.FAILED, "it is so")


def test_a_failed_command_stays_what_it_is() -> None:
    with pytest.raises(RunFailed) as caught:
        with progress([], "").step(STEP, 1):
            raise RunFailed("exit code: 3", step="", exit_status=3, output="last words")
    assert str(caught.value) == "File:2: exit code: 3"
    assert (caught.value.exit_status, caught.value.output, caught.value.step) == (3, "last words", STEP.text)


def test_an_error_with_a_place_of_its_own_keeps_it() -> None:
    error = DockerfileError("wrong", line=1).locate("[a", ".dockerignore")
    with pytest.raises(DockerfileError, match=r"\.dockerignore:1: wrong\n  1 | \[a"):
        with progress([]).step(STEP, 1):
            raise error


def test_an_error_without_gets_the_files() -> None:
    with pytest.raises(DockerfileError, match=r"File:2: wrong\n  2 \| WORKDIR"):
        with progress([]).step(STEP, 1):
            raise DockerfileError("wrong", line=2)


def test_any_other_failure_shows_its_lines_once_and_stays_what_it_is() -> None:
    error, told = NotFound("image", "x"), progress([])
    for step in (STEP, Workdir("/c", line=1, end_line=1, text="WORKDIR /c")):
        with pytest.raises(NotFound) as caught:
            with told.step(step, 1):
                raise error
        assert str(caught.value).startswith("File:2: no such image: x\n  2 | WORKDIR /a \\\n    | ^^^^^^^\n")
        assert str(caught.value).count("File:") == 1
        assert (caught.value.kind, caught.value.name) == ("image", "x")


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (KeyboardInterrupt(), StepState.CANCELED, "KeyboardInterrupt"),
        (NotFound("image", "x"), StepState.FAILED, "no such image: x"),
    ],
)
def test_whatever_happens_is_told(error: BaseException, state: StepState, reason: str) -> None:
    events: list[Event] = []
    with pytest.raises(type(error)):
        with progress(events).step(STEP, 1):
            raise error
    last = events[-1]
    assert isinstance(last, BuildStep)
    assert (last.state, last.reason) == (state, reason)


def test_warnings() -> None:
    events: list[Event] = []
    progress(events).warn("about all")
    progress(events).warn("about this", STEP)
    assert events == [BuildWarning("about all", 1), BuildWarning("about this", 2)]
