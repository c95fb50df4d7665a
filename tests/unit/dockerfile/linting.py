"""Dockerfiles linted with a few base images that are known."""

from __future__ import annotations

from collections.abc import Mapping

from dockmagic.dockerfile.ignore import IgnoreFile
from dockmagic.dockerfile.lint import LintWarning, lint
from dockmagic.dockerfile.lint_subject import Base, Surroundings
from dockmagic.dockerfile.parser import parse
from dockmagic.dockerfile.stages import stages

BASES = {
    "busybox": Base({"PATH": "/bin"}, "linux/amd64"),
    "python": Base({"PATH": "/bin", "PYTHON_VERSION": "3.13"}, "linux/amd64"),
    "shelled": Base({}, "linux/amd64", has_shell=True),
    "arm": Base({}, "linux/arm64"),
}
AUTOMATIC = {"TARGETPLATFORM": "linux/amd64", "BUILDPLATFORM": "linux/amd64", "TARGETARCH": "amd64"}


def found(text: str, *, ignore: str = "", given: Mapping[str, str] | None = None) -> tuple[LintWarning, ...]:
    """What the rules find in a Dockerfile with this text, next to a .dockerignore with that one."""
    dockerfile = parse(text)
    around = Surroundings(given or {}, AUTOMATIC, BASES.get, lambda: IgnoreFile.parse(ignore))
    return lint(dockerfile, stages(dockerfile), around)
