"""Dockerfiles and the programs they are, and wrong ones and what is said about them; both in tables under cases/."""

from __future__ import annotations

import tomllib
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockmagic.dockerfile.instructions import Instruction, Program
from dockmagic.dockerfile.nodes import Dockerfile
from dockmagic.dockerfile.parser import NAMES, parse
from dockmagic.dockerfile.stages import stages
from dockmagic.errors import DockerfileError

_POSITION = frozenset({"line", "end_line", "text", "mount_places"})


def _cases(name: str) -> list[Any]:
    table = tomllib.loads((Path(__file__).parent / "cases" / name).read_text())
    return [pytest.param(case, id=case["name"]) for case in table["case"]]


def shown(program: Program) -> list[str]:
    """One line an instruction: its lines, its kind, and its fields that aren't at their default."""
    result = [_line(arg) for arg in program.global_args]
    for stage in program.stages:
        result += map(_line, (stage.from_, *stage.instructions))
    return result


def _line(instruction: Instruction) -> str:
    return f"{instruction.line}-{instruction.end_line} {_value(instruction)}"


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({' '.join(map(_value, value))})"
    if not hasattr(value, "__dataclass_fields__"):
        return repr(value)
    items = {item.name: (getattr(value, item.name), item.default) for item in fields(value)}
    changed = {
        name: found
        for name, (found, default) in items.items()
        if name not in _POSITION and (default is MISSING or found != default)
    }
    return " ".join([type(value).__name__, *(f"{name}={_value(found)}" for name, found in changed.items())])


@pytest.mark.parametrize("case", _cases("good.toml"))
def test_a_good_dockerfile(case: dict[str, Any]) -> None:
    dockerfile = parse(case["text"])
    assert shown(stages(dockerfile)) == case["expected"]
    assert [f"{warning.line} {warning.rule}" for warning in dockerfile.warnings] == case.get("warnings", [])


@pytest.mark.parametrize("case", _cases("wrong.toml"))
def test_a_wrong_dockerfile(case: dict[str, Any]) -> None:
    with pytest.raises(DockerfileError) as raised:
        stages(parse(case["text"]))
    assert str(raised.value).rstrip("\n") == case["error"].rstrip("\n")


def test_the_escape_goes_with_the_program() -> None:
    assert stages(parse("# escape=`\nFROM a\n")).escape == "`"


def test_the_file_is_named_in_errors() -> None:
    with pytest.raises(DockerfileError, match=r"^web/Dockerfile:1: no FROM"):
        stages(Dockerfile((), source="# nothing", filename="web/Dockerfile"))


_WORDS = st.sampled_from(
    [
        *NAMES, *map(str.lower, NAMES), " ", "\n", "\\", "\\\n", "`", "#", "# escape=`\n", "=", '"', "'", "[", "]", ",",
        "<<EOF", "<<-'a'", "EOF", "\na\n", "--from=", "--mount=type=", "--", "-", "$", "${", "}", "\t", "\r", "\x00",
        "\ufeff", "\ud800", "é", "1s", "AS", "NONE", "CMD", '["a", "b"]', "[1]", "{", ":",
    ]
)  # fmt: skip


def _outcome(text: str) -> Program | DockerfileError:
    try:
        return stages(parse(text))
    except DockerfileError as error:
        return error


@given(st.lists(_WORDS, max_size=40).map("".join) | st.text(max_size=200))
def test_any_text_is_a_program_or_a_dockerfile_error(text: str) -> None:
    outcome = _outcome(text)
    if isinstance(outcome, Program):
        assert outcome.stages
    else:
        assert 1 <= outcome.line <= outcome.end_line <= text.count("\n") + 1
        assert outcome.message in str(outcome)


@given(st.lists(st.sampled_from(["RUN a", "ENV b=c", 'CMD ["d"]', "USER e", "FROM x AS y", "ARG f"]), max_size=20))
def test_every_instruction_is_in_its_stage(lines: list[str]) -> None:
    program = stages(parse("\n".join(["FROM first", *lines])))
    assert sum(1 + len(stage.instructions) for stage in program.stages) == 1 + len(lines)
    assert [stage.index for stage in program.stages] == list(range(len(program.stages)))
