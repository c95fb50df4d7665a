"""ONBUILD triggers: instructions that an image asks to be carried out first in whatever is built from it. Pure.

Source: Dockerfile reference, "ONBUILD".
"""

from __future__ import annotations

from dataclasses import replace

from dockmagic.builder.steps import StageState
from dockmagic.builder.supported import refuse_unsupported
from dockmagic.dockerfile import instructions as df
from dockmagic.dockerfile.convert import instruction_of
from dockmagic.dockerfile.parser import parse
from dockmagic.errors import DockerfileError


def triggered(state: StageState, from_: df.From, escape: str) -> tuple[df.Instruction, ...]:
    """The instructions that the base has ready, at the line of the FROM that sets them off.

    Raises DockerfileError at that line for one that can't be carried out.
    """
    return tuple(_instruction(text, from_, escape) for text in state.image.config.on_build)


def _instruction(text: str, from_: df.From, escape: str) -> df.Instruction:
    try:
        (node,) = parse(text).nodes
        instruction = instruction_of(node, escape)
        refuse_unsupported(instruction)
    except (DockerfileError, ValueError) as error:
        reason = error.message if isinstance(error, DockerfileError) else "it isn't one instruction"
        raise _error(from_, f"the base image's trigger ONBUILD {text}: {reason}") from error
    if isinstance(instruction, df.From | df.OnBuild):
        raise _error(from_, f"the base image's trigger ONBUILD {text}: {instruction.keyword} can't be one")
    if isinstance(instruction, df.Run):
        instruction = replace(instruction, mount_places=())
    return replace(instruction, line=from_.line, end_line=from_.end_line)


def _error(from_: df.From, message: str) -> DockerfileError:
    return DockerfileError(message, line=from_.line, end_line=from_.end_line)
