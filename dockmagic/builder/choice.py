"""Which part of a source is copied: what --parents picks, less what --exclude leaves out. Pure.

Paths are relative to the source. Both follow the rules of .dockerignore, `**` and "!" included, and go through no
symbolic link. Source: Dockerfile reference, "COPY --exclude" and "COPY --parents"; BuildKit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from dockmagic.builder import paths
from dockmagic.dockerfile.ignore import IgnoreFile
from dockmagic.dockerfile.pattern import PathPattern
from dockmagic.errors import BuildError, DockerfileError


@dataclass(frozen=True, slots=True)
class Choice:
    """`picked` None is everything; otherwise what it matches, and what is in a directory that it matches."""

    excluded: IgnoreFile = field(default_factory=IgnoreFile)
    picked: PathPattern | None = None

    def includes(self, path: str) -> bool:
        """Whether what is at this path is copied."""
        return (self.picked is None or self.picked.covers(path)) and not self.leaves_out(path)

    def may_include_below(self, directory: str) -> bool:
        """Whether something in this directory may be copied; if not, nobody needs to look."""
        if self.picked is not None and directory and not self.picked.reaches_below(directory):
            return False
        return not self.leaves_out(directory) or self.excluded.may_include_below(directory)

    def leaves_out(self, path: str) -> bool:
        """Whether --exclude names it; the source itself, "", is never left out."""
        return bool(path and self.excluded.rules) and self.excluded.excludes(path)


def excluding(patterns: Sequence[str]) -> Choice:
    """Everything but what the patterns match; raises BuildError for one that is no pattern."""
    try:
        return Choice(IgnoreFile.of(patterns))
    except DockerfileError as error:
        raise BuildError(f"--exclude: {error.message}") from error


def picking(choice: Choice, pattern: str) -> Choice:
    """What `choice` has and this pattern, relative to the source, matches; "" is everything."""
    return Choice(choice.excluded, path_pattern(pattern, deep=True) if pattern else None)


def pivoted(name: str) -> tuple[str, str]:
    """The directory that a source of --parents is relative to, and the pattern of what to copy from it.

    >>> pivoted("/a/b/./c/d"), pivoted("./x/*.txt")
    (('a/b', 'c/d'), ('', 'x/*.txt'))
    """
    base, pivot, rest = name.partition("/./")
    return (paths.relative(base), paths.relative(rest)) if pivot else ("", paths.relative(name))


def path_pattern(text: str, *, deep: bool = False) -> PathPattern:
    """The pattern; raises BuildError if it isn't one."""
    try:
        return PathPattern(text, deep=deep)
    except DockerfileError as error:
        raise BuildError(error.message) from error
