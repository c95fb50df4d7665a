"""Rules on stages: for each, Dockerfiles that break it and ones that don't."""

from __future__ import annotations

import pytest

from tests.unit.dockerfile.linting import found

CHECK = "# check=experimental=CopyIgnoredFile\n"
BAD = [
    (
        "DuplicateStageName",
        "FROM busybox AS a\nFROM busybox AS A",
        'Duplicate stage name "a", stage names should be unique',
        "2 | FROM busybox AS A\n    |                 ^",
    ),
    (
        "ReservedStageName",
        "FROM busybox AS scratch",
        'Stage name should not use the same name as reserved stage "scratch"',
        "1 | FROM busybox AS scratch\n    |                 ^^^^^^^",
    ),
    (
        "JSONArgsRecommended",
        "FROM busybox\nCMD echo hi",
        "JSON arguments recommended for CMD to prevent unintended behavior related to OS signals",
        "2 | CMD echo hi\n    |     ^^^^",
    ),
    (
        "JSONArgsRecommended",
        'FROM shelled AS a\nFROM scratch\nENTRYPOINT ["a\']\nSHELL ["b"]\nCMD c',
        "JSON arguments recommended for ENTRYPOINT to prevent unintended behavior related to OS signals",
        "3 | ENTRYPOINT [\"a']\n    |            ^^^^^",
    ),
    (
        "WorkdirRelativePath",
        "FROM busybox\nENV D=d\nWORKDIR app/$D\nWORKDIR more",
        'Relative workdir "app/d" can have unexpected results if the base image changes',
        "3 | WORKDIR app/$D\n    |         ^^^^^^",
    ),
    (
        "MultipleInstructionsDisallowed",
        'FROM busybox\nCMD ["a"]\nRUN x\nCMD ["b"]',
        "Multiple CMD instructions should not be used in the same stage because only the last one will be used",
        '2 | CMD ["a"]\n    | ^^^',
    ),
    (
        "MultipleInstructionsDisallowed",
        "FROM busybox\nHEALTHCHECK NONE\nHEALTHCHECK CMD a",
        "Multiple HEALTHCHECK instructions should not be used in the same stage because only the last one will be used",
        "2 | HEALTHCHECK NONE\n    | ^^^^^^^^^^^",
    ),
    (
        "CopyIgnoredFile",
        f"{CHECK}FROM busybox\nCOPY a tmp/x.log /",
        'Attempting to Copy file "tmp/x.log" that is excluded by .dockerignore',
        "3 | COPY a tmp/x.log /\n    |        ^^^^^^^^^",
    ),
    (
        "CopyIgnoredFile",
        f"{CHECK}FROM busybox\nADD ./tmp/ /",
        'Attempting to Add file "tmp" that is excluded by .dockerignore',
        "3 | ADD ./tmp/ /\n    |     ^^^^^^",
    ),
]
GOOD = [
    ("DuplicateStageName", "FROM busybox AS a\nFROM busybox\nFROM busybox AS b\nFROM busybox"),
    ("ReservedStageName", "FROM scratch AS a"),
    ("JSONArgsRecommended", 'FROM busybox\nCMD ["a"]\nENTRYPOINT ["b"]\nHEALTHCHECK CMD x\nONBUILD CMD x'),
    ("JSONArgsRecommended", 'FROM busybox AS a\nSHELL ["b"]\nCMD c\nFROM a\nCMD d\nFROM shelled\nCMD e'),
    ("WorkdirRelativePath", "FROM busybox AS a\nENV D=/d\nWORKDIR $D\nWORKDIR x\nFROM a\nWORKDIR y"),
    (
        "MultipleInstructionsDisallowed",
        'FROM busybox\nCMD ["a"]\nENTRYPOINT ["a"]\nRUN b\nRUN c\nFROM busybox\nCMD ["a"]',
    ),
    ("CopyIgnoredFile", f"{CHECK}FROM busybox AS b\nCOPY . a /\nADD http://tmp/x.log /\nCOPY --from=b tmp /"),
    ("CopyIgnoredFile", "FROM busybox\nCOPY tmp /"),
]


@pytest.mark.parametrize(("rule", "text", "message", "shown"), BAD)
def test_what_breaks_a_rule(rule: str, text: str, message: str, shown: str) -> None:
    warnings = [warning for warning in found(text, ignore="tmp\n*.bak\n") if warning.rule == rule]
    assert [warning.message for warning in warnings] == [message]
    assert warnings[0].shown(text, "Dockerfile").endswith(f"\n  {shown}")


@pytest.mark.parametrize(("rule", "text"), GOOD)
def test_what_keeps_to_a_rule(rule: str, text: str) -> None:
    assert [warning for warning in found(text, ignore="tmp\n") if warning.rule == rule] == []


def test_what_may_be_taken_in_again_is_no_finding() -> None:
    assert found(f"{CHECK}FROM busybox\nCOPY tmp /\n", ignore="tmp\n!tmp/x\n") == ()
