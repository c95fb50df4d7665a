"""Triggers that take files from stages, images and contexts; what the names mean is settled where they are set off."""

from __future__ import annotations

from pathlib import Path

import pytest

from dockmagic.builder.seam import OnOutput, RunStep
from dockmagic.errors import DockerfileError, NotFound
from dockmagic.oci.image import ContainerConfig
from tests.unit.builder.lab import Lab, fill


def write(step: RunStep, output: OnOutput) -> int:
    """Make a file that is called as the command."""
    (step.upper / step.options.command[-1]).write_text("")
    return 0


def trigger(lab: Lab, *texts: str) -> None:
    """Store an image called parent that has these ready."""
    lab.base("parent", {"own": ""}, ContainerConfig(on_build=texts))


BOTH = ("COPY --from=maker /made /copied", "RUN --mount=from=maker,target=/m shown")
MAKER = "FROM base AS maker\nRUN made\n"


@pytest.mark.parametrize("parallel", [True, False])
def test_a_stage_that_only_a_trigger_needs_is_built(lab: Lab, parallel: bool) -> None:
    lab.command = write
    trigger(lab, *BOTH)
    text = f"FROM base AS idle\nRUN never\n{MAKER}FROM parent\nRUN last\n"
    image = lab.build(text, parallel=parallel)
    assert {"own", "copied", "shown", "last"} <= set(lab.listing(image))
    assert [run.options.command[-1] for run in lab.runs] == ["made", "shown", "last"]
    assert {step.number: step.text.split()[0] for step in lab.steps()} == {
        1: "FROM", 2: "FROM", 3: "RUN", 4: "COPY", 5: "RUN", 6: "RUN",
    }  # fmt: skip
    assert max(step.total for step in lab.steps()) == 6
    assert lab.build(text, parallel=parallel).id == image.id
    assert not lab.runs


def test_a_stage_may_also_be_needed_by_others(lab: Lab) -> None:
    lab.command = write
    trigger(lab, *BOTH)
    lab.build(f"{MAKER}FROM parent AS child\nFROM child\nCOPY --from=maker /made /again\n")
    assert [run.options.command[-1] for run in lab.runs] == ["made", "shown"]


def test_stages_that_triggers_need_have_triggers_and_needs_themselves(lab: Lab) -> None:
    lab.command = write
    trigger(lab, "COPY --from=0 /first /from-first")
    lab.base("grandparent", {}, ContainerConfig(on_build=("COPY --from=middle /from-first /",)))
    image = lab.build("FROM base AS first\nRUN first\nFROM parent AS middle\nFROM grandparent\n")
    assert lab.listing(image) == ["from-first"]


def test_a_stage_of_the_same_file_has_triggers_too(lab: Lab) -> None:
    lab.command = write
    text = f"FROM base AS parent\nONBUILD {BOTH[0]}\nONBUILD {BOTH[1]}\n{MAKER}FROM parent\nRUN last\n"
    assert {"copied", "shown", "last"} <= set(lab.listing(lab.build(text)))
    assert max(step.total for step in lab.steps()) == 9


def test_an_image_and_a_context(lab: Lab, tmp_path: Path) -> None:
    lab.base("tools", {"tool": "t"})
    fill(tmp_path / "named", {"note": "n"})
    trigger(lab, "COPY --from=tools /tool /", "COPY --from=notes /note /")
    image = lab.build("FROM parent\n", contexts={"notes": tmp_path / "named"})
    assert lab.listing(image) == ["note", "own", "tool"]


def test_a_name_that_nothing_has_is_an_image(lab: Lab) -> None:
    trigger(lab, "COPY --from=nowhere /x /")
    with pytest.raises(NotFound, match=r"^Dockerfile:2: no such image: nowhere:latest\n  2 \| FROM parent\n"):
        lab.build("# child\nFROM parent\n")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("late", "from=late is a later stage"),
        ("child", "from=child is this stage itself"),
        ("7", "there are only 2 stages"),
    ],
)
def test_names_that_cannot_be_used(lab: Lab, name: str, message: str) -> None:
    trigger(lab, f"COPY --from={name} /x /")
    words = rf"^Dockerfile:1: a trigger of the base image: --from={name}|{message}"
    with pytest.raises(DockerfileError, match=words) as caught:
        lab.build("FROM parent AS child\nFROM base AS late\n", target="child")
    assert message in str(caught.value)
    assert "  1 | FROM parent AS child\n    | ^^^^" in str(caught.value)


def test_a_trigger_of_the_same_file_is_shown_where_it_stands(lab: Lab) -> None:
    text = "FROM base AS parent\nONBUILD COPY --from=late /x /\nFROM parent AS child\nFROM base AS late\n"
    with pytest.raises(DockerfileError, match=r"Dockerfile:2: --from=late is a later stage"):
        lab.build(text, target="child")


def test_what_cannot_be_built_in_a_stage_that_a_trigger_needs(lab: Lab) -> None:
    trigger(lab, BOTH[0])
    with pytest.raises(DockerfileError, match="RUN --device isn't supported"):
        lab.build("FROM base AS maker\nRUN --device=x made\nFROM parent\n")
    with pytest.raises(NotFound, match=r"^Dockerfile:1: no such image: gone"):
        lab.build("FROM gone AS maker\nFROM parent\n")
    assert lab.left() == []
