"""A Dockerfile gone through once, as a build would, to know at each instruction which variables there are.

Stages that can't be expanded are gone through all the same: what is wrong with them is the build's to say. Source:
Dockerfile reference, "Environment replacement", "Scope"; BuildKit for which variables count as defined.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Final

from dockmagic.dockerfile import instructions as df
from dockmagic.dockerfile.lint_subject import Base, Line, LintStage, Subject, Surroundings
from dockmagic.dockerfile.nodes import Dockerfile, Node
from dockmagic.dockerfile.substitute import AnyInstruction, expand_noting
from dockmagic.errors import DockerfileError

_ALWAYS: Final = {"PATH": "/usr/bin"}  # a RUN has one, whatever the image says
_NEVER_SET: Final = frozenset({"BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"})  # ARGs for BuildKit itself
_FARTHEST: Final = 2  # edits between a name and the one that was meant
_LONGEST: Final = 64
_MOST_NAMES: Final = 200
_MOST_SUGGESTIONS: Final = 50  # in one Dockerfile; a longer list of mistakes is no list of typing errors


def walk(dockerfile: Dockerfile, program: df.Program, surroundings: Surroundings) -> Subject:
    """The Dockerfile as rules look at it; `program` is what its nodes form."""
    return _Walk(dockerfile, program, surroundings).subject()


def closest(name: str, names: Iterable[str]) -> str:
    """The first of the names that is nearest to `name`, "" if none is within two edits or it is there itself.

    A name that has no character in its place isn't near.

    >>> closest("HOEM", ["PATH", "HOME"]), closest("HOME", ["HOME", "HOMER"])
    ('HOME', '')
    """
    best, least = "", _FARTHEST + 1
    for other in names:
        if other == name:
            return ""
        distance = _distance(name, other, least)
        if distance < min(least, max(len(name), len(other))):
            best, least = other, distance
    return best


def _distance(one: str, two: str, limit: int) -> int:
    """Insertions, removals and replacements that make one of the other; any number from `limit` up is `limit`."""
    if abs(len(one) - len(two)) >= limit or max(len(one), len(two)) > _LONGEST:
        return limit
    row = list(range(len(two) + 1))
    for index, char in enumerate(one, 1):
        diagonal, row[0] = row[0], index
        for column, other in enumerate(two, 1):
            edited = min(row[column] + 1, row[column - 1] + 1, diagonal + (char != other))
            diagonal, row[column] = row[column], edited
    return min(row[-1], limit)


@dataclass
class _State:
    """Where a stage is: its variables, the ARGs without a value, and whether the base's variables are known."""

    env: dict[str, str] = field(default_factory=dict)
    declared: set[str] = field(default_factory=set)
    known: bool = True
    workdir_set: bool = False
    shell_set: bool = False

    def copy(self) -> _State:
        """The same, to be changed apart."""
        return replace(self, env=dict(self.env), declared=set(self.declared))


class _Walk:
    """One pass; `_ends` are the states at the ends of stages, by name, as long as another stage starts from them."""

    def __init__(self, dockerfile: Dockerfile, program: df.Program, surroundings: Surroundings) -> None:
        self._dockerfile = dockerfile
        self._program = program
        self._around = surroundings
        self._escape = program.escape
        self._ends: dict[str, _State] = {}
        self._global_names = dict.fromkeys(name for arg in program.global_args for name, _ in arg.pairs)
        self._suggestions = 0

    def subject(self) -> Subject:
        """All of it."""
        nodes = iter(self._dockerfile.nodes)
        global_lines = tuple(Line(next(nodes), arg, arg) for arg in self._program.global_args)
        global_args = self._global_args(self._around.given)
        heads = [self._head(next_stage, global_args) for next_stage in self._program.stages]
        starts = Counter(head.image.lower() for head, _ in heads)
        stages = []
        for stage, (head, undefined) in zip(self._program.stages, heads, strict=True):
            line = Line(next(nodes), stage.from_, head, undefined)
            own = [next(nodes) for _ in stage.instructions]
            stages.append(self._stage(stage, line, own, starts, global_args))
        return Subject(self._dockerfile, self._around, global_lines, tuple(stages), self._global_args({}))

    def _global_args(self, given: Mapping[str, str]) -> dict[str, str]:
        """Values of the ARGs before the first FROM, and the automatic ones."""
        state = _State(dict(self._around.automatic))
        for arg in self._program.global_args:
            self._declare(state, arg, given, {})
        return state.env

    def _head(self, stage: df.Stage, args: Mapping[str, str]) -> tuple[df.From, tuple[tuple[str, str], ...]]:
        """A FROM expanded, and what isn't defined in it."""
        expanded, unset = self._expanded(stage.from_, args)
        names = sorted(unset - self._global_names.keys())
        return expanded, tuple((name, self._meant(name, chain(self._global_names, args))) for name in names)

    def _stage(
        self, stage: df.Stage, head: Line, nodes: list[Node], starts: Counter[str], global_args: Mapping[str, str]
    ) -> LintStage:
        """A stage gone through to its end."""
        image = head.expanded.image if isinstance(head.expanded, df.From) else ""
        state, base = self._begin(image, starts)
        workdir_set, shell_set = state.workdir_set, state.shell_set
        lines = tuple(
            self._line(state, node, instruction, global_args)
            for node, instruction in zip(nodes, stage.instructions, strict=True)
        )
        if stage.from_.name and starts[stage.from_.name]:
            self._ends[stage.from_.name] = state
        return LintStage(stage, head, lines, base, workdir_set, shell_set)

    def _begin(self, image: str, starts: Counter[str]) -> tuple[_State, Base | None]:
        """The state after a FROM; the last stage that starts from another one takes that one's state over."""
        starts[image.lower()] -= 1
        former = self._ends.get(image.lower())
        if former is not None:
            return former.copy() if starts[image.lower()] else self._ends.pop(image.lower()), None
        base = Base() if image == "scratch" else self._around.base(image)
        if base is None:
            return _State(dict(_ALWAYS), known=False), None
        state = _State({**_ALWAYS, **base.env}, shell_set=base.has_shell)
        return state, None if image == "scratch" else base

    def _line(self, state: _State, node: Node, instruction: df.Instruction, global_args: Mapping[str, str]) -> Line:
        """An instruction, after which the state is that behind it."""
        if isinstance(instruction, df.Arg):
            undefined = self._declare(state, instruction, self._around.given, global_args)
            return Line(node, instruction, instruction, undefined)
        expanded, unset = self._expanded(instruction, state.env)
        undefined = self._undefined(state, unset)
        match expanded:
            case df.Env():
                state.env.update(expanded.pairs)
            case df.Workdir():
                state.workdir_set = True
            case df.Shell():
                state.shell_set = True
        return Line(node, instruction, expanded, undefined)

    def _declare(
        self, state: _State, arg: df.Arg, given: Mapping[str, str], inherited: Mapping[str, str]
    ) -> tuple[tuple[str, str], ...]:
        """Put an ARG's names into the state; the variables that its defaults lack."""
        undefined: list[tuple[str, str]] = []
        for name, default in arg.pairs:
            value = given.get(name)
            if value is None and default is not None:
                single, lacking = self._expanded(replace(arg, pairs=((name, default),)), state.env)
                value = single.pairs[0][1]
                undefined += self._undefined(state, lacking)
            value = inherited.get(name) if value is None else value
            if value is None:
                state.declared.add(name)
            else:
                state.env[name] = value
        return tuple(undefined)

    def _expanded(self, instruction: AnyInstruction, env: Mapping[str, str]) -> tuple[AnyInstruction, frozenset[str]]:
        """The instruction expanded, and the variables it lacks; as it is, and none, where it can't be expanded."""
        try:
            expanded, names = expand_noting(instruction, env, self._escape)
        except DockerfileError:
            return instruction, frozenset()
        return expanded, names.unset

    def _undefined(self, state: _State, unset: frozenset[str]) -> tuple[tuple[str, str], ...]:
        """What nobody set, sorted; nothing where the base image's variables aren't known."""
        names = sorted(unset - state.declared - _NEVER_SET) if state.known else ()
        return tuple((name, self._meant(name, state.env)) for name in names)

    def _meant(self, name: str, names: Iterable[str]) -> str:
        """The name that was probably meant, "" where there is none or too much to look through."""
        self._suggestions += 1
        if self._suggestions > _MOST_SUGGESTIONS:
            return ""
        return closest(name, islice(names, _MOST_NAMES))
