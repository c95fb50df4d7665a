from __future__ import annotations

import pytest

from dockmagic.commands.catalogue import COMMANDS, by_name, find, overview
from dockmagic.errors import InvalidOption


def test_names_belong_to_one_command_each() -> None:
    names = [name for command in COMMANDS for name in command.names]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("run -d x", "container run"),
        ("container run x", "container run"),
        ("container ls -a", "container ps"),
        ("images", "image ls"),
        ("rmi x", "image rm"),
        ("build .", "image build"),
        ("inspect x", "inspect"),
        ("version", "system version"),
        ("buildx imagetools inspect x", "buildx imagetools inspect"),
        ("search x", "image search"),
    ],
)
def test_lines_find_their_command(line: str, command: str) -> None:
    found, name, rest = find(line.split())
    assert found.names[0] == command
    assert [*name.split(), *rest] == line.split()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "a command is missing"),
        ("runn x", "did you mean run"),
        ("container", "container needs a command; there are .*exec"),
        ("container burn", "unknown command 'container burn'"),
        ("zzzzzz", "--help lists them all"),
    ],
)
def test_lines_that_name_none(line: str, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        find(line.split())


def test_every_command_has_help_that_names_it() -> None:
    for name, command in by_name().items():
        text = command.parser(f"dockmagic {name}").format_help()
        assert text.startswith(f"usage: dockmagic {name}")
        assert command.summary in text


def test_the_overview_lists_every_command() -> None:
    for command in COMMANDS:
        assert command.summary in overview("dockmagic")
