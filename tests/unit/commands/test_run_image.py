from __future__ import annotations

from pathlib import Path

import pytest

from dockmagic.errors import InvalidOption
from dockmagic.events import ContainerCreated, ContainerWarning, PullStarted
from tests.unit.commands.calling import call
from tests.unit.commands.fakes import FakeConsole, FakeContainers, FakeEngine

CREATED = ContainerCreated("c0ffee")
PULL = PullStarted("busybox", "library/busybox")
WARNING = ContainerWarning("c0ffee", "something")


def engine_with(*events: object, fails: Exception | None = None) -> FakeEngine:
    return FakeEngine(FakeContainers(events=events, fails=fails))  # type: ignore[arg-type]


def test_labels_of_files_come_before_those_of_flags(tmp_path: Path) -> None:
    file = tmp_path / "labels"
    file.write_text("a=file\nb=file\nc\n")
    engine = engine_with()
    call(engine, "run", "--label-file", str(file), "-l", "a=flag", "--annotation", "x=y", "busybox")
    options = engine.containers.asked[0][2]
    assert (options.labels, options.annotations) == ({"a": "flag", "b": "file"}, {"x": "y"})


def test_what_is_asked_of_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_with()
    monkeypatch.setenv("DOCKER_DEFAULT_PLATFORM", "linux/arm64")
    call(engine, "create", "busybox")
    call(engine, "run", "--pull", "always", "--platform", "linux/arm/v7", "busybox")
    assert [(each[2].pull, each[2].platform) for each in engine.containers.asked] == [
        ("missing", "linux/arm64"),
        ("always", "linux/arm/v7"),
    ]
    for words in (["--pull", "often"], ["--platform", "a/b/c/d"]):
        with pytest.raises(InvalidOption):
            call(engine, "run", *words, "busybox")


def test_quiet_shows_no_pull_but_warnings() -> None:
    console = FakeConsole()
    call(engine_with(PULL, WARNING), "run", "-q", "busybox", console=console)
    assert console.events == [WARNING]
    call(engine_with(PULL), "run", "busybox", console=console)
    assert console.events == [WARNING, PULL]


def test_the_id_goes_to_a_new_file(tmp_path: Path) -> None:
    file = tmp_path / "cid"
    call(engine_with(CREATED), "run", "--cidfile", str(file), "busybox")
    assert file.read_text() == "c0ffee"
    with pytest.raises(InvalidOption, match="container ID file found"):
        call(engine_with(CREATED), "run", "--cidfile", str(file), "busybox")
    with pytest.raises(InvalidOption, match="No such file"):
        call(engine_with(CREATED), "run", "--cidfile", str(tmp_path / "no" / "cid"), "busybox")


def test_the_file_goes_where_no_container_comes_to_be(tmp_path: Path) -> None:
    file = tmp_path / "cid"
    with pytest.raises(InvalidOption, match="no"):
        call(engine_with(fails=InvalidOption("no")), "run", "--cidfile", str(file), "busybox")
    assert not file.exists()
