"""What a .dockerignore leaves out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockmagic.dockerfile.ignore import IgnoreFile, clean
from dockmagic.errors import DockerfileError

ROWS = [
    # nothing, comments and blanks
    ("", "a", False),
    ("\n\n  \n", "a", False),
    ("# a", "a", False),
    ("#a", "#a", False),
    (" #a", "#a", True),
    ("\\#a", "#a", True),
    ("a # b", "a", False),
    ("a # b", "a # b", True),
    ("  a  ", "a", True),
    ("a\r\nb\r\n", "b", True),
    ("\ufeffa", "a", True),
    ("\ufeff# a\nb", "b", True),
    # names, and what is below them
    ("a", "a", True),
    ("a", "b", False),
    ("a", "ab", False),
    ("a", "a/b", True),
    ("a", "a/b/c", True),
    ("a", "b/a", False),
    ("a/b", "a/b", True),
    ("a/b", "a", False),
    ("a/b", "a/b/c", True),
    ("a/b", "a/c", False),
    # leading and trailing slashes, dots
    ("/a", "a", True),
    ("/a/b", "a/b", True),
    ("//a", "a", True),
    ("a/", "a", True),
    ("a/", "a/b", True),
    ("./a", "a", True),
    ("a/./b", "a/b", True),
    ("a/../b", "b", True),
    ("a//b", "a/b", True),
    ("../a", "a", False),
    ("/", "a", False),
    (".", "a", False),
    ("a", "./a", True),
    ("a", "a/", True),
    ("*", ".", False),
    ("**", ".", False),
    # wildcards
    ("*", "a", True),
    ("*", "a/b", True),
    ("*.go", "a.go", True),
    ("*.go", "a/b.go", False),
    ("*/*.go", "a/b.go", True),
    ("*/*.go", "a/b/c.go", False),
    ("*/temp*", "some/temporary.txt", True),
    ("*/*/temp*", "some/sub/temp", True),
    ("temp?", "tempa", True),
    ("temp?", "temp", False),
    ("[ab].txt", "a.txt", True),
    ("[^ab].txt", "a.txt", False),
    (".*", ".git", True),
    (".*", "a", False),
    ("a\\*", "a*", True),
    ("a\\*", "ab", False),
    # any depth
    ("**/a", "a", True),
    ("**/a", "x/y/a", True),
    ("**/a", "x/a/y", True),
    ("**/*.pyc", "x/y/z.pyc", True),
    ("**.pyc", "x/y/z.pyc", True),
    ("a/**", "a", False),
    ("a/**", "a/b", True),
    ("a/**/b", "a/b", True),
    ("a/**/b", "a/x/y/b", True),
    ("**/node_modules/**", "x/node_modules/y", True),
    # exceptions; the last line that matches wins
    ("*.md\n!README.md", "README.md", False),
    ("*.md\n!README.md", "a.md", True),
    ("!README.md\n*.md", "README.md", True),
    ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", True),
    ("*.md\n!README*.md\nREADME-secret.md", "README-open.md", False),
    ("*.md\nREADME-secret.md\n!README*.md", "README-secret.md", False),
    ("docs\n!docs/README.md", "docs/README.md", False),
    ("docs\n!docs/README.md", "docs/a.md", True),
    ("docs/\n! /docs/README.md", "docs/README.md", False),
    ("docs/*\n!docs/README.md", "docs/README.md", False),
    ("**\n!util/docker/web", "util/docker/web/foo", False),
    ("**\n!util/docker/web\nutil/docker/web/foo", "util/docker/web/foo", True),
    ("**\n!dist/*.whl", "dist/a-1.0+g1.whl", False),
    ("*\n!src\nsrc/test", "src/main.c", False),
    ("*\n!src\nsrc/test", "src/test/a", True),
    ("*\n!**/*.c", "a/b/c.c", False),
    ("*\n!**/*.c", "a/b/c.h", True),
    ("!a", "a", False),
    ("a\n!a/b\na", "a/b", True),
]


@pytest.mark.parametrize(("text", "path", "expected"), ROWS)
def test_what_is_left_out(text: str, path: str, expected: bool) -> None:
    assert IgnoreFile.parse(text).excludes(path) is expected


@pytest.mark.parametrize(
    ("text", "directory", "expected"),
    [
        ("a", "a", False),
        ("*\n!a/b/c", "a", True),
        ("*\n!a/b/c", "a/b", True),
        ("*\n!a/b/c", "b", False),
        ("*\n!a/b/c", ".", True),
        ("*\n!**/c", "x/y", True),
        ("*\n!*.c", "x", False),
        ("*\n!x", "x/y", True),
    ],
)
def test_where_to_look_for_exceptions(text: str, directory: str, expected: bool) -> None:
    assert IgnoreFile.parse(text).may_include_below(directory) is expected


_LINES = st.lists(st.sampled_from(["*", "**", "a", "!a", "!a/b", "a/*", "!**/b", "b/a", "!*/a", "**/a/b"]), max_size=4)
_PATHS = st.lists(st.sampled_from(["a", "b", "c"]), min_size=2, max_size=4)


@given(_LINES, _PATHS)
def test_nothing_taken_in_is_missed_by_a_walk(lines: list[str], names: list[str]) -> None:
    ignore = IgnoreFile.parse("\n".join(lines))
    path = "/".join(names)
    above = ["/".join(names[:length]) for length in range(1, len(names))]
    if not ignore.excludes(path):
        assert all(not ignore.excludes(directory) or ignore.may_include_below(directory) for directory in above)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a\n!", 2, 'illegal exclusion pattern: "!"; write what to take in after it'),
        ("!  ", 1, 'illegal exclusion pattern: "!"; write what to take in after it'),
        ("# c\n\n[a", 3, "syntax error in pattern '[a': a class isn't closed with ]"),
        ("a\\", 1, "syntax error in pattern 'a\\\\': nothing follows the backslash"),
    ],
)
def test_a_line_that_is_no_pattern(text: str, line: int, message: str) -> None:
    with pytest.raises(DockerfileError) as raised:
        IgnoreFile.parse(text)
    assert (raised.value.line, raised.value.message) == (line, message)
    assert str(raised.value).startswith(f".dockerignore:{line}: {message}\n")


def test_without_rules_nothing_is_left_out() -> None:
    assert not IgnoreFile().excludes("a")
    assert not IgnoreFile().may_include_below("a")


@pytest.mark.parametrize(
    ("path", "expected"),
    [("", "."), ("/", "/"), ("//", "/"), ("///a//b/", "/a/b"), ("./a/../..", ".."), ("/..", "/"), ("a/.", "a")],
)
def test_cleaning_a_path(path: str, expected: str) -> None:
    assert clean(path) == expected
