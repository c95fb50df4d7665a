"""The stages that a Dockerfile can be built to, and what comments say of them: `docker build --call=targets`.

Source: BuildKit, "frontend.targets" subrequest; Docker documentation, "InvalidDefinitionDescription" for the comments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dockmagic.dockerfile.instructions import Program
from dockmagic.dockerfile.nodes import Dockerfile


@dataclass(frozen=True, slots=True)
class Target:
    """A stage; `name` and `description` are "" without one, `base` and `platform` are as written. `line` is FROM's."""

    name: str
    description: str
    base: str
    platform: str
    is_default: bool
    line: int


def targets(dockerfile: Dockerfile, program: Program) -> tuple[Target, ...]:
    """All stages, in the order of the file; the last is the default. `program` is what the nodes form."""
    comments = comments_by_line(dockerfile)
    return tuple(
        Target(
            name=stage.from_.name or "",
            description=description(comments[stage.from_.line], stage.from_.name or ""),
            base=stage.from_.image,
            platform=stage.from_.platform or "",
            is_default=stage.index == len(program.stages) - 1,
            line=stage.from_.line,
        )
        for stage in program.stages
    )


def comments_by_line(dockerfile: Dockerfile) -> dict[int, tuple[str, ...]]:
    """The comments above each instruction, by its first line."""
    return {node.line: node.comments for node in dockerfile.nodes}


def description(comments: Sequence[str], name: str) -> str:
    """What the first comment that begins with the name says after it, "" if none does.

    >>> description(["Copyright", "app is what runs"], "app")
    'is what runs'
    """
    begun = (comment.removeprefix(f"{name} ") for comment in comments if comment.startswith(f"{name} "))
    return next(begun, "") if name else ""
