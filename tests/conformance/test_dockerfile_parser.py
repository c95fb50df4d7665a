"""The parser beside the official one: the PyPI package `dockerfile` wraps the Go code that Docker builds with."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import dockerfile as official  # type: ignore[import-not-found]  # an extension without stubs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dockmagic.dockerfile.nodes import Node
from dockmagic.dockerfile.parser import NAMES, parse, split_instruction
from dockmagic.dockerfile.words import SPACE, first_word, json_strings, split_blanks, split_quoted
from dockmagic.errors import DockerfileError

_CASES = Path(__file__).parents[1] / "unit" / "dockerfile" / "cases"
_LISTS = frozenset({"ADD", "COPY", "VOLUME"})
_BLANK_SEPARATED = frozenset({"EXPOSE", "FROM"})

Read = tuple[str, tuple[str, ...], tuple[str, ...], bool, tuple[tuple[str, str], ...], int, int]


def _texts(name: str) -> list[Any]:
    table = tomllib.loads((_CASES / name).read_text())
    return [pytest.param(case["text"], id=case["name"]) for case in table["case"]]


def _officially(text: str) -> list[Read] | None:
    """What the official parser reads: name, flags, values, whether in JSON, here-documents, lines; None: refused."""
    try:
        commands = [command for command in official.parse_string(text) if command.cmd]  # nameless: continuations only
    except official.GoParseError:
        return None
    if any(command.cmd.upper() not in NAMES for command in commands):
        return None
    return [_official_read(command) for command in commands] or None


def _official_read(command: Any) -> Read:
    name = command.cmd.upper()
    if name == "ONBUILD":  # the package leaves out the trigger's flags, here-documents and unknown names
        return name, (), (), False, (), command.start_line, command.end_line
    heredocs = tuple((heredoc.name, _untabbed(heredoc.content)) for heredoc in command.heredocs)
    return name, command.flags, command.value, command.json, heredocs, command.start_line, command.end_line


def _untabbed(content: str) -> str:
    """The lines without leading tabs: the package keeps them even after <<-."""
    return "\n".join(line.lstrip("\t") for line in content.split("\n"))


def _ours(text: str) -> list[Read] | None:
    """The same from the parser under test."""
    try:
        document = parse(text)
        return [_read(node, document.escape) for node in document.nodes] or None
    except (DockerfileError, ValueError):
        return None


def _read(node: Node, escape: str) -> Read:
    if node.name == "ONBUILD":
        trigger, _, rest = split_instruction(node.rest)
        _values(trigger, rest, escape)
        return node.name, (), (), False, (), node.line, node.end_line
    values, is_json = _values(node.name, node.rest, escape)
    heredocs = tuple((heredoc.name, _untabbed(heredoc.content)) for heredoc in node.heredocs)
    return node.name, node.flags, values, is_json, heredocs, node.line, node.end_line


def _values(name: str, rest: str, escape: str) -> tuple[tuple[str, ...], bool]:
    """The arguments in the shape that the official parser gives them, and whether they were JSON."""
    kind = ""
    if name == "HEALTHCHECK":
        kind, rest = first_word(rest)
    head = (kind,) if kind else ()
    if name in _LISTS or name in {"RUN", "CMD", "ENTRYPOINT", "SHELL", "HEALTHCHECK"}:
        strings = json_strings(rest)
        if strings is not None:
            return (*head, *strings), True
    if name in _LISTS or name in _BLANK_SEPARATED:
        return tuple(split_blanks(rest)), False
    if name in {"ENV", "LABEL"}:
        return _pairs(name, rest, escape), False
    if name == "ARG":
        return tuple(split_quoted(rest, escape)[0]), False
    return ((*head, rest) if rest else head), False


def _pairs(name: str, rest: str, escape: str) -> tuple[str, ...]:
    words, _ = split_quoted(rest, escape)
    if words and "=" not in words[0]:
        key, value = first_word(rest)
        if not value:
            raise ValueError(name)
        return key, value
    if any("=" not in word for word in words):
        raise ValueError(name)
    return tuple(part for word in words for part in word.split("=", 1))


def _has_text_after_json(text: str) -> bool:
    """Whether something follows a closing bracket: this version takes the array, Docker's since 2024 doesn't."""
    return any(after.strip(SPACE) for line in text.split("\n") for after in line.split("]")[1:])


@pytest.mark.parametrize("text", [*_texts("good.toml"), *_texts("wrong.toml")])
def test_the_corpus_is_read_alike(text: str) -> None:
    if not _has_text_after_json(text):
        assert _ours(text) == _officially(text)


_PIECES = st.sampled_from(
    [
        " ",
        "  ",
        "\\\n",
        "\\ \t\n",
        "`\n",
        "\\",
        "`",
        "#",
        "\\\n# c\n",
        "\\\n\n",
        "=",
        '"',
        "'",
        '["a", "b"]',
        '[""]',
        "[",
        "{",
        "--from=x ",
        "--a='b c' ",
        "--",
        "-",
        "$x",
        "a=b ",
        "\t",
        "\r",
        "\f",
        "\v",
        "x",
        "word ",
        "\\\\",
        '\\"',
        "NONE ",
        "CMD ",
        "2>&1",
        "<<<x",
        " <<E ",
        " <<-'E' ",
        " 2<<E",
        '<<"E" ',
    ]
)
_ENDS = st.sampled_from(["\n", "\n", "\r\n", "\n\n", "\nbody\nE\n", "\n\tx\n\tE\n", "\nE \nE\nE\n", "\n  # c\n", ""])
_LINES = st.tuples(st.sampled_from(NAMES), st.just(" "), st.lists(_PIECES, max_size=6).map("".join), _ENDS).map("".join)
_HEADS = st.sampled_from(
    ["", "\ufeff", "# escape=`\n", "# syntax=x\n# escape = ` \n", "# c\n# escape=`\n", "\n", "#!x\n"]
)


@settings(max_examples=1000, deadline=None)
@given(_HEADS, st.lists(_LINES, max_size=4).map("".join))
def test_random_text_is_read_alike(head: str, lines: str) -> None:
    text = head + lines
    if not _has_text_after_json(text):
        assert _ours(text) == _officially(text)
