"""The instructions as values: one frozen dataclass each, and the program of stages that they form.

Words hold what the author wrote, quotes and `$variables` included; `substitute.expand_instruction` replaces them in the
fields that `expands` names. Positions take no part in comparisons. Source: Dockerfile reference.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from dockmagic.dockerfile.nodes import Heredoc, Position
from dockmagic.errors import DockerfileError

Pairs = tuple[tuple[str, str], ...]
Options = tuple[tuple[str, str | None], ...]  # None: a name without a value


@dataclass(frozen=True, kw_only=True)
class Instruction:
    """What all have: first and last line (from 1), and the whole on one line as the history shows it."""

    keyword: ClassVar[str] = ""
    expands: ClassVar[tuple[str, ...]] = ()
    line: int = field(default=0, compare=False)
    end_line: int = field(default=0, compare=False)
    text: str = field(default="", compare=False)


@dataclass(frozen=True)
class Command:
    """A command line: `shell` False has one argument an item, True has a single item for the shell to read."""

    args: tuple[str, ...]
    shell: bool


@dataclass(frozen=True)
class From(Instruction):
    """FROM: `name` is the stage's own, in lower case."""

    keyword: ClassVar[str] = "FROM"
    expands: ClassVar[tuple[str, ...]] = ("image", "platform")
    image: str
    platform: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class Run(Instruction):
    """RUN: each of `mounts` holds the options of one --mount, in order; `mount_places` is where they stand, if known.

    `command` has the here-documents put back where a shell is to read them. `script` is set instead of being run by
    the shell when the whole command is one here-document that begins with "#!": the text of a file to execute.
    """

    keyword: ClassVar[str] = "RUN"
    expands: ClassVar[tuple[str, ...]] = ("mounts",)
    command: Command
    mounts: tuple[Options, ...] = ()
    network: str | None = None
    security: str | None = None
    devices: tuple[str, ...] = ()
    heredocs: tuple[Heredoc, ...] = ()
    script: str | None = None
    mount_places: tuple[Position, ...] = field(default=(), compare=False)

    def mount_fault(self, index: int, message: str) -> DockerfileError:
        """An error about one of the mounts, with a caret under it if its place is known."""
        if not self.mount_places:
            return DockerfileError(message, line=self.line, end_line=self.end_line)
        place = self.mount_places[index]
        return DockerfileError(message, line=place.line, end_line=place.line, column=place.column)


@dataclass(frozen=True)
class Copy(Instruction):
    """COPY: `sources` are paths; each of `heredocs` is one more source, a file with that name and content."""

    keyword: ClassVar[str] = "COPY"
    expands: ClassVar[tuple[str, ...]] = ("sources", "destination", "chown", "chmod", "exclude", "heredocs")
    sources: tuple[str, ...]
    destination: str
    from_: str | None = None
    chown: str | None = None
    chmod: str | None = None
    link: bool = False
    parents: bool = False
    exclude: tuple[str, ...] = ()
    heredocs: tuple[Heredoc, ...] = ()


@dataclass(frozen=True)
class Add(Instruction):
    """ADD: as COPY, and URLs, git repositories and archives; `unpack` None means by kind of source."""

    keyword: ClassVar[str] = "ADD"
    expands: ClassVar[tuple[str, ...]] = (
        "sources", "destination", "chown", "chmod", "checksum", "exclude", "heredocs",
    )  # fmt: skip
    sources: tuple[str, ...]
    destination: str
    chown: str | None = None
    chmod: str | None = None
    checksum: str | None = None
    link: bool = False
    keep_git_dir: bool | None = None
    unpack: bool | None = None
    exclude: tuple[str, ...] = ()
    heredocs: tuple[Heredoc, ...] = ()


@dataclass(frozen=True)
class Cmd(Instruction):
    """CMD: the default command, or arguments for the entry point."""

    keyword: ClassVar[str] = "CMD"
    command: Command


@dataclass(frozen=True)
class Entrypoint(Instruction):
    """ENTRYPOINT."""

    keyword: ClassVar[str] = "ENTRYPOINT"
    command: Command


@dataclass(frozen=True)
class Env(Instruction):
    """ENV: `legacy` is the form without "=", one pair an instruction."""

    keyword: ClassVar[str] = "ENV"
    expands: ClassVar[tuple[str, ...]] = ("pairs",)
    pairs: Pairs
    legacy: bool = False


@dataclass(frozen=True)
class Arg(Instruction):
    """ARG: names with their defaults."""

    keyword: ClassVar[str] = "ARG"
    expands: ClassVar[tuple[str, ...]] = ("pairs",)
    pairs: Options


@dataclass(frozen=True)
class Workdir(Instruction):
    """WORKDIR: absolute, or relative to the one before."""

    keyword: ClassVar[str] = "WORKDIR"
    expands: ClassVar[tuple[str, ...]] = ("path",)
    path: str


@dataclass(frozen=True)
class User(Instruction):
    """USER: `name-or-uid[:group-or-gid]`."""

    keyword: ClassVar[str] = "USER"
    expands: ClassVar[tuple[str, ...]] = ("user",)
    user: str


@dataclass(frozen=True)
class Label(Instruction):
    """LABEL: `legacy` is the form without "="."""

    keyword: ClassVar[str] = "LABEL"
    expands: ClassVar[tuple[str, ...]] = ("pairs",)
    pairs: Pairs
    legacy: bool = False


@dataclass(frozen=True)
class Expose(Instruction):
    """EXPOSE: words such as "80", "8000-8010/tcp"; `ports.exposed_ports` reads them once they are expanded."""

    keyword: ClassVar[str] = "EXPOSE"
    expands: ClassVar[tuple[str, ...]] = ("ports",)
    ports: tuple[str, ...]


@dataclass(frozen=True)
class Volume(Instruction):
    """VOLUME."""

    keyword: ClassVar[str] = "VOLUME"
    expands: ClassVar[tuple[str, ...]] = ("paths",)
    paths: tuple[str, ...]


@dataclass(frozen=True)
class Shell(Instruction):
    """SHELL: what runs the shell forms that follow."""

    keyword: ClassVar[str] = "SHELL"
    args: tuple[str, ...]


@dataclass(frozen=True)
class StopSignal(Instruction):
    """STOPSIGNAL: a name or a number."""

    keyword: ClassVar[str] = "STOPSIGNAL"
    expands: ClassVar[tuple[str, ...]] = ("signal",)
    signal: str


@dataclass(frozen=True)
class Healthcheck(Instruction):
    """HEALTHCHECK: `command` None is NONE. Times in ns; 0 or None means not given."""

    keyword: ClassVar[str] = "HEALTHCHECK"
    command: Command | None
    interval_ns: int | None = None
    timeout_ns: int | None = None
    start_period_ns: int | None = None
    start_interval_ns: int | None = None
    retries: int | None = None


@dataclass(frozen=True)
class OnBuild(Instruction):
    """ONBUILD: `trigger` as read now; `expression` is its text, heredocs included, for the image config."""

    keyword: ClassVar[str] = "ONBUILD"
    trigger: Instruction
    expression: str


@dataclass(frozen=True)
class Maintainer(Instruction):
    """MAINTAINER (deprecated): the image's author."""

    keyword: ClassVar[str] = "MAINTAINER"
    author: str


@dataclass(frozen=True)
class Stage:
    """One FROM and what follows it; `index` counts from 0."""

    from_: From
    instructions: tuple[Instruction, ...]
    index: int

    @property
    def name(self) -> str:
        """Its own name, else its index."""
        return self.from_.name or str(self.index)


@dataclass(frozen=True)
class Program:
    """A whole Dockerfile: the ARGs before the first FROM, then the stages."""

    global_args: tuple[Arg, ...]
    stages: tuple[Stage, ...]
    escape: str = "\\"

    def stage(self, name: str) -> Stage | None:
        """The last stage called `name` in any case, or with that index; None if there is none."""
        named = [stage for stage in self.stages if stage.from_.name == name.lower()]
        if named:
            return named[-1]
        indexed = [stage for stage in self.stages if str(stage.index) == name]
        return indexed[0] if indexed else None
