"""--chmod: octal numbers and symbolic modes to the mode that a copied file gets. Pure.

    u=rwX,go=rX    a+x    g=u    u+rw-x,o=    +t

Means what GNU chmod makes of it with the umask 022, which counts where no "ugoa" is written. A number replaces all of
the mode. Source: chmod(1); POSIX chmod, "EXTENDED DESCRIPTION"; GNU coreutils manual, "Symbolic Modes".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Protocol

from dockmagic.errors import BuildError

_HIGHEST: Final = 0o7777
_UMASK: Final = 0o022
_EXECUTE: Final = 0o111
_SET_IDS: Final = 0o6000
_WHO: Final = {"u": 0o4700, "g": 0o2070, "o": 0o1007, "a": 0o7777}
_BITS: Final = {"r": 0o444, "w": 0o222, "x": _EXECUTE, "X": 0, "s": _SET_IDS, "t": 0o1000}
_SHIFTS: Final = {"u": 6, "g": 3, "o": 0}
_CLAUSE: Final = re.compile(r"([ugoa]*)((?:[-+=](?:[rwxXst]+|[ugo])?)+)")
_ACTION: Final = re.compile(r"([-+=])([rwxXstugo]*)")


class Mode(Protocol):
    """What --chmod asks for."""

    def of(self, mode: int, *, is_dir: bool) -> int:
        """The mode, without a type, of a copy of something that has this one."""


@dataclass(frozen=True, slots=True)
class Octal:
    """The same mode for everything."""

    value: int

    def of(self, mode: int, *, is_dir: bool) -> int:
        """The value."""
        return self.value


@dataclass(frozen=True, slots=True)
class _Change:
    """One "+rX": whom it is about (0: no one named), the operator, and its letters."""

    who: int
    operator: str
    letters: str

    def applied(self, mode: int, is_dir: bool) -> int:
        """The mode after it."""
        value = self._value(mode, is_dir)
        kept = _SET_IDS & ~value if is_dir and self.operator == "=" else 0  # a directory loses them by u-s only
        if self.operator == "-":
            return mode & ~value
        return (mode & ~(self.who or _HIGHEST) | mode & kept | value) if self.operator == "=" else mode | value

    def _value(self, mode: int, is_dir: bool) -> int:
        """The bits that the letters stand for, as far as they are theirs whom it is about."""
        if self.letters and self.letters in _SHIFTS:
            one = mode >> _SHIFTS[self.letters] & 0o7
            bits = one << 6 | one << 3 | one
        else:
            bits = 0
            for letter in self.letters:
                bits |= _BITS[letter]
            if "X" in self.letters and (is_dir or mode & _EXECUTE):
                bits |= _EXECUTE
        return bits & (self.who or ~_UMASK)


@dataclass(frozen=True, slots=True)
class Symbolic:
    """Changes, one after the other."""

    changes: tuple[_Change, ...]

    def of(self, mode: int, *, is_dir: bool) -> int:
        """The mode after all changes."""
        for change in self.changes:
            mode = change.applied(mode, is_dir)
        return mode


def parse_mode(text: str) -> Mode:
    """What the value of --chmod means; raises BuildError where that is nothing.

    >>> f"{parse_mode('u=rwX,go=rX').of(0o600, is_dir=False):o}", f"{parse_mode('u=rwX,go=rX').of(0, is_dir=True):o}"
    ('644', '755')
    """
    digits = text.removeprefix("0o")
    if digits and set(digits) <= set("01234567") and int(digits, 8) <= _HIGHEST:
        return Octal(int(digits, 8))
    changes: list[_Change] = []
    for clause in text.split(","):
        found = _CLAUSE.fullmatch(clause)
        if found is None:
            raise BuildError(
                f"--chmod={text} is no mode; write an octal number between 0 and 7777, such as 755, "
                "or changes such as u=rwX,go=rX"
            )
        who = 0
        for letter in found[1]:
            who |= _WHO[letter]
        changes += [_Change(who, operator, letters) for operator, letters in _ACTION.findall(found[2])]
    return Symbolic(tuple(changes))
