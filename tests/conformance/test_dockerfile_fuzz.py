"""Any text is read, or refused with a DockerfileError, in time that is in proportion to it.

DOCKMAGIC_FUZZ_SECONDS is how long the random texts are tried, 30 by default; each run tries the same ones.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from dockmagic.dockerfile.directives import Checks
from dockmagic.dockerfile.expand import expand, expand_words, expansion
from dockmagic.dockerfile.ignore import IgnoreFile
from dockmagic.dockerfile.lint import lint
from dockmagic.dockerfile.outline import outline
from dockmagic.dockerfile.outline_text import outline_text
from dockmagic.dockerfile.parser import NAMES, parse
from dockmagic.dockerfile.pattern import path_matches
from dockmagic.dockerfile.stages import stages
from dockmagic.dockerfile.substitute import expand_instruction
from dockmagic.dockerfile.targets import targets
from dockmagic.errors import DockerfileError
from tests.conformance.dockerfile_strategy import dockerfiles
from tests.timing import least_s, takes_less

SECONDS = float(os.environ.get("DOCKMAGIC_FUZZ_SECONDS", "30"))
_ROUND = 200  # examples between two looks at the clock
_ENV = {"A": "1", "b": "x y", "NULL": "", "é": "'", "PATH": "/bin", "STAR": "a*b\\c"}

_TOKENS = st.sampled_from(
    [
        *NAMES, *map(str.lower, NAMES), "FROM a\n", "\nRUN ", "AS", "NONE", "CMD", " ", "  ", "\t", "\n", "\r\n",
        "\\", "\\\n",
        "`", "`\n", "#", "# escape=`\n", "# syntax=", "# check=skip=", "\ufeff", "\x00", "\x85", "\u2028", "\ud800",
        "=", '"',
        "'", "[", "]", ",", "{", "}", "<<", "<<-", "<<E", "<<'E'", "\nE\n", "E", "3<<E", "$", "${", "${A:-", "${b#",
        "${b//",
        "${b%%", "${A:?", "}", "/", "/*", "*", "?", "--", "--mount=", "--mount=type=", "type=", "cache", "bind",
        "secret",
        ",target=", ",mode=", ",uid=", ",required", ",size=", "--from=", "--chmod=", "--chown=", "--link",
        "--exclude=",
        "--interval=", "--retries=", "--checksum=", "--platform=", "--network=", "1", "0777", "9" * 5, "1h2m", "-1",
        "é", "한",
        "80-90/tcp", "80/", "127.0.0.1:80:80", "http://a/b", "git@a:b", '["a", "b"]', '["', '"]', "\\u00", "\\ud800",
        "1e9",
    ]
)  # fmt: skip
_SOUP = st.lists(_TOKENS, max_size=40).map("".join)


@st.composite
def _damaged(draw: st.DrawFn) -> str:
    """A Dockerfile with a piece cut out and another put in."""
    text = draw(dockerfiles())
    start = draw(st.integers(0, len(text)))
    return text[:start] + draw(_TOKENS | st.just("")) + text[start + draw(st.integers(0, 5)) :]


_TEXTS = _SOUP | _SOUP.map("FROM a\n".__add__) | _damaged() | st.text()
_WORDS = st.text(st.sampled_from("ab${}:-+?#%/'\"\\ *1_é@[]!^\n`"), max_size=60) | st.text()
_PATTERN_LINES = st.text(st.sampled_from("ab/*?[]^-!\\.#, \t\n\r\ufeffé☺"), max_size=40) | st.text()


def _read(text: str) -> None:
    """Do with a Dockerfile all that a build does before it looks at anything else."""
    dockerfile = parse(text)
    program = stages(dockerfile)
    assert program.stages
    assert all(found.line >= 1 for found in lint(dockerfile, program, checks=Checks(experimental_all=True)))
    assert targets(dockerfile, program)[-1].is_default
    _allow_refusal(lambda: outline_text(outline(dockerfile, program, given=_ENV)))
    for stage in program.stages:
        for instruction in (stage.from_, *stage.instructions):
            _allow_refusal(lambda each=instruction: expand_instruction(each, _ENV, program.escape))  # type: ignore[misc]


def _allow_refusal(function: Callable[[], object]) -> None:
    """Call it; it may raise DockerfileError, which has a message that says where."""
    error = _refusal(function)
    if error is not None:
        assert error.message
        assert 1 <= error.line <= error.end_line
        assert f":{error.line}: " in str(error)


def _refusal(function: Callable[[], object]) -> DockerfileError | None:
    try:
        function()
    except DockerfileError as error:
        return error
    return None


def _expand(word: str) -> None:
    for escape in "\\`":
        for function in (expand, expand_words, expansion):
            _allow_refusal(lambda each=function, char=escape: each(word, _ENV, char))  # type: ignore[misc]


def _ignore(text: str) -> None:
    rules = IgnoreFile.parse(text)
    for path in ("a", "a/b", "b/a/é", ".", "/", "", "../a", text):
        if not rules.excludes(path):
            assert not rules.excludes(f"./{path}") or path.startswith("/")
        rules.may_include_below(path)


FUZZED: dict[str, tuple[st.SearchStrategy[str], Callable[[str], object]]] = {
    "dockerfile": (_TEXTS, _read),
    "word": (_WORDS, _expand),
    "ignore": (_PATTERN_LINES, _ignore),
    "pattern": (_PATTERN_LINES, lambda text: path_matches(text, "a/b☺")),
}


@pytest.mark.timeout(SECONDS + 120)
@pytest.mark.parametrize("what", FUZZED)
def test_any_text_is_read_or_refused(what: str) -> None:
    texts, function = FUZZED[what]
    share = SECONDS / 2 if what == "dockerfile" else SECONDS / 6
    end = time.monotonic() + share
    number = 0
    while number == 0 or time.monotonic() < end:

        @seed(number)
        @settings(max_examples=_ROUND, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(texts)
        def attempt(text: str) -> None:
            _allow_refusal(lambda: function(text))

        attempt()
        number += 1


def _lines(line: str) -> Callable[[int], Callable[[], object]]:
    """A Dockerfile that has the line as often as asked."""
    return lambda count: lambda: _read("FROM a\n" + line * count)


def _in_line(start: str, repeated: str, end: str = "") -> Callable[[int], Callable[[], object]]:
    """A Dockerfile with one instruction that repeats something, on lines short enough to be read."""
    return lambda count: lambda: _read(f"FROM a\n{start}" + (repeated * 20 + "\\\n") * (count // 20) + f"{end}\n")


def _word(start: str, repeated: str, end: str = "") -> Callable[[int], Callable[[], object]]:
    return lambda count: lambda: expand(start + repeated * count + end, _ENV)


def _value(word: str, value: str) -> Callable[[int], Callable[[], object]]:
    return lambda count: lambda: expand(word, {"v": value * count})


def _pattern(start: str, repeated: str, path: str) -> Callable[[int], Callable[[], object]]:
    """A pattern of a fixed length, and a path that becomes longer."""
    return lambda count: lambda: IgnoreFile.of([start + repeated * 10]).excludes(path * count)


PATHOLOGICAL: dict[str, Callable[[int], Callable[[], object]]] = {
    "instructions": _lines("RUN true\n"),
    "comments": _lines("# c\n"),
    "blank lines": _lines(" \n"),
    "stages": _lines("FROM a AS b\n"),
    "copies from stages": _lines("COPY --from=0 a b\n"),
    "here-documents": _lines("RUN <<E\nx\nE\n"),
    "here-document": lambda count: lambda: _read("FROM a\nRUN <<E\n" + "x\n" * count + "E\n"),
    "here-documents on a line": _in_line("RUN ", "<<E "),
    "here-document without end": lambda count: lambda: _read("FROM a\nRUN <<E\n" + "x\n" * count),
    "continuations": _in_line("RUN ", "\\\n"),
    "empty continuation lines": lambda count: lambda: _read("FROM a\nRUN a \\\n" + "\n" * count + "b\n"),
    "comments in a continuation": lambda count: lambda: _read("FROM a\nRUN a \\\n" + "# c\n" * count + "b\n"),
    "backslashes": _in_line("ENV a=", "\\ \\\\"),
    "open quotes": _in_line('ENV a="', "b' "),
    "quotes": _in_line("LABEL a=", "\"'b'\" "),
    "pairs": _in_line("ENV ", "a=$b "),
    "variables": _in_line("LABEL ", "a=${b:-c} "),
    "flags": _in_line("COPY ", "--exclude=a ", "b c"),
    "unknown flags": _in_line("COPY ", "--x"),
    "mounts": _in_line("RUN ", "--mount=type=tmpfs,target=/a ", "b"),
    "mount options": _in_line("RUN --mount=type=tmpfs", ",target=/a", " b"),
    "ports": _in_line("EXPOSE ", "80 "),
    "stages that copy from each other": _lines("FROM a AS b\nARG c\nCOPY --from=b d e\n"),
    "stages on each other": _lines("FROM a AS a\nARG b=$b\nRUN --mount=type=cache,target=/c d\n"),
    "sources": _in_line("COPY ", "a "),
    "array": _in_line("CMD [", '"a", ', '"b"]'),
    "open arrays": _in_line("CMD ", "["),
    "triggers": _in_line("ONBUILD ", "ONBUILD "),
    "arguments": _in_line("ARG ", "a=$a "),
    "unknown instruction": _in_line("X", "x"),
    "word of backslashes": _word("", "\\"),
    "word of open quotes": _word("'", '"'),
    "word of dollars": _word("", "$"),
    "word of defaults": _word("", "${a:-b}"),
    "word of nested defaults": _word("", "${a:-"),
    "word of nested replacements": _word("", "${a//"),
    "word of escapes in a pattern": _word("${A#", "\\*", "}"),
    "word of stars": _word("${A##", "*1", "}"),
    "long name": _word("$", "a"),
    "value against stars": _value("${v##*a*a*a*a*a*b}", "a"),
    "value replaced": _value("${v//a*b/x}", "a"),
    "value cut at its end": _value("${v%%b*}", "a"),
    "path against stars": _pattern("", "*a", "a"),
    "path against deep stars": _pattern("", "**/a", "a/"),
    "path against deep stars and text": _pattern("b", "**a", "ab/"),
    "path against classes": _pattern("", "[a-z]*", "a"),
    "rules": lambda count: lambda: IgnoreFile.parse("!**/a\n**/b\n" * count).excludes("a/b"),
    "parents": lambda count: lambda: IgnoreFile.parse("../" * count + "a").excludes("a/.." * count),
}


@pytest.mark.parametrize("what", PATHOLOGICAL)
def test_time_is_in_proportion_to_the_text(what: str) -> None:
    def reading(count: int) -> Callable[[], object]:
        function = PATHOLOGICAL[what](count)
        return lambda: _allow_refusal(function)

    reading(100)()
    assert takes_less(reading(5000), 20 * max(least_s(reading(500)), 0.001))
