"""What a build says of its steps and of its Dockerfile, with real commands and from one engine to the next."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dockmagic.engine import Engine
from dockmagic.errors import DockerfileError
from dockmagic.events import BuildFinished, BuildStep, BuildWarning, Event, StepState

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("busybox")]

TEXT = "FROM busybox\nCOPY ./ ./app/\nENV WHO={who}\nRUN echo {word} > /made\nRUN cat /made\n"


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "context/src").mkdir(parents=True)
    (tmp_path / "context/src/app.js").write_text("one")
    return tmp_path / "context"


def build(engine: Engine, text: str, context: Path | None = None, *, no_cache: bool = False) -> list[BuildStep]:
    """The ends of the steps."""
    events: list[Event] = []
    engine.build(text, context=context, explain=True, no_cache=no_cache, on_event=events.append)
    return [event for event in events if isinstance(event, BuildStep) and event.state is not StepState.RUNNING]


def reasons(steps: list[BuildStep]) -> list[str]:
    return [step.reason.partition(": layer")[0] for step in steps]


def test_every_step_has_its_reason(engine: Engine, context: Path) -> None:
    text = TEXT.format(who="world", word="a")
    assert reasons(build(engine, text, context)) == [
        "the base image is here", "not built before", "changes no files", "not built before", "not built before",
    ]  # fmt: skip
    with Engine(engine.root) as another:
        assert reasons(build(another, text, context))[1:] == [
            "nothing changed", "changes no files", "nothing changed", "nothing changed",
        ]  # fmt: skip
    (context / "src/app.js").write_text("two")
    (context / "src/new").write_text("")
    steps = build(engine, text, context)
    assert reasons(steps)[1:] == [
        "COPY ./ ./app/: src/app.js changed, src/new added", "changes no files",
        "parent step 2 ran again", "parent step 4 ran again",
    ]  # fmt: skip
    assert steps[1].details == ("COPY ./ ./app/:", "  src/app.js changed", "  src/new added")
    changed = build(engine, TEXT.format(who="you", word="b"), context)
    assert changed[3].details == (
        "RUN: command changed",
        '  before: ["/bin/sh", "-c", "echo a > /made"]',
        '  now:    ["/bin/sh", "-c", "echo b > /made"]',
        "ENV WHO: value changed from world to you",
    )
    assert reasons(build(engine, text, context, no_cache=True))[1] == "--no-cache"


def test_ten_thousand_files_and_more(engine: Engine, context: Path) -> None:
    for number in range(10_050):
        (context / f"{number:05}").touch()
    text = "FROM scratch\nCOPY . /\n"
    build(engine, text, context)
    (context / "00007").write_text("changed")
    assert reasons(build(engine, text, context))[1] == "COPY . /: 00007 changed"
    rows = engine.database.query("SELECT length(run) AS size FROM build_steps")
    assert 100_000 < rows[0]["size"] < 1_000_000


def test_a_check_from_the_command_line(engine: Engine, context: Path) -> None:
    dockerfile = context / "Dockerfile"
    dockerfile.write_text("FROM busybox\nWORKDIR $HOEM\nENV HOME=/x\nMAINTAINER me\n")
    command = [sys.executable, "-m", "dockmagic", "build", "--check", str(context)]
    environment = {**os.environ, "DOCKMAGIC_ROOT": str(engine.root)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert "Usage of undefined variable '$HOEM'" in done.stdout
    assert done.stdout.count("WARNING: ") == 3
    dockerfile.write_text("FROM busybox\n")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "Check complete, no warnings found.\n")


def test_warnings_come_at_the_end_and_can_be_errors(engine: Engine) -> None:
    events: list[Event] = []
    engine.build("FROM busybox\nMAINTAINER me\n", on_event=events.append)
    assert [type(event) for event in events[-2:]] == [BuildWarning, BuildFinished]
    with pytest.raises(DockerfileError, match="MaintainerDeprecated"):
        engine.build("# check=error=true\nFROM busybox\nMAINTAINER me\n")
