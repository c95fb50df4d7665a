"""What of the Dockerfile reference can't be built yet, and says so at its line instead of being passed over. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from dockmagic.dockerfile import instructions as df
from dockmagic.errors import DockerfileError

_REMOTE = re.compile(r"(?:https?|ftp|git|ssh)://|git@[^/]+:")


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


def _copy(instruction: df.Instruction) -> Iterator[str]:
    if not isinstance(instruction, df.Copy | df.Add):
        return
    remote = [source for source in instruction.sources if _REMOTE.match(source)]
    if remote and isinstance(instruction, df.Copy):
        yield f"COPY takes files, not an address such as {remote[0]}; download it in RUN"
    if remote:
        yield f"ADD of an address such as {remote[0]} isn't supported yet; download it in RUN, or ADD a local file"


def _add(instruction: df.Instruction) -> Iterator[str]:
    if not isinstance(instruction, df.Add):
        return
    if instruction.checksum is not None:
        yield "ADD --checksum is for addresses, which aren't supported yet; leave it out for a local file"
    if instruction.keep_git_dir is not None:
        yield "ADD --keep-git-dir is for git repositories, which aren't supported yet"


_CHECKS: tuple[Callable[[df.Instruction], Iterator[str]], ...] = (_run, _copy, _add)
