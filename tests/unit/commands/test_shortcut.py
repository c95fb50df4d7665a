from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from dockmagic.commands import catalogue
from dockmagic.commands.shortcut import HOMES, find
from dockmagic.errors import InvalidOption


@pytest.mark.parametrize("word", HOMES)
def test_the_command_is_the_one_of_the_catalogue(word: str) -> None:
    assert find([word, "x", "--flag"]) == catalogue.find([word, "x", "--flag"])


@pytest.mark.parametrize("word", HOMES)
def test_the_command_is_where_its_shortcut_leads(word: str) -> None:
    commands = import_module(f"dockmagic.commands.{HOMES[word]}").COMMANDS
    assert [command for command in commands if word in command.names]


def test_what_has_no_shortcut_is_found_too() -> None:
    assert find(["container", "ls", "-a"]) == catalogue.find(["container", "ls", "-a"])
    with pytest.raises(InvalidOption, match="did you mean run"):
        find(["runn"])
    with pytest.raises(InvalidOption, match="a command is missing"):
        find([])


@pytest.mark.parametrize(
    ("words", "unused"),
    [
        ("--version", "dockmagic.engine dockmagic.commands.catalogue"),
        ("ps", "dockmagic.commands.catalogue dockmagic.builder dockmagic.image.compression dockmagic.runtime.launcher"),
        ("build -q .", "dockmagic.commands.catalogue dockmagic.containers dockmagic.upkeep dockmagic.runtime.launcher"),
    ],
)
def test_a_command_line_imports_what_it_needs(words: str, unused: str, tmp_path: object) -> None:
    code = (
        "import os, sys; from dockmagic.cli import main; "
        f"status = main({words.split()!r}); found = [name for name in {unused.split()!r} if name in sys.modules]; "
        "print(status, found)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=str(tmp_path),
        env={"DOCKMAGIC_ROOT": f"{tmp_path}/state", "PYTHONPATH": ":".join(sys.path)},
        input=b"",
        capture_output=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1].endswith(b"[]"), done.stdout
