"""Changes of an image config by instructions of a Dockerfile: `--change` of commit and import. Pure.

Source: Docker's reference of `container commit`, "--change"; CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD,
STOPSIGNAL, USER, VOLUME and WORKDIR change a config, and nothing else does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from dockmagic.builder import metadata
from dockmagic.dockerfile import instructions as df
from dockmagic.dockerfile.convert import instruction_of
from dockmagic.dockerfile.parser import parse
from dockmagic.dockerfile.substitute import expand_instruction
from dockmagic.errors import DockerfileError, InvalidOption, one_of
from dockmagic.oci.image import ContainerConfig, ImageConfig

_CHANGING: Final = (
    df.Cmd,
    df.Entrypoint,
    df.Env,
    df.Expose,
    df.Healthcheck,
    df.Label,
    df.OnBuild,
    df.StopSignal,
    df.User,
    df.Volume,
    df.Workdir,
)


def changed_by(config: ContainerConfig, changes: Sequence[str]) -> ContainerConfig:
    """The config after these instructions, one or more in each text; raises InvalidOption for one that can't be."""
    image, cmd_set = ImageConfig("", "", config), False
    for text in changes:
        try:
            for instruction in _instructions(text):
                expanded = expand_instruction(instruction, image.config.env_map())
                image = metadata.changed(image, expanded, cmd_set=cmd_set)
                cmd_set = cmd_set or isinstance(expanded, df.Cmd)
        except DockerfileError as error:
            raise InvalidOption(f"--change {text!r}: {error.message}") from error
    return replace(image.config, args_escaped=config.args_escaped)


def _instructions(text: str) -> list[df.Instruction]:
    """The instructions of a text; raises DockerfileError for one that changes no config."""
    dockerfile = parse(text)
    found = [instruction_of(node, dockerfile.escape) for node in dockerfile.nodes]
    for instruction in found:
        if not isinstance(instruction, _CHANGING):
            names = one_of([kind.keyword for kind in _CHANGING])
            raise DockerfileError(f"{instruction.keyword} changes no config; use {names}", line=instruction.line)
    return found
