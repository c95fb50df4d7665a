"""What of a Dockerfile can't be built, said at its line before anything runs. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dockmagic.builder.addresses import check
from dockmagic.builder.choice import excluding
from dockmagic.builder.modes import parse_mode
from dockmagic.dockerfile import instructions as df
from dockmagic.errors import BuildError, DockerfileError


def refuse_unsupported(instruction: df.Instruction) -> None:
    """Raise DockerfileError if `instruction` asks for what no step does, or for what contradicts itself."""
    for find in _CHECKS:
        for message in find(instruction):
            raise DockerfileError(message, line=instruction.line, end_line=instruction.end_line)


def _run(instruction: df.Instruction) -> Iterator[str]:
    if not isinstance(instruction, df.Run):
        return
    if instruction.devices:
        yield "RUN --device isn't supported; the command gets the default devices"


def _copy(instruction: df.Instruction) -> Iterator[str]:
    """What the flags and addresses say that can't be; words with variables are looked at when these are known."""
    if not isinstance(instruction, df.Copy | df.Add):
        return
    words = [
        *instruction.sources,
        *instruction.exclude,
        instruction.chmod or "",
        getattr(instruction, "checksum", "") or "",
    ]
    if any("$" in word for word in words):
        return
    check(instruction)
    try:
        excluding(instruction.exclude)
        if instruction.chmod is not None:
            parse_mode(instruction.chmod)
    except BuildError as error:
        yield str(error)


_CHECKS: tuple[Callable[[df.Instruction], Iterator[str]], ...] = (_run, _copy)
