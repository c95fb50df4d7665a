from __future__ import annotations

import pytest

from dockmagic.builder.plan import BuildArgs, NamedDirectory, Plan, plan
from dockmagic.builder.settings import RunSettings
from dockmagic.dockerfile.instructions import Program
from dockmagic.dockerfile.parser import parse
from dockmagic.dockerfile.stages import stages
from dockmagic.errors import DockerfileError, InvalidOption, NotFound
from dockmagic.oci.descriptor import Platform


def program(text: str) -> Program:
    return stages(parse(text))


def planned(text: str, **args: str) -> Plan:
    target = args.pop("target", "")
    return plan(stages(parse(text)), BuildArgs(args, target=target))


def test_only_the_stages_that_the_target_needs_in_the_order_of_the_file() -> None:
    text = """
FROM one AS a
FROM two AS unneeded
FROM a AS b
FROM scratch AS c
COPY --from=2 /x /x
COPY --from=busybox /y /y
FROM c
"""
    result = planned(text)
    assert [stage.stage.index for stage in result.stages] == [0, 2, 3, 4]
    assert [stage.base for stage in result.stages] == ["one", 0, None, 3]
    assert result.stages[2].origins == {"2": 2, "busybox": "busybox"}
    assert result.stages[2].needs == {2}
    assert result.total == 6


@pytest.mark.parametrize("target", ["a", "A", "0"])
def test_a_target_goes_by_name_in_any_case_or_by_number(target: str) -> None:
    assert [stage.stage.index for stage in planned("FROM x AS a\nFROM y AS b\n", target=target).stages] == [0]


def test_an_unknown_target_names_the_stages() -> None:
    with pytest.raises(NotFound, match="no such build stage: c; the target can be a or 1"):
        planned("FROM x AS a\nFROM y\n", target="c")


def test_a_stage_is_only_known_after_its_from() -> None:
    result = planned("FROM later\nFROM x AS later\nFROM later AS last\n", target="0")
    assert result.stages[0].base == "later"


def test_arguments_before_from() -> None:
    text = "ARG TAG=1\nARG NAME=img:$TAG OTHER\nFROM ${NAME}\n"
    assert planned(text).stages[0].base == "img:1"
    assert planned(text, TAG="2").stages[0].base == "img:2"
    assert planned(text, NAME="x").stages[0].base == "x"


def test_arguments_of_the_platform_are_known_in_from() -> None:
    result = plan(stages(parse("FROM x-$TARGETARCH$TARGETVARIANT\n")), BuildArgs({}, Platform("linux", "arm", "v7")))
    assert result.stages[0].base == "x-armv7"
    assert result.global_args["BUILDPLATFORM"] == "linux/arm/v7"
    assert result.global_args["TARGETSTAGE"] == "default"


@pytest.mark.parametrize("platform", ["linux/amd64", "amd64", "linux", "$BUILDPLATFORM"])
def test_this_machines_platform_may_be_named(platform: str) -> None:
    assert planned(f"FROM --platform={platform} x\n").stages[0].base == "x"
    assert planned(f"FROM --platform={platform} x\n").stages[0].platform == Platform("linux", "amd64")


def test_another_platform_may_be_named() -> None:
    assert planned("FROM --platform=aarch64 x\n").stages[0].platform == Platform("linux", "arm64")
    args = BuildArgs(platform=Platform("linux", "arm", "v7"), build_platform=Platform("linux", "amd64"))
    both = plan(program("FROM --platform=$BUILDPLATFORM x\nFROM y\nCOPY --from=0 /a /b\n"), args)
    assert [stage.platform.architecture for stage in both.stages] == ["amd64", "arm"]
    assert (args.automatic()["TARGETPLATFORM"], args.automatic()["BUILDARCH"]) == ("linux/arm/v7", "amd64")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"BUILDKIT_INLINE_CACHE": "1"}, "BUILDKIT_INLINE_CACHE: it isn't available: images carry no cache"),
        ({"BUILDKIT_MULTI_PLATFORM": "true"}, "BUILDKIT_MULTI_PLATFORM: it isn't available"),
        ({"BUILDKIT_CONTEXT_KEEP_GIT_DIR": "maybe"}, "neither true nor false"),
        ({"BUILDKIT_SYNTAX": "me/mine:1"}, "always read by dockmagic itself"),
    ],
)
def test_arguments_of_the_builder_that_cannot_be_met(given: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        plan(program("FROM x\n"), BuildArgs(given))


def test_arguments_of_the_builder_count_as_used() -> None:
    given = {"BUILDKIT_SYNTAX": "docker/dockerfile:1", "BUILDKIT_SANDBOX_HOSTNAME": "h", "BUILDKIT_INLINE_CACHE": "0"}
    assert plan(program("FROM x\n"), BuildArgs({**given, "BUILDKIT_BUILD_NAME": "n"})).unused == (
        "BUILDKIT_BUILD_NAME",
    )


@pytest.mark.parametrize("flag", ["--security=insecure", "--network=host"])
def test_what_only_an_entitlement_allows(flag: str) -> None:
    text = f"FROM x\nRUN {flag} y\n"
    with pytest.raises(DockerfileError, match=f"RUN {flag} isn't allowed in this build; .* --allow"):
        plan(program(text), BuildArgs())
    allowed = RunSettings(allow=frozenset(("network.host", "security.insecure")))
    assert plan(program(text), BuildArgs(run=allowed)).total == 2


def test_arguments_that_nobody_declares() -> None:
    text = "ARG A\nFROM x\nARG B\n"
    assert planned(text, A="1", B="2", C="3", D="4", http_proxy="p").unused == ("C", "D")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FROM $X\n", "1: the image's name is empty"),
        (
            "FROM --platform=windows/amd64 x\n",
            "--platform=windows/amd64: windows isn't a system that images are made for here",
        ),
        ("FROM x AS a\nCOPY --from=a /x /x\n", "2: --from=a is this stage itself"),
        ("FROM x\nCOPY --from=0 /x /x\n", "2: --from=0 is this stage itself"),
        ("FROM x\nCOPY --from=b /x /x\nFROM x AS b\nFROM 0\n", "--from=b is a later stage"),
        ("FROM x\nCOPY --from=7 /x /x\n", "--from=7: there are only 1 stages"),
    ],
)
def test_what_cannot_be_planned(text: str, message: str) -> None:
    with pytest.raises(DockerfileError, match=message):
        planned(text, target="0" if "later" in message else "")


def test_what_is_not_supported_matters_only_in_stages_that_are_needed() -> None:
    text = "FROM x\nRUN --device=x true\nFROM y\n"
    assert len(planned(text).stages) == 1
    with pytest.raises(DockerfileError, match="2: RUN --device isn't supported"):
        planned(text, target="0")


LIB = NamedDirectory("lib", "/src/lib")


def test_named_contexts_come_before_stages_and_images() -> None:
    text = "FROM x AS lib\nFROM base\nCOPY --from=lib a a\nCOPY --from=docker.io/library/tool b b\nCOPY --from=0 c c\n"
    args = BuildArgs(contexts={"lib": LIB, "tool:latest": "registry.example/tool:2", "base": "busybox:1"})
    result = plan(stages(parse(text)), args)
    last = result.stages[-1]
    assert last.base == "busybox:1"
    assert last.origins == {"lib": LIB, "docker.io/library/tool": "registry.example/tool:2", "0": 0}
    assert last.needs == {0}


def test_a_stage_that_a_context_stands_in_for_is_not_needed() -> None:
    args = BuildArgs(contexts={"lib": LIB})
    result = plan(stages(parse("FROM x AS lib\nFROM y\nCOPY --from=lib a a\n")), args)
    assert [stage.stage.index for stage in result.stages] == [1]


def test_a_stage_does_not_start_from_a_directory() -> None:
    with pytest.raises(
        DockerfileError, match=r"lib is a directory .* docker-image://, or use COPY --from=lib"
    ) as caught:
        plan(stages(parse("FROM lib\n")), BuildArgs(contexts={"lib": LIB}))
    assert caught.value.line == 1
