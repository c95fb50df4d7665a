"""Patterns for paths: Go's filepath.Match, and with `deep` the `**` of .dockerignore.

    *   any text without "/"      ?   any character but "/"      [a-c] [^a-c]   a character of a class
    \\x  x itself                  **  any text; followed by "/", any number of directories, none included

A pattern becomes a nondeterministic automaton with a state before each token and one at the end. A set of states is the
bits of an int, and every step from a set is computed once and kept: a match takes one look-up a character, whatever the
pattern. Source: documentation of Go's filepath.Match; moby/patternmatcher for `**`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from dockmagic.errors import DockerfileError

_MAX_STEPS_KEPT = 10_000
_WILD = frozenset("*?[\\")


class Kind(Enum):
    """What a token matches."""

    ONE = auto()  # one character
    STAR = auto()  # any text without "/"
    ALL = auto()  # any text
    OPTION = auto()  # nothing; the token after it may be left out
    DIRECTORIES = auto()  # any text that ends with "/"


@dataclass(frozen=True, slots=True)
class Token:
    """A part of a pattern. ONE matches the characters in `ranges`, or with `negated` all others."""

    kind: Kind
    ranges: tuple[tuple[str, str], ...] = ()
    negated: bool = False

    def takes(self, char: str) -> bool:
        """Whether a text that the token matches can go on with this character."""
        if self.kind is Kind.ONE:
            return any(low <= char <= high for low, high in self.ranges) != self.negated
        return self.kind is not Kind.OPTION and not (self.kind is Kind.STAR and char == "/")


def path_matches(pattern: str, name: str, *, line: int = 1) -> bool:
    """Whether Go's filepath.Match says so; raises DockerfileError with this line if the pattern isn't one.

    >>> path_matches("*.[ch]", "main.c"), path_matches("*", "a/b")
    (True, False)
    """
    return PathPattern(pattern, line=line).matches(name)


class PathPattern:
    """A pattern ready to match; raises DockerfileError with `line` if it isn't one."""

    def __init__(self, text: str, *, deep: bool = False, line: int = 1) -> None:
        self.text = text
        self._tokens = _Reader(text, deep, line).tokens()
        self._accepted = 1 << len(self._tokens)
        self._start = self._with_skipped(1)
        self._steps: dict[tuple[int, str], int] = {}

    def matches(self, path: str) -> bool:
        """Whether the pattern matches the whole path."""
        return bool(self._after(path) & self._accepted)

    def covers(self, path: str) -> bool:
        """Whether it matches the path, or a directory that the path is in."""
        states = self._start
        for char in path:
            if not states or (char == "/" and states & self._accepted):
                break
            states = self._step(states, char)
        return bool(states & self._accepted)

    def reaches_below(self, directory: str) -> bool:
        """Whether it covers the directory, or could match something in it."""
        return self.covers(directory) or bool(self._after(f"{directory}/"))

    def _after(self, text: str) -> int:
        """The states in which the text leaves the automaton."""
        states = self._start
        for char in text:
            if not states:
                break
            states = self._step(states, char)
        return states

    def _step(self, states: int, char: str) -> int:
        """The states that follow these after one character."""
        following = self._steps.get((states, char))
        if following is None:
            if len(self._steps) >= _MAX_STEPS_KEPT:
                self._steps.clear()
            following = self._steps[states, char] = self._with_skipped(self._computed(states, char))
        return following

    def _computed(self, states: int, char: str) -> int:
        """As `_step`, before tokens are skipped."""
        following = 0
        for index, token in enumerate(self._tokens):
            if not states >> index & 1 or not token.takes(char):
                continue
            if token.kind is not Kind.ONE:
                following |= 1 << index
            if token.kind is Kind.ONE or (token.kind is Kind.DIRECTORIES and char == "/"):
                following |= 1 << index + 1
        return following

    def _with_skipped(self, states: int) -> int:
        """The states, and those reached by letting tokens match nothing."""
        for index, token in enumerate(self._tokens):
            if states >> index & 1:
                states |= {Kind.STAR: 0b10, Kind.ALL: 0b10, Kind.OPTION: 0b110}.get(token.kind, 0) << index
        return states


class _Reader:
    """Reads a pattern; `_position` is the next character."""

    def __init__(self, text: str, deep: bool, line: int) -> None:
        self._text = text
        self._deep = deep
        self._line = line
        self._position = 0

    def tokens(self) -> tuple[Token, ...]:
        """The pattern's tokens."""
        tokens: list[Token] = []
        while char := self._next():
            if char == "*" and self._deep and self._peek() == "*":
                tokens += self._double_star()
            elif char == "*":
                tokens.append(Token(Kind.STAR))
            elif char == "?":
                tokens.append(Token(Kind.ONE, (("/", "/"),), negated=True))
            elif char == "[":
                tokens.append(self._class())
            else:
                literal = self._escaped() if char == "\\" else char
                tokens.append(Token(Kind.ONE, ((literal, literal),)))
        return tuple(tokens)

    def _next(self) -> str:
        """Take a character; "" at the end."""
        char = self._peek()
        self._position += 1
        return char

    def _peek(self) -> str:
        """The next character, left where it is."""
        return self._text[self._position : self._position + 1]

    def _double_star(self) -> list[Token]:
        """The tokens of `**`, whose first star is taken already.

        At the very start before plain text it also matches a part of a name, as `**.pyc` does in Docker.
        """
        leads = self._position == 1
        self._position += 1
        rest = self._text[self._position :]
        if rest.startswith("/"):
            self._position += 1
            rest = rest[1:]
            leads = False
        if not rest or (leads and _WILD.isdisjoint(rest)):
            return [Token(Kind.ALL)]
        return [Token(Kind.OPTION), Token(Kind.DIRECTORIES)]

    def _class(self) -> Token:
        """The class whose bracket is taken already."""
        negated = self._peek() == "^"
        self._position += negated
        ranges: list[tuple[str, str]] = []
        while not ranges or self._peek() != "]":
            low = high = self._class_character()
            if self._peek() == "-":
                self._position += 1
                high = self._class_character()
            ranges.append((low, high))
        self._position += 1
        return Token(Kind.ONE, tuple(ranges), negated)

    def _class_character(self) -> str:
        """A character in a class, which something has to follow."""
        char = self._next()
        if char in {"-", "]"}:
            raise self._error(f"a class needs a backslash before {char!r}")
        char = self._escaped() if char == "\\" else char
        if not char or not self._peek():
            raise self._error("a class isn't closed with ]")
        return char

    def _escaped(self) -> str:
        """The character after a backslash."""
        char = self._next()
        if not char:
            raise self._error("nothing follows the backslash")
        return char

    def _error(self, reason: str) -> DockerfileError:
        """An error about the pattern."""
        return DockerfileError(f"syntax error in pattern {self._text[:80]!r}: {reason}", line=self._line)
