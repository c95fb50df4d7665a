"""What a Dockerfile's text says of itself: stages, and what a build to one of them can be given."""

from __future__ import annotations

from dockmagic.builder.plan import BuildArgs
from dockmagic.dockerfile.instructions import Program
from dockmagic.dockerfile.nodes import Dockerfile
from dockmagic.dockerfile.outline import Outline, outline
from dockmagic.dockerfile.parser import parse
from dockmagic.dockerfile.stages import stages
from dockmagic.dockerfile.targets import Target, targets
from dockmagic.errors import DockerfileError


def describe_targets(text: str, filename: str = "Dockerfile") -> tuple[Target, ...]:
    """All stages, in their order. Raises DockerfileError."""
    return targets(*_parsed(text, filename))


def describe_outline(text: str, args: BuildArgs, filename: str = "Dockerfile") -> Outline:
    """What a build to the target of `args` can be given. Raises DockerfileError, and NotFound without such a target."""
    return outline(*_parsed(text, filename), args.target, given=args.given, automatic=args.automatic())


def _parsed(text: str, filename: str) -> tuple[Dockerfile, Program]:
    """The text's nodes, and what they form."""
    parsed = parse(text, filename)
    try:
        return parsed, stages(parsed)
    except DockerfileError as error:
        error.locate(text, filename)
        raise
