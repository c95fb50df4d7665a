"""Rules on variables, base images and platforms: for each, Dockerfiles that break it and ones that don't."""

from __future__ import annotations

import pytest

from tests.unit.dockerfile.linting import found

BAD = [
    (
        "UndefinedVar",
        "FROM busybox\nENV PATH=$PAHT:/x",
        "Usage of undefined variable '$PAHT' (did you mean $PATH?)",
        "2 | ENV PATH=$PAHT:/x\n    |          ^^^^^^^^",
    ),
    (
        "UndefinedVar",
        "ARG A=1\nFROM busybox\nWORKDIR /${A}",
        "Usage of undefined variable '$A'",
        "3 | WORKDIR /${A}\n    |          ^^^^",
    ),
    (
        "UndefinedVar",
        "FROM python AS a\nFROM a\nCOPY <<f \\\n  $PYTHON_VERSION$PYTHON_VERSIONS /\n$E\nf",
        [
            "Usage of undefined variable '$E'",
            "Usage of undefined variable '$PYTHON_VERSIONS' (did you mean $PYTHON_VERSION?)",
        ],
        "4 |   $PYTHON_VERSION$PYTHON_VERSIONS /\n    |                  ^^^^^^^^^^^^^^^^",
    ),
    ("UndefinedVar", "FROM scratch\nARG B=$C", "Usage of undefined variable '$C'", "2 | ARG B=$C\n    |       ^^"),
    (
        "UndefinedArgInFrom",
        "ARG VERSION=1\nFROM busybox:${VERSON}",
        "FROM argument 'VERSON' is not declared (did you mean VERSION?)",
        "2 | FROM busybox:${VERSON}\n    |              ^^^^^^^^^",
    ),
    (
        "UndefinedArgInFrom",
        "FROM --platform=$BULIDPLATFORM busybox",
        "FROM argument 'BULIDPLATFORM' is not declared (did you mean BUILDPLATFORM?)",
        "1 | FROM --platform=$BULIDPLATFORM busybox\n    |                 ^^^^^^^^^^^^^^",
    ),
    (
        "InvalidDefaultArgInFrom",
        "ARG TAG\nFROM busybox:${TAG}",
        "Default value for ARG busybox:${TAG} results in empty or invalid base image name",
        "2 | FROM busybox:${TAG}\n    |      ^^^^^^^^^^^^^^",
    ),
    (
        "InvalidDefaultArgInFrom",
        "ARG BASE\nFROM $BASE AS a",
        "Default value for ARG $BASE results in empty or invalid base image name",
        "2 | FROM $BASE AS a\n    |      ^^^^^",
    ),
    (
        "RedundantTargetPlatform",
        "FROM --platform=${TARGETPLATFORM} busybox",
        "Setting platform to predefined ${TARGETPLATFORM} in FROM is redundant as this is the default behavior",
        "1 | FROM --platform=${TARGETPLATFORM} busybox\n    |      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^",
    ),
    (
        "FromPlatformFlagConstDisallowed",
        "FROM --platform=linux/amd64 busybox AS base",
        'FROM --platform flag should not use constant value "linux/amd64"',
        "1 | FROM --platform=linux/amd64 busybox AS base\n    |      ^^^^^^^^^^^^^^^^^^^^^^",
    ),
    (
        "InvalidBaseImagePlatform",
        "FROM arm",
        'Base image arm was pulled with platform "linux/arm64", expected "linux/amd64" for current build',
        "1 | FROM arm\n    |      ^^^",
    ),
    (
        "InvalidBaseImagePlatform",
        "FROM --platform=arm64 busybox",
        'Base image busybox was pulled with platform "linux/amd64", expected "arm64" for current build',
        "1 | FROM --platform=arm64 busybox\n    |                       ^^^^^^^",
    ),
]
GOOD = [
    ("UndefinedVar", "ARG A\nFROM busybox\nARG A B C=1\nENV D=$A$B$C$PATH E=${F:-1}\nRUN echo $X\nLABEL l=$D m='$X'"),
    ("UndefinedVar", "FROM python AS a\nENV A=1\nARG B\nFROM a\nENV C=$A$B$PYTHON_VERSION"),
    ("UndefinedVar", "ARG A=1\nFROM busybox\nARG A\nARG TARGETARCH\nWORKDIR /$A/$TARGETARCH"),
    ("UndefinedVar", "FROM unheard-of\nWORKDIR $WHATEVER"),
    ("UndefinedVar", "FROM busybox\nWORKDIR /$BUILDKIT_SBOM_SCAN_STAGE"),
    ("UndefinedArgInFrom", "ARG A\nFROM busybox$A\nFROM --platform=$BUILDPLATFORM ${B:-busybox}"),
    ("InvalidDefaultArgInFrom", "ARG TAG=1\nARG FULL=busybox:$TAG\nFROM $FULL\nFROM scratch"),
    ("RedundantTargetPlatform", "FROM --platform=$BUILDPLATFORM busybox\nFROM busybox"),
    (
        "FromPlatformFlagConstDisallowed",
        "FROM --platform=linux/amd64 busybox AS x-amd64\nFROM --platform=$BUILDPLATFORM a",
    ),
    (
        "InvalidBaseImagePlatform",
        "FROM busybox AS arm\nFROM arm\nFROM --platform=linux/arm64 scratch\nFROM --platform=linux python",
    ),
]


@pytest.mark.parametrize(("rule", "text", "message", "shown"), BAD)
def test_what_breaks_a_rule(rule: str, text: str, message: str | list[str], shown: str) -> None:
    warnings = [warning for warning in found(text) if warning.rule == rule]
    assert [warning.message for warning in warnings] == ([message] if isinstance(message, str) else message)
    assert warnings[-1].shown(text, "Dockerfile").endswith(f"\n  {shown}")


@pytest.mark.parametrize(("rule", "text"), GOOD)
def test_what_keeps_to_a_rule(rule: str, text: str) -> None:
    assert [warning for warning in found(text) if warning.rule == rule] == []


def test_build_arguments_count_but_not_as_defaults() -> None:
    text = "ARG TAG\nFROM python:$TAG\nARG NAME\nWORKDIR /$NAME$PYTHON_VERSION"
    assert [warning.rule for warning in found(text, given={"TAG": "1", "NAME": "x"})] == ["InvalidDefaultArgInFrom"]
