"""The tables that are printed."""

from __future__ import annotations

from dockmagic.dockerfile.outline_text import outline_text, targets_text
from dockmagic.dockerfile.parser import parse
from dockmagic.dockerfile.stages import stages
from dockmagic.dockerfile.targets import targets
from tests.unit.dockerfile.test_outline import ARGS, INPUTS, outlined


def test_targets() -> None:
    dockerfile = parse("# build compiles it\nFROM a AS build\nFROM b\nFROM build AS test\n")
    assert targets_text(targets(dockerfile, stages(dockerfile))) == (
        "TARGET         DESCRIPTION\n"
        "build          compiles it\n"
        "\n"
        "test (default)\n"
    )  # fmt: skip


def test_a_target_without_a_name() -> None:
    dockerfile = parse("FROM a\n")
    assert targets_text(targets(dockerfile, stages(dockerfile))) == "TARGET    DESCRIPTION\n(default)\n"


def test_arguments() -> None:
    assert outline_text(outlined(ARGS, "target", BAR="678")) == (
        "TARGET:      target\n"
        "DESCRIPTION: defines build target\n"
        "\n"
        "BUILD ARG   VALUE    DESCRIPTION\n"
        "inherited   box\n"
        "sfx         usybox   is a suffix\n"
        "FOO         123\n"
        "BAR         678      is a number\n"
        "ABC         a\n"
    )


def test_secrets_agents_and_caches() -> None:
    assert outline_text(outlined(INPUTS, "third")) == (
        "TARGET: third\n"
        "\n"
        "BUILD ARG   VALUE   DESCRIPTION\n"
        "BAR\n"
        "\n"
        "SECRET   REQUIRED\n"
        "second\n"
        "\n"
        "CACHE\n"
        "/c\n"
    )  # fmt: skip
    assert "SSH       REQUIRED\ndefault\nssh3      true\n" in outline_text(outlined(INPUTS, "target"))


def test_nothing_to_tell() -> None:
    assert outline_text(outlined("FROM a\n")) == ""
