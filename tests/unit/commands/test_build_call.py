from __future__ import annotations

from pathlib import Path

import pytest

from dockmagic.commands.build_call import Described, call
from dockmagic.commands.catalogue import by_name
from dockmagic.dockerfile.targets import Target
from dockmagic.engine import Engine
from dockmagic.errors import DockerfileError, InvalidOption, NotFound
from tests.unit.commands.calling import call as run
from tests.unit.commands.fakes import FakeConsole, FakeEngine

TEXT = """\
# BASE is what to <start> with
ARG BASE=busybox
# app is what runs
FROM $BASE AS app
ARG NAME=x
RUN --mount=type=secret,id=token true
FROM app
"""


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tmp_path / "root")


def test_methods() -> None:
    assert [call(name) for name in ("build", "check", "lint", "outline", "targets")] == [
        "build", "check", "check", "outline", "targets",
    ]  # fmt: skip
    with pytest.raises(InvalidOption, match="'x' isn't a method; it can be build, check, outline or targets"):
        call("x")


def test_targets(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(TEXT)
    with engine:
        result = run(engine, "build", "--call=targets", str(tmp_path))  # type: ignore[arg-type]
    assert isinstance(result, Described)
    assert result.value[0] == Target("app", "is what runs", "$BASE", "", is_default=False, line=4)  # type: ignore[index]
    assert str(result) == "TARGET    DESCRIPTION\napp       is what runs\n(default)"
    console = FakeConsole()
    by_name()["build"].show(result, console)
    assert console.streams["stdout"] == f"{result}\n".encode()


def test_outline(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(TEXT)
    words = ["--call", "outline", "--target", "app", "--build-arg", "NAME=y"]
    with engine:
        result = run(engine, "build", *words, str(tmp_path))  # type: ignore[arg-type]
        with pytest.raises(NotFound, match="no such build stage: none"):
            run(engine, "build", "--call", "outline", "--target", "none", str(tmp_path))  # type: ignore[arg-type]
    assert {arg.name: arg.value for arg in result.value.args} == {"BASE": "busybox", "NAME": "y"}
    assert [secret.name for secret in result.value.secrets] == ["token"]
    assert "what to &lt;start&gt; with" in result._repr_html_()


def test_errors_show_the_lines(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("RUN x\n")
    with engine, pytest.raises(DockerfileError, match="Dockerfile:1: "):
        run(engine, "build", "--call", "targets", str(tmp_path))  # type: ignore[arg-type]


def test_check_is_a_method(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(TEXT)
    engine = FakeEngine()
    for flag in ("--check", "--call=check", "--call=lint"):
        run(engine, "build", flag, str(tmp_path))
    assert (len(engine.checks), engine.builds) == (3, [])
