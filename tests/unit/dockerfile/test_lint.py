from __future__ import annotations

from collections.abc import Callable

import pytest

from dockmagic.dockerfile.directives import Checks
from dockmagic.dockerfile.lint import RULES, LintWarning, lint, refusal
from dockmagic.dockerfile.parser import parse
from dockmagic.dockerfile.stages import stages
from tests.timing import least_s, takes_less
from tests.unit.dockerfile.linting import found

WRONG = "FROM busybox as A\nMAINTAINER me\nCMD x\n"


def rules_of(text: str) -> list[str]:
    return [warning.rule for warning in found(text)]


def test_findings_are_told_by_line() -> None:
    assert rules_of(WRONG) == ["StageNameCasing", "FromAsCasing", "MaintainerDeprecated", "JSONArgsRecommended"]


def test_a_finding_has_all_that_is_shown() -> None:
    warning = found("FROM busybox\nCMD a \\\n b\n")[0]
    url = "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/"
    message = "JSON arguments recommended for CMD to prevent unintended behavior related to OS signals"
    assert warning == LintWarning("JSONArgsRecommended", message, url, 2, 3, 4)
    assert str(warning) == f"JSONArgsRecommended: {message}"
    assert warning.shown("FROM busybox\nCMD a \\\n b\n", "cell") == (
        f"WARNING: JSONArgsRecommended - {url}\n{message}\ncell:2\n  2 | CMD a \\\n    |     ^\n  3 |  b"
    )


def test_here_documents_are_not_shown() -> None:
    warning = found("FROM busybox\nCOPY <<e /$X\n1\n2\ne\n")[0]
    assert (warning.rule, warning.line, warning.end_line) == ("UndefinedVar", 2, 2)


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        ("skip=all", []),
        ("skip=StageNameCasing , FromAsCasing", ["MaintainerDeprecated", "JSONArgsRecommended"]),
        ("error=true;skip=JSONArgsRecommended,MaintainerDeprecated", ["StageNameCasing", "FromAsCasing"]),
        ("skip=all;experimental=all", []),
    ],
)
def test_rules_that_are_left_out(check: str, expected: list[str]) -> None:
    assert rules_of(f"# check={check}\n{WRONG}") == expected


def test_checks_from_elsewhere_come_first() -> None:
    dockerfile = parse(f"# check=skip=all\n{WRONG}")
    assert len(lint(dockerfile, stages(dockerfile), checks=Checks())) == 4


def test_warnings_as_an_error() -> None:
    dockerfile = parse("# check=error=true\nFROM busybox\nMAINTAINER me\nCMD x\n", "cell")
    error = refusal(lint(dockerfile, stages(dockerfile)), dockerfile)
    assert str(error) == (
        "cell:3: lint violation found for MaintainerDeprecated: Maintainer instruction is deprecated in favor of using "
        "label (and 1 more: see --check)\n  3 | MAINTAINER me\n    | ^^^^^^^^^^"
    )
    assert refusal((), dockerfile) is None


ADDRESSES = {
    "StageNameCasing": "stage-name-casing",
    "FromAsCasing": "from-as-casing",
    "NoEmptyContinuation": "no-empty-continuation",
    "ConsistentInstructionCasing": "consistent-instruction-casing",
    "DuplicateStageName": "duplicate-stage-name",
    "ReservedStageName": "reserved-stage-name",
    "JSONArgsRecommended": "json-args-recommended",
    "MaintainerDeprecated": "maintainer-deprecated",
    "UndefinedArgInFrom": "undefined-arg-in-from",
    "WorkdirRelativePath": "workdir-relative-path",
    "UndefinedVar": "undefined-var",
    "MultipleInstructionsDisallowed": "multiple-instructions-disallowed",
    "LegacyKeyValueFormat": "legacy-key-value-format",
    "RedundantTargetPlatform": "redundant-target-platform",
    "SecretsUsedInArgOrEnv": "secrets-used-in-arg-or-env",
    "InvalidDefaultArgInFrom": "invalid-default-arg-in-from",
    "FromPlatformFlagConstDisallowed": "from-platform-flag-const-disallowed",
    "CopyIgnoredFile": "copy-ignored-file",
    "InvalidDefinitionDescription": "invalid-definition-description",
    "ExposeProtoCasing": "expose-proto-casing",
    "ExposeInvalidFormat": "expose-invalid-format",
}


def test_rules_have_the_addresses_of_their_documentation() -> None:
    documented = {name: f"https://docs.docker.com/go/dockerfile/rule/{page}/" for name, page in ADDRESSES.items()}
    assert {rule.name: rule.url for rule in RULES} == {**documented, "InvalidBaseImagePlatform": ""}
    assert [rule.name for rule in RULES if rule.experimental] == ["CopyIgnoredFile", "InvalidDefinitionDescription"]


def test_a_rule_without_documentation_is_shown_without_address() -> None:
    warning = found("FROM arm\n")[0]
    assert warning.shown("FROM arm\n", "cell") == (
        'WARNING: InvalidBaseImagePlatform\nBase image arm was pulled with platform "linux/arm64", '
        'expected "linux/amd64" for current build\ncell:1\n  1 | FROM arm\n    |      ^^^'
    )


@pytest.mark.parametrize(
    ("text", "rule", "message"),
    [
        ("FROM busybox AS Base", "StageNameCasing", "Stage name 'Base' should be lowercase"),
        ("FROM busybox as b", "FromAsCasing", "'as' and 'FROM' keywords' casing do not match"),
        ("FROM busybox\nRUN a \\\n\n b", "NoEmptyContinuation", "Empty continuation line"),
        (
            "FROM busybox\nRun a",
            "ConsistentInstructionCasing",
            "Command 'Run' should match the case of the command majority (uppercase)",
        ),
        (
            "FROM busybox AS a\nFROM busybox AS a",
            "DuplicateStageName",
            'Duplicate stage name "a", stage names should be unique',
        ),
        (
            "FROM busybox AS scratch",
            "ReservedStageName",
            'Stage name should not use the same name as reserved stage "scratch"',
        ),
        (
            "FROM busybox\nCMD a",
            "JSONArgsRecommended",
            "JSON arguments recommended for CMD to prevent unintended behavior related to OS signals",
        ),
        (
            "FROM busybox\nMAINTAINER a",
            "MaintainerDeprecated",
            "Maintainer instruction is deprecated in favor of using label",
        ),
        ("FROM busy$box", "UndefinedArgInFrom", "FROM argument 'box' is not declared"),
        (
            "ARG boxes=box\nFROM busy$boxs",
            "UndefinedArgInFrom",
            "FROM argument 'boxs' is not declared (did you mean boxes?)",
        ),
        (
            "FROM busybox\nWORKDIR a",
            "WorkdirRelativePath",
            'Relative workdir "a" can have unexpected results if the base image changes',
        ),
        ("FROM busybox\nUSER $you", "UndefinedVar", "Usage of undefined variable '$you'"),
        (
            "FROM busybox\nENV PATH=$PAHT:/x",
            "UndefinedVar",
            "Usage of undefined variable '$PAHT' (did you mean $PATH?)",
        ),
        (
            'FROM busybox\nCMD ["a"]\nCMD ["b"]',
            "MultipleInstructionsDisallowed",
            "Multiple CMD instructions should not be used in the same stage because only the last one will be used",
        ),
        (
            "FROM busybox\nENV a b",
            "LegacyKeyValueFormat",
            '"ENV key=value" should be used instead of legacy "ENV key value" format',
        ),
        (
            "FROM --platform=$TARGETPLATFORM busybox",
            "RedundantTargetPlatform",
            "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
        ),
        (
            "FROM busybox\nARG MY_TOKEN",
            "SecretsUsedInArgOrEnv",
            'Do not use ARG or ENV instructions for sensitive data (ARG "MY_TOKEN")',
        ),
        (
            "ARG V\nFROM busybox:$V",
            "InvalidDefaultArgInFrom",
            "Default value for ARG busybox:$V results in empty or invalid base image name",
        ),
        (
            "FROM --platform=linux/amd64 busybox",
            "FromPlatformFlagConstDisallowed",
            'FROM --platform flag should not use constant value "linux/amd64"',
        ),
        (
            "# check=experimental=all\nFROM busybox\nCOPY left.out /",
            "CopyIgnoredFile",
            'Attempting to Copy file "left.out" that is excluded by .dockerignore',
        ),
        (
            "# check=experimental=all\n# what a is\nARG a\nFROM busybox",
            "InvalidDefinitionDescription",
            "Comment for ARG should follow the format: `# a <description>`",
        ),
        (
            "FROM busybox\nEXPOSE 80/TCP",
            "ExposeProtoCasing",
            "Defined protocol '80/TCP' in EXPOSE instruction should be lowercase",
        ),
        (
            "FROM busybox\nEXPOSE 127.0.0.1:80:80",
            "ExposeInvalidFormat",
            "EXPOSE instruction should not define an IP address or host-port mapping, found '127.0.0.1:80:80'",
        ),
    ],
)
def test_what_rules_say(text: str, rule: str, message: str) -> None:
    told = [(warning.rule, warning.message) for warning in found(text, ignore="left.*")]
    assert (rule, message) in told


@pytest.mark.parametrize(
    ("start", "repeated"),
    [
        ("FROM busybox\n", "ENV KEY{}=$KEY{}X\n"),
        ("FROM busybox\nARG A", " \\\n KEY{} A_TOKEN_{}=$B{}"),
        ("FROM busybox\n", "EXPOSE 1:2/TCP\ncmd $X{}\n"),
        ("FROM busybox AS s0\n", "FROM s{} AS s{}\nENV E{}=1\n"),
        ("ARG A\n", "ARG B{}\nFROM ${{C{}}} as S\n# x\n"),
        ("FROM busybox\n", "COPY a \\\n\n b{} $D{} /\n"),
    ],
)
def test_time_is_in_proportion_to_the_text(start: str, repeated: str) -> None:
    def text(count: int) -> str:
        return start + "".join(repeated.format(number, number + 1, number) for number in range(count))

    def linting(count: int) -> Callable[[], object]:
        dockerfile = parse(text(count))
        program = stages(dockerfile)
        return lambda: lint(dockerfile, program, checks=Checks(experimental_all=True))

    linting(100)()
    assert takes_less(linting(3000), 30 * max(least_s(linting(300)), 0.004))
