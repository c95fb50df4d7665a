"""One instruction after another: what it does to the files, what it makes of the config, and its cache key. Pure.

    StageState + instruction  ->  Step(action, history's words, StageState after it)

Only an action makes a layer. Its key covers what the action reads: the files it stands on, by chain ID, and its own
arguments. So ENV, LABEL or CMD make a later step run again only where that step uses them, and ARG at its first use.
Source: Dockerfile reference, "Impact on build caching"; BuildKit for the history's words.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Final

from dockmagic.builder import addresses, metadata, paths
from dockmagic.builder.mounts import AnyMount, run_mounts
from dockmagic.builder.plan import BuildArgs, Origin, declared
from dockmagic.builder.settings import RunSettings
from dockmagic.dockerfile import instructions as df
from dockmagic.dockerfile.nodes import Heredoc
from dockmagic.dockerfile.substitute import expand_instruction
from dockmagic.oci.digest import Digest
from dockmagic.oci.image import ImageConfig

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_KEY_VERSION: Final = 1  # to be raised when the same action comes to make other files


@dataclass(frozen=True, slots=True)
class RunAction:
    """Run a command. `env` is sorted "NAME=value"; `hidden_env` isn't part of the key. `script` is a file to run."""

    argv: tuple[str, ...]
    env: tuple[str, ...]
    user: str
    workdir: str
    network: str
    script: str | None = None
    script_name: str = ""
    hidden_env: tuple[str, ...] = field(default=(), metadata={"key": False})
    mounts: tuple[AnyMount, ...] = ()
    settings: RunSettings = field(default_factory=RunSettings)
    privileged: bool = False


@dataclass(frozen=True, slots=True)
class CopyAction:
    """Copy files. `destination` is absolute, with "/" at its end if it has to be a directory.

    `unpack` None takes archives apart that weren't fetched. With `link` it doesn't look at the layers below.
    """

    sources: tuple[str, ...]
    destination: str
    chown: str | None
    chmod: str | None
    heredocs: tuple[Heredoc, ...]
    unpack: bool | None
    exclude: tuple[str, ...] = ()
    parents: bool = False
    link: bool = False
    checksum: str | None = None
    keep_git_dir: bool | None = None
    origin: Origin = field(default=None, metadata={"key": False})  # the content's digest stands for it


@dataclass(frozen=True, slots=True)
class MakeDirectory:
    """Make a directory unless it is there, and its parents, owned by `user`.

    What is new has the time `mtime_s` (s since 1970), if that is given, else the present one.
    """

    path: str
    user: str
    mtime_s: int | None = None


Action = RunAction | CopyAction | MakeDirectory


@dataclass(frozen=True, slots=True)
class StageState:
    """Where a stage is: the config so far, and the build arguments in scope (None: declared without a value)."""

    image: ImageConfig
    args: Mapping[str, str | None] = field(default_factory=dict)
    cmd_set: bool = False

    def environment(self) -> dict[str, str]:
        """The variables that words are expanded with and that commands see; ENV wins over ARG."""
        args = {name: value for name, value in self.args.items() if value is not None}
        return {**args, **self.image.config.env_map()}


@dataclass(frozen=True, slots=True)
class Step:
    """What an instruction comes to. `created_by` "" leaves no history."""

    instruction: df.Instruction
    action: Action | None
    created_by: str
    after: StageState


@dataclass(frozen=True, slots=True)
class Scope:
    """What is the same for every step of a stage. `epoch_s` is what the build takes for the present, if not that."""

    args: BuildArgs
    global_args: Mapping[str, str]
    origins: Mapping[str, Origin]
    network: str = "default"
    escape: str = "\\"
    epoch_s: int | None = None


def begin(image: ImageConfig, inherited: Mapping[str, str | None]) -> StageState:
    """The state after FROM. There is always a PATH; ARGs of the stage that this one starts from are in scope."""
    env = image.config.env
    if "PATH" not in image.config.env_map():
        env = (*env, f"PATH={metadata.DEFAULT_PATH}")
    return StageState(replace(image, config=replace(image.config, env=env)), dict(inherited))


def next_step(state: StageState, instruction: df.Instruction, scope: Scope) -> Step:
    """What `instruction` comes to in this state; raises DockerfileError for a variable or value it can't use."""
    if isinstance(instruction, df.Arg):
        return _arg(state, instruction, scope)
    expanded = expand_instruction(instruction, state.environment(), scope.escape)
    image = metadata.changed(state.image, expanded, cmd_set=state.cmd_set)
    after = replace(state, image=image, cmd_set=state.cmd_set or isinstance(expanded, df.Cmd))
    match expanded:
        case df.Run():
            action = _run_action(state, expanded, scope)
            return Step(expanded, action, f"RUN {_run_words(state, action)} # buildkit", after)
        case df.Copy() | df.Add():
            return Step(expanded, _copy_action(state, expanded, scope), f"{_copy_words(expanded)} # buildkit", after)
        case df.Workdir() if image.config.working_dir != "/":
            make = MakeDirectory(image.config.working_dir, state.image.config.user, scope.epoch_s)
            return Step(expanded, make, metadata.created_by(expanded, image.config), after)
    return Step(expanded, None, metadata.created_by(expanded, image.config), after)


def key(parent: Digest | None, action: Action, content: str = "", latest_s: int | None = None) -> str:
    """Cache key of an action on the layers with chain ID `parent`; `content` is the digest of what it copies.

    `parent` doesn't count for an action that `stands_alone`; `latest_s` does if it limits the times of the files.
    """
    below = None if stands_alone(action) else parent
    whole = [_KEY_VERSION, below, *_recipe(action), content, *([] if latest_s is None else [latest_s])]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode("utf-8", "surrogateescape")).hexdigest()


def stands_alone(action: Action) -> bool:
    """Whether the action makes the same layer on whatever other layers."""
    return isinstance(action, CopyAction) and action.link


def _recipe(value: DataclassInstance) -> tuple[str, dict[str, object]]:
    """Kind and fields of a value, without those that aren't part of a key."""
    return type(value).__name__, {name: _plain(getattr(value, name)) for name in _key_fields(type(value))}


@cache
def _key_fields(kind: type[DataclassInstance]) -> tuple[str, ...]:
    """Names of the fields that are part of a key."""
    return tuple(f.name for f in dataclasses.fields(kind) if f.metadata.get("key", True))


def _plain(value: object) -> object:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _recipe(value)
    return value


def _arg(state: StageState, instruction: df.Arg, scope: Scope) -> Step:
    """ARG: a value given or by default, else the one before the first FROM, else what the name had in this stage."""
    fallback = {**state.args, **scope.global_args}
    values = [
        (name, fallback.get(name) if value is None else value)
        for name, value in declared(instruction, state.environment(), scope.args.given, scope.escape)
    ]
    after = replace(state, args={**state.args, **dict(values)})
    expanded = replace(instruction, pairs=tuple(values))
    return Step(expanded, None, metadata.created_by(expanded, state.image.config), after)


def _run_action(state: StageState, instruction: df.Run, scope: Scope) -> RunAction:
    scope.args.run.check(instruction)  # one that a trigger of the base brought wasn't looked at before
    config, environment = state.image.config, state.environment()
    proxies = {name: value for name, value in scope.args.proxies().items() if name not in environment}
    return RunAction(
        argv=metadata.argv(config, instruction.command),
        env=tuple(sorted(f"{name}={value}" for name, value in environment.items())),
        user=config.user,
        workdir=config.working_dir or "/",
        network=scope.network if instruction.network in (None, "default") else instruction.network,
        script=instruction.script,
        script_name=instruction.heredocs[0].name if instruction.script is not None else "",
        hidden_env=tuple(sorted(f"{name}={value}" for name, value in proxies.items())),
        mounts=run_mounts(instruction, config.working_dir, scope.origins, scope.args.cache_id),
        settings=scope.args.settings(),
        privileged=instruction.security == "insecure",
    )


def _run_words(state: StageState, action: RunAction) -> str:
    """The command, after the arguments in scope as "|2 A=1 B=2" where there are any."""
    environment = state.environment()
    args = [f"{name}={environment.get(name, '')}" for name in state.args]
    return " ".join([*([f"|{len(args)}", *args] if args else []), *action.argv])


def _copy_action(state: StageState, instruction: df.Copy | df.Add, scope: Scope) -> CopyAction:
    addresses.check(instruction)
    add = instruction if isinstance(instruction, df.Add) else None
    from_ = instruction.from_ if isinstance(instruction, df.Copy) else None
    return CopyAction(
        sources=instruction.sources,
        destination=paths.destination(state.image.config.working_dir, instruction.destination),
        chown=instruction.chown,
        chmod=instruction.chmod,
        heredocs=instruction.heredocs,
        unpack=add.unpack if add else False,
        exclude=instruction.exclude,
        parents=isinstance(instruction, df.Copy) and instruction.parents,
        link=instruction.link,
        checksum=add.checksum if add else None,
        keep_git_dir=add.keep_git_dir if add else None,
        origin=None if from_ is None else scope.origins[from_],
    )


def _copy_words(instruction: df.Copy | df.Add) -> str:
    """COPY or ADD as the history shows it: some of the flags, then the words as they were expanded."""
    flags = ["--parents"] if isinstance(instruction, df.Copy) and instruction.parents else []
    flags += [f"--chown={instruction.chown}"] if instruction.chown else []
    flags += [f"--chmod={instruction.chmod}"] if instruction.chmod else []
    documents = [f"<<{heredoc.name}" for heredoc in instruction.heredocs]
    return " ".join([instruction.keyword, *flags, *instruction.sources, *documents, instruction.destination])
