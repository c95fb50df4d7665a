"""The flags of an instruction, the words `--name[=value]` between its name and its arguments."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Literal

from dockmagic.dockerfile.nodes import Node
from dockmagic.dockerfile.words import is_space

Kind = Literal["value", "values", "switch"]  # once; any number of times; true, false or nothing
_ESCAPE = "\\"  # whatever the escape directive says


def split_flags(text: str) -> tuple[tuple[str, ...], str]:
    """The flags at the start of the text, without quotes and escapes, and the rest; a bare `--` ends them.

    >>> split_flags('--from=a --chown="b c" x y')
    (('--from=a', '--chown=b c'), 'x y')
    """
    flags: list[str] = []
    position = 0
    while True:
        while position < len(text) and is_space(text[position]):
            position += 1
        if not text.startswith("--", position):
            return tuple(flags), text[position:]
        word, position = _flag(text, position)
        if word == "--":
            return tuple(flags), text[position:]
        flags.append(word)


def _flag(text: str, position: int) -> tuple[str, int]:
    """The unquoted word at this position, and where it ends."""
    word: list[str] = []
    quote = ""
    while position < len(text):
        char = text[position]
        if char == _ESCAPE:
            position += 1
            word.append(text[position : position + 1])
        elif quote:
            word.append("" if char == quote else char)
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif is_space(char):
            break
        else:
            word.append(char)
        position += 1
    return "".join(word), min(position, len(text))


class Flags:
    """A node's flags, checked against the ones that its instruction allows.

    Raises DockerfileError for one that is unknown, lacks a value, or is given twice.
    """

    def __init__(self, node: Node, allowed: Mapping[str, Kind]) -> None:
        self._given: dict[str, list[str]] = {}
        for flag in node.flags:
            name, equals, value = flag[2:].partition("=")
            if name not in allowed:
                raise node.fault(_unknown(node.name, name, allowed), f"--{name}")
            if name in self._given and allowed[name] != "values":
                raise node.fault(f"duplicate flag specified: --{name}; leave one of them", f"--{name}")
            if allowed[name] == "switch":
                value = value.lower() if equals else "true"
                if value not in {"true", "false"}:
                    raise node.fault(
                        f"expecting boolean value for flag --{name}, not: {value[:40]!r}; write true or false",
                        f"--{name}",
                    )
            elif not equals:
                raise node.fault(f"missing a value on flag: --{name}; write --{name}=VALUE", f"--{name}")
            self._given.setdefault(name, []).append(value)

    def value(self, name: str) -> str | None:
        """What was given for it, None if nothing or an empty text was."""
        return self._given.get(name, [""])[0] or None

    def values(self, name: str) -> tuple[str, ...]:
        """Everything given for it, in order."""
        return tuple(self._given.get(name, ()))

    def switch(self, name: str) -> bool | None:
        """On or off, None if not given."""
        return self._given[name] == ["true"] if name in self._given else None


def _unknown(instruction: str, name: str, allowed: Mapping[str, Kind]) -> str:
    """What to say about a flag that the instruction doesn't have."""
    close = difflib.get_close_matches(name[:40], allowed, n=1)
    guess = f" (did you mean --{close[0]}?)" if close else ""
    known = ", ".join(f"--{flag}" for flag in sorted(allowed))
    hint = f"{instruction} has {known}" if known else f"{instruction} has no flags"
    return f"unknown flag: --{name[:40]}{guess}; {hint}"
