"""Lint rules on variables, and on base images and platforms, which variables choose.

Source: Docker documentation, "Build checks".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dockmagic.dockerfile.expand import expansion
from dockmagic.dockerfile.lint_subject import Finding, LintStage, Subject, quoted, variables_of
from dockmagic.errors import DockerfileError, InvalidReference
from dockmagic.oci.reference import Reference

_TARGET_PLATFORM: Final = "TARGETPLATFORM"


def undefined_var(subject: Subject) -> Iterator[Finding]:
    """Variables are set before they are used."""
    for stage in subject.stages:
        for line in stage.lines:
            places = variables_of(line.node) if line.undefined else {}
            for name, meant in line.undefined:
                guess = f" (did you mean ${meant}?)" if meant else ""
                yield Finding(f"Usage of undefined variable '${name}'{guess}", line.node, places.get(name, 0))


def undefined_arg_in_from(subject: Subject) -> Iterator[Finding]:
    """FROM uses ARGs that are declared before the first one."""
    for stage in subject.stages:
        places = variables_of(stage.head.node) if stage.head.undefined else {}
        for name, meant in stage.head.undefined:
            guess = f" (did you mean {meant}?)" if meant else ""
            yield Finding(f"FROM argument '{name}' is not declared{guess}", stage.head.node, places.get(name, 0))


def invalid_default_arg_in_from(subject: Subject) -> Iterator[Finding]:
    """The base image has a name even if no build argument is given."""
    for stage in subject.stages:
        written = stage.stage.from_.image
        if "$" not in written:
            continue
        try:
            Reference.parse(expansion(written, subject.defaults, subject.dockerfile.escape).text)
        except InvalidReference:
            message = f"Default value for ARG {written} results in empty or invalid base image name"
            yield Finding(message, stage.head.node, max(stage.head.node.text.find(written), 0))
        except DockerfileError:
            continue  # the build says so


def redundant_target_platform(subject: Subject) -> Iterator[Finding]:
    """No --platform=$TARGETPLATFORM, which is what a stage is built for anyway."""
    for stage, platform, offset in _platforms(subject):
        if platform in {f"${_TARGET_PLATFORM}", f"${{{_TARGET_PLATFORM}}}"}:
            message = f"Setting platform to predefined {platform} in FROM is redundant as this is the default behavior"
            yield Finding(message, stage.head.node, offset)


def from_platform_flag_const_disallowed(subject: Subject) -> Iterator[Finding]:
    """No constant --platform, unless the stage's name tells that it is for that one."""
    for stage, platform, offset in _platforms(subject):
        name = stage.stage.from_.name or ""
        if "$" not in platform and not any(part in name for part in platform.split("/")[:2]):
            message = f"FROM --platform flag should not use constant value {quoted(platform)}"
            yield Finding(message, stage.head.node, offset)


def _platforms(subject: Subject) -> Iterator[tuple[LintStage, str, int]]:
    """The stages with a --platform, what it says, and where it stands."""
    for stage in subject.stages:
        platform = stage.stage.from_.platform
        if platform is not None:
            yield stage, platform, max(stage.head.node.text.find("--platform"), 0)


def invalid_base_image_platform(subject: Subject) -> Iterator[Finding]:
    """The base image that is here is for the platform that the stage is for."""
    for stage in subject.stages:
        expected = stage.from_.platform or subject.surroundings.automatic.get(_TARGET_PLATFORM, "")
        actual = stage.base.platform if stage.base is not None else ""
        if not expected or not actual or _same(expected, actual):
            continue
        message = (
            f"Base image {stage.from_.image} was pulled with platform {quoted(actual)}, expected {quoted(expected)} "
            "for current build"
        )
        yield Finding(message, stage.head.node, max(stage.head.node.text.find(stage.stage.from_.image), 0))


def _same(expected: str, actual: str) -> bool:
    """Whether system and architecture are the same, as far as `expected` names them."""
    wanted, found = expected.split("/")[:2], actual.split("/")[:2]
    return wanted == found or (len(wanted) == 1 and wanted[0] in found)
