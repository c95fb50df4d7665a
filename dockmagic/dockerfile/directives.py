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
            raise DockerfileError(f"only one {name} parser directive can be used; remove this one", line=index + 1)
        if name == "escape" and value not in ESCAPES:
            raise DockerfileError(
                f"invalid escape token '{value}' does not match ` or \\; write # escape=`", line=index + 1
            )
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
    """What `# check=` says: the rules to leave out, experimental ones to add, and whether a warning is an error."""

    skip: frozenset[str] = frozenset()
    skip_all: bool = False
    error: bool = False
    experimental: frozenset[str] = frozenset()
    experimental_all: bool = False

    @classmethod
    def parse(cls, value: str) -> Checks:
        """Read `skip=RuleA,RuleB;error=true`; unknown parts are left out, as a newer version may know them.

        >>> Checks.parse("skip=all;error=true").skip_all, Checks.parse("skip=A").applies("A")
        (True, False)
        """
        options = {name.strip(): text.strip() for name, _, text in (part.partition("=") for part in value.split(";"))}
        skip, skip_all = _rules(options.get("skip", ""))
        experimental, experimental_all = _rules(options.get("experimental", ""))
        error = options.get("error", "").lower() in {"true", "1", "t"}
        return cls(skip, skip_all, error, experimental, experimental_all)

    def applies(self, rule: str, *, experimental: bool = False) -> bool:
        """Whether the rule counts."""
        wanted = not experimental or self.experimental_all or rule in self.experimental
        return wanted and not self.skip_all and rule not in self.skip


def _rules(text: str) -> tuple[frozenset[str], bool]:
    """The rules of a list, or none and True for all."""
    rules = frozenset(rule.strip() for rule in text.split(",")) - {""}
    return (frozenset(), True) if "all" in rules else (rules, False)
