"""The words of a command line, read as Docker reads them. Source: spf13/pflag, "Command line flag syntax".

A flag's value is the next word, whatever it begins with; a switch may say `=false`; short switches may stand together;
flags may follow plain words, unless those are the command of a container.
"""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Mapping, Sequence

from dockmagic.errors import InvalidOption

Flags = Mapping[str, argparse.Action]

TRUE = {"1", "t", "T", "true", "TRUE", "True"}  # strconv.ParseBool
FALSE = {"0", "f", "F", "false", "FALSE", "False"}


def arranged(words: Sequence[str], flags: Flags, *, mixed: bool) -> list[str]:
    """The same line for argparse: each flag and its value as one word, `--`, then the plain words.

    `flags` has the action of every flag by each of its names. Without `mixed`, the first plain word ends the flags.
    Raises InvalidOption for a flag that there isn't, or a switch that is neither true nor false.
    """
    rest, given, plain = deque(words), list[str](), list[str]()
    while rest:
        word = rest.popleft()
        if word == "--" or (not mixed and _is_plain(word)):
            plain += [*([] if word == "--" else [word]), *rest]
            break
        if _is_plain(word):
            plain.append(word)
        elif word.startswith("--"):
            _long(word, rest, flags, given)
        else:
            _short(word, rest, flags, given)
    return [*given, "--", *plain] if plain else given


def _is_plain(word: str) -> bool:
    """Whether a word is no flag; a lone `-` is standard input."""
    return not word.startswith("-") or word == "-"


def _long(word: str, rest: deque[str], flags: Flags, given: list[str]) -> None:
    """Take `--name`, `--name=value`, or `--name value`."""
    name, equals, value = word.partition("=")
    if name not in flags:
        raise InvalidOption(f"unknown flag {name}")
    if flags[name].nargs == 0:
        _switch(name, value if equals else "true", flags, given)
    else:
        given.append(_valued(name, value if equals else None, rest))


def _short(word: str, rest: deque[str], flags: Flags, given: list[str]) -> None:
    """Take `-q`, `-aq`, `-q=false`, `-m64m`, `-m=64m`, `-m 64m`, or `-im 64m`."""
    for index, letter in enumerate(word[1:], start=1):
        name, after = f"-{letter}", word[index + 1 :]
        if name not in flags:
            raise InvalidOption(f"unknown flag {name}" if len(word) == 2 else f"unknown flag {name} in {word}")
        if flags[name].nargs != 0:
            given.append(_valued(name, after.removeprefix("=") if after else None, rest))
            return
        if after.startswith("="):
            _switch(name, after[1:], flags, given)
            return
        given.append(name)


def _valued(name: str, value: str | None, rest: deque[str]) -> str:
    """A flag with its value, the next word if None; where there is none, the flag alone, for argparse to refuse."""
    if value is None and rest:
        value = rest.popleft()
    return name if value is None else f"{name}={value}"


def _switch(name: str, value: str, flags: Flags, given: list[str]) -> None:
    """Turn a switch on, or off if it was on. Raises InvalidOption for what is neither."""
    if value in TRUE:
        given.append(name)
    elif value in FALSE and isinstance(flags[name], argparse.BooleanOptionalAction):  # one that is on by itself
        given.append(next(word for word in flags[name].option_strings if word.startswith("--no-")))
    elif value in FALSE:
        given[:] = [word for word in given if word not in flags[name].option_strings]
    else:
        raise InvalidOption(f"{name}: {value!r} is neither true nor false")
