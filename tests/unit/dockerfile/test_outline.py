"""What a build to a target can be given."""

from __future__ import annotations

import pytest

from dockmagic.dockerfile.outline import Outline, OutlineArg, OutlineCache, OutlineInput, outline
from dockmagic.dockerfile.parser import parse
from dockmagic.dockerfile.stages import stages
from dockmagic.errors import DockerfileError, NotFound

ARGS = """\
ARG inherited=box
ARG inherited2=box2
ARG unused=abc${inherited2}
# sfx is a suffix
ARG sfx="usy${inherited}"

FROM b${sfx} AS first
# this is not assigned to anything
ARG FOO=123
# BAR is a number
ARG BAR=456
RUN true

FROM alpine${unused} AS second
ARG BAZ
RUN true

FROM scratch AS third
ARG ABC=a

# target defines build target
FROM third AS target
COPY --from=first /etc/passwd /

FROM second
"""

INPUTS = """\
FROM busybox AS first
RUN --mount=type=secret,target=/etc/passwd,required=true --mount=type=ssh true

FROM alpine AS second
RUN --mount=type=secret,id=unused --mount=type=ssh,id=ssh2 true

FROM scratch AS third
ARG BAR
RUN --mount=type=secret,id=second${BAR} --mount=type=cache,target=/c$BAR true

FROM third AS target
RUN --mount=type=bind,from=0,target=/x --mount=type=ssh,id=ssh3,required --mount=type=cache,id=go,target=/g true
RUN --mount=type=secret,source=second678,required --mount=type=cache,id=go,target=/h true

FROM second
"""


def outlined(text: str, target: str = "", **given: str) -> Outline:
    dockerfile = parse(text)
    return outline(dockerfile, stages(dockerfile), target, given=given, automatic={"TARGETOS": "linux"})


def test_the_arguments_of_a_target() -> None:
    assert outlined(ARGS, "target", BAR="678") == Outline(
        "target",
        "defines build target",
        args=(
            OutlineArg("inherited", "box", "", 1),
            OutlineArg("sfx", "usybox", "is a suffix", 5),
            OutlineArg("FOO", "123", "", 9),
            OutlineArg("BAR", "678", "is a number", 11),
            OutlineArg("ABC", "a", "", 19),
        ),
        secrets=(),
        ssh=(),
        caches=(),
    )


def test_the_last_stage_is_the_target_without_one() -> None:
    found = outlined(ARGS)
    assert [(arg.name, arg.value) for arg in found.args] == [
        ("inherited2", "box2"),
        ("unused", "abcbox2"),
        ("BAZ", None),
    ]
    assert (found.name, found.description) == ("", "")


def test_secrets_agents_and_caches_of_a_target() -> None:
    found = outlined(INPUTS, "target", BAR="678")
    assert found.secrets == (OutlineInput("passwd", True, 2), OutlineInput("second678", True, 13))
    assert found.ssh == (OutlineInput("default", False, 2), OutlineInput("ssh3", True, 12))
    assert found.caches == (OutlineCache("/c678", 9), OutlineCache("go", 12))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM a\nARG TARGETOS\n", []),
        ("FROM a\nARG TARGETOS=b\n", [("TARGETOS", "b")]),
        ("ARG x=1\nFROM a\nARG x\n", [("x", "1")]),
        ("ARG x=1\nFROM a\nARG x=2\n", [("x", "2")]),
        ("ARG x\nFROM a\nARG x\n", [("x", None)]),
        ("ARG a=1 b=$a c=$b d\nFROM x:$c\n", [("a", "1"), ("b", "1"), ("c", "1")]),
        ("ARG p=linux/amd64\nFROM --platform=$p a\n", [("p", "linux/amd64")]),
        ("FROM a\nENV v=1\nARG x=$v y=$x\n", [("x", "1"), ("y", "1")]),
        ("FROM a\nARG x=${PYTHON_VERSION:?no}\n", [("x", "${PYTHON_VERSION:?no}")]),
        ("FROM a AS b\nARG x=1\nFROM b\nARG y=$x\n", [("x", "1"), ("y", "1")]),
        ("FROM a AS b\nARG x=1\nFROM a\nCOPY --from=B c d\n", [("x", "1")]),
        ("FROM a\nARG x=1\nFROM a\nCOPY --from=0 c d\nCOPY --from=1 c d\nCOPY --from=e c d\n", [("x", "1")]),
        ("FROM a AS b\nARG x=1\nFROM c AS a\nFROM b\n", [("x", "1")]),
        ("FROM a AS b\nARG x=1\nFROM a AS b\nARG y=1\nFROM b\n", [("y", "1")]),
    ],
)
def test_which_arguments_count(text: str, expected: list[tuple[str, str | None]]) -> None:
    assert [(arg.name, arg.value) for arg in outlined(text).args] == expected


def test_a_given_value_makes_its_default_not_count() -> None:
    assert [arg.name for arg in outlined("ARG a=1\nARG b=$a\nFROM x:$b\n", b="2").args] == ["b"]


def test_a_target_that_is_not_there() -> None:
    with pytest.raises(
        NotFound, match="no such build stage: nine; the target can be first, second, third, target or 4"
    ):
        outlined(ARGS, "nine")


def test_a_mount_that_can_not_be() -> None:
    with pytest.raises(DockerfileError) as raised:
        outlined("FROM a\nARG m=9\nRUN --mount=type=cache,target=/c,mode=$m true\n")
    assert str(raised.value).startswith(
        "Dockerfile:3: invalid value for mode: '9' isn't an octal number, such as 0755\n"
    )


def test_many_stages_take_time_in_proportion() -> None:
    text = "FROM a AS s0\n" + "".join(f"FROM s{number} AS s{number + 1}\nARG a{number}\n" for number in range(2000))
    assert len(outlined(text).args) == 2000
