"""Which files of a build context a .dockerignore leaves out.

A line is a pattern that leaves out what it matches and all below it, or with "!" before it takes it in again; the last
line that matches wins. Source: Docker documentation, ".dockerignore files"; moby/patternmatcher.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass

from dockmagic.dockerfile.pattern import PathPattern
from dockmagic.dockerfile.words import SPACE
from dockmagic.errors import DockerfileError


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the file; an exception takes in what earlier rules left out."""

    pattern: PathPattern
    exception: bool


@dataclass(frozen=True, slots=True)
class IgnoreFile:
    """The rules, first line first; without rules nothing is left out. Paths are relative, with "/" between names."""

    rules: tuple[Rule, ...] = ()

    @classmethod
    def parse(cls, text: str, filename: str = ".dockerignore") -> IgnoreFile:
        """Read the text of such a file; raises DockerfileError for a line that is no pattern."""
        lines = text.removeprefix("\ufeff").split("\n")
        try:
            rules = [_rule(line.strip(SPACE), number) for number, line in enumerate(lines, 1) if _counts(line)]
        except DockerfileError as error:
            error.locate(text, filename)
            raise
        return cls(tuple(rules))

    @classmethod
    def of(cls, patterns: Iterable[str]) -> IgnoreFile:
        """Rules from patterns that aren't a file's lines: no comments; raises DockerfileError for one that is none."""
        return cls(tuple(_rule(pattern.strip(SPACE), 1) for pattern in patterns if pattern.strip(SPACE)))

    def excludes(self, path: str) -> bool:
        """Whether the file or directory is left out, itself or with a directory that it is in."""
        path = clean(path)
        excluded = False
        for rule in self.rules:
            if rule.exception == excluded and path != "." and rule.pattern.covers(path):
                excluded = not rule.exception
        return excluded

    def may_include_below(self, directory: str) -> bool:
        """Whether something in a directory that is left out may be taken in again; if not, nobody needs to look."""
        directory = clean(directory)
        return any(
            rule.exception and (directory == "." or rule.pattern.reaches_below(directory)) for rule in self.rules
        )


def clean(path: str) -> str:
    """The shortest path with the same meaning, as Go's filepath.Clean gives it.

    >>> clean("a//b/../c/"), clean("//a"), clean("")
    ('a/c', '/a', '.')
    """
    cleaned = posixpath.normpath(path)
    return cleaned[1:] if cleaned.startswith("//") else cleaned


def _counts(line: str) -> bool:
    """Whether the line is a rule: neither empty nor a comment, whose # is the first character."""
    return bool(line.strip(SPACE)) and not line.startswith("#")


def _rule(text: str, line: int) -> Rule:
    """The rule of a line without spaces around it."""
    exception = text.startswith("!")
    pattern = text.removeprefix("!").strip(SPACE) if exception else text
    if not pattern:
        raise DockerfileError('illegal exclusion pattern: "!"; write what to take in after it', line=line)
    pattern = clean(pattern)
    return Rule(PathPattern(pattern.removeprefix("/") or "/", deep=True, line=line), exception)
