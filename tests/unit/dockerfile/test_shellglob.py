"""Shell patterns against a slow but obvious matcher."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockmagic.dockerfile.shellglob import ShellGlob

PATTERNS = st.text(st.sampled_from("ab*?"), max_size=6)
VALUES = st.text(st.sampled_from("abc\n"), max_size=8)


def matches(pattern: str, value: str) -> bool:
    """Whether the pattern matches the whole value."""
    if not pattern:
        return not value
    if pattern[0] == "*":
        return any(matches(pattern[1:], value[skipped:]) for skipped in range(len(value) + 1))
    return bool(value) and pattern[0] in {"?", value[0]} and matches(pattern[1:], value[1:])


@given(PATTERNS, VALUES, st.booleans())
def test_the_shortest_and_the_longest_match(pattern: str, value: str, longest: bool) -> None:
    ends = [end for end in range(len(value) + 1) if matches(pattern, value[:end])]
    expected = (ends[-1] if longest else ends[0]) if ends else None
    assert ShellGlob.parse(pattern).match(value, 0, longest=longest) == expected


@given(PATTERNS, VALUES)
def test_the_leftmost_match(pattern: str, value: str) -> None:
    spans = [
        (begin, end)
        for begin in range(len(value) + 1)
        for end in range(len(value), begin - 1, -1)
        if matches(pattern, value[begin:end])
    ]
    assert ShellGlob.parse(pattern).find(value, 0) == (spans[0] if spans else None)


@given(PATTERNS, VALUES)
def test_a_reversed_pattern_matches_the_reversed_value(pattern: str, value: str) -> None:
    backwards = ShellGlob.parse(pattern).reversed()
    found = backwards.match(value[::-1], 0, longest=True)
    assert (found == len(value)) == matches(pattern, value)


@pytest.mark.parametrize(
    ("pattern", "value", "every", "expected"),
    [
        ("", "abc", True, "-a-b-c-"),
        ("", "abc", False, "-abc"),
        ("*", "abc", True, "-"),
        ("*", "", True, "-"),
        ("b*", "abcb", True, "a-"),
        ("b", "abcb", True, "a-c-"),
        ("b", "abcb", False, "a-cb"),
        ("?", "ab", True, "--"),
        ("x", "ab", True, "ab"),
        ("a.c", "abc a.c", True, "abc -"),
        ("\\*\\?\\\\", "*?\\", True, "-"),
        ("\\}\\/", "}/", True, "-"),
        ("aa", "aaaaa", True, "--a"),
    ],
)
def test_replacing(pattern: str, value: str, every: bool, expected: str) -> None:
    assert "".join(ShellGlob.parse(pattern).substituted(value, "-", every=every)) == expected


@pytest.mark.parametrize("pattern", ["\\", "\\a", "a\\"])
def test_an_escape_of_nothing(pattern: str) -> None:
    with pytest.raises(ValueError, match="invalid escape"):
        ShellGlob.parse(pattern)
