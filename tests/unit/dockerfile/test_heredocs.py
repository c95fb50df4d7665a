from __future__ import annotations

import pytest

from dockmagic.dockerfile.heredocs import announced, heredoc_of
from dockmagic.dockerfile.nodes import Heredoc
from dockmagic.dockerfile.words import NotStrings


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("<<EOF", Heredoc("EOF", "")),
        ("<<-EOF", Heredoc("EOF", "", strip_tabs=True)),
        ("<<'EOF'", Heredoc("EOF", "", expand=False)),
        ('<<"E F"', Heredoc("E F", "", expand=False)),
        ("<<E'O'F", Heredoc("EOF", "", expand=False)),
        ("<<\\EOF", Heredoc("EOF", "")),
        ("<<\\'", Heredoc("'", "")),
        ("<<--", Heredoc("-", "", strip_tabs=True)),
        ("0<<a", Heredoc("a", "", fd=0)),
        ("12<<-a", Heredoc("a", "", strip_tabs=True, fd=12)),
        ("<<a$b", Heredoc("a$b", "")),
        ("<<a.txt", Heredoc("a.txt", "")),
        ("<<", None),
        ("<<-", None),
        ("<<''", None),
        ("<<<a", None),
        ("<<a b", None),
        ("<<'a", None),
        ("<<a\\", None),
        ("<<a<b", None),
        ("a<<b", None),
        ("a", None),
        ("", None),
        ("1" * 10 + "<<a", None),
    ],
)
def test_words_that_announce(word: str, expected: Heredoc | None) -> None:
    assert heredoc_of(word) == expected


@pytest.mark.parametrize(
    ("name", "rest", "expected"),
    [
        ("RUN", "cat <<a - <<-b", ["a", "b"]),
        ("COPY", "<<a /", ["a"]),
        ("ADD", "<<a /", ["a"]),
        ("ONBUILD", "run <<a", ["a"]),
        ("ONBUILD", "CMD <<a", []),
        ("ONBUILD", "ONBUILD RUN <<a", []),
        ("CMD", "<<a", []),
        ("RUN", '["<<a"]', []),
        ("RUN", "a", []),
        ("RUN", "<<a 'b", []),
        ("RUN", "'<<a'", []),
        ("RUN", "\\<<a", []),
    ],
)
def test_what_is_announced(name: str, rest: str, expected: list[str]) -> None:
    assert [heredoc.name for _, heredoc in announced(name, rest)] == expected


def test_an_array_of_other_things() -> None:
    with pytest.raises(NotStrings):
        announced("RUN", '[1, "<<a"]')
