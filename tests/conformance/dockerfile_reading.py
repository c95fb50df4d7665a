"""A Dockerfile as the official parser reads it, in the PyPI package `dockerfile`, and as the one under test does."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import dockerfile as official  # type: ignore[import-not-found]  # an extension without stubs

from dockmagic.dockerfile.nodes import Dockerfile, Node
from dockmagic.dockerfile.parser import NAMES, parse, split_instruction
from dockmagic.dockerfile.words import SPACE, first_word, json_strings, split_blanks, split_quoted
from dockmagic.errors import DockerfileError

_LISTS = frozenset({"ADD", "COPY", "VOLUME"})
_BLANK_SEPARATED = frozenset({"EXPOSE", "FROM"})
_COMMANDS = frozenset({"RUN", "CMD", "ENTRYPOINT", "SHELL", "HEALTHCHECK"})


@dataclass(frozen=True)
class Read:
    """An instruction. Of an ONBUILD `trigger` is the name of what it puts off, `values` and `is_json` are that one's;
    the package leaves out its flags and here-documents.

    `heredocs` are names and contents. `original` is all of its text, continuations joined. Both are without tabs at the
    beginning of a here-document's lines: the package keeps them in contents even after <<-, but not before the end.
    """

    name: str
    trigger: str
    flags: tuple[str, ...]
    values: tuple[str, ...]
    is_json: bool
    heredocs: tuple[tuple[str, str], ...]
    original: str
    line: int
    end_line: int


def officially(text: str) -> list[Read] | None:
    """What the official parser reads; None: it refuses, or there is no instruction, or one that Docker doesn't know."""
    try:
        commands = [command for command in official.parse_string(text) if command.cmd]  # nameless: continuations only
    except official.GoParseError:
        return None
    names = [command.sub_cmd.upper() if command.sub_cmd else command.cmd.upper() for command in commands]
    return [_official_read(command) for command in commands] if set(names) <= set(NAMES) and names else None


def _official_read(command: Any) -> Read:
    heredocs = tuple((heredoc.name, _untabbed(heredoc.content)) for heredoc in command.heredocs)
    return Read(
        command.cmd.upper(),
        (command.sub_cmd or "").upper(),
        command.flags,
        command.value,
        command.json,
        heredocs,
        _original(*command.original.split("\n")),
        command.start_line,
        command.end_line,
    )


def ours(text: str) -> list[Read] | None:
    """The same from the parser under test."""
    try:
        document = parse(text)
        return [_read(node, document) for node in document.nodes] or None
    except (DockerfileError, ValueError):
        return None


def _read(node: Node, document: Dockerfile) -> Read:
    name, flags, rest, trigger = node.name, node.flags, node.rest, ""
    if name == "ONBUILD":
        trigger, _, rest = split_instruction(rest)
        if trigger and trigger not in NAMES:
            raise ValueError(trigger)
    values, is_json = _values(trigger or name, rest, document.escape)
    found = () if name == "ONBUILD" else node.heredocs
    heredocs = tuple((heredoc.name, _untabbed(heredoc.content)) for heredoc in found)
    begin = node.end_line - sum(heredoc.content.count("\n") + 1 for heredoc in found)
    original = _original(node.text, *document.source.split("\n")[begin : node.end_line])
    return Read(name, trigger, flags, values, is_json, heredocs, original, node.line, node.end_line)


def _original(text: str, *heredoc_lines: str) -> str:
    """The instruction without blanks around it, and the lines of its here-documents without their ends."""
    lines = [line.rstrip("\r").lstrip("\t") for line in heredoc_lines]
    return "\n".join([text.strip(SPACE), *lines]).rstrip("\n")


def _untabbed(content: str) -> str:
    return "\n".join(line.lstrip("\t") for line in content.split("\n"))


def _values(name: str, rest: str, escape: str) -> tuple[tuple[str, ...], bool]:
    """The arguments in the shape that the official parser gives them, and whether they were JSON."""
    kind = ""
    if name == "HEALTHCHECK":
        kind, rest = first_word(rest)
    head = (kind,) if kind else ()
    if name in _LISTS or name in _COMMANDS:
        strings = json_strings(rest)
        if strings is not None:
            return (*head, *strings), True
    if name in _LISTS or name in _BLANK_SEPARATED:
        return tuple(split_blanks(rest)), False
    if name in {"ENV", "LABEL"}:
        return _pairs(name, rest, escape), False
    if name == "ARG":
        return tuple(split_quoted(rest, escape)[0]), False
    return ((*head, rest) if rest else head), False


def _pairs(name: str, rest: str, escape: str) -> tuple[str, ...]:
    words, _ = split_quoted(rest, escape)
    if words and "=" not in words[0]:
        key, value = first_word(rest)
        if not value:
            raise ValueError(name)
        return key, value
    if any("=" not in word for word in words):
        raise ValueError(name)
    return tuple(part for word in words for part in word.split("=", 1))


DIFFERENCES = {
    "follows a JSON array: Docker's since 2024 reads the shell form, the package the array": r"\][^\S\n]*[^\s\]]",
    "check directive given twice: the package is older than it": r"(?im)^\s*#\s*check\s*=.*\n(.*\n)*?\s*#\s*check\s*=",
    "NUL: the package passes the text as a C string": r"\0",
    "ONBUILD ONBUILD: the package doesn't read on; refused once it is an instruction": r"(?i)\bonbuild\s+onbuild\b",
}
"""Where the two differ, as patterns of texts, with the reasons."""


def differs(text: str) -> bool:
    """Whether the text has something that the two read differently, as DIFFERENCES says."""
    return any(re.search(pattern, text) for pattern in DIFFERENCES.values())
