"""What lint rules look at: the instructions with their nodes, and what is known when each of them is reached.

A rule yields findings; `lint.lint` makes warnings of them. Values here are never changed once they are made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dockmagic.dockerfile import instructions as df
from dockmagic.dockerfile.ignore import IgnoreFile
from dockmagic.dockerfile.nodes import Dockerfile, Node

_WORD = re.compile(r"[^ \t\v\f\r]+")
_VARIABLE = re.compile(r"\$\{?(\w+)")


@dataclass(frozen=True, slots=True)
class Base:
    """What is known of an image that a stage starts from; `platform` as in "linux/amd64"."""

    env: Mapping[str, str] = field(default_factory=dict)
    platform: str = ""
    has_shell: bool = False


def no_base(name: str) -> Base | None:
    """Know nothing of any image."""
    return None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a build gives to a Dockerfile. `base` and `ignore` are only asked where a rule has to know.

    `given` are the build arguments, `automatic` those that describe the platform. `base` gives None for an image that
    isn't here; nothing is said about variables in a stage that starts from one.
    """

    given: Mapping[str, str] = field(default_factory=dict)
    automatic: Mapping[str, str] = field(default_factory=dict)
    base: Callable[[str], Base | None] = no_base
    ignore: Callable[[], IgnoreFile] = IgnoreFile


@dataclass(frozen=True, slots=True)
class Line:
    """An instruction as it is reached. `expanded` is as written where it can't be expanded.

    `undefined` are the variables that it uses and nobody set, each with the name that was probably meant or "".
    """

    node: Node
    instruction: df.Instruction
    expanded: df.Instruction
    undefined: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class LintStage:
    """A stage. `base` is None for another stage, scratch, and an image that isn't known.

    `workdir_set` and `shell_set` tell what the stage starts with: a WORKDIR of this Dockerfile, and any SHELL.
    """

    stage: df.Stage
    head: Line
    lines: tuple[Line, ...]
    base: Base | None
    workdir_set: bool
    shell_set: bool

    @property
    def from_(self) -> df.From:
        """The FROM with its variables replaced."""
        expanded = self.head.expanded
        return expanded if isinstance(expanded, df.From) else self.stage.from_


@dataclass(frozen=True, slots=True)
class Subject:
    """A whole Dockerfile. `defaults` are the ARGs before the first FROM as they are without build arguments."""

    dockerfile: Dockerfile
    surroundings: Surroundings
    global_lines: tuple[Line, ...]
    stages: tuple[LintStage, ...]
    defaults: Mapping[str, str]

    def in_stages(self) -> Iterator[Line]:
        """All instructions from the first FROM on."""
        for stage in self.stages:
            yield stage.head
            yield from stage.lines

    def all_lines(self) -> Iterator[Line]:
        """All instructions."""
        yield from self.global_lines
        yield from self.in_stages()


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong at the character `offset` of a node's text; `node` None is a line without an instruction."""

    message: str
    node: Node | None
    offset: int = 0
    line: int = 0


def words_of(node: Node) -> list[tuple[int, str]]:
    """The words after a node's flags, each with its offset."""
    return [(found.start(), found.group()) for found in _WORD.finditer(node.text, node.rest_offset)]


def offsets_of(node: Node, words: Sequence[str]) -> Iterator[int]:
    """Where each of the words stands in a node's text, one after the other; the name's place for one that isn't."""
    position = node.rest_offset
    for word in words:
        found = node.text.find(word, position)
        yield max(found, 0)
        position = max(position, found + len(word))


def variables_of(node: Node) -> dict[str, int]:
    """The offset at which each variable is first named in a node's text."""
    found: dict[str, int] = {}
    for match in _VARIABLE.finditer(node.text):
        found.setdefault(match.group(1), match.start())
    return found


def quoted(text: str) -> str:
    """A text in double quotes, with what would end them escaped."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
