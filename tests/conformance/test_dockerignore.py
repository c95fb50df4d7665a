"""What .dockerignore leaves out, beside the cases of moby/patternmatcher and its rules written down as expressions."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dockmagic.dockerfile.ignore import IgnoreFile, clean
from dockmagic.dockerfile.pattern import PathPattern
from dockmagic.errors import DockerfileError

_WHEEL = "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl"
SAME, BELOW, NOT = "the path itself", "a directory above it", "nothing"
ROWS = [
    *[(pattern, path, SAME) for pattern in ("**", "**/") for path in ("file", "file/", "/", "dir/file", "dir/file/")],
    ("**/**", "dir/file", SAME), ("**/**", "dir/file/", SAME),
    *[("dir/**", f"dir/{path}", SAME) for path in ("file", "file/", "dir2/file", "dir2/file/")],
    ("**/dir", "dir", SAME), ("**/dir", "dir/file", BELOW),
    ("**/dir2/*", "dir/dir2/file", SAME), ("**/dir2/*", "dir/dir2/file/", BELOW),
    ("**/dir2/**", "dir/dir2/dir3/file", SAME), ("**/dir2/**", "dir/dir2/dir3/file/", SAME),
    ("**file", "file", SAME), ("**file", "dir/file", SAME), ("**file", "dir/dir/file", SAME),
    ("**/file", "dir/file", SAME), ("**/file", "dir/dir/file", SAME), ("**/file*", "dir/dir/file", SAME),
    *[(pattern, "dir/dir/file.txt", SAME)
      for pattern in ("**/file*", "**/file*txt", "**/file*.txt", "**/file*.txt*", "**/**/*.txt")],
    ("**/**/*.txt2", "dir/dir/file.txt", NOT), ("**/*.txt", "file.txt", SAME), ("**/**/*.txt", "file.txt", SAME),
    *[("a**/*.txt", f"a/{path}file.txt", SAME) for path in ("", "dir/", "dir/dir/")],
    ("a/*.txt", "a/dir/file.txt", NOT), ("a/*.txt", "a/file.txt", SAME), ("a/*.txt**", "a/file.txt", SAME),
    ("a[b-d]e", "ae", NOT), ("a[b-d]e", "ace", SAME), ("a[b-d]e", "aae", NOT), ("a[^b-d]e", "aze", SAME),
    (".*", ".foo", SAME), (".*", "foo", NOT), ("abc.def", "abcdef", NOT), ("abc.def", "abc.def", SAME),
    ("abc.def", "abcZdef", NOT), ("abc?def", "abcZdef", SAME), ("abc?def", "abcdef", NOT),
    *[("**/foo/bar", f"{path}foo/bar", SAME) for path in ("", "dir/", "dir/dir2/")],
    ("abc/**", "abc", NOT), ("abc/**", "abc/def", SAME), ("abc/**", "abc/def/ghi", SAME),
    ("**/.foo", ".foo", SAME), ("**/.foo", "bar.foo", NOT), ("a(b)c/def", "a(b)c/def", SAME),
    ("a(b)c/def", "a(b)c/xyz", NOT), ("a.|)$(}+{bc", "a.|)$(}+{bc", SAME), (_WHEEL, _WHEEL, SAME),
    ("dist/*.whl", _WHEEL, SAME), ("a\\\\", "a\\", SAME), ("a\\*b", "a*b", SAME),
]  # fmt: skip
SEVERAL = [
    (["**", "!util/docker/web"], "util/docker/web/foo", False),
    (["**", "!util/docker/web", "util/docker/web/foo"], "util/docker/web/foo", True),
    (["**", f"!{_WHEEL}"], _WHEEL, False),
    (["**", "!dist/*.whl"], _WHEEL, False),
    (["!fileutils.go", "*.go"], "fileutils.go", True),
    (["*.go", "!fileutils.go"], "fileutils.go", False),
    (["docs", "!docs/README.md"], "docs/README.md", False),
    (["docs/", "!docs/README.md"], "docs/README.md", False),
    (["docs/*", "!docs/README.md"], "docs/README.md", False),
    (["docs", "  !docs/README.md  "], "docs/README.md", False),
    (["docs", "config", ""], "config", True),
    (["*.go"], ".", False),
    ([], "/any/path/there", False),
]
GO_ROWS = [
    ("abc", "abc", True), ("*", "abc", True), ("*c", "abc", True), ("a*", "a", True), ("a*", "abc", True),
    ("a*", "ab/c", True), ("a*/b", "abc/b", True), ("a*/b", "a/c/b", False),
    ("a*b*c*d*e*/f", "axbxcxdxe/f", True), ("a*b*c*d*e*/f", "axbxcxdxexxx/f", True),
    ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", False), ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", False),
    ("a*b?c*x", "abxbbxdbxebxczzx", True), ("a*b?c*x", "abxbbxdbxebxczzy", False), ("ab[c]", "abc", True),
    ("ab[b-d]", "abc", True), ("ab[e-g]", "abc", False), ("ab[^c]", "abc", False), ("ab[^b-d]", "abc", False),
    ("ab[^e-g]", "abc", True), ("a\\*b", "a*b", True), ("a\\*b", "ab", False), ("a?b", "a☺b", True),
    ("a[^a]b", "a☺b", True), ("a???b", "a☺b", False), ("a[^a][^a][^a]b", "a☺b", False), ("[a-ζ]*", "α", True),
    ("*[a-ζ]", "A", False), ("a?b", "a/b", False), ("a*b", "a/b", False), ("[\\]a]", "]", True),
    ("[\\-]", "-", True), ("[x\\-]", "x", True), ("[x\\-]", "-", True), ("[x\\-]", "z", False),
    ("[\\-x]", "x", True), ("[\\-x]", "-", True), ("[\\-x]", "a", False), ("*x", "xxx", True),
]  # fmt: skip
NO_PATTERNS = ["[]a]", "[-]", "[x-]", "[-x]", "\\", "[a-b-c]", "[", "[^", "[^bc", "a[", "!", "[Local-]/"]
EXPRESSIONS = {
    "*": "[^/]*", "file*": "file[^/]*", "*file": "[^/]*file", "a*/b": "a[^/]*/b", "**": ".*", "**/**": "(.*/)?.*",
    "dir/**": "dir/.*", "**/dir": "(.*/)?dir", "**/dir2/*": "(.*/)?dir2/[^/]*", "**/dir2/**": "(.*/)?dir2/.*",
    "**file": ".*file", "**/file*txt": "(.*/)?file[^/]*txt", "**/**/*.txt": r"(.*/)?(.*/)?[^/]*\.txt",
    "a[b-d]e": "a[b-d]e", ".*": r"\.[^/]*", "abc.def": r"abc\.def", "abc?def": "abc[^/]def",
    "**/foo/bar": "(.*/)?foo/bar", "a(b)c/def": r"a\(b\)c/def", "a.|)$(}+{bc": re.escape("a.|)$(}+{bc"),
    _WHEEL: re.escape(_WHEEL),
}  # fmt: skip


@pytest.mark.parametrize(("pattern", "path", "by"), ROWS)
def test_one_pattern(pattern: str, path: str, by: str) -> None:
    assert PathPattern(clean(pattern), deep=True).matches(path) is (by == SAME)
    assert IgnoreFile.of([pattern]).excludes(path) is (by != NOT)


@pytest.mark.parametrize(("patterns", "path", "expected"), SEVERAL)
def test_several_patterns(patterns: list[str], path: str, expected: bool) -> None:
    assert IgnoreFile.of(patterns).excludes(path) is expected


@pytest.mark.parametrize(("pattern", "path", "expected"), GO_ROWS)
def test_patterns_of_go(pattern: str, path: str, expected: bool) -> None:
    assert IgnoreFile.of([pattern]).excludes(path) is expected


@pytest.mark.parametrize("pattern", NO_PATTERNS)
def test_what_is_no_pattern(pattern: str) -> None:
    with pytest.raises(DockerfileError):
        IgnoreFile.of([pattern])


def test_what_a_file_holds() -> None:
    text = "test1\n/test2\n/a/file/here\n\nlastfile\n# this is a comment\n! /inverted/abs/path\n"
    rules = [(rule.pattern.text, rule.exception) for rule in IgnoreFile.parse(text).rules]
    taken = [("test1", False), ("test2", False), ("a/file/here", False), ("lastfile", False)]
    assert rules == [*taken, ("inverted/abs/path", True)]


_PATHS = st.lists(
    st.sampled_from(
        ["a", "b", "abc", "dir", "dir2", "file", "foo", "bar", ".txt", "file.txt", "x☺", "a*", "(b)", "\n"]
    ),
    min_size=1,
    max_size=4,
).map("/".join)


@pytest.mark.parametrize("pattern", EXPRESSIONS)
@settings(max_examples=50, deadline=None)
@given(_PATHS)
def test_the_expressions_that_patterns_are(pattern: str, path: str) -> None:
    expected = re.fullmatch(EXPRESSIONS[pattern], path, re.DOTALL) is not None
    assert PathPattern(pattern, deep=True).matches(path) is expected


def _matcher(pattern: str) -> Callable[[str], bool]:
    """The matcher that moby/patternmatcher compiles: by prefix, by suffix, or by expression."""
    begins_deep, ends_deep = pattern.startswith("**"), pattern.endswith("**")
    middle = pattern.removeprefix("**").removesuffix("**") if len(pattern) > 2 else pattern[2:]
    plain = not re.search(r"[*?\[\]\\]", middle)
    if begins_deep and plain and not (ends_deep and len(pattern) > 2):
        suffix = pattern[2:]
        return lambda path: path.endswith(suffix) or (suffix.startswith("/") and path == suffix[1:])
    if ends_deep and plain and not begins_deep:
        return lambda path: path.startswith(pattern[:-2])
    expression = re.compile("".join(_expressed(pattern)), re.DOTALL)
    return lambda path: expression.fullmatch(path) is not None


def _expressed(pattern: str) -> list[str]:
    tokens = re.findall(r"\*\*/?|\[[^\]]*\]|\\.|.", pattern, re.DOTALL)
    known = {"*": "[^/]*", "?": "[^/]"}
    parts = [
        "(.*/)?" if token.startswith("**") else token if token[0] in "[\\" else known.get(token, re.escape(token))
        for token in tokens
    ]
    return [*parts[:-1], ".*"] if tokens and tokens[-1].startswith("**") else parts


def _excluded(patterns: list[str], path: str) -> bool:
    """Whether a walk from the top leaves the path out."""
    excluded = False
    names = path.split("/")
    above = ["/".join(names[:count]) for count in range(1, len(names) + 1)]
    for pattern in patterns:
        cleaned = posixpath.normpath(pattern.removeprefix("!"))
        matches = _matcher(cleaned[1:] if cleaned.startswith("/") and len(cleaned) > 1 else cleaned)
        if any(map(matches, above)):
            excluded = not pattern.startswith("!")
    return excluded


_TOKENS = st.sampled_from(
    [
        "a",
        "b",
        "c",
        "/",
        "/",
        "*",
        "**",
        "**/",
        "/**",
        "?",
        "[ab]",
        "[^a]",
        "[b-c]",
        "\\*",
        "\\?",
        ".",
        "..",
        "+",
        "(",
        "é",
    ]
)
_PATTERNS = st.lists(_TOKENS, min_size=1, max_size=6).map("".join).filter(lambda text: not text.startswith("//"))
_NAMES = st.text(st.sampled_from("abc*?.+(é\n"), min_size=1, max_size=3).filter(lambda name: name.strip("."))


@settings(max_examples=2000, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["", "", "!"]), _PATTERNS).map("".join), max_size=4),
    st.lists(_NAMES, min_size=1),
)
def test_any_patterns_as_a_walk_applies_them(patterns: list[str], names: list[str]) -> None:
    path = "/".join(names)
    assert IgnoreFile.of(patterns).excludes(path) is _excluded(patterns, path)
