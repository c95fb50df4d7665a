"""What a build to one stage can be given: arguments, secrets, SSH agents, caches: `docker build --call=outline`.

All stages that the target starts, copies or mounts from count, and of the ARGs before the first FROM those that a
counting FROM or ARG uses. What base images set isn't known here: where that is in the way of replacing variables, words
stay as they are written. Source: BuildKit, "frontend.outline" subrequest.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from dockmagic.dockerfile import instructions as df
from dockmagic.dockerfile.mounts import MountError, RunMount, mount_of
from dockmagic.dockerfile.nodes import Dockerfile
from dockmagic.dockerfile.substitute import AnyInstruction, expand_noting
from dockmagic.dockerfile.targets import comments_by_line, description
from dockmagic.errors import DockerfileError, NotFound, one_of


@dataclass(frozen=True, slots=True)
class OutlineArg:
    """A build argument; `value` is the one given, else the default with its variables replaced, else None."""

    name: str
    value: str | None
    description: str
    line: int


@dataclass(frozen=True, slots=True)
class OutlineInput:
    """A secret or an SSH agent, as the first instruction of a stage asks for it."""

    name: str
    required: bool
    line: int


@dataclass(frozen=True, slots=True)
class OutlineCache:
    """A cache that a RUN mounts."""

    name: str
    line: int


@dataclass(frozen=True, slots=True)
class Outline:
    """All of it for one target, each kind by line; `name` is "" for a stage without one."""

    name: str
    description: str
    args: tuple[OutlineArg, ...]
    secrets: tuple[OutlineInput, ...]
    ssh: tuple[OutlineInput, ...]
    caches: tuple[OutlineCache, ...]


def outline(
    dockerfile: Dockerfile,
    program: df.Program,
    target: str = "",
    *,
    given: Mapping[str, str] | None = None,
    automatic: Mapping[str, str] | None = None,
) -> Outline:
    """What can be given to a build to `target`, the last stage without one.

    `given` are the values of --build-arg, `automatic` those of the arguments that describe the platform. Raises
    NotFound for a target that isn't there, DockerfileError for mounts that can't be.
    """
    stage = program.stage(target) if target else program.stages[-1]
    if stage is None:
        raise NotFound("build stage", target, f"the target can be {one_of([each.name for each in program.stages])}")
    comments = comments_by_line(dockerfile)
    try:
        found = _Walk(program, comments, given or {}, automatic or {}).found(stage.index)
    except DockerfileError as error:
        error.locate(dockerfile.source, dockerfile.filename)
        raise
    return Outline(
        name=stage.from_.name or "",
        description=description(comments[stage.from_.line], stage.from_.name or ""),
        args=_merged(each.args for each in found),
        secrets=_merged(each.secrets for each in found),
        ssh=_merged(each.ssh for each in found),
        caches=_merged(each.caches for each in found),
    )


Item = TypeVar("Item", OutlineArg, OutlineInput, OutlineCache)


def _merged(tables: Iterable[Mapping[str, Item]]) -> tuple[Item, ...]:
    """The items, one of each name, the last stage's first choice; by line."""
    merged: dict[str, Item] = {}
    for table in tables:
        merged.update(table)
    return tuple(sorted(merged.values(), key=lambda item: item.line))


@dataclass
class _Found:
    """What a stage uses, by name, and the variables at its end."""

    env: dict[str, str]
    args: dict[str, OutlineArg] = field(default_factory=dict)
    secrets: dict[str, OutlineInput] = field(default_factory=dict)
    ssh: dict[str, OutlineInput] = field(default_factory=dict)
    caches: dict[str, OutlineCache] = field(default_factory=dict)


class _Walk:
    """Goes through the ARGs before the first FROM, then through the stages that a target needs."""

    def __init__(
        self,
        program: df.Program,
        comments: Mapping[int, Sequence[str]],
        given: Mapping[str, str],
        automatic: Mapping[str, str],
    ) -> None:
        self._program = program
        self._comments = comments
        self._given = given
        self._env = dict(automatic)
        self._args: dict[str, OutlineArg] = {}
        self._used_by: dict[str, frozenset[str]] = {}
        for single in (each for instruction in program.global_args for each in _singles(instruction)):
            self._declare(single)

    def found(self, target: int) -> list[_Found]:
        """What each stage uses that the one with index `target` needs, and it itself as the last."""
        bases, origins = self._graph()
        needed, waiting = set[int](), [target]
        while waiting:
            index = waiting.pop()
            waiting += origins[index] - needed
            needed.add(index)
        found: dict[int, _Found] = {}
        for index in sorted(needed):
            base = bases[index]
            found[index] = self._stage(self._program.stages[index], {} if base is None else found[base].env)
        return list(found.values())

    def _declare(self, single: df.Arg) -> None:
        """Note an ARG before the first FROM that has one name."""
        arg, used = self._arg(single, self._env)
        self._args[arg.name] = arg
        self._used_by[arg.name] = used
        if arg.value is not None:
            self._env[arg.name] = arg.value

    def _arg(self, single: df.Arg, env: Mapping[str, str]) -> tuple[OutlineArg, frozenset[str]]:
        """An ARG that has one name, and the names that its value comes from."""
        ((name, _),) = single.pairs
        expanded, used = self._expanded(single, env)
        value = self._given.get(name, expanded.pairs[0][1])
        arg = OutlineArg(name, value, description(self._comments[single.line], name), single.line)
        return arg, frozenset() if name in self._given else used

    def _expanded(self, instruction: AnyInstruction, env: Mapping[str, str]) -> tuple[AnyInstruction, frozenset[str]]:
        """The instruction with its variables replaced, if they can be, and their names."""
        try:
            expanded, names = expand_noting(instruction, env, self._program.escape)
        except DockerfileError:
            return instruction, frozenset()
        return expanded, names.used

    def _graph(self) -> tuple[list[int | None], list[set[int]]]:
        """Of each stage the one it starts from, if it is one, and all that it needs."""
        named: dict[str, int] = {}
        bases, origins = list[int | None](), list[set[int]]()
        for stage in self._program.stages:
            base = named.get(self._expanded(stage.from_, self._env)[0].image.lower())
            found = {_index(name, named, stage.index) for name in _origins(stage)} | {base}
            bases.append(base)
            origins.append({index for index in found if index is not None})
            if stage.from_.name:
                named[stage.from_.name] = stage.index
        return bases, origins

    def _stage(self, stage: df.Stage, env: Mapping[str, str]) -> _Found:
        """What one stage uses itself; `env` are the variables it starts with."""
        found = _Found(dict(env))
        inherited = set(self._expanded(stage.from_, self._env)[1])
        for instruction in stage.instructions:
            match instruction:
                case df.Arg():
                    for single in _singles(instruction):
                        inherited |= self._take(found, single)
                case df.Env():
                    found.env.update(self._expanded(instruction, found.env)[0].pairs)
                case df.Run():
                    _take_mounts(found, self._expanded(instruction, found.env)[0])
        found.args = {**self._made_of(inherited), **found.args}
        return found

    def _made_of(self, names: Iterable[str]) -> dict[str, OutlineArg]:
        """The ARGs before the first FROM of these names, and those that they are made of, in order."""
        used, waiting = set[str](), list(names)
        while waiting:
            name = waiting.pop()
            if name in self._args and name not in used:
                used.add(name)
                waiting += self._used_by[name]
        return {name: arg for name, arg in self._args.items() if name in used}

    def _take(self, found: _Found, single: df.Arg) -> frozenset[str]:
        """Note a stage's ARG; or its name, if it only takes over a value from before the first FROM."""
        ((name, default),) = single.pairs
        if default is None and name not in self._given and name in self._env:
            found.env[name] = self._env[name]
            return frozenset([name])
        arg, _ = self._arg(single, found.env)
        found.args[name] = arg
        if arg.value is not None:
            found.env[name] = arg.value
        return frozenset()


def _singles(instruction: df.Arg) -> list[df.Arg]:
    """An ARG for each name of one."""
    return [replace(instruction, pairs=(pair,)) for pair in instruction.pairs]


def _index(name: str, named: Mapping[str, int], before: int) -> int | None:
    """The stage of that name, or with that index, among those before one."""
    by_index = int(name) if name.isascii() and name.isdecimal() and len(name) < 10 else before
    return named.get(name.lower(), by_index if by_index < before else None)


def _origins(stage: df.Stage) -> Iterator[str]:
    """What a stage's COPYs and mounts name with from."""
    for instruction in stage.instructions:
        if isinstance(instruction, df.Copy) and instruction.from_ is not None:
            yield instruction.from_
        if isinstance(instruction, df.Run):
            options = (option for options in instruction.mounts for option in options)
            yield from (value for name, value in options if name == "from" and value)


def _take_mounts(found: _Found, run: df.Run) -> None:
    """Note what a RUN mounts; raises DockerfileError for a mount that can't be."""
    for index, options in enumerate(run.mounts):
        try:
            _take_mount(found, mount_of(options), run.line)
        except MountError as error:
            raise run.mount_fault(index, str(error)) from None


def _take_mount(found: _Found, mount: RunMount, line: int) -> None:
    """Note one mount."""
    name = mount.id or mount.source
    match mount.type:
        case "secret":
            name = name or posixpath.basename(mount.target)
            found.secrets.setdefault(name, OutlineInput(name, mount.required or False, line))
        case "ssh":
            found.ssh.setdefault(name or "default", OutlineInput(name or "default", mount.required or False, line))
        case "cache":
            name = mount.id or mount.target
            found.caches.setdefault(name, OutlineCache(name, line))
