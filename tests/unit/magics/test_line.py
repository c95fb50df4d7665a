from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from dockmagic.errors import InvalidOption
from dockmagic.magics.line import words_of

NAMES: dict[str, Any] = {
    "image": "busybox",
    "n": 3,
    "text": "two words; $HOME 'quoted'",
    "r": SimpleNamespace(id="c0ffee"),
    "d": {"key": "value"},
    "xs": ["a", "b"],
}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("run -d  busybox", ["run", "-d", "busybox"]),
        ("sh -c 'echo \"hi\" $1'", ["sh", "-c", 'echo "hi" $1']),
        ('a"b c"d "" \'\'', ["ab cd", "", ""]),
        (r'a\ b "c\"d" "e\n"', ["a b", 'c"d', r"e\n"]),
        ("ps -a;", ["ps", "-a"]),
        ("ps -a ;  ", ["ps", "-a"]),
        (r"find . -exec ls {} \;", ["find", ".", "-exec", "ls", "{}", ";"]),
        ("sh -c 'a; b;'", ["sh", "-c", "a; b;"]),
        ("", []),
    ],
)
def test_words_are_quoted_as_in_a_shell(line: str, words: list[str]) -> None:
    assert words_of(line, {}) == words


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("run {image}", ["run", "busybox"]),
        ("run $image", ["run", "busybox"]),
        ("logs {r.id} $r.id", ["logs", "c0ffee", "c0ffee"]),
        ("run {text}", ["run", "two words; $HOME 'quoted'"]),
        ("run --cpus {n / 2:.2f} {image!r}", ["run", "--cpus", "1.50", "'busybox'"]),
        ('run {d["key"]} {xs[0]}-{len(xs)}', ["run", "value", "a-2"]),
        ("run {', '.join(xs)}", ["run", "a, b"]),
        ("sh -c 'echo {image}'", ["sh", "-c", "echo busybox"]),
        ('sh -c "echo $image"', ["sh", "-c", "echo busybox"]),
        ("{image}:{n}", ["busybox:3"]),
    ],
)
def test_values_of_the_notebook(line: str, words: list[str]) -> None:
    assert words_of(line, NAMES) == words


@pytest.mark.parametrize(
    "word",
    [
        "awk '{print $1}'",
        "--format '{{.Names}}'",
        "'{\"a\": 1}'",
        "'echo $image'",
        "$HOME",
        "${HOME}",
        "${image}",
        "{a,b}",
        "{}",
        "{",
        "'{n'",
        "$(date)",
    ],
)
def test_what_belongs_to_the_container_stays(word: str) -> None:
    assert " ".join(words_of(word, NAMES)) == word.replace("'", "")


def test_escapes() -> None:
    assert words_of(r"\{image} $$image \$image", NAMES) == ["{image}", "$image", "$image"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("run {imgae}", r"no name 'imgae'; write \\{"),
        ("run {n / 0}", "ZeroDivisionError"),
        ("run {n:%Q}", "n:%Q"),
        ("run $r.nothing", "AttributeError"),
        ("sh -c 'echo", "a quote has no end"),
    ],
)
def test_lines_that_cannot_be_read(line: str, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        words_of(line, NAMES)
