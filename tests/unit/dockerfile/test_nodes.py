from __future__ import annotations

import pytest

from dockmagic.dockerfile.nodes import Node, Position
from dockmagic.dockerfile.parser import parse

TEXT = "FROM a\n  RUN one \\\n\n# c\n   two \\\n\tthree <<E\nbody\nE\n"


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("RUN", Position(2, 2)),
        ("one", Position(2, 6)),
        ("two", Position(5, 3)),
        ("three", Position(6, 1)),
        ("<<E", Position(6, 7)),
    ],
)
def test_where_a_word_stood(word: str, expected: Position) -> None:
    node = parse(TEXT).nodes[1]
    assert node.position(node.text.index(word)) == expected


def test_the_lines_of_a_node() -> None:
    node = parse(TEXT).nodes[1]
    assert (node.line, node.last_line, node.end_line) == (2, 6, 8)
    assert node.text[node.rest_offset :] == node.rest == "one    two \tthree <<E"


def test_faults() -> None:
    node = parse(TEXT).nodes[1]
    found = node.fault("x", "two"), node.fault("x"), node.fault("x", "four")
    assert [(fault.line, fault.end_line, fault.column) for fault in found] == [(5, 5, 3), (2, 6, 2), (2, 6, 2)]


def test_a_node_written_by_hand() -> None:
    node = Node("RUN", "RUN x", (), "x", (), 3, 3)
    assert (node.position(4), node.last_line) == (Position(3, 4), 3)


def test_every_character_is_found_again() -> None:
    text = 'FROM a\nENV A="1 \\\n  2" \\\n # c\n B=3\nCOPY \\\n a\\\n b /\n'
    lines = text.split("\n")
    for node in parse(text).nodes:
        for offset, char in enumerate(node.text):
            position = node.position(offset)
            assert lines[position.line - 1][position.column] == char
