from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockmagic.builder.history import BuildRecord, StepRecord
from dockmagic.errors import InvalidOption
from dockmagic.events import ContainerOutput, StepState
from dockmagic.image.difference import Difference, Facts, FileChange
from dockmagic.oci.image import ContainerConfig, ImageConfig
from dockmagic.oci.options import RunOptions
from tests.unit.commands.calling import call
from tests.unit.commands.fakes import IMAGE_ID, FakeConsole, FakeContainers, FakeEngine, FakePast, Result

IMAGE = ImageConfig("amd64", "linux", ContainerConfig())
STEPS = (
    StepRecord(1, "FROM busybox", StepState.CACHED, 1, "one", "the base image is here", 0, 2_000_000, image=IMAGE),
    StepRecord(2, "RUN a \\\n " + "b" * 60, StepState.FAILED, 2, "one", "why", 0, 1_250_000_000, 40_000_000, 1 << 20),
)
BUILD = BuildRecord("abc", "", "Dockerfile", 0, ("hello:latest", "x:1"), 3_000_000_000, "", "it failed", STEPS)
A_FILE = Facts("file", 1000, 0o644, 0, 0)


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    """Something to read from."""
    (tmp_path / "script").write_text("ls")
    found = os.open(tmp_path / "script", os.O_RDONLY)
    yield found
    os.close(found)


def test_builds_are_listed() -> None:
    engine = FakeEngine(past=FakePast([BUILD]))
    table = call(engine, "build-history")
    (row,) = table.rows
    assert (row[0], *row[2:]) == ("abc", "3.00s", "failed", "2", "1", "hello:latest, x:1")
    assert table[0] is BUILD
    assert "no builds" in call(FakeEngine(), "build-history")._repr_html_()


def test_the_steps_of_a_build() -> None:
    table = call(FakeEngine(past=FakePast([BUILD])), "build-history", "hello")
    first, second = table.rows
    assert first[:7] == ("1", "one", "FROM busybox", "cached", "0.00s", "0.00s", "")
    assert len(first[7]) == 12
    assert second[3:] == ("failed", "1.25s", "0.04s", "1MiB", "", "why")
    assert second[2].endswith("…")
    assert "b" * 60 in str(call(FakeEngine(past=FakePast([BUILD])), "build-history", "--no-trunc", "hello"))
    assert table[1] is STEPS[1]


def test_a_shell_reads_the_script(descriptor: int) -> None:
    engine = FakeEngine()
    engine.containers = FakeContainers(result=Result(exit_status=3), events=(ContainerOutput("c", "stdout", b"hi"),))
    finished = call(engine, "build-shell", ":3", console=FakeConsole(stdin=descriptor))
    assert (finished.exit_status, finished.text, engine.past.asked) == (3, "hi", [(":3", False)])
    (asked,) = engine.containers.asked
    assert asked == ("run", IMAGE_ID, RunOptions(command=("/bin/sh",), entrypoint=(), interactive=True, remove=True))
    assert engine.containers.stdin == descriptor


def test_the_shell_of_the_image(descriptor: int) -> None:
    config = ContainerConfig(shell=("/bin/bash", "-o", "pipefail", "-c"))
    engine = FakeEngine(past=FakePast(image_config=ImageConfig("amd64", "linux", config)))
    call(engine, "build-shell", console=FakeConsole(stdin=descriptor))
    assert engine.containers.asked[0][2].command == ("/bin/bash",)


def test_at_a_terminal_the_shell_shows_its_prompt() -> None:
    engine = FakeEngine()
    ours, theirs = os.openpty()
    try:
        call(engine, "build-shell", console=FakeConsole(stdin=theirs))
    finally:
        os.close(ours)
        os.close(theirs)
    assert engine.containers.asked[0][2].command == ("/bin/sh", "-i")


def test_a_command_and_flags() -> None:
    engine = FakeEngine()
    line = "build-shell --before -u bob -w /x -e A=1 --network host hello:3 ls -l"
    call(engine, *line.split())
    options = engine.containers.asked[0][2]
    assert engine.past.asked == [("hello:3", True)]
    assert (options.command, options.user, options.workdir) == (("ls", "-l"), "bob", "/x")
    assert (options.env, options.network, options.interactive) == (("A=1",), "host", False)


def test_without_anything_to_read_a_command_is_needed() -> None:
    with pytest.raises(InvalidOption, match="nothing to read here; give a COMMAND, or use a %% cell"):
        call(FakeEngine(), "build-shell", ":3")


def test_a_terminal_needs_one_on_this_side() -> None:
    with pytest.raises(InvalidOption, match="the input device is not a TTY"):
        call(FakeEngine(), "build-shell", "-it", ":3", console=FakeConsole(stdin=7))
    engine, console = FakeEngine(), FakeConsole(stdin=7, typing=True)
    call(engine, "build-shell", "-it", ":3", console=console)
    assert engine.containers.asked[0][2].tty
    assert (console.given, engine.containers.stdin) == ([], 7)  # it never started


def test_a_difference() -> None:
    changes = (
        FileChange("/<a>", "A", None, A_FILE),
        FileChange("/b", "C", A_FILE, Facts("file", 2500, 0o755, 7, 8), ("content", "mode", "owner")),
        FileChange("/d", "C", Facts("dir", 0, 0o755, 0, 0), Facts("symlink", 0, 0o777, 0, 0), ("type",)),
        FileChange("/e", "D", A_FILE, None),
    )
    engine = FakeEngine(past=FakePast(difference=Difference(changes)))
    result = call(engine, "image", "diff", "a", ":3")
    assert engine.past.asked == [("a", ":3")]
    lines = str(result).splitlines()
    assert [line.split() for line in lines[1:3]] == [
        ["A", "/<a>", "1kB", "file", "0644", "0:0"],
        "C /b 1kB → 2.5kB content, mode 0644 → 0755, owner 0:0 → 7:8".split(),
    ]
    assert lines[3].split() == ["C", "/d", "-", "dir", "→", "symlink"]
    assert lines[-1] == result.summary == "1 added, 2 changed, 1 deleted: +1.5kB"
    assert "&lt;a&gt;" in result._repr_html_()
    assert (len(result), result[3]) == (4, changes[3])


def test_no_difference_and_a_long_one() -> None:
    assert str(call(FakeEngine(), "image", "diff", "a", "b")) == "0 added, 0 changed, 0 deleted: +0B"
    changes = tuple(FileChange(f"/{number}", "D", A_FILE, None) for number in range(600))
    result = call(FakeEngine(past=FakePast(difference=Difference(changes))), "image", "diff", "a", "b")
    assert result._repr_html_().endswith("… 100 more; 0 added, 0 changed, 600 deleted: -600kB</div>")
    assert len(str(result).splitlines()) == 602
