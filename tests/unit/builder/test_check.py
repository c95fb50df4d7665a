from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from dockmagic.builder.check import check_dockerfile
from dockmagic.builder.plan import BuildArgs
from dockmagic.errors import DockerfileError
from dockmagic.events import BuildFinished, BuildWarning
from dockmagic.oci.image import ContainerConfig
from tests.unit.builder.lab import Lab, fill


def found(lab: Lab, text: str, context: Path | None = None, args: Mapping[str, str] | None = None) -> list[str]:
    """The messages."""
    return [str(warning) for warning in check_dockerfile(text, context, BuildArgs(args or {}), lab.store)]


def test_variables_of_a_base_image_that_is_here(lab: Lab) -> None:
    lab.base("python", {}, ContainerConfig(env=("PYTHON_VERSION=3.13",), shell=("/bin/bash", "-c")))
    assert found(lab, "FROM python\nENV V=$PYTHON_VERSION\nCMD x\n") == []
    assert found(lab, "FROM base\nENV V=$PYTHON_VERSION\n") == [
        "UndefinedVar: Usage of undefined variable '$PYTHON_VERSION'"
    ]
    assert found(lab, "FROM elsewhere\nENV V=$PYTHON_VERSION\nFROM :\n") == []


def test_what_is_left_out_of_the_context(lab: Lab, context: Path) -> None:
    fill(context, {".dockerignore": "secret\n"})
    text = "# check=experimental=all\nFROM base\nCOPY secret /\n"
    message = 'CopyIgnoredFile: Attempting to Copy file "secret" that is excluded by .dockerignore'
    assert found(lab, text, context) == [message]
    assert found(lab, text) == []


def test_a_build_argument_chooses_the_rules(lab: Lab) -> None:
    text = "# check=skip=all\nFROM base\nMAINTAINER me\nCMD x\n"
    rules = [line.partition(":")[0] for line in found(lab, text, args={"BUILDKIT_DOCKERFILE_CHECK": "skip=x"})]
    assert rules == ["MaintainerDeprecated", "JSONArgsRecommended"]
    assert found(lab, text) == []


def test_what_cannot_be_built_is_an_error(lab: Lab) -> None:
    with pytest.raises(DockerfileError, match="unknown instruction: NONSENSE"):
        found(lab, "FROM base\nNONSENSE\n")


def test_a_build_tells_at_its_end(lab: Lab) -> None:
    lab.build("FROM base\nMAINTAINER me\nCMD x\n", args={"BUILDKIT_DOCKERFILE_CHECK": "skip=JSONArgsRecommended"})
    warning = BuildWarning("MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label", 2)
    assert [event for event in lab.events if isinstance(event, BuildWarning)] == [warning]
    assert lab.events[-2] == warning
    assert isinstance(lab.events[-1], BuildFinished)


def test_a_build_that_fails_tells_too(lab: Lab) -> None:
    lab.command = lambda step, output: 1
    with pytest.raises(Exception, match="exit code: 1"):
        lab.build("FROM base\nMAINTAINER me\nRUN x\n")
    assert isinstance(lab.events[-1], BuildWarning)


def test_warnings_can_end_a_build_before_it_begins(lab: Lab) -> None:
    with pytest.raises(DockerfileError, match=r"Dockerfile:3: lint violation found for Maint(.|\n)*3 \| MAINTAINER"):
        lab.build("# check=error=true\nFROM base\nMAINTAINER me\n")
    assert lab.events == []
    lab.build("# check=error=true;skip=MaintainerDeprecated\nFROM base\nMAINTAINER me\n")
