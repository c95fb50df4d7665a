"""Reasons that a build gives for its steps, from one build to the next."""

from __future__ import annotations

from pathlib import Path

import pytest

from dockmagic.image.store import Image
from tests.unit.builder.lab import Lab, fill

TEXT = "FROM base\nWORKDIR /new\nCOPY ./ ./\nENV WHO={who}\nRUN {command}\n"


@pytest.fixture
def filled(context: Path) -> Path:
    fill(context, {"src/app.js": "a", "src/b": "b"})
    return context


def reasons(lab: Lab) -> list[str]:
    """Reasons of the last build, without the layers."""
    return [step.reason.partition(": layer")[0] for step in lab.steps()]


def build(lab: Lab, context: Path, who: str = "world", command: str = "make") -> Image:
    return lab.build(TEXT.format(who=who, command=command), context)


def test_the_first_build_and_the_same_again(lab: Lab, filled: Path) -> None:
    build(lab, filled)
    assert reasons(lab) == ["the base image is here", *["not built before"] * 2, "changes no files", "not built before"]
    build(lab, filled)
    assert reasons(lab) == ["the base image is here", *["nothing changed"] * 2, "changes no files", "nothing changed"]
    assert {step.details for step in lab.steps()} == {()}


def test_a_file_that_changed(lab: Lab, filled: Path) -> None:
    build(lab, filled)
    fill(filled, {"src/app.js": "other"})
    build(lab, filled)
    assert reasons(lab)[2:] == ["COPY ./ ./: src/app.js changed", "changes no files", "parent step 3 ran again"]
    fill(filled, {"src/app.js": "a"})
    build(lab, filled)
    assert reasons(lab)[2:] == ["built like this before", "changes no files", "built like this before"]
    build(lab, filled, command="make all")
    assert reasons(lab)[2:] == ["nothing changed", "changes no files", "RUN: command changed"]


def test_files_that_came_and_went(lab: Lab, filled: Path) -> None:
    build(lab, filled)
    (filled / "src/b").rename(filled / "src/c")
    build(lab, filled)
    assert reasons(lab)[2] == "COPY ./ ./: src/b removed, src/c added"


def test_a_variable_that_changed(lab: Lab, filled: Path) -> None:
    build(lab, filled)
    build(lab, filled, who="you")
    assert reasons(lab)[4] == "ENV WHO: value changed from world to you"
    text = "FROM base\nARG V=1\nRUN make\n"
    lab.build(text)
    lab.build(text, args={"V": "2"})
    assert reasons(lab)[2] == "ARG V: value changed from 1 to 2"


def test_without_the_cache(lab: Lab, filled: Path) -> None:
    build(lab, filled)
    lab.build(TEXT.format(who="world", command="make"), filled, no_cache=True)
    assert reasons(lab)[1:] == ["--no-cache", "--no-cache", "changes no files", "--no-cache"]


def test_a_base_image_that_changed(lab: Lab, filled: Path) -> None:
    build(lab, filled)
    lab.base("base", {"bin/sh": "another"})
    build(lab, filled)
    assert reasons(lab)[1:] == [
        "the base image is another one", "parent step 2 ran again", "changes no files", "parent step 3 ran again",
    ]  # fmt: skip


def test_a_layer_that_is_gone(lab: Lab) -> None:
    lab.build("FROM base\nRUN make\n")
    with lab.database.transaction() as transaction:
        transaction.execute("DELETE FROM build_cache")
    lab.build("FROM base\nRUN make\n")
    assert reasons(lab)[1] == "its layer isn't in the cache any more"


def test_a_stage_that_starts_from_another(lab: Lab) -> None:
    text = "FROM base AS one\nRUN {}\nFROM one\nRUN two\n"
    lab.command = lambda step, output: (step.upper / "x").write_text(step.options.command[-1]) and 0
    lab.build(text.format("a"))
    lab.build(text.format("b"))
    assert reasons(lab) == [
        "the base image is here", "RUN: command changed", "starts with what a stage before it came to",
        "parent step 2 ran again",
    ]  # fmt: skip


def test_all_that_is_known_where_it_is_asked_for(lab: Lab, filled: Path) -> None:
    build(lab, filled)
    fill(filled, {"src/app.js": "other"})
    lab.build(TEXT.format(who="you", command="make"), filled, explain=True)
    assert [step.details for step in lab.steps()][2:] == [
        ("COPY ./ ./:", "  src/app.js changed"),
        ("changes no files",),
        ("ENV WHO: value changed from world to you", "parent step 3 ran again"),
    ]
    assert lab.steps()[1].details == (lab.steps()[1].reason,)


def test_a_step_that_failed_is_compared_with_the_last_that_did_not(lab: Lab, filled: Path) -> None:
    build(lab, filled)
    lab.command = lambda step, output: 1
    with pytest.raises(Exception, match="exit code: 1"):
        build(lab, filled, command="wrong")
    lab.command = lambda step, output: 0
    build(lab, filled, command="right")
    assert reasons(lab)[4] == "RUN: command changed"
