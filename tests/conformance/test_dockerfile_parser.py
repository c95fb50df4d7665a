"""The parser beside the official one: the PyPI package `dockerfile` wraps the Go code that Docker builds with."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dockmagic.dockerfile.nodes import Dockerfile, Node
from dockmagic.dockerfile.parser import NAMES, parse
from dockmagic.errors import DockerfileError
from tests.conformance.dockerfile_corpus import corpus
from tests.conformance.dockerfile_reading import DIFFERENCES, differs, officially, ours
from tests.conformance.dockerfile_strategy import dockerfiles

_CASES = Path(__file__).parents[1] / "unit" / "dockerfile" / "cases"
_CORPUS = dict(corpus())


def _cases(name: str) -> dict[str, str]:
    return {case["name"]: case["text"] for case in tomllib.loads((_CASES / name).read_text())["case"]}


@pytest.mark.parametrize("texts", [_cases("good.toml"), _cases("wrong.toml"), _CORPUS], ids=["good", "wrong", "corpus"])
def test_the_corpus_is_read_alike(texts: dict[str, str]) -> None:
    read = {name: (ours(text), officially(text)) for name, text in texts.items() if not differs(text)}
    assert {name: both for name, both in read.items() if both[0] != both[1]} == {}


def test_the_corpus_is_large_and_mixed() -> None:
    compared = {text for text in _CORPUS.values() if not differs(text)}
    refused = [text for text in compared if officially(text) is None]
    assert len(compared) >= 450
    assert 30 <= len(refused) <= len(compared) // 4


@pytest.mark.parametrize("reason", DIFFERENCES)
def test_a_difference_is_one(reason: str) -> None:
    texts = [text for text in _CORPUS.values() if re.search(DIFFERENCES[reason], text)]
    assert any(ours(text) != officially(text) for text in texts)


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
    if not differs(text):
        assert ours(text) == officially(text)


@settings(max_examples=500, deadline=None)
@given(dockerfiles())
def test_a_random_dockerfile_is_read_alike(text: str) -> None:
    if not differs(text):
        assert ours(text) == officially(text)


def _parsed(text: str) -> Dockerfile | None:
    try:
        return parse(text)
    except DockerfileError:
        return None


def _without_places(dockerfile: Dockerfile) -> list[Node]:
    return [replace(node, line=0, end_line=0, comments=()) for node in dockerfile.nodes]


def _written(dockerfile: Dockerfile) -> str:
    """The nodes as a text again, each on one line."""
    head = f"# escape={dockerfile.escape}\n"
    bodies = ["".join(f"{heredoc.content}{heredoc.name}\n" for heredoc in node.heredocs) for node in dockerfile.nodes]
    return head + "".join(f"{node.text}\n{body}" for node, body in zip(dockerfile.nodes, bodies, strict=True))


@settings(max_examples=200, deadline=None)
@given(dockerfiles())
def test_what_is_read_can_be_written_and_read_again(text: str) -> None:
    dockerfile = _parsed(text)
    if dockerfile is not None and not any(node.text.endswith(dockerfile.escape) for node in dockerfile.nodes):
        assert _without_places(parse(_written(dockerfile))) == _without_places(dockerfile)


@settings(max_examples=200, deadline=None)
@given(dockerfiles())
def test_every_line_belongs_to_one_thing(text: str) -> None:
    """Lines outside the instructions are blank or comments, and a position leads to the character it is of."""
    dockerfile = _parsed(text)
    if dockerfile is None:
        return
    lines = dockerfile.source.split("\n")
    within = [number for node in dockerfile.nodes for number in range(node.line, node.end_line + 1)]
    assert within == sorted(set(within))
    outside = [lines[number - 1].strip() for number in range(1, len(lines) + 1) if number not in set(within)]
    assert all(not line or line.startswith("#") for line in outside)
    for node in dockerfile.nodes:
        places = [node.position(offset) for offset in range(len(node.text))]
        assert "".join(lines[place.line - 1][place.column] for place in places) == node.text
