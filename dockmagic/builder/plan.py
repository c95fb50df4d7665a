"""Which stages a build needs, in which order, and what each one starts and copies from. Pure.

    Program + target + build arguments  ->  Plan: stages in build order, the target last

A stage's `needs` are edges of a graph: stages that don't need each other can be built at the same time. Source:
Dockerfile reference, "FROM", "ARG", "COPY --from"; BuildKit for what counts as a stage's name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from dockmagic.builder.settings import CACHES_ARG, HOSTNAME_ARG, RESERVED_ARGS, RunSettings, check_reserved
from dockmagic.builder.supported import refuse_unsupported
from dockmagic.dockerfile import instructions as df
from dockmagic.dockerfile.substitute import expand_instruction
from dockmagic.errors import DockerfileError, InvalidReference, NotFound, one_of
from dockmagic.image.platform import describe, parse_platform
from dockmagic.oci.descriptor import Platform
from dockmagic.oci.reference import Reference


@dataclass(frozen=True, slots=True)
class NamedDirectory:
    """A directory that `--build-context` gave a name, by its path or the address to fetch it from."""

    name: str
    path: str


# A stage's index, an image's reference, a directory with a name, or nothing (scratch; the build context).
Origin = int | str | NamedDirectory | None
Fault = Callable[[str], DockerfileError]

PROXY_ARGS = frozenset(
    name
    for plain in ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")
    for name in (plain, plain.upper())
)

CHECK_ARG = "BUILDKIT_DOCKERFILE_CHECK"  # in place of `# check=`
EPOCH_ARG = "SOURCE_DATE_EPOCH"  # the present time, as far as the image is concerned


@dataclass(frozen=True, slots=True)
class BuildArgs:
    """What `--build-arg` gave, the platform that the image is for, and what else decides over the plan.

    `contexts` are those of `--build-context`, by name: directories, and images by their references or oci-layout://.
    `build_platform` is this machine's, None the same; `run` is for all RUN steps.
    """

    given: Mapping[str, str] = field(default_factory=dict)
    platform: Platform = field(default_factory=lambda: Platform("linux", "amd64"))
    target: str = ""
    contexts: Mapping[str, NamedDirectory | str] = field(default_factory=dict)
    build_platform: Platform | None = None
    run: RunSettings = field(default_factory=RunSettings)

    def settings(self) -> RunSettings:
        """How RUN steps run, by flag or by argument."""
        return replace(self.run, hostname=self.given.get(HOSTNAME_ARG, self.run.hostname))

    def cache_id(self, name: str) -> str:
        """The id of a cache, in the build's namespace of caches if it has one."""
        namespace = self.given.get(CACHES_ARG, "")
        return f"{namespace}/{name}" if namespace else name

    def context(self, name: str) -> NamedDirectory | str | None:
        """What the name was given to; it may be written as any reference that means the same image."""
        known = {_context_name(each): value for each, value in self.contexts.items()}
        return known.get(_context_name(name)) if known else None

    def proxies(self) -> dict[str, str]:
        """The predefined proxy arguments among them: known to RUN without ARG, and no part of any cache key."""
        return {name: value for name, value in self.given.items() if name in PROXY_ARGS}

    def automatic(self) -> dict[str, str]:
        """The arguments that describe the platforms."""
        sides = {"TARGET": self.platform, "BUILD": self.build_platform or self.platform}
        values = {side + name: value for side, each in sides.items() for name, value in _described(each).items()}
        return {**values, "TARGETSTAGE": self.target or "default"}


def _described(platform: Platform) -> dict[str, str]:
    return {
        "PLATFORM": describe(platform),
        "OS": platform.os,
        "ARCH": platform.architecture,
        "VARIANT": platform.variant,
    }


@dataclass(frozen=True, slots=True)
class StagePlan:
    """A stage to build: `base` is what it starts from, `origins` what each COPY --from and mount's from in it names.

    Images are those for its platform.
    """

    stage: df.Stage
    base: int | str | None
    origins: Mapping[str, Origin]
    platform: Platform = field(default_factory=lambda: Platform("linux", "amd64"))

    @property
    def needs(self) -> frozenset[int]:
        """Indexes of the stages that it takes something from."""
        return frozenset(origin for origin in (self.base, *self.origins.values()) if isinstance(origin, int))


@dataclass(frozen=True, slots=True)
class Plan:
    """Stages in an order in which each can be built, the target last; `unused` are build arguments nobody declared."""

    stages: tuple[StagePlan, ...]
    global_args: Mapping[str, str]
    unused: tuple[str, ...]
    program: df.Program
    args: BuildArgs

    @property
    def total(self) -> int:
        """How many steps there are: every instruction is one."""
        return sum(1 + len(plan.stage.instructions) for plan in self.stages)

    def with_triggers(self, stage_plan: StagePlan, triggers: Sequence[df.Instruction]) -> tuple[StagePlan, ...]:
        """The stage that carries out these triggers, too, and before it all that it needs now, in the file's order.

        Raises DockerfileError for what can't be built.
        """
        try:
            found = _origins(self.program, stage_plan.stage, triggers, self.args)
        except DockerfileError as error:
            error.message = f"a trigger of the base image: {error.message}"
            raise
        whole = replace(stage_plan, origins={**found, **stage_plan.origins})
        return _needed(self.program, whole, self.global_args, self.args)


def plan(program: df.Program, args: BuildArgs) -> Plan:
    """The stages that the target needs; with no target, the last stage is it.

    Raises DockerfileError for what can't be built, NotFound for a target that isn't there.
    """
    check_reserved(args.given)
    target = _target(program, args.target)
    global_args = _global_args(program, args)
    needed = _needed(program, _stage_plan(program, target, global_args, args), global_args, args)
    return Plan(needed, global_args, _unused(program, args), program, args)


def _target(program: df.Program, name: str) -> df.Stage:
    stage = program.stage(name) if name else program.stages[-1]
    if stage is None:
        names = one_of([stage.name for stage in program.stages])
        raise NotFound("build stage", name, f"the target can be {names}")
    return stage


def _global_args(program: df.Program, args: BuildArgs) -> dict[str, str]:
    """Values of the ARGs before the first FROM, and the automatic ones."""
    values = args.automatic()
    for instruction in program.global_args:
        for name, value in declared(instruction, values, args.given, program.escape):
            if value is not None:
                values[name] = value
    return values


def declared(
    instruction: df.Arg, environment: Mapping[str, str], given: Mapping[str, str], escape: str
) -> list[tuple[str, str | None]]:
    """What an ARG sets: the given value, else the default with `environment` put in, else None; in order."""
    known, values = dict(environment), list[tuple[str, str | None]]()
    for name, default in instruction.pairs:
        value = given.get(name)
        if value is None and default is not None:
            single = expand_instruction(replace(instruction, pairs=((name, default),)), known, escape)
            value = single.pairs[0][1]
        if value is not None:
            known[name] = value
        values.append((name, value))
    return values


def _needed(
    program: df.Program, last: StagePlan, global_args: Mapping[str, str], args: BuildArgs
) -> tuple[StagePlan, ...]:
    """Plans of a stage and all it needs, in the file's order, which puts a stage behind what it needs."""
    plans = {last.stage.index: last}
    waiting = sorted(last.needs)
    while waiting:
        index = waiting.pop()
        if index not in plans:
            plans[index] = _stage_plan(program, program.stages[index], global_args, args)
            waiting.extend(plans[index].needs)
    for index in sorted(plans):
        for instruction in (plans[index].stage.from_, *plans[index].stage.instructions):
            refuse_unsupported(instruction)
            args.run.check(instruction)
    return tuple(plans[index] for index in sorted(plans))


def _stage_plan(program: df.Program, stage: df.Stage, global_args: Mapping[str, str], args: BuildArgs) -> StagePlan:
    from_ = expand_instruction(stage.from_, global_args, program.escape)
    if not from_.image.strip():
        raise _error(from_, "the image's name is empty after its variables were expanded; give the ARG a default")
    base = _base(program, stage, from_, args)
    triggers = triggers_of(program.stages[base]) if isinstance(base, int) else ()
    origins = _origins(program, stage, (*triggers, *stage.instructions), args)
    return StagePlan(stage, base, origins, _platform(from_, args.platform))


def triggers_of(stage: df.Stage) -> tuple[df.Instruction, ...]:
    """What a stage has ready for those that start from it."""
    return tuple(each.trigger for each in stage.instructions if isinstance(each, df.OnBuild))


def _origins(
    program: df.Program, stage: df.Stage, instructions: Sequence[df.Instruction], args: BuildArgs
) -> dict[str, Origin]:
    """What the names mean that these instructions have for origins, carried out in this stage."""
    return {
        name: _origin(program, stage, name, args, error)
        for instruction in instructions
        for name, error in names_of_origins(instruction)
    }


def _base(program: df.Program, stage: df.Stage, from_: df.From, args: BuildArgs) -> int | str | None:
    context = args.context(from_.image)
    if isinstance(context, NamedDirectory):
        what = f"{from_.image} is a directory that --build-context named"
        raise _error(
            from_,
            f"{what}; a stage starts from an image: name one with docker-image://, or use COPY --from={from_.image}",
        )
    if context is not None:
        return context
    earlier = _earlier_stage(program, stage, from_.image)
    if earlier is not None:
        return earlier.index
    return None if from_.image == "scratch" else from_.image


def names_of_origins(instruction: df.Instruction) -> Iterator[tuple[str, Fault]]:
    """What COPY --from and the mounts of a RUN name, each with the way to complain about it."""
    if isinstance(instruction, df.Copy) and instruction.from_ is not None:
        yield instruction.from_, partial(_flag_error, instruction)
    if isinstance(instruction, df.Run):
        for index, options in enumerate(instruction.mounts):
            name = dict(options).get("from")
            if name:
                yield name, partial(instruction.mount_fault, index)


def _flag_error(instruction: df.Instruction, message: str) -> DockerfileError:
    return _error(instruction, f"--{message}")


def _origin(program: df.Program, stage: df.Stage, name: str, args: BuildArgs, error: Fault) -> Origin:
    """What `from=name` means inside this stage: a named context, an earlier stage by name or number, or an image."""
    context = args.context(name)
    if context is not None:
        return context
    found = program.stages[int(name)] if name.isdecimal() and int(name) < len(program.stages) else None
    found = found or _earlier_stage(program, stage, name) or program.stage(name)
    if found is None and name.isdecimal():
        raise error(f"from={name}: there are only {len(program.stages)} stages, counted from 0")
    if found is not None and found.index >= stage.index:
        what = "this stage itself" if found.index == stage.index else "a later stage"
        raise error(f"from={name} is {what}; only stages before this one can be used")
    return name if found is None else found.index


def _context_name(text: str) -> str:
    """How a context's name is compared: as the shortest reference that means the same, if it is one."""
    try:
        return Reference.parse(text).familiar.removesuffix(":latest")
    except InvalidReference:
        return text


def _earlier_stage(program: df.Program, stage: df.Stage, name: str) -> df.Stage | None:
    named = [other for other in program.stages[: stage.index] if other.from_.name == name.lower()]
    return named[-1] if named else None


def _platform(from_: df.From, target: Platform) -> Platform:
    """The platform that a stage is for: the one that it names, else the build's."""
    if from_.platform is None:
        return target
    try:
        return parse_platform(from_.platform, target)
    except ValueError as error:
        raise _error(from_, f"--platform={from_.platform}: {error}") from None


def _unused(program: df.Program, args: BuildArgs) -> tuple[str, ...]:
    """Build arguments that no ARG anywhere declares, sorted."""
    arg_instructions = [*program.global_args]
    for stage in program.stages:
        arg_instructions += [instruction for instruction in stage.instructions if isinstance(instruction, df.Arg)]
    names = {name for instruction in arg_instructions for name, _ in instruction.pairs}
    return tuple(sorted(set(args.given) - names - PROXY_ARGS - RESERVED_ARGS - {CHECK_ARG, EPOCH_ARG}))


def _error(instruction: df.Instruction, message: str) -> DockerfileError:
    return DockerfileError(message, line=instruction.line, end_line=instruction.end_line)
