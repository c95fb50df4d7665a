"""Patterns of the shell's `${name#pattern}` and `${name/pattern/text}`: `*` any text, `?` any character, `\\` escapes.

No brackets, as BuildKit has none. A pattern is cut at its stars into pieces of fixed length that are looked for one
after the other, so that nothing is tried twice. Source: POSIX shell, "Pattern Matching Notation".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

Piece = tuple[str | None, ...]  # one item a character; None is any character

_ESCAPABLE = frozenset("*?\\")
_ESCAPED_FOR_BRACES = frozenset("}/")  # the escape is there for the sake of ${}, not of the pattern


@dataclass(frozen=True, slots=True)
class ShellGlob:
    """A pattern as the pieces between its stars; at least one piece."""

    pieces: tuple[Piece, ...]

    @classmethod
    def parse(cls, text: str) -> ShellGlob:
        """Read a pattern; raises ValueError for an escape that means nothing."""
        pieces: list[list[str | None]] = [[]]
        characters = iter(text)
        for char in characters:
            if char == "*":
                pieces.append([])
            elif char == "?":
                pieces[-1].append(None)
            else:
                pieces[-1].append(_escaped(next(characters, "")) if char == "\\" else char)
        return cls(tuple(map(tuple, pieces)))

    def reversed(self) -> ShellGlob:
        """The pattern that matches a text read backwards."""
        return ShellGlob(tuple(piece[::-1] for piece in self.pieces[::-1]))

    def match(self, value: str, start: int, *, longest: bool) -> int | None:
        """Where the shortest or longest match that begins at `start` ends, None if there is none."""
        first, *rest = self.pieces
        begun = _compiled(first).match(value, start)
        if begun is None:
            return None
        position = begun.end()
        for index, piece in enumerate(rest, 1):
            if longest and not piece and index == len(rest):
                return len(value)
            last = longest and index == len(rest)
            pattern = _compiled(piece, last=last)
            found = pattern.match(value, position) if last else pattern.search(value, position)
            if found is None:
                return None
            position = found.end()
        return position

    def find(self, value: str, start: int) -> tuple[int, int] | None:
        """Where the leftmost match from `start` on lies, the longest one there; None if there is none.

        If the rest of the pattern isn't found after the first piece's first occurrence, it isn't after a later one.
        """
        begun = _compiled(self.pieces[0]).search(value, start)
        end = None if begun is None else self.match(value, begun.start(), longest=True)
        return None if begun is None or end is None else (begun.start(), end)

    def substituted(self, value: str, text: str, *, every: bool) -> Iterator[str]:
        """Parts of the value with the first or every match replaced; an empty match next to another doesn't count."""
        copied = position = 0
        previous_end = -1
        while position <= len(value) and (span := self.find(value, position)) is not None:
            begin, end = span
            if end > begin or begin != previous_end:
                yield value[copied:begin]
                yield text
                copied = end
            if not every:
                break
            previous_end = end
            position = end if end > begin else end + 1
        yield value[copied:]


def _escaped(char: str) -> str:
    """The character that an escape before it stands for."""
    if char in _ESCAPABLE or char in _ESCAPED_FOR_BRACES:
        return char
    raise ValueError(f"invalid escape '\\{char}'")


def _compiled(piece: Piece, *, last: bool = False) -> re.Pattern[str]:
    """A regular expression for the piece, or for all up to its last occurrence; free of nested repetition."""
    text = "".join("." if char is None else re.escape(char) for char in piece)
    return re.compile(f".*{text}" if last else text, re.DOTALL)
