"""What an instruction changes in the image config, and how the history words it. Pure.

Works on expanded instructions. RUN, COPY and ADD change files, not the config; ARG changes neither. The wording is
BuildKit's, so that `history` reads the same. Source: Dockerfile reference; image-spec config.md.
"""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterable, Sequence
from dataclasses import replace

from dockmagic.builder import paths
from dockmagic.dockerfile import instructions as df
from dockmagic.dockerfile.ports import exposed_ports
from dockmagic.errors import DockerfileError
from dockmagic.oci.image import ContainerConfig, Healthcheck, ImageConfig

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_DEFAULT_SHELL = ("/bin/sh", "-c")
_REAL_TIME_SIGNAL = re.compile(r"RTM(IN\+\d{1,2}|AX-\d{1,2}|IN|AX)")
_HIGHEST_SIGNAL = 64


def changed(image: ImageConfig, instruction: df.Instruction, *, cmd_set: bool) -> ImageConfig:
    """The image config after `instruction`; `cmd_set` tells whether this stage had a CMD before.

    Raises DockerfileError for a value that only shows to be wrong once its variables are expanded.
    """
    if isinstance(instruction, df.Maintainer):
        return replace(image, author=instruction.author)
    return replace(image, config=_changed_config(image.config, instruction, cmd_set))


def _changed_config(config: ContainerConfig, instruction: df.Instruction, cmd_set: bool) -> ContainerConfig:
    match instruction:
        case df.Env(pairs=pairs):
            return replace(config, env=with_env(config.env, pairs))
        case df.Label(pairs=pairs):
            return replace(config, labels={**config.labels, **dict(pairs)})
        case df.Workdir(path=path):
            return replace(config, working_dir=paths.absolute(config.working_dir, _not_empty(instruction, path)))
        case df.User(user=user):
            return replace(config, user=_not_empty(instruction, user))
        case df.Cmd(command=command):
            return replace(config, cmd=argv(config, command), args_escaped=True)
        case df.Entrypoint(command=command):
            return replace(config, entrypoint=argv(config, command), cmd=config.cmd if cmd_set else None)
        case df.Expose(ports=ports):
            return replace(config, exposed_ports=_merged(config.exposed_ports, exposed_ports(ports)))
        case df.Volume(paths=volumes):
            added = [_not_empty(instruction, volume) for volume in volumes]
            return replace(config, volumes=_merged(config.volumes, added))
        case df.StopSignal(signal=name):
            return replace(config, stop_signal=_known_signal(instruction, name))
        case df.Shell(args=args):
            return replace(config, shell=args)
        case df.Healthcheck():
            return replace(config, healthcheck=_healthcheck(instruction))
        case df.OnBuild(expression=expression):
            return replace(config, on_build=(*config.on_build, expression))
    return config


def argv(config: ContainerConfig, command: df.Command) -> tuple[str, ...]:
    """The arguments that execve gets: a shell form is one more argument for the image's shell."""
    return (*(config.shell or _DEFAULT_SHELL), *command.args) if command.shell else command.args


def with_env(env: Sequence[str], pairs: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The environment with these variables set; one that is there already keeps its place."""
    merged = {name: value for name, _, value in (entry.partition("=") for entry in env)}
    merged.update(pairs)
    return tuple(f"{name}={value}" for name, value in merged.items())


def created_by(instruction: df.Instruction, after: ContainerConfig) -> str:
    """The history's words for an instruction that only changes the config; "" for one that leaves no history."""
    match instruction:
        case df.Env() | df.Label():
            return " ".join([instruction.keyword, *(f"{name}={value}" for name, value in instruction.pairs)])
        case df.Arg(pairs=options):
            return " ".join(["ARG", *(name if value is None else f"{name}={value}" for name, value in options)])
        case df.Cmd():
            return f"CMD {_go_list(after.cmd or ())}"
        case df.Entrypoint():
            return f"ENTRYPOINT {_go_list(after.entrypoint or ())}"
        case df.Expose(ports=ports):
            return f"EXPOSE {_go_set(exposed_ports(ports))}"
        case df.Volume(paths=volumes):
            return f"VOLUME [{' '.join(volumes)}]"
        case df.Shell(args=args):
            return f"SHELL [{' '.join(args)}]"
        case df.Workdir():
            return f"WORKDIR {after.working_dir}"
        case df.User() | df.StopSignal():
            return f"{instruction.keyword} {after.user if isinstance(instruction, df.User) else after.stop_signal}"
        case df.Maintainer(author=author):
            return f"MAINTAINER {author}"
        case df.OnBuild():
            return ""
    return instruction.text


def _go_list(items: Sequence[str]) -> str:
    return f"[{' '.join(json.dumps(item, ensure_ascii=False) for item in items)}]"


def _go_set(items: Iterable[str]) -> str:
    return f"map[{' '.join(f'{item}:{{}}' for item in sorted(items))}]"


def _merged(old: Iterable[str], new: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({*old, *new}))


def _not_empty(instruction: df.Instruction, value: str) -> str:
    if value.strip():
        return value
    raise DockerfileError(
        f"{instruction.keyword} is empty once its variables are expanded; set them with ARG or ENV, or give a default",
        line=instruction.line,
        end_line=instruction.end_line,
    )


def _known_signal(instruction: df.Instruction, text: str) -> str:
    """`text` if it is a signal's name, with or without SIG, or number; raises DockerfileError otherwise."""
    bare = text.upper().removeprefix("SIG")
    by_number = text.isdecimal() and 0 < int(text) <= _HIGHEST_SIGNAL
    if by_number or f"SIG{bare}" in signal.Signals.__members__ or _REAL_TIME_SIGNAL.fullmatch(bare):
        return text
    raise DockerfileError(
        f"STOPSIGNAL {text!r} is no signal; use a name such as SIGTERM or a number from 1 to {_HIGHEST_SIGNAL}",
        line=instruction.line,
        end_line=instruction.end_line,
    )


def _healthcheck(instruction: df.Healthcheck) -> Healthcheck:
    command = instruction.command
    if command is None:
        return Healthcheck(("NONE",))
    return Healthcheck(
        test=("CMD-SHELL" if command.shell else "CMD", *command.args),
        interval=instruction.interval_ns or 0,
        timeout=instruction.timeout_ns or 0,
        start_period=instruction.start_period_ns or 0,
        start_interval=instruction.start_interval_ns or 0,
        retries=instruction.retries or 0,
    )
