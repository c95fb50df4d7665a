"""Path patterns: Go's filepath.Match and the deep ones, from tables and against a slow but obvious matcher."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockmagic.dockerfile.pattern import PathPattern, path_matches
from dockmagic.errors import DockerfileError
from tests.timing import takes_less

GO_ROWS = [
    ("abc", "abc", True),
    ("", "", True),
    ("", "a", False),
    ("*", "abc", True),
    ("*", "", True),
    ("*c", "abc", True),
    ("a*", "a", True),
    ("a*", "abc", True),
    ("a*", "ab/c", False),
    ("a*/b", "abc/b", True),
    ("a*/b", "a/c/b", False),
    ("a*b*c*d*e*/f", "axbxcxdxe/f", True),
    ("a*b*c*d*e*/f", "axbxcxdxexxx/f", True),
    ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", False),
    ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", False),
    ("a*b?c*x", "abxbbxdbxebxczzx", True),
    ("a*b?c*x", "abxbbxdbxebxczzy", False),
    ("ab[c]", "abc", True),
    ("ab[b-d]", "abc", True),
    ("ab[e-g]", "abc", False),
    ("ab[^c]", "abc", False),
    ("ab[^b-d]", "abc", False),
    ("ab[^e-g]", "abc", True),
    ("a\\*b", "a*b", True),
    ("a\\*b", "ab", False),
    ("a?b", "a☺b", True),
    ("a[^a]b", "a☺b", True),
    ("a???b", "a☺b", False),
    ("[a-ζ]*", "α", True),
    ("*[a-ζ]", "A", False),
    ("a?b", "a/b", False),
    ("a*b", "a/b", False),
    ("[\\]a]", "]", True),
    ("[\\-]", "-", True),
    ("[x\\-]", "x", True),
    ("[x\\-]", "-", True),
    ("[x\\-]", "z", False),
    ("[\\-x]", "x", True),
    ("[\\-x]", "a", False),
    ("[^^]", "^", False),
    ("[a^]", "^", True),
    ("[a-a]", "a", True),
    ("[c-a]", "b", False),
    ("[*]", "*", True),
    ("[*]", "a", False),
    ("arr[[]0].txt", "arr[0].txt", True),
    ("*x", "xxx", True),
    ("**", "a/b", False),
    ("]", "]", True),
    ("a\nb", "a\nb", True),
    ("a?b", "a\nb", True),
]


@pytest.mark.parametrize(("pattern", "name", "expected"), GO_ROWS)
def test_go_patterns(pattern: str, name: str, expected: bool) -> None:
    assert path_matches(pattern, name) is expected


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("[", "a class isn't closed with ]"),
        ("[^", "a class isn't closed with ]"),
        ("[^bc", "a class isn't closed with ]"),
        ("a[", "a class isn't closed with ]"),
        ("[a-", "a class isn't closed with ]"),
        ("[a\\", "nothing follows the backslash"),
        ("[]a]", "a class needs a backslash before ']'"),
        ("[-]", "a class needs a backslash before '-'"),
        ("[-x]", "a class needs a backslash before '-'"),
        ("[x-]", "a class needs a backslash before ']'"),
        ("[a-b-c]", "a class needs a backslash before '-'"),
        ("\\", "nothing follows the backslash"),
        ("abc\\", "nothing follows the backslash"),
    ],
)
def test_patterns_that_are_none(pattern: str, reason: str) -> None:
    with pytest.raises(DockerfileError, match=re.escape(reason)) as raised:
        path_matches(pattern, "a", line=4)
    assert raised.value.line == 4


DEEP_ROWS = [
    ("**", "file", True),
    ("**", "a/b/c", True),
    ("**", "", True),
    ("**/**", "dir/file", True),
    ("dir/**", "dir/file", True),
    ("dir/**", "dir/dir2/file", True),
    ("dir/**", "dir", False),
    ("dir/**", "other/file", False),
    ("**/dir", "dir", True),
    ("**/dir", "a/b/dir", True),
    ("**/dir", "adir", False),
    ("**/dir2/*", "dir/dir2/file", True),
    ("**/dir2/**", "dir/dir2/dir3/file", True),
    ("**file", "file", True),
    ("**file", "dir/file", True),
    ("**file", "dir/afile", True),
    ("**/file*", "dir/dir/file.txt", True),
    ("**/file*txt", "dir/dir/file.txt", True),
    ("**/**/*.txt", "dir/dir/file.txt", True),
    ("**/**/*.txt2", "dir/dir/file.txt", False),
    ("**/*.txt", "file.txt", True),
    ("a**/*.txt", "a/file.txt", True),
    ("a**/*.txt", "a/dir/dir/file.txt", True),
    ("a**/*.txt", "b/file.txt", False),
    ("a**b", "ab", True),
    ("a**b", "a/x/b", True),
    ("a**b", "axb", False),
    ("a/*.txt", "a/dir/file.txt", False),
    ("a/*.txt**", "a/file.txt", True),
    ("a/**/b", "a/b", True),
    ("a/**/b", "a/x/y/b", True),
    ("a/**/b", "axb", False),
    ("***", "abc", True),
    ("a.|)$(}+{bc", "a.|)$(}+{bc", True),
    ("abc.def", "abcZdef", False),
    ("a\\*\\*", "a**", True),
]


@pytest.mark.parametrize(("pattern", "path", "expected"), DEEP_ROWS)
def test_deep_patterns(pattern: str, path: str, expected: bool) -> None:
    assert PathPattern(pattern, deep=True).matches(path) is expected


def _obviously(pattern: str, path: str) -> bool:
    """The regular expression that moby/patternmatcher would make, for patterns of these characters."""
    text = re.sub(r"\*\*/?$", "A", pattern)
    text = re.sub(r"\*\*/?", "D", text)
    text = text.replace("*", "[^/]*").replace("?", "[^/]").replace("A", ".*").replace("D", "(.*/)?")
    return re.fullmatch(text, path, re.DOTALL) is not None


@given(st.text(st.sampled_from("ab/*?"), max_size=8), st.text(st.sampled_from("ab/\n"), max_size=10))
def test_deep_patterns_as_a_regular_expression(pattern: str, path: str) -> None:
    begins_deep = pattern.startswith("**") and not pattern.startswith("**/")
    if not begins_deep and "***" not in pattern:
        assert PathPattern(pattern, deep=True).matches(path) == _obviously(pattern, path)


@given(st.text(st.sampled_from("ab/*?"), max_size=8), st.text(st.sampled_from("ab/"), max_size=10))
def test_covering_is_matching_a_part_up_to_a_slash(pattern: str, path: str) -> None:
    ends = [index for index, char in enumerate(path) if char == "/"] + [len(path)]
    found = PathPattern(pattern, deep=True)
    assert found.covers(path) == any(found.matches(path[:end]) for end in ends)


@given(
    st.text(st.sampled_from("ab/*?"), max_size=6), st.sampled_from(["a", "a/b"]), st.sampled_from(["a", "b/a", "ab"])
)
def test_what_is_covered_below_is_reached(pattern: str, directory: str, below: str) -> None:
    found = PathPattern(pattern, deep=True)
    if found.covers(f"{directory}/{below}"):
        assert found.reaches_below(directory)


@pytest.mark.parametrize(
    ("pattern", "directory", "expected"),
    [
        ("a/b/c", "a", True),
        ("a/b/c", "a/b", True),
        ("a/b/c", "a/b/c", True),
        ("a/b/c", "a/b/c/d", True),
        ("a/b/c", "b", False),
        ("a/b/c", "a/x", False),
        ("*.txt", "a", False),
        ("*/x", "a", True),
        ("*/x", "a/b", False),
        ("**/x", "a/b", True),
        ("a", "ab", False),
    ],
)
def test_which_directories_a_pattern_reaches_into(pattern: str, directory: str, expected: bool) -> None:
    assert PathPattern(pattern, deep=True).reaches_below(directory) is expected


def test_a_match_takes_time_in_proportion() -> None:
    path = "a" * 20_000

    def match() -> None:
        for pattern in ["*a" * 40 + "b", "**/" * 20 + "x", "a**" * 20 + "x", "[a-z]*" * 40 + "!"]:
            assert not PathPattern(pattern, deep=True).matches(path)

    assert takes_less(match, 2)


def test_what_is_kept_does_not_grow_without_end() -> None:
    pattern = PathPattern("**/x")
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 12_000)))
    assert not pattern.matches(text)
    assert len(pattern._steps) <= 10_000
