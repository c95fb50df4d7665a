from __future__ import annotations

import json
from pathlib import Path

import pytest

from dockmagic.commands.filters import moment_ns
from dockmagic.journal import Journal
from tests.unit.commands.calling import call
from tests.unit.commands.fakes import FakeConsole, FakeEngine


@pytest.fixture
def engine(tmp_path: Path) -> FakeEngine:
    journal = Journal(tmp_path / "events.jsonl")
    container = {"image": "busybox:1", "name": "burn", "com.x": "y"}
    journal.write("image", "pull", "busybox:1", {"name": "busybox"})
    journal.write("container", "create", "c0ffee00", container)
    journal.write("container", "exec_create: sh -c x", "c0ffee00", container)
    journal.write("container", "die", "c0ffee00", {**container, "exitCode": "3"})
    journal.write("container", "create", "decaf000", {"image": "other", "name": "\x1b[2J"})
    return FakeEngine(journal=journal)


def shown(engine: FakeEngine, *words: str) -> list[str]:
    console = FakeConsole()
    result = call(engine, "events", "--since", "1h", "--until", "0s", *words, console=console)
    lines = console.streams["stdout"].decode().splitlines()
    assert len(result) == len(lines)
    assert str(result) == ""
    return lines


def test_lines_as_docker_has_them(engine: FakeEngine) -> None:
    lines = shown(engine)
    assert len(lines) == 5
    assert lines[3].endswith(" container die c0ffee00 (com.x=y, exitCode=3, image=busybox:1, name=burn)")
    assert lines[4].endswith("name=\\u001b[2J)")


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ("container=burn", 3),
        ("container=c0ff", 3),
        ("event=exec_create", 1),
        ("event=die event=pull", 2),
        ("type=image", 1),
        ("type=container event=create", 2),
        ("image=busybox", 4),
        ("image=busybox:1", 4),
        ("label=com.x", 3),
        ("label=com.x=y label=none", 0),
        ("scope=local", 5),
        ("volume=x", 0),
    ],
)
def test_filters(engine: FakeEngine, filters: str, count: int) -> None:
    assert len(shown(engine, *(word for each in filters.split() for word in ("-f", each)))) == count


def test_formats(engine: FakeEngine) -> None:
    assert shown(engine, "--format", "{{.Type}} {{.Action}} {{.Actor.Attributes.name}} {{.From}}")[0] == (
        "image pull busybox "
    )
    assert json.loads(shown(engine, "--format", "json")[3])["Actor"]["Attributes"]["exitCode"] == "3"


def test_an_end_to_come() -> None:
    assert moment_ns("-1m", 100.0) == 160 * 10**9
