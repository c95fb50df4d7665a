from __future__ import annotations

from dockmagic.commands.classic import ClassicProgress
from dockmagic.events import BuildFinished, BuildOutput, BuildStep, BuildWarning, Event, PullFinished, StepState

CONTAINER = "4f2a1c" + "0" * 58
FIRST, SECOND, THIRD = ("sha256:" + digit * 64 for digit in "abc")


def lines_of(*events: Event) -> list[str]:
    lines: list[str] = []
    progress = ClassicProgress(lines.append)
    for event in events:
        progress(event)
    return lines


def step(number: int, state: StepState, text: str, image: str = "", container: str = "") -> BuildStep:
    return BuildStep(number, 4, text, state, number, image_id=image, container_id=container)


def test_a_build_from_beginning_to_end() -> None:
    run = "RUN echo hi"
    assert lines_of(
        step(1, StepState.RUNNING, "FROM busybox"),
        step(1, StepState.CACHED, "FROM busybox", FIRST),
        step(2, StepState.RUNNING, run),
        step(2, StepState.RUNNING, run, container=CONTAINER),
        BuildOutput(2, "stdout", b"h"),
        BuildOutput(2, "stdout", b"i\n\x1b[31mno end"),
        step(2, StepState.DONE, run, SECOND, CONTAINER),
        step(3, StepState.RUNNING, "ENV A=1"),
        step(3, StepState.DONE, "ENV A=1", THIRD),
        step(4, StepState.RUNNING, "COPY . ."),
        step(4, StepState.CACHED, "COPY . .", THIRD),
        BuildFinished(THIRD, ("hello:latest", "hello:2")),
    ) == [
        "Step 1/4 : FROM busybox",
        " ---> aaaaaaaaaaaa",
        "Step 2/4 : RUN echo hi",
        " ---> Running in 4f2a1c000000",
        "hi",
        "no end",
        "Removing intermediate container 4f2a1c000000",
        " ---> bbbbbbbbbbbb",
        "Step 3/4 : ENV A=1",
        " ---> cccccccccccc",
        "Step 4/4 : COPY . .",
        " ---> Using cache",
        " ---> cccccccccccc",
        "Successfully built cccccccccccc",
        "Successfully tagged hello:latest",
        "Successfully tagged hello:2",
    ]


def test_a_step_that_fails_has_no_image() -> None:
    assert lines_of(
        step(2, StepState.RUNNING, "RUN false", container=CONTAINER),
        step(2, StepState.FAILED, "RUN false", SECOND, CONTAINER),
    ) == ["Step 2/4 : RUN false", " ---> Running in 4f2a1c000000", "Removing intermediate container 4f2a1c000000"]


def test_from_nothing_and_what_is_no_step() -> None:
    assert lines_of(
        step(1, StepState.CACHED, "FROM scratch"),
        BuildWarning("[Warning] One or more build-args [A] were not consumed", 1),
        BuildWarning("odd", 3),
        PullFinished("busybox:latest", FIRST, updated=True),
    )[1:4] == [" --->", "[Warning] One or more build-args [A] were not consumed", "[Warning] line 3: odd"]


def test_why_a_step_ran_where_it_was_asked_for() -> None:
    explained = BuildStep(2, 4, "COPY . .", StepState.DONE, 2, details=("a changed",), image_id=FIRST)
    assert lines_of(explained)[1:] == [" why: a changed", " ---> aaaaaaaaaaaa"]
