from __future__ import annotations

from dockmagic.commands.progress import PlainProgress
from dockmagic.events import (
    BuildFinished,
    BuildOutput,
    BuildStep,
    BuildWarning,
    ContainerStarted,
    Event,
    PullFinished,
    PullProgress,
    PullStarted,
    PushFinished,
    PushProgress,
    PushStarted,
    RegistryRetry,
    RegistryWarning,
    StepState,
)

DIGEST = "sha256:" + "ab" * 32


def lines_of(*events: Event) -> list[str]:
    lines: list[str] = []
    progress = PlainProgress(lines.append)
    for event in events:
        progress(event)
    return lines


def step(number: int, state: StepState, reason: str = "") -> BuildStep:
    return BuildStep(number, 5, "WORKDIR /app", state, number, 0.31, reason)


def test_steps() -> None:
    assert lines_of(
        step(2, StepState.RUNNING),
        step(2, StepState.DONE),
        step(3, StepState.CACHED),
        step(4, StepState.FAILED, "exit code 1"),
    ) == [
        "#2 [2/5] WORKDIR /app",
        "#2 DONE 0.3s",
        "#3 [3/5] WORKDIR /app",
        "#3 CACHED",
        "#4 [4/5] WORKDIR /app",
        "#4 ERROR exit code 1",
    ]


def test_output_in_whole_lines_and_the_rest_at_the_end() -> None:
    lines = lines_of(
        step(1, StepState.RUNNING),
        BuildOutput(1, "stdout", "a\né".encode()[:-1]),
        BuildOutput(1, "stdout", "é".encode()[-1:] + b"b\x1b[2J"),
        step(1, StepState.DONE),
    )
    assert [line.split(" ", 2)[2] for line in lines[1:3]] == ["a", "éb"]


def test_warnings_and_the_end() -> None:
    assert lines_of(BuildWarning("odd", 3), BuildFinished(DIGEST, ("hello:latest",))) == [
        "warning: line 3: odd",
        f" => image {DIGEST}\n => named hello:latest",
    ]


def test_a_layer_has_a_line_for_each_status() -> None:
    assert lines_of(
        PullStarted("latest", "library/busybox"),
        RegistryWarning("r.example", "moving\x1b[2J"),
        RegistryRetry("it is busy", 30.0),
        PullProgress(DIGEST, "downloading", 0, 4_200_000),
        PullProgress(DIGEST, "downloading", 99, 4_200_000),
        PullProgress(DIGEST, "complete", 4_200_000, 4_200_000),
        PullFinished("busybox:latest", DIGEST, updated=True),
    ) == [
        "latest: Pulling from library/busybox",
        "WARNING: r.example says: moving\\x1b[2J",
        "Retrying in 30.0 s: it is busy",
        "abababababab: Downloading (4.2MB)",
        "abababababab: Pull complete",
        f"Digest: {DIGEST}",
        "Status: Downloaded newer image for busybox:latest",
    ]


def test_other_events_have_no_line() -> None:
    assert lines_of(ContainerStarted("c", 1)) == []


def test_why_a_step_ran_where_it_was_asked_for() -> None:
    explained = BuildStep(2, 5, "COPY . .", StepState.DONE, 2, 0.31, "short", ("COPY . .:", "  \x1b[1ma changed"))
    assert lines_of(explained)[1:] == ["#2 DONE 0.3s", "#2 why: COPY . .:", "#2 why:   a changed"]


def test_stages_side_by_side_keep_their_lines_apart() -> None:
    def of(number: int, stage: str, place: tuple[int, int], state: StepState) -> BuildStep:
        return BuildStep(number, 9, "RUN make", state, number, 0.2, stage=stage, place=place)

    lines = lines_of(
        of(2, "one", (2, 3), StepState.RUNNING),
        of(5, "two", (2, 6), StepState.RUNNING),
        of(2, "one", (2, 3), StepState.RUNNING),
        BuildOutput(2, "stdout", b"a"),
        BuildOutput(5, "stdout", b"b\n"),
        BuildOutput(2, "stdout", b"c\n"),
        of(2, "one", (2, 3), StepState.FAILED),
        of(5, "two", (2, 6), StepState.CANCELED),
    )
    assert lines[:2] == ["#2 [one 2/3] RUN make", "#5 [two 2/6] RUN make"]
    assert [(line.split(" ")[0], line.split(" ")[2]) for line in lines[2:4]] == [("#5", "b"), ("#2", "ac")]
    assert lines[4:] == ["#2 ERROR", "#5 CANCELED"]


def test_a_push() -> None:
    layer = "sha256:" + "cd" * 32
    assert lines_of(
        PushStarted("r.example/app"),
        PushProgress(DIGEST, "preparing", 0, 1000),
        PushProgress(layer, "preparing", 0, 1000),
        PushProgress(DIGEST, "waiting", 0, 1000),
        PushProgress(DIGEST, "uploading", 0, 1000),
        PushProgress(DIGEST, "uploading", 500, 1000),
        PushProgress(layer, "mounted", 1000, 1000, "from library/x"),
        PushProgress(DIGEST, "retrying", 500, 1000, "in 0.3 s: why"),
        PushProgress(DIGEST, "pushed", 1000, 1000),
        PushFinished("r.example:5000/app:1", DIGEST, 400),
        PushProgress(DIGEST, "exists", 1000, 1000),
        PushProgress(layer, "skipped", 0, 1000),
        RegistryWarning("r.example", "going \x1b[2J away"),
    ) == [
        "The push refers to repository [r.example/app]",
        "abababababab: Preparing",
        "cdcdcdcdcdcd: Preparing",
        "abababababab: Waiting",
        "abababababab: Pushing (1kB)",
        "cdcdcdcdcdcd: Mounted from library/x",
        "abababababab: Retrying in 0.3 s: why",
        "abababababab: Pushed",
        f"1: digest: {DIGEST} size: 400",
        "abababababab: Layer already exists",
        "cdcdcdcdcdcd: Skipped foreign layer",
        "WARNING: r.example says: going \\x1b[2J away",
    ]
