"""Lint: what is allowed in a Dockerfile and probably a mistake, as `docker build --check` finds it.

Each rule is a function from a Subject to findings; `RULES` has them all. Time is in proportion to the text. Source:
Docker documentation, "Build checks" and "check" parser directive; BuildKit for the messages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from dockmagic.dockerfile import instructions as df
from dockmagic.dockerfile import lint_stages, lint_style, lint_variables
from dockmagic.dockerfile.directives import Checks
from dockmagic.dockerfile.lint_subject import Finding, Subject, Surroundings
from dockmagic.dockerfile.lint_walk import walk
from dockmagic.dockerfile.nodes import Dockerfile
from dockmagic.errors import DockerfileError, excerpt

_DOCUMENTATION: Final = "https://docs.docker.com/go/dockerfile/rule/"
_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True, slots=True)
class LintWarning:
    """What a rule found: at `line` (from 1) and `column` (from 0), in an instruction that ends on `end_line`.

    `url` is where Docker documents the rule, "" if it doesn't.
    """

    rule: str
    message: str
    url: str
    line: int
    end_line: int
    column: int = 0

    def __str__(self) -> str:
        """Rule and message."""
        return f"{self.rule}: {self.message}"

    def shown(self, source: str, filename: str) -> str:
        """All of it, with the lines at fault and a caret."""
        lines = excerpt(source, self.line, self.end_line, self.column)
        name = f"{self.rule} - {self.url}" if self.url else self.rule
        return f"WARNING: {name}\n{self.message}\n{filename}:{self.line}\n{lines}"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule. One that is `experimental` applies where `# check=experimental=` names it."""

    name: str
    check: Callable[[Subject], Iterator[Finding]]
    experimental: bool = False
    documented: bool = True

    @property
    def url(self) -> str:
        """Where Docker documents it, "" if it doesn't."""
        return f"{_DOCUMENTATION}{_WORDS.sub('-', self.name).lower()}/" if self.documented else ""


RULES: Final = (
    Rule("StageNameCasing", lint_style.stage_name_casing),
    Rule("FromAsCasing", lint_style.from_as_casing),
    Rule("NoEmptyContinuation", lint_style.no_empty_continuation),
    Rule("ConsistentInstructionCasing", lint_style.consistent_instruction_casing),
    Rule("DuplicateStageName", lint_stages.duplicate_stage_name),
    Rule("ReservedStageName", lint_stages.reserved_stage_name),
    Rule("JSONArgsRecommended", lint_stages.json_args_recommended),
    Rule("MaintainerDeprecated", lint_style.maintainer_deprecated),
    Rule("UndefinedArgInFrom", lint_variables.undefined_arg_in_from),
    Rule("WorkdirRelativePath", lint_stages.workdir_relative_path),
    Rule("UndefinedVar", lint_variables.undefined_var),
    Rule("MultipleInstructionsDisallowed", lint_stages.multiple_instructions_disallowed),
    Rule("LegacyKeyValueFormat", lint_style.legacy_key_value_format),
    Rule("InvalidBaseImagePlatform", lint_variables.invalid_base_image_platform, documented=False),
    Rule("RedundantTargetPlatform", lint_variables.redundant_target_platform),
    Rule("SecretsUsedInArgOrEnv", lint_style.secrets_used_in_arg_or_env),
    Rule("InvalidDefaultArgInFrom", lint_variables.invalid_default_arg_in_from),
    Rule("FromPlatformFlagConstDisallowed", lint_variables.from_platform_flag_const_disallowed),
    Rule("CopyIgnoredFile", lint_stages.copy_ignored_file, experimental=True),
    Rule("InvalidDefinitionDescription", lint_style.invalid_definition_description, experimental=True),
    Rule("ExposeProtoCasing", lint_style.expose_proto_casing),
    Rule("ExposeInvalidFormat", lint_style.expose_invalid_format),
)


def lint(
    dockerfile: Dockerfile, program: df.Program, surroundings: Surroundings | None = None, checks: Checks | None = None
) -> tuple[LintWarning, ...]:
    """What the rules find, by line; `checks` is what `# check=` says unless it is given.

    Raises what `surroundings` raises.
    """
    checks = Checks.parse(dockerfile.directives.get("check", "")) if checks is None else checks
    rules = [rule for rule in RULES if checks.applies(rule.name, experimental=rule.experimental)]
    if not rules:
        return ()
    subject = walk(dockerfile, program, surroundings or Surroundings())
    found = [_warning(rule, finding) for rule in rules for finding in rule.check(subject)]
    return tuple(sorted(found, key=lambda warning: warning.line))


def refusal(warnings: Iterable[LintWarning], dockerfile: Dockerfile) -> DockerfileError | None:
    """The error that the warnings are under `# check=error=true`, at the first of them; None if there are none."""
    found = list(warnings)
    if not found:
        return None
    first = found[0]
    more = f" (and {len(found) - 1} more: see --check)" if len(found) > 1 else ""
    error = DockerfileError(
        f"lint violation found for {first}{more}", line=first.line, end_line=first.end_line, column=first.column
    )
    return error.locate(dockerfile.source, dockerfile.filename)


def _warning(rule: Rule, finding: Finding) -> LintWarning:
    """The finding as a warning of the rule."""
    if finding.node is None:
        return LintWarning(rule.name, finding.message, rule.url, finding.line, finding.line)
    position = finding.node.position(finding.offset)
    end_line = max(position.line, finding.node.last_line)
    return LintWarning(rule.name, finding.message, rule.url, position.line, end_line, position.column)
