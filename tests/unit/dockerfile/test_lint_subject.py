from __future__ import annotations

from dockmagic.dockerfile.lint_subject import offsets_of, quoted, variables_of, words_of
from dockmagic.dockerfile.parser import parse


def test_places_in_an_instruction() -> None:
    (node,) = parse("COPY --link  a \\\n  $A ${B} $A /\n").nodes
    assert [word for _, word in words_of(node)] == ["a", "$A", "${B}", "$A", "/"]
    assert [node.position(offset).line for offset, _ in words_of(node)] == [1, 2, 2, 2, 2]
    assert variables_of(node) == {"A": node.text.index("$A"), "B": node.text.index("${B}")}
    assert list(offsets_of(node, ["$A", "missing", "$A"])) == [node.text.index("$A"), 0, node.text.rindex("$A")]


def test_quotes() -> None:
    assert quoted('a"b\\') == '"a\\"b\\\\"'
