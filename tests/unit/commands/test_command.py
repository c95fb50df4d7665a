from __future__ import annotations

import pytest

from dockmagic.commands.command import CommandParser, HelpRequested, typed
from dockmagic.commands.values import size_bytes
from dockmagic.errors import InvalidOption


@pytest.fixture
def parser() -> CommandParser:
    parser = CommandParser("dockmagic try", "Try it.")
    parser.add_argument("--memory", "-m", type=typed(size_bytes))
    parser.add_argument("--rm", action="store_true")
    parser.add_argument("name", metavar="NAME")
    return parser


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-m", "lots", "x"], r"--memory/-m: 'lots' isn't a size; .* see dockmagic try --help"),
        (["--memry", "1m", "x"], "unknown flag --memry"),
        (["--mem", "1m", "x"], "unknown flag --mem"),
        (["--rm=maybe", "x"], "--rm: 'maybe' is neither true nor false; see dockmagic try --help"),
        (["--memory"], "--memory/-m: expected one argument"),
        ([], "missing: NAME"),
        (["x", "y"], "unexpected argument 'y'"),
        (["x", "--", "--rm"], "unexpected argument '--rm'"),
    ],
)
def test_errors_name_the_flag_and_the_help(parser: CommandParser, words: list[str], message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        parser.parse_words(words)


def test_help_is_raised_rather_than_ending_the_interpreter(parser: CommandParser) -> None:
    with pytest.raises(HelpRequested) as caught:
        parser.parse_words(["--help"])
    assert "usage: dockmagic try" in caught.value.text
