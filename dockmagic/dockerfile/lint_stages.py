"""Lint rules on stages and what their instructions do together. Source: Docker documentation, "Build checks"."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dockmagic.dockerfile import instructions as df
from dockmagic.dockerfile.ignore import clean
from dockmagic.dockerfile.lint_subject import Finding, Line, Subject, offsets_of, quoted, words_of

_RESERVED: Final = frozenset({"context", "scratch"})
_ONCE: Final = (df.Cmd, df.Entrypoint, df.Healthcheck)
_NAME = 2


def duplicate_stage_name(subject: Subject) -> Iterator[Finding]:
    """Each stage has a name of its own."""
    seen: set[str] = set()
    for stage in subject.stages:
        name = stage.stage.from_.name
        if name in seen:
            message = f"Duplicate stage name {quoted(name)}, stage names should be unique"
            yield Finding(message, stage.head.node, words_of(stage.head.node)[_NAME][0])
        if name is not None:
            seen.add(name)


def reserved_stage_name(subject: Subject) -> Iterator[Finding]:
    """No stage is called scratch or context."""
    for stage in subject.stages:
        name = stage.stage.from_.name
        if name in _RESERVED:
            message = f"Stage name should not use the same name as reserved stage {quoted(name)}"
            yield Finding(message, stage.head.node, words_of(stage.head.node)[_NAME][0])


def json_args_recommended(subject: Subject) -> Iterator[Finding]:
    """CMD and ENTRYPOINT as JSON arrays, unless a SHELL was chosen."""
    for stage in subject.stages:
        shell_set = stage.shell_set
        for line in stage.lines:
            shell_set = shell_set or isinstance(line.instruction, df.Shell)
            if (
                isinstance(line.instruction, df.Cmd | df.Entrypoint)
                and line.instruction.command.shell
                and not shell_set
            ):
                keyword = line.node.text[: len(line.node.name)]
                message = (
                    f"JSON arguments recommended for {keyword} to prevent unintended behavior related to OS signals"
                )
                yield Finding(message, line.node, line.node.rest_offset)


def workdir_relative_path(subject: Subject) -> Iterator[Finding]:
    """The first WORKDIR of a stage is absolute."""
    for stage in subject.stages:
        first = next((line for line in stage.lines if isinstance(line.instruction, df.Workdir)), None)
        if first is None or stage.workdir_set or not isinstance(first.expanded, df.Workdir):
            continue
        path = first.expanded.path
        if not path.startswith("/"):
            message = f"Relative workdir {quoted(path)} can have unexpected results if the base image changes"
            yield Finding(message, first.node, first.node.rest_offset)


def multiple_instructions_disallowed(subject: Subject) -> Iterator[Finding]:
    """One CMD, ENTRYPOINT and HEALTHCHECK a stage; it is the earlier ones that do nothing."""
    for stage in subject.stages:
        last: dict[type[df.Instruction], Line] = {}
        for line in stage.lines:
            kind = type(line.instruction)
            if kind in last:
                keyword = line.node.text[: len(line.node.name)]
                message = (
                    f"Multiple {keyword} instructions should not be used in the same stage because only the last one "
                    "will be used"
                )
                yield Finding(message, last[kind].node)
            if kind in _ONCE:
                last[kind] = line


def copy_ignored_file(subject: Subject) -> Iterator[Finding]:
    """COPY and ADD name nothing that .dockerignore leaves out.

    A .dockerignore with exceptions isn't looked at: something below what it leaves out may be taken in again.
    """
    for line in subject.in_stages():
        instruction = line.expanded
        if not isinstance(instruction, df.Copy | df.Add) or getattr(instruction, "from_", None) is not None:
            continue
        sources = [source for source in instruction.sources if not _is_remote(instruction, source)]
        ignore = subject.surroundings.ignore() if sources else None
        if ignore is None or any(rule.exception for rule in ignore.rules):
            continue
        for source, offset in zip(sources, offsets_of(line.node, sources), strict=True):
            path = clean(source).lstrip("/")
            if path not in {"", "."} and ignore.excludes(path):
                verb = instruction.keyword.capitalize()
                message = f"Attempting to {verb} file {quoted(path)} that is excluded by .dockerignore"
                yield Finding(message, line.node, offset)


def _is_remote(instruction: df.Copy | df.Add, source: str) -> bool:
    """Whether ADD fetches the source from elsewhere."""
    return isinstance(instruction, df.Add) and ("://" in source or source.startswith("git@"))
