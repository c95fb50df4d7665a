from __future__ import annotations

import pytest

from dockmagic.dockerfile.lint_walk import closest


@pytest.mark.parametrize(
    ("name", "names", "meant"),
    [
        ("HOEM", ["PATH", "HOME"], "HOME"),
        ("abc", ["abcde", "abd"], "abd"),
        ("abc", ["abcdef", "x"], ""),
        ("abc", ["abd", "abc"], ""),
        ("abc", [], ""),
        ("a", ["b", "ba"], "ba"),
        ("a" * 1000, ["a" * 999], ""),
        ("abc", ["bc", "ab", "abcd"], "bc"),
    ],
)
def test_the_name_that_was_meant(name: str, names: list[str], meant: str) -> None:
    assert closest(name, names) == meant
