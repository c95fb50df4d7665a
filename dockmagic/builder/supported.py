"""What of the Dockerfile reference can't be built yet, and says so at its line instead of being passed over. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dockmagic.dockerfile import instructions as df
from dockmagic.errors import DockerfileError


def refuse_unsupported(instruction: df.Instruction) -> None:
    """Raise DockerfileError if `instruction` asks for something that no step does yet."""
    for check in _CHECKS:
        for message in check(instruction):
            raise DockerfileError(message, line=instruction.line, end_line=instruction.end_line)


def _run(instruction: df.Instruction) -> Iterator[str]:
    if not isinstance(instruction, df.Run):
        return
    if instruction.mounts:
        yield "RUN --mount isn't supported yet; COPY what the command needs, or fetch it in the command itself"
    if instruction.devices:
        yield "RUN --device isn't supported; the command gets the default devices"
    if instruction.security not in (None, "sandbox"):
        yield f"RUN --security={instruction.security} isn't supported; commands run with the default capabilities"


_CHECKS: tuple[Callable[[df.Instruction], Iterator[str]], ...] = (_run,)
