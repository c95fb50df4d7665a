"""Parser directives: comments of the form `# name=value` before anything else.

Source: Dockerfile reference, "Parser directives".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dockmagic.dockerfile.words import SPACE
from dockmagic.errors import DockerfileError

NAMES = frozenset({"syntax", "escape", "check"})
ESCAPES = frozenset({"\\", "`"})


def read_directives(lines: Sequence[str]) -> tuple[dict[str, str], int]:
    """The directives by lower-case name, and how many lines they take.

    The first line that is no directive ends them. Raises DockerfileError for one given twice, and for an escape
    other than backslash and backtick.
    """
    found: dict[str, str] = {}
    for index, line in enumerate(lines):
        directive = _directive(line)
        if directive is None:
            return found, index
        name, value = directive
        if name in found:
            raise DockerfileError(f"only one {name} parser directive can be used", line=index + 1)
        if name == "escape" and value not in ESCAPES:
            raise DockerfileError(f"invalid escape token '{value}' does not match ` or \\", line=index + 1)
        found[name] = value
    return found, len(lines)


def _directive(line: str) -> tuple[str, str] | None:
    """Name and value of the directive on this line, None if it is something else."""
    line = line.strip(SPACE)
    name, equals, value = (part.strip(SPACE) for part in line[1:].partition("="))
    if not line.startswith("#") or not equals or not value or name.lower() not in NAMES:
        return None
    return name.lower(), value


@dataclass(frozen=True, slots=True)
class Checks:
    """What `# check=` says: the rules to leave out, and whether a warning is an error."""

    skip: frozenset[str] = frozenset()
    skip_all: bool = False
    error: bool = False

    @classmethod
    def parse(cls, value: str) -> Checks:
        """Read `skip=RuleA,RuleB;error=true`; unknown parts are left out, as a newer version may know them.

        >>> Checks.parse("skip=all;error=true")
        Checks(skip=frozenset(), skip_all=True, error=True)
        """
        options = {name.strip(): text.strip() for name, _, text in (part.partition("=") for part in value.split(";"))}
        rules = frozenset(rule.strip() for rule in options.get("skip", "").split(",")) - {""}
        every = "all" in rules
        return cls(frozenset() if every else rules, every, options.get("error", "").lower() == "true")
