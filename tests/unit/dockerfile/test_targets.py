"""Stages with their descriptions."""

from __future__ import annotations

import pytest

from dockmagic.dockerfile.parser import parse
from dockmagic.dockerfile.stages import stages
from dockmagic.dockerfile.targets import Target, description, targets

TEXT = """\
# build compiles
# the rest of the comment
FROM --platform=$BUILDPLATFORM golang:$V AS Build
#
# other says nothing of build2
FROM build AS build2

# test runs the tests

FROM build2 AS test
# scratch is no stage's name
FROM scratch
"""


def test_the_targets_of_a_dockerfile() -> None:
    dockerfile = parse(TEXT)
    assert targets(dockerfile, stages(dockerfile)) == (
        Target("build", "compiles", "golang:$V", "$BUILDPLATFORM", False, 3),
        Target("build2", "", "build", "", False, 6),
        Target("test", "runs the tests", "build2", "", False, 10),
        Target("", "", "scratch", "", True, 12),
    )


@pytest.mark.parametrize(
    ("comments", "name", "expected"),
    [
        (["a says"], "a", "says"),
        (["ab says", "a  says"], "a", " says"),
        (["a one", "a two"], "a", "one"),
        (["A says"], "a", ""),
        (["a"], "a", ""),
        (["a: says"], "a", ""),
        ([], "a", ""),
        ([" says"], "", ""),
    ],
)
def test_which_comment_describes(comments: list[str], name: str, expected: str) -> None:
    assert description(comments, name) == expected
