from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockmagic.dockerfile.words import (
    NotStrings,
    first_word,
    is_space,
    json_strings,
    split_blanks,
    split_quoted,
    unquote,
)


@pytest.mark.parametrize(
    ("char", "expected"), [(" ", True), ("\xa0", True), ("\u2003", True), ("\x1c", False), ("a", False)]
)
def test_spaces_are_those_of_unicode(char: str, expected: bool) -> None:
    assert is_space(char) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", ("", "")), ("a", ("a", "")), ("a b c", ("a", "b c")), ("a \t b ", ("a", "b ")), (" a", ("", "a"))],
)
def test_the_first_word(text: str, expected: tuple[str, str]) -> None:
    assert first_word(text) == expected


@given(st.text(st.sampled_from("ab \t\v\f\r'\"")))
def test_words_between_blanks_are_the_text_without_them(text: str) -> None:
    words = split_blanks(text)
    assert "".join(words) == "".join(text.split())
    assert "" not in words


@pytest.mark.parametrize(
    ("text", "words", "closed"),
    [
        ("", [], True),
        ("  ", [], True),
        ("a b", ["a", "b"], True),
        ("a\u00a0b\n", ["a", "b"], True),
        ("'a b'c \"d e\"", ["'a b'c", '"d e"'], True),
        ("a\\ b\\\\ c", ["a\\ b\\\\", "c"], True),
        ("'a\\' b", ["'a\\'", "b"], True),
        ('"a\\" b" c', ['"a\\" b"', "c"], True),
        ('""', ['""'], True),
        ("'a b", ["'a b"], False),
        ('a" b', ['a" b'], False),
        ("a\\", ["a"], True),
        ('"a\\', ['"a'], False),
        ("\\", [], True),
        ("a \\", ["a"], True),
    ],
)
def test_words_with_quotes(text: str, words: list[str], closed: bool) -> None:
    assert split_quoted(text) == (words, closed)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("a", "a"),
        ("'a\"b'", 'a"b'),
        ('"a\'b"', "a'b"),
        ("a\\'b", "a'b"),
        ('"a\\"b\\c\\$"', 'a"b\\c$'),
        ("'a\\'", "a\\"),
        ("a\\", "a"),
        ("''", ""),
        ("$a", "$a"),
    ],
)
def test_taking_quotes_away(word: str, expected: str) -> None:
    assert unquote(word) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[]", ()),
        ('["a"]', ("a",)),
        (' [ "a" , "b c" ] ', ("a", "b c")),
        ('["\\u00e9\\n\\""]', ('é\n"',)),
        ('["\\ud83d\\ude00"]', ("😀",)),
        ('["\\ud800x"]', ("\ufffdx",)),
        ("", None),
        ("a", None),
        ('"a"', None),
        ("['a']", None),
        ('["a"', None),
        ('["a"] b', None),
        ('["a",]', None),
        ('["a\\x"]', None),
        ('["a\tb"]', None),
        ("[NaN]", None),
        ("[-Infinity]", None),
        ("[" * 100_000, None),
        ("[" + "9" * 5000 + "]", None),
    ],
)
def test_json_arrays(text: str, expected: tuple[str, ...] | None) -> None:
    assert json_strings(text) == expected


@pytest.mark.parametrize("text", ["[1]", "[null]", '["a", true]', '[["a"]]', "[{}]"])
def test_json_arrays_of_other_things(text: str) -> None:
    with pytest.raises(NotStrings, match="arrays must be comprised of strings only"):
        json_strings(text)


@given(st.lists(st.text()))
def test_a_list_of_strings_comes_back(strings: list[str]) -> None:
    assert json_strings(json.dumps(strings)) == tuple(strings)
    assert json_strings(json.dumps(strings, ensure_ascii=False)) == tuple(strings)
