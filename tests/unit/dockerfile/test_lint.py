from __future__ import annotations

import time

import pytest

from dockmagic.dockerfile.directives import Checks
from dockmagic.dockerfile.lint import RULES, LintWarning, lint, refusal
from dockmagic.dockerfile.parser import parse
from dockmagic.dockerfile.stages import stages
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


def test_every_rule_has_an_address_of_its_own() -> None:
    addresses = {rule.url.rpartition("rule/")[2] for rule in RULES}
    assert len(addresses) == len(RULES) == 22
    assert {"from-as-casing/", "secrets-used-in-arg-or-env/", "invalid-default-arg-in-from/"} <= addresses


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

    def seconds(count: int) -> float:
        dockerfile = parse(text(count))
        program = stages(dockerfile)
        begun = time.process_time()
        lint(dockerfile, program, checks=Checks(experimental_all=True))
        return time.process_time() - begun

    seconds(100)
    assert seconds(3000) < 30 * max(min(seconds(300), seconds(300)), 0.004)
