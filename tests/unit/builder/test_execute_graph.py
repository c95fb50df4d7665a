"""Stages side by side, steps that are shared, and what is known of a build afterwards."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from dockmagic.builder.seam import OnOutput, RunStep
from dockmagic.errors import NotFound, RunFailed
from dockmagic.events import BuildStep, StepState
from dockmagic.oci.digest import Digest
from dockmagic.oci.image_json import dump_image_config
from tests.unit.builder.lab import Lab, fill

CACHED, DONE, FAILED, CANCELED = StepState.CACHED, StepState.DONE, StepState.FAILED, StepState.CANCELED
PATIENCE_S = 10.0
TWO = """FROM base AS one
RUN first
FROM base AS two
RUN second
FROM base
COPY --from=one /first /
COPY --from=two /second /
"""


def told(step: RunStep) -> str:
    """What a shell is told to run."""
    return step.options.command[-1]


def write(step: RunStep, output: OnOutput) -> int:
    """Make a file that is called as the command."""
    (step.upper / told(step)).write_text(told(step))
    return 0


def test_stages_are_built_side_by_side(lab: Lab) -> None:
    both = threading.Barrier(2, timeout=PATIENCE_S)

    def command(step: RunStep, output: OnOutput) -> int:
        both.wait()
        return write(step, output)

    lab.command = command
    image = lab.build(TWO)
    assert {"first", "second"} <= set(lab.listing(image))


def test_a_stage_goes_on_until_it_needs_another(lab: Lab) -> None:
    prepared = threading.Event()

    def command(step: RunStep, output: OnOutput) -> int:
        if told(step) == "slow":
            assert prepared.wait(PATIENCE_S)
        else:
            prepared.set()
        return write(step, output)

    lab.command = command
    image = lab.build("FROM base AS slow\nRUN slow\nFROM base\nRUN prepare\nCOPY --from=slow /slow /\n")
    assert {"slow", "prepare"} <= set(lab.listing(image))


def test_numbers_are_those_of_the_file(lab: Lab) -> None:
    lab.command = write
    for _ in range(3):
        lab.build(TWO, no_cache=True)
        numbered = {step.number: (step.text.split()[0], step.stage, step.total) for step in lab.steps()}
        assert numbered == {
            1: ("FROM", "one", 7),
            2: ("RUN", "one", 7),
            3: ("FROM", "two", 7),
            4: ("RUN", "two", 7),
            5: ("FROM", "stage-2", 7),
            6: ("COPY", "stage-2", 7),
            7: ("COPY", "stage-2", 7),
        }


def test_triggers_have_numbers_too(lab: Lab) -> None:
    lab.command = write
    lab.build("FROM base AS one\nONBUILD RUN trigger\nRUN first\nFROM one AS two\nRUN second\nFROM two\nRUN third\n")
    steps = {step.number: (step.text, step.stage) for step in lab.steps()}
    assert steps[4] == ("FROM one AS two", "two")
    assert steps[5] == ("RUN trigger", "two")
    assert steps[6] == ("RUN second", "two")
    assert steps[7] == ("FROM two", "stage-2")
    assert max(step.total for step in lab.steps()) == 8


def test_one_stage_has_no_name(lab: Lab) -> None:
    lab.build("FROM base AS only\nENV A=1\n")
    assert {step.stage for step in lab.steps()} == {""}


def test_a_step_that_stages_share_runs_once(lab: Lab) -> None:
    lab.command = write
    text = "FROM base AS one\nRUN same\nFROM base AS two\nRUN same\nFROM base\n"
    text += "COPY --from=one /same /a\nCOPY --from=two /same /b\n"
    for no_cache in (False, True):
        lab.build(text, no_cache=no_cache)
        assert [told(step) for step in lab.runs] == ["same"]
        ends = {step.number: step for step in lab.steps()}
        assert {ends[2].state, ends[4].state} == {DONE, CACHED}
        second = next(step for step in (ends[2], ends[4]) if step.state is CACHED)
        assert second.reason == f"the same as step {6 - second.number}"


@pytest.mark.parametrize("no_cache", [True, False])
def test_a_linked_copy_that_stages_share_lies_on_the_files_of_each(lab: Lab, context: Path, no_cache: bool) -> None:
    fill(context, {"a": "a"})
    lab.base("other", {"only": "here"})
    text = "FROM base AS one\nCOPY --link a /\nFROM other AS two\nCOPY --link a /\nFROM base\n"
    text += "COPY --from=one /a /one\nCOPY --from=two /a /only /two/\n"
    image = lab.build(text, context, no_cache=no_cache)
    assert {"one", "two/a", "two/only"} <= set(lab.listing(image))


def test_a_failure_ends_the_other_stages(lab: Lab) -> None:
    begun = threading.Event()

    def command(step: RunStep, output: OnOutput) -> int:
        if told(step) == "first":
            assert begun.wait(PATIENCE_S)
            return 3
        begun.set()
        threading.Event().wait(0.001)
        while True:
            threading.Event().wait(0.001)

    lab.command = command
    with pytest.raises(RunFailed, match="exit code: 3"):
        lab.build(TWO)
    ends = {step.number: step.state for step in lab.steps()}
    assert (ends[2], ends[4]) == (FAILED, CANCELED)
    assert lab.left() == []


def test_a_base_that_cannot_be_had_ends_the_build(lab: Lab) -> None:
    lab.command = write
    with pytest.raises(NotFound, match="no such image: gone"):
        lab.build("FROM gone AS one\nRUN first\nFROM base AS two\nRUN second\nFROM one\nCOPY --from=two /second /\n")
    assert len(lab.pulled) == 1
    assert lab.left() == []


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("FROM gone", "FROM gone\n    | ^^^^"),
        ("COPY --from=gone /a /b", "COPY --from=gone /a /b\n    | ^^^^"),
        ("RUN --mount=from=gone,target=/m true", "RUN --mount=from=gone,target=/m true\n    | ^^^"),
    ],
)
def test_an_image_that_cannot_be_had_has_its_place(lab: Lab, line: str, shown: str) -> None:
    with pytest.raises(NotFound) as caught:
        lab.build(f"FROM base\n{line}\n")
    assert str(caught.value) == f"Dockerfile:2: no such image: gone:latest\n  2 | {shown}"
    assert (caught.value.kind, caught.value.name) == ("image", "gone:latest")


def test_stages_that_lack_the_same_image_name_one_place(lab: Lab) -> None:
    text = "FROM gone AS one\nFROM gone AS two\nFROM base\nCOPY --from=one / /\nCOPY --from=two / /\n"
    with pytest.raises(NotFound) as caught:
        lab.build(text)
    assert str(caught.value).count("no such image") == str(caught.value).count("Dockerfile:") == 1


def test_in_the_order_of_the_file_where_that_is_wanted(lab: Lab) -> None:
    lab.command = write
    lab.build(TWO, parallel=False)
    numbers = [event.number for event in lab.events if isinstance(event, BuildStep)]
    assert numbers == sorted(numbers)
    assert [told(step) for step in lab.runs] == ["first", "second"]


def test_a_command_that_does_the_same_again_changes_nothing_after_it(lab: Lab, context: Path) -> None:
    fill(context, {"a": "a"})

    def command(step: RunStep, output: OnOutput) -> int:
        (step.upper / "made").write_text("as ever")
        return 0

    lab.command = command
    first = lab.build("FROM base\nRUN go 1\nCOPY a /\nRUN then\n", context)
    again = lab.build("FROM base\nRUN go 2\nCOPY a /\nRUN then\n", context)
    assert [told(step) for step in lab.runs] == ["go 2"]
    assert lab.ended() == [CACHED, DONE, CACHED, CACHED]
    assert "it made the same files as before" in lab.steps()[1].reason
    assert again.config.diff_ids == first.config.diff_ids


def test_another_content_changes_what_follows(lab: Lab, context: Path) -> None:
    def command(step: RunStep, output: OnOutput) -> int:
        (step.upper / "made").write_text(told(step)[-1])
        return 0

    lab.command = command
    lab.build("FROM base\nRUN go 1\nRUN then\n")
    lab.build("FROM base\nRUN go 2\nRUN then\n")
    assert [told(step) for step in lab.runs] == ["go 2", "then"]


def test_stages_whose_steps_always_run(lab: Lab) -> None:
    lab.command = write
    lab.build(TWO)
    lab.build(TWO, no_cache_stages=frozenset({"two"}))
    assert [told(step) for step in lab.runs] == ["second"]
    assert {step.number: step.reason for step in lab.steps()}[4].startswith("--no-cache-filter")


def test_every_build_is_remembered(lab: Lab) -> None:
    lab.command = write
    image = lab.build(TWO, tag="hello")
    build = lab.parts.history.get()
    assert (build.image_id, build.tags, build.error) == (image.id, ("hello:latest",), "")
    assert build.ended_ns >= build.started_ns > 0
    assert [step.number for step in build.steps] == [1, 2, 3, 4, 5, 6, 7]
    run = build.steps[1]
    assert (run.state, run.stage, run.line, run.cpu_ns, run.peak_memory_bytes) == (DONE, "one", 2, 5, 6)
    assert len(run.container_id) == 64
    assert run.image is not None
    assert run.image_id == Digest.of(dump_image_config(run.image))
    assert run.image.diff_ids[0] == image.config.diff_ids[0]
    assert build.steps[-1].image_id == image.id


def test_the_image_after_a_step_is_called_the_same_the_next_time(lab: Lab) -> None:
    lab.command = write
    lab.build("FROM base\nENV A=1\nRUN go\nCMD x\n")
    first = lab.parts.history.get()
    lab.build("FROM base\nENV A=1\nRUN go\nCMD x\n")
    assert [step.image_id for step in lab.parts.history.get().steps] == [step.image_id for step in first.steps]


def test_what_a_failed_command_left_is_kept(lab: Lab) -> None:
    def command(step: RunStep, output: OnOutput) -> int:
        write(step, output)
        return int(told(step) == "fail")

    lab.command = command
    with pytest.raises(RunFailed):
        lab.build("FROM base\nRUN well\nRUN fail\nRUN never\n")
    build = lab.parts.history.get()
    assert (build.image_id, [step.state for step in build.steps]) == ("", [CACHED, DONE, FAILED])
    assert "exit code: 1" in build.error
    failed = build.steps[-1]
    assert failed.image is not None
    lowers = lab.snapshots.lower(failed.image.diff_ids)
    assert (lowers[0] / "fail").read_text() == "fail"
    assert (lowers[1] / "well").read_text() == "well"
    lab.store.collect()
    assert lab.snapshots.lower(failed.image.diff_ids) == lowers


def test_times_that_depend_on_nothing(lab: Lab) -> None:
    lab.command = write
    image = lab.build("FROM base\nRUN go\nCMD x\n", args={"SOURCE_DATE_EPOCH": "1000"}, epoch_s=1000, rewrite=True)
    assert {line.created for line in image.config.history[1:]} == {image.config.created} == {"1970-01-01T00:16:40Z"}
    top = lab.snapshots.lower(image.config.diff_ids)[0]
    assert ((top / "go").stat().st_mtime, top.stat().st_mtime) == (1000, 1000)
    again = Lab(lab.root, write)
    assert again.build("FROM base\nRUN go\nCMD x\n", no_cache=True, epoch_s=1000, rewrite=True).id == image.id
    assert len(again.runs) == 1
