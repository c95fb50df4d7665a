"""Lint rules on how instructions are written, whatever they do. Source: Docker documentation, "Build checks"."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dockmagic.dockerfile import instructions as df
from dockmagic.dockerfile.lint_subject import Finding, Line, LintStage, Subject, offsets_of, quoted, words_of
from dockmagic.dockerfile.words import SPACE

_AS, _NAME = 1, 2  # places of the words in FROM image AS name


def _written_names(subject: Subject) -> Iterator[tuple[LintStage, str, int]]:
    """The stages that have a name, with the name as it is written and its offset."""
    for stage in subject.stages:
        if stage.stage.from_.name is not None:
            offset, name = words_of(stage.head.node)[_NAME]
            yield stage, name, offset


def stage_name_casing(subject: Subject) -> Iterator[Finding]:
    """Stage names in lower case."""
    for stage, name, offset in _written_names(subject):
        if name != name.lower():
            yield Finding(f"Stage name '{name}' should be lowercase", stage.head.node, offset)


def from_as_casing(subject: Subject) -> Iterator[Finding]:
    """FROM … AS or from … as; a FROM that isn't in one case is another rule's."""
    for stage, _, _ in _written_names(subject):
        node = stage.head.node
        keyword = _keyword(stage.head)
        offset, word = words_of(node)[_AS]
        wanted = {keyword.lower(): word.lower(), keyword.upper(): word.upper()}.get(keyword, word)
        if word != wanted:
            yield Finding(f"'{word}' and '{keyword}' keywords' casing do not match", node, offset)


def no_empty_continuation(subject: Subject) -> Iterator[Finding]:
    """No empty line within an instruction."""
    for warning in subject.dockerfile.warnings:
        if warning.rule == "NoEmptyContinuation":
            yield Finding(warning.message, None, line=warning.line)


def consistent_instruction_casing(subject: Subject) -> Iterator[Finding]:
    """All instructions in the case that most of them have."""
    keywords = [(line, _keyword(line)) for line in subject.in_stages()]
    lower = sum(keyword == keyword.lower() for _, keyword in keywords)
    upper = sum(keyword == keyword.upper() for _, keyword in keywords)
    wanted, style = (str.lower, "lowercase") if lower > upper else (str.upper, "uppercase")
    for line, keyword in keywords:
        if keyword != wanted(keyword):
            message = f"Command '{keyword}' should match the case of the command majority ({style})"
            yield Finding(message, line.node)


def maintainer_deprecated(subject: Subject) -> Iterator[Finding]:
    """LABEL instead of MAINTAINER."""
    for line in subject.in_stages():
        if isinstance(line.instruction, df.Maintainer):
            yield Finding("Maintainer instruction is deprecated in favor of using label", line.node)


def legacy_key_value_format(subject: Subject) -> Iterator[Finding]:
    """ENV and LABEL with "="."""
    for line in subject.in_stages():
        if isinstance(line.instruction, df.Env | df.Label) and line.instruction.legacy:
            keyword = _keyword(line)
            message = f'"{keyword} key=value" should be used instead of legacy "{keyword} key value" format'
            yield Finding(message, line.node, line.node.rest_offset)


def expose_proto_casing(subject: Subject) -> Iterator[Finding]:
    """Protocols of ports in lower case."""
    for line, port, offset in _ports(subject):
        protocol = port.partition("/")[2]
        if protocol != protocol.lower():
            message = f"Defined protocol '{port}' in EXPOSE instruction should be lowercase"
            yield Finding(message, line.node, offset)


def expose_invalid_format(subject: Subject) -> Iterator[Finding]:
    """No address and no port of the host in EXPOSE."""
    for line, port, offset in _ports(subject):
        if port.rpartition(":")[0].strip(":"):
            message = f"EXPOSE instruction should not define an IP address or host-port mapping, found '{port}'"
            yield Finding(message, line.node, offset)


def _ports(subject: Subject) -> Iterator[tuple[Line, str, int]]:
    """The words of every EXPOSE, expanded, with their offsets where they stand there like that."""
    for line in subject.in_stages():
        if isinstance(line.expanded, df.Expose):
            ports = line.expanded.ports
            for port, offset in zip(ports, offsets_of(line.node, ports), strict=True):
                yield line, port, offset


def invalid_definition_description(subject: Subject) -> Iterator[Finding]:
    """A comment directly above FROM … AS name or ARG name begins with the name."""
    source = subject.dockerfile.source.split("\n")
    for line in subject.all_lines():
        names = _defined(line.instruction)
        above = source[line.node.line - 2].strip(SPACE) if names and line.node.comments else ""
        comment = above.removeprefix("#").strip(SPACE) if above.startswith("#") else ""
        if comment and comment.split(" ")[0] not in names:
            shown = names[0] if len(names) == 1 else "<arg_key>"
            message = f"Comment for {line.node.name} should follow the format: `# {shown} <description>`"
            yield Finding(message, line.node)


def _defined(instruction: df.Instruction) -> tuple[str, ...]:
    """The names that a FROM or ARG gives."""
    match instruction:
        case df.From(name=str(name)):
            return (name,)
        case df.Arg(pairs=pairs):
            return tuple(name for name, _ in pairs)
    return ()


_SECRET = re.compile(
    r"(?:_|^)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)", re.IGNORECASE
)
_HARMLESS = re.compile(r"(?:_|^)(?:public|file|version)(?:_|$)", re.IGNORECASE)


def is_secret(name: str) -> bool:
    """Whether a variable of this name is likely to hold something secret.

    >>> is_secret("DB_PASSWORD"), is_secret("PUBLIC_KEY"), is_secret("MONKEY")
    (True, False, False)
    """
    return _SECRET.search(name) is not None and _HARMLESS.search(name) is None


def secrets_used_in_arg_or_env(subject: Subject) -> Iterator[Finding]:
    """No secrets in ARG and ENV: they stay in the image."""
    for line in subject.all_lines():
        if isinstance(line.instruction, df.Arg | df.Env):
            names = [name for name, _ in line.instruction.pairs]
            for name, offset in zip(names, offsets_of(line.node, names), strict=True):
                if is_secret(name):
                    what = f"({line.instruction.keyword} {quoted(name)})"
                    yield Finding(f"Do not use ARG or ENV instructions for sensitive data {what}", line.node, offset)


def _keyword(line: Line) -> str:
    """The instruction's name as it is written."""
    return line.node.text[: len(line.node.name)]
