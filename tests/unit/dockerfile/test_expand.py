"""Words and what they expand to, as BuildKit's lexer has it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockmagic.dockerfile.expand import MAX_LENGTH, expand, expand_words, expansion
from dockmagic.errors import DockerfileError
from tests.timing import takes_less
from tests.unit.dockerfile import variables

ENV = {
    "PWD": "/home",
    "SHELL": "bash",
    "NULL": "",
    "KOREAN": "한국어",
    "A": "1",
    "PATH": "/usr/bin:/bin",
    "FILE": "archive.tar.gz",
    "SPACES": " a  b ",
    "STARS": "a*b*c",
    "BACK": r"a\b",
    "_x1": "under",
    "é": "accent",
    "AB": "both",
    "1": "one",
    "12": "twelve",
    "0": "zero",
}

ROWS = [
    # plain text, escapes and quotes
    ("", ""),
    ("hello", "hello"),
    ("he'll'o", "hello"),
    ("he'llo'", "hello"),
    ("he'l\\'lo\\'", "hel\\lo'"),
    ("he\\'llo", "he'llo"),
    ('he"llo"', "hello"),
    ('he\\"llo\\"', 'he"llo"'),
    ('"he\\"llo"', 'he"llo'),
    ('"he\\llo"', "he\\llo"),
    ('"he\\\\llo"', "he\\llo"),
    ("he\\llo", "hello"),
    ("he\\\\llo", "he\\llo"),
    ("hello\\", "hello"),
    ("a\\ b", "a b"),
    ("''", ""),
    ('""', ""),
    ("'\"'", '"'),
    ('"\'"', "'"),
    ("'a'\"b\"c", "abc"),
    ("  a  b ", "  a  b "),
    ("'  a  '", "  a  "),
    ("a\tb", "a\tb"),
    ("é한", "é한"),
    ("a#b", "a#b"),
    ("{}", "{}"),
    ("a}b", "a}b"),
    ("`a`", "`a`"),
    ("$(pwd)", "$(pwd)"),
    # names
    ("$PWD", "/home"),
    ("${PWD}", "/home"),
    ("$PWD/x", "/home/x"),
    ("a${PWD}b", "a/homeb"),
    ("a$PWD.b", "a/home.b"),
    ("$PWD$SHELL", "/homebash"),
    ("${PWD}${SHELL}", "/homebash"),
    ("$KOREAN", "한국어"),
    ("${KOREAN}한", "한국어한"),
    ("$_x1", "under"),
    ("$é", "accent"),
    ("$A.B", "1.B"),
    ("$AB", "both"),
    ("${A}B", "1B"),
    ("$A-B", "1-B"),
    ("$NULL", ""),
    ("a${NULL}b", "ab"),
    ("$unset", ""),
    ("a${unset}b", "ab"),
    ("$", "$"),
    ("a$", "a$"),
    ("$ a", "$ a"),
    ("$.", "$."),
    ("$/a", "$/a"),
    ("$'a'", "$a"),
    ("$$A", "A"),
    ("$1", "one"),
    ("$12", "twelve"),
    ("$1a", "onea"),
    ("${12}", "twelve"),
    ("$0", "zero"),
    ("$@a", "a"),
    ("${*}", ""),
    ("$?-$#", "-"),
    # quotes and escapes around names
    ("\\$PWD", "$PWD"),
    ("\\${PWD}", "${PWD}"),
    ("\\\\$PWD", "\\/home"),
    ("'$PWD'", "$PWD"),
    ("'${PWD}'", "${PWD}"),
    ('"$PWD"', "/home"),
    ('"${PWD}"', "/home"),
    ('"\\$PWD"', "$PWD"),
    ("\"'$PWD'\"", "'/home'"),
    ("'\"$PWD\"'", '"$PWD"'),
    ('"a$"', "a$"),
    ("\"$A\"'$A'$A", "1$A1"),
    # defaults
    ("${A:-x}", "1"),
    ("${A-x}", "1"),
    ("${NULL:-x}", "x"),
    ("${NULL-x}", ""),
    ("${unset:-x}", "x"),
    ("${unset-x}", "x"),
    ("${unset:-}", ""),
    ("${unset:-$PWD}", "/home"),
    ("${unset:-${PWD}/y}", "/home/y"),
    ("${unset:-${NULL:-${A}}}", "1"),
    ("${unset:-'a b'}", "a b"),
    ('${unset:-"a $A"}', "a 1"),
    ("${unset:-'$A'}", "$A"),
    ("${unset:-a\\}b}", "a}b"),
    ("${unset:-a'}'b}", "a}b"),
    ("${unset:-a:-b}", "a:-b"),
    ("${unset:--1}", "-1"),
    ("${unset--1}", "-1"),
    ('"${unset:-a b}"', "a b"),
    # alternatives
    ("${A:+x}", "x"),
    ("${A+x}", "x"),
    ("${NULL:+x}", ""),
    ("${NULL+x}", "x"),
    ("${unset:+x}", ""),
    ("${unset+x}", ""),
    ("${A:+$PWD}", "/home"),
    ("${A:+${unset:-y}}", "y"),
    # demands that are met
    ("${A:?no}", "1"),
    ("${A?no}", "1"),
    ("${NULL?no}", ""),
    # prefixes and suffixes
    ("${FILE#archive}", ".tar.gz"),
    ("${FILE#*.}", "tar.gz"),
    ("${FILE##*.}", "gz"),
    ("${FILE%.*}", "archive.tar"),
    ("${FILE%%.*}", "archive"),
    ("${FILE%gz}", "archive.tar."),
    ("${FILE#x}", "archive.tar.gz"),
    ("${FILE%x}", "archive.tar.gz"),
    ("${FILE#?}", "rchive.tar.gz"),
    ("${FILE%???}", "archive.tar"),
    ("${FILE#*}", "archive.tar.gz"),
    ("${FILE##*}", ""),
    ("${FILE%%*}", ""),
    ("${FILE#a*a}", "r.gz"),
    ("${FILE##a*a}", "r.gz"),
    ("${FILE#${unset:-a}}", "rchive.tar.gz"),
    ("${STARS#a\\*}", "b*c"),
    ("${STARS##*\\*}", "c"),
    ("${STARS%%\\**}", "a"),
    ("${STARS#'a*'}", "*b*c"),
    ("${BACK#a\\\\}", "b"),
    ("${unset#x}", ""),
    ("${NULL%%*}", ""),
    ("${PATH%%:*}", "/usr/bin"),
    ("${PATH##*:}", "/bin"),
    # replacements
    ("${FILE/archive/backup}", "backup.tar.gz"),
    ("${FILE/a/A}", "Archive.tar.gz"),
    ("${FILE//a/A}", "Archive.tAr.gz"),
    ("${FILE//./}", "archivetargz"),
    ("${FILE/.*/}", "archive"),
    ("${FILE/x/y}", "archive.tar.gz"),
    ("${FILE//?/x}", "xxxxxxxxxxxxxx"),
    ("${FILE//*/x}", "x"),
    ("${PATH//\\//_}", "_usr_bin:_bin"),
    ("${PATH/:/$A}", "/usr/bin1/bin"),
    ("${PATH//'/'/|}", "|usr|bin:|bin"),
    ("${STARS//\\*/-}", "a-b-c"),
    ("${A//1/a}", "a"),
    ("${A///-}", "-1-"),
    ("${A//}/x}", "1"),
    ("${unset/a/b}", ""),
]


@pytest.mark.parametrize(("word", "expected"), ROWS)
def test_what_a_word_expands_to(word: str, expected: str) -> None:
    assert expand(word, ENV) == expected


@pytest.mark.parametrize(("word", "expected"), variables.rows().items())
def test_what_a_word_expands_to_in_buildkit(word: str, expected: str | None) -> None:
    try:
        found = expand(word, variables.ENV)
    except DockerfileError:
        found = None
    assert found == expected


PATTERN_ROWS = [
    ("${F#()[]{\\}^$.\\*\\?|\\\\}", {"F": "()[]{}^$.*?|\\x"}, "x"),
    ("${F%%\\**}", {"F": "xx**"}, "xx"),
    ("${F#*x*y}", {"F": "xxyy"}, "y"),
    ("${F#*}", {"F": "xxyy"}, "xxyy"),
    ("${F#$B}", {"F": "xxyy", "B": "x"}, "xyy"),
    ("${F#$B}", {"F": "xxyy", "B": ""}, "xxyy"),
    ("${F#}", {"F": "xxyy"}, "xxyy"),
    ("${F##*x}", {"F": "xxyy"}, "yy"),
    ("${F##}", {"F": "xxyy"}, "xxyy"),
    ("${F#?\\?}", {"F": "???y"}, "?y"),
    ("${A:-.}${F%x}${A:-.}", {"F": "xxyy"}, ".xxyy."),
    ("${F%%\\**\\*}", {"F": "a***yy*"}, "a"),
    ("${F%}", {"F": "xxyy"}, "xxyy"),
    ("${F%%$B}", {"F": "xxyy", "B": ""}, "xxyy"),
    ("${F/$N/.} - ${F//$N/.}", {"F": "/foo*/*/*.txt", "N": "\\*/"}, "/foo.*/*.txt - /foo..*.txt"),
    ("${F/$N/} - ${F//$N/}", {"F": "/tmp/tmp/bar.txt", "N": "/tmp"}, "/tmp/bar.txt - /bar.txt"),
    ("${F/$N/$R} - ${F//$N/$R}", {"F": "/a/foo/b/c.txt", "N": "/?/", "R": "/"}, "/foo/b/c.txt - /foo/c.txt"),
    ("${F/$N/$R}", {"F": "http://google.de", "N": "http://", "R": "https://"}, "https://google.de"),
    ("${F//\\//\\/}", {"F": "/tmp/foo.txt"}, "\\/tmp\\/foo.txt"),
    ("${F/$B/ww}", {"F": "xxyy", "B": ""}, "wwxxyy"),
    ("${F///}", {"F": "xxyy"}, "xxyy"),
    ("${F///}", {}, ""),
    ("x-$V.${O}${T:+-${T}}.gz", {"V": "v1.2", "O": "linux", "T": "v7"}, "x-v1.2.linux-v7.gz"),
]


@pytest.mark.parametrize(("word", "env", "expected"), PATTERN_ROWS)
def test_patterns_in_a_word(word: str, env: dict[str, str], expected: str) -> None:
    assert expand(word, env) == expected


WRONG = [
    ("'a", "unexpected end of statement while looking for matching single-quote"),
    ('"a', "unexpected end of statement while looking for matching double-quote"),
    ('"a\\"', "unexpected end of statement while looking for matching double-quote"),
    ('"a\\', "unexpected end of statement while looking for matching double-quote"),
    ("${", "missing '}'"),
    ("${A", "missing '}'"),
    ("${A:", "missing '}'"),
    ("${A:-", "missing '}'"),
    ("${A:-x", "missing '}'"),
    ("${A:-'x}", "matching single-quote"),
    ("${A#", "missing '}'"),
    ("${A/", "missing '/' in"),
    ("${A/x}", "missing '/' in"),
    ("${A/x/y", "missing '}'"),
    ("${A//x}", "missing '/' in"),
    ("${}", "bad substitution"),
    ("${{A}", "bad substitution"),
    ("${:-x}", "bad substitution"),
    ("${ A}", r"unsupported modifier \( \)"),
    ("${A=x}", r"unsupported modifier \(=\)"),
    ("${A:=x}", r"unsupported modifier \(:=\)"),
    ("${A!}", r"unsupported modifier \(!\)"),
    ("${A^^}", r"unsupported modifier \(\^\)"),
    ("${unset:?}", "unset: is not allowed to be unset"),
    ("${unset?}", "unset: is not allowed to be unset"),
    ("${NULL:?}", "NULL: is not allowed to be empty"),
    ("${unset:?set $A first}", "unset: set 1 first"),
    ("${NULL:?no}", "NULL: no"),
    ("${A#\\a}", r"invalid pattern \(\\a\) in substitution: invalid escape"),
    ("${A/\\x/y}", "invalid escape"),
    ("a" * 100 + "${", 'a…": '),
]


@pytest.mark.parametrize(("word", "message"), WRONG)
def test_what_is_wrong_with_a_word(word: str, message: str) -> None:
    with pytest.raises(DockerfileError, match=message) as raised:
        expand(word, ENV, line=7)
    assert raised.value.line == 7
    assert raised.value.message.startswith('failed to process "')


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("a b", ["a", "b"]),
        ("  a \t b\n", ["a", "b"]),
        ("'a b' c", ["a b", "c"]),
        ("a\\ b c", ["a b", "c"]),
        ("$SPACES", ["a", "b"]),
        ('"$SPACES"', [" a  b "]),
        ("x${SPACES}y", ["x", "a", "b", "y"]),
        ("'' a", ["a"]),
        ("''a", ["a"]),
        ("$NULL", []),
        ("", []),
        ("$unset $A", ["1"]),
        ("${unset:-8080 9090}", ["8080", "9090"]),
    ],
)
def test_words_are_cut_after_they_are_expanded(word: str, expected: list[str]) -> None:
    assert expand_words(word, ENV) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("`$A", "$A"),
        ("\\$A", "\\1"),
        ('"a`"b"', 'a"b'),
        ("a`` b", "a` b"),
        ("C:\\dir\\$A", "C:\\dir\\1"),
    ],
)
def test_another_escape(word: str, expected: str) -> None:
    assert expand(word, ENV, "`") == expected


def test_without_quotes_they_are_text() -> None:
    assert expansion("'$A' \"\\$A\" \\x", ENV, quotes=False).text == "'1' \"$A\" x"


def test_the_names_are_told() -> None:
    found = expansion("$A ${unset:-$other} '$no' ${NULL:+x} \\$not $", ENV)
    assert found.used == {"A", "unset", "other", "NULL"}
    assert found.unset == {"other"}


@pytest.mark.parametrize("word", ["${a:-" * 60 + "}" * 60, '"${a:-' * 60, "${a//" * 60, "${a#" * 5000])
def test_substitutions_may_not_nest_without_end(word: str) -> None:
    with pytest.raises(DockerfileError, match="more than 50 substitutions inside each other"):
        expand(word, {})


@pytest.mark.parametrize("word", ["$a$a", '"$a"$a', "${a//x/$a}", "${b:-$a$a}"])
def test_values_may_not_grow_without_end(word: str) -> None:
    env = {"a": "x" * (MAX_LENGTH // 2 + 1)}
    with pytest.raises(DockerfileError, match="the variables' values have more than 1048576 characters"):
        expand(word, env)


def test_long_words_take_time_in_proportion() -> None:
    long = "ab*" * 20_000
    words = ["$A" * 30_000, long, f"'{long}'", f'"{long}"', "${L##" + "*a" * 10_000 + "}", "${L//a*a*a*a*a*a*c/x}"]

    def expand_all() -> None:
        for word in words:
            expand(word, {"A": "1", "L": "a" * 30_000})

    assert takes_less(expand_all, 3)


@given(st.text(st.sampled_from("ab${}:-+?#%/'\"\\ *1_"), max_size=30))
def test_any_word_is_expanded_or_a_dockerfile_error(word: str) -> None:
    try:
        found = expansion(word, {"a": "x y", "b": "", "ab": "'"})
    except DockerfileError as error:
        found = None
        message = error.message
    if found is None:
        assert message.startswith("failed to process ")
    else:
        assert found.unset <= found.used
        assert not any(word == "" for word in found.words)


@given(st.text())
def test_a_single_quoted_word_is_itself(text: str) -> None:
    assert expand("'" + text.replace("'", "'\\''") + "'", {}) == text


@given(st.text(), st.text())
def test_a_value_is_never_expanded_again(first: str, second: str) -> None:
    assert expand('"${a}"$b', {"a": first, "b": second}) == first + second
