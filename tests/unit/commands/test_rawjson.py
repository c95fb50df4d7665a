from __future__ import annotations

import json
from base64 import b64decode
from typing import Any

from dockmagic.commands.rawjson import JsonProgress
from dockmagic.events import (
    BuildFinished,
    BuildOutput,
    BuildStep,
    BuildWarning,
    ContainerStarted,
    Event,
    PullProgress,
    PushProgress,
    StepState,
)

IMAGE = "sha256:" + "a" * 64


def objects(*events: Event) -> list[dict[str, Any]]:
    lines: list[str] = []
    progress = JsonProgress(lines.append, lambda: 1_700_000_000_123_456_789)
    for event in events:
        progress(event)
    assert not any("\n" in line for line in lines)
    return [json.loads(line) for line in lines]


def step(number: int, state: StepState, text: str = "RUN make", reason: str = "") -> BuildStep:
    return BuildStep(number, 9, text, state, number, stage="web", place=(number - 4, 3), reason=reason)


def test_steps_are_vertexes_and_output_logs() -> None:
    began, cached, running, log, done = objects(
        step(5, StepState.RUNNING, "FROM busybox"),
        step(5, StepState.CACHED, "FROM busybox"),
        step(6, StepState.RUNNING),
        step(6, StepState.RUNNING),
        BuildOutput(6, "stderr", b"\xff\n"),
        step(6, StepState.DONE),
    )
    [vertex] = began["vertexes"]
    assert vertex["name"] == "[web 1/3] FROM busybox"
    assert vertex["started"] == "2023-11-14T22:13:20.123456789Z"
    assert "inputs" not in vertex
    assert cached["vertexes"] == [{**vertex, "completed": vertex["started"], "cached": True}]
    assert running["vertexes"][0]["inputs"] == [vertex["digest"]]
    [entry] = log["logs"]
    assert (entry["vertex"], entry["stream"]) == (running["vertexes"][0]["digest"], 2)
    assert b64decode(entry["data"]) == b"\xff\n"
    assert "completed" in done["vertexes"][0]
    assert "error" not in done["vertexes"][0]


def test_failures_and_what_was_canceled() -> None:
    failed, canceled = objects(step(6, StepState.FAILED, reason="exit code: 1"), step(7, StepState.CANCELED))
    assert failed["vertexes"][0]["error"] == "exit code: 1"
    assert canceled["vertexes"][0]["error"] == "context canceled"


def test_a_push() -> None:
    pull, first, second = objects(
        PullProgress(IMAGE, "complete", 4, 4),
        PushProgress(IMAGE, "uploading", 1, 4),
        PushProgress(IMAGE, "pushed", 4, 4),
    )
    assert first["vertexes"][0]["name"] == "pushing layers"
    assert first["vertexes"][0]["digest"] != pull["vertexes"][0]["digest"]
    assert (second["statuses"][0]["vertex"], second["statuses"][0]["name"]) == (
        first["vertexes"][0]["digest"],
        "pushed",
    )


def test_warnings_pulls_and_the_end() -> None:
    warning, first, second, end = objects(
        BuildWarning("odd", 3),
        PullProgress(IMAGE, "downloading", 1, 4),
        PullProgress(IMAGE, "complete", 4, 4),
        ContainerStarted("c", 1),
        BuildOutput(9, "stdout", b"of no step"),
        BuildFinished(IMAGE, ("hello:latest",)),
    )
    assert b64decode(warning["warnings"][0]["short"]) == b"odd"
    assert warning["warnings"][0]["range"] == [{"start": {"line": 3}, "end": {"line": 3}}]
    assert first["vertexes"][0]["digest"] == second["statuses"][0]["vertex"]
    assert (second["statuses"][0]["current"], second["statuses"][0]["total"]) == (4, 4)
    assert [status["id"] for status in end["statuses"]] == [f"writing image {IMAGE}", "naming to hello:latest"]
