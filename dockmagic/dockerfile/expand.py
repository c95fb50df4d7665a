"""Variables, quotes and escapes in a word, as BuildKit's shell lexer reads them.

    $name ${name}   ${name:-w} ${name-w}   ${name:+w} ${name+w}   ${name:?w} ${name?w}
    ${name#p} ${name##p} ${name%p} ${name%%p}   ${name/p/w} ${name//p/w}

A word `w` and a pattern `p` can hold quotes and variables themselves. Single quotes keep everything; double quotes
keep all but `$`, and an escape before `"`, `$` and itself. Source: Dockerfile reference, "Environment replacement";
POSIX shell, "Parameter Expansion".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from dockmagic.dockerfile.shellglob import ShellGlob
from dockmagic.dockerfile.words import is_space
from dockmagic.errors import DockerfileError

MAX_LENGTH = 2**20  # characters that substitutions add to a word; the kernel takes 128 KiB for one variable
_MAX_DEPTH = 50
_ORDINARY = re.compile(r"""[^$'"\\`}/]+""")
_MAX_SHOWN = 80
_SPECIAL_NAMES = frozenset("@*#?-$!")


@dataclass(frozen=True, slots=True)
class Expansion:
    """An expanded word in pieces, each with whether its spaces part words; the variables it named.

    `unset` are those that aren't set and whose absence the word doesn't provide for, as `${name:-default}` does.
    """

    pieces: tuple[tuple[str, bool], ...]
    used: frozenset[str]
    unset: frozenset[str]

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(text for text, _ in self.pieces)

    @property
    def words(self) -> tuple[str, ...]:
        """The words between spaces that were neither quoted nor escaped; empty ones don't count."""
        words: list[str] = []
        word: list[str] = []
        for text, parts in self.pieces:
            for char in text:
                if not parts or not is_space(char):
                    word.append(char)
                elif word:
                    words.append("".join(word))
                    word.clear()
        return (*words, "".join(word)) if word else tuple(words)


def expand(word: str, env: Mapping[str, str], escape: str = "\\", *, line: int = 1) -> str:
    """The word with its variables replaced and its quotes and escapes gone; what isn't set is empty.

    Raises DockerfileError with this line for a wrong `${…}`, an open quote, and values over MAX_LENGTH.

    >>> expand("'$A' \\"$A\\" ${B:-$A}", {"A": "1"})
    '$A 1 1'
    """
    return expansion(word, env, escape, line=line).text


def expand_words(word: str, env: Mapping[str, str], escape: str = "\\", *, line: int = 1) -> list[str]:
    """As `expand`, cut into words afterwards: a value with spaces becomes several words unless it is quoted.

    >>> expand_words('$A "$A"', {"A": "1 2"})
    ['1', '2', '1 2']
    """
    return list(expansion(word, env, escape, line=line).words)


def expansion(
    word: str, env: Mapping[str, str], escape: str = "\\", *, quotes: bool = True, line: int = 1
) -> Expansion:
    """What `expand` and `expand_words` give, and the names used; without `quotes`, quotation marks mean nothing."""
    lexer = _Lexer(word, env, escape, quotes, line)
    return Expansion(tuple(lexer.until("", raw=False)), frozenset(lexer.used), frozenset(lexer.unset))


class _Lexer:
    """One word being read; `_position` is the next character. "" is the end, wherever a character is asked for."""

    def __init__(self, source: str, env: Mapping[str, str], escape: str, quotes: bool, line: int) -> None:
        self._source = source
        self._position = 0
        self._env = env
        self._escape = escape
        self._quotes = quotes
        self._line = line
        self._depth = 0
        self._length = 0
        self.used: set[str] = set()
        self.unset: set[str] = set()

    def until(self, stop: str, *, raw: bool) -> list[tuple[str, bool]]:
        """The pieces up to `stop`, which is taken, or up to the end if it is ""; `raw` keeps a pattern's escapes."""
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self._error(f"more than {_MAX_DEPTH} substitutions inside each other")
        pieces: list[tuple[str, bool]] = []
        while (char := self._next()) != stop:
            if not char:
                raise self._error(f"syntax error: missing '{stop}' in ${{}}")
            pieces.append(self._piece(char, raw))
        self._depth -= 1
        return pieces

    def _text(self, stop: str, *, raw: bool) -> str:
        """What `until` gives, as one text."""
        return "".join(text for text, _ in self.until(stop, raw=raw))

    def _piece(self, char: str, raw: bool) -> tuple[str, bool]:
        """What begins with `char`, already taken: text, and whether its spaces part words."""
        if char == "$":
            return self._measured(self._dollar()), True
        if char == "'" and self._quotes:
            return self._single_quoted(), False
        if char == '"' and self._quotes:
            return self._double_quoted(raw), False
        if char == self._escape:
            return (char if raw else "") + self._next(), False
        start = self._position
        ordinary = _ORDINARY.match(self._source, start)
        self._position = start if ordinary is None else ordinary.end()
        return char + self._source[start : self._position], True

    def _measured(self, text: str) -> str:
        """The text; raises DockerfileError if substitutions gave too much in all."""
        self._length += len(text)
        if self._length > MAX_LENGTH:
            raise self._error(f"the variables' values have more than {MAX_LENGTH} characters")
        return text

    def _next(self) -> str:
        """Take a character."""
        char = self._peek()
        self._position += 1
        return char

    def _peek(self) -> str:
        """The next character, left where it is."""
        return self._source[self._position : self._position + 1]

    def _single_quoted(self) -> str:
        """What stands before the closing quote."""
        end = self._source.find("'", self._position)
        if end < 0:
            raise self._error(
                "unexpected end of statement while looking for matching single-quote; close it, or put \\ before it"
            )
        text = self._source[self._position : end]
        self._position = end + 1
        return text

    def _double_quoted(self, raw: bool) -> str:
        """What stands before the closing quote, expanded."""
        parts: list[str] = []
        while (char := self._next()) != '"':
            if not char:
                raise self._error(
                    "unexpected end of statement while looking for matching double-quote; close it, or put \\ before it"
                )
            if char == "$":
                parts.append(self._measured(self._dollar()))
            elif char != self._escape:
                parts.append(char)
            elif self._peek() in {'"', "$", self._escape}:
                parts.append((char if raw else "") + self._next())
            else:
                parts.append(char * 2 if raw else char)
        return "".join(parts)

    def _dollar(self) -> str:
        """What the substitution after a `$` gives."""
        if self._peek() != "{":
            name = self._name()
            return self._value(name)[0] if name else "$"
        self._next()
        if self._peek() in {"{", "}", ":"}:
            raise self._error("syntax error: bad substitution; write ${NAME}")
        name = self._name()
        operator = self._next()
        if operator == "}":
            return self._value(name)[0]
        if operator == "/":
            return self._substituted(name)
        return self._modified(name, operator)

    def _name(self) -> str:
        """The name of a variable: letters, digits and _; or all digits; or one special character; or nothing."""
        start = self._position
        if self._peek() in _SPECIAL_NAMES:
            return self._next()
        digits = self._peek().isdecimal()
        while (char := self._peek()) and (char.isdecimal() or (not digits and (char.isalpha() or char == "_"))):
            self._position += 1
        return self._source[start : self._position]

    def _value(self, name: str, *, provided_for: bool = False) -> tuple[str, bool]:
        """The variable's value, and whether it is set; `provided_for` if it needn't be."""
        self.used.add(name)
        if name in self._env:
            return self._env[name], True
        if not provided_for:
            self.unset.add(name)
        return "", False

    def _modified(self, name: str, operator: str) -> str:
        """The value after one of - + ? # %, with or without a colon before it."""
        null_is_unset = operator == ":"
        operator = self._next() if null_is_unset else operator
        if not operator:
            raise self._error("syntax error: missing '}'")
        if operator not in "-+?#%":
            raise self._error(
                f"unsupported modifier ({':' * null_is_unset}{operator}) in substitution; use - + ? # % or /"
            )
        word = self._text("}", raw=operator in "#%")
        value, is_set = self._value(name, provided_for=operator in "-+?")
        if operator in "#%":
            return self._trimmed(value, word, operator)
        present = is_set and not (null_is_unset and not value)
        if operator == "?" and not present:
            state = "empty" if is_set else "unset"
            raise self._error(f"{name}: {word or f'is not allowed to be {state}'}")
        if operator == "+":
            return word if present else ""
        return value if present else word

    def _trimmed(self, value: str, word: str, operator: str) -> str:
        """The value without what the pattern matches at its start (#) or end (%)."""
        longest = word.startswith(operator)
        pattern = self._pattern(word[1:] if longest else word)
        if operator == "#":
            return value[pattern.match(value, 0, longest=longest) or 0 :]
        backwards = value[::-1]
        return backwards[pattern.reversed().match(backwards, 0, longest=longest) or 0 :][::-1]

    def _substituted(self, name: str) -> str:
        """The value with what the pattern matches replaced."""
        every = self._peek() == "/"
        self._position += every
        pattern = self._pattern(self._text("/", raw=True))
        text = self._text("}", raw=True)
        value, _ = self._value(name)
        return "".join(map(self._measured, pattern.substituted(value, text, every=every)))

    def _pattern(self, text: str) -> ShellGlob:
        """The pattern."""
        try:
            return ShellGlob.parse(text)
        except ValueError as error:
            raise self._error(f"invalid pattern ({text}) in substitution: {error}") from None

    def _error(self, message: str) -> DockerfileError:
        """An error about the word."""
        shown = self._source if len(self._source) <= _MAX_SHOWN else f"{self._source[:_MAX_SHOWN]}…"
        return DockerfileError(f"failed to process {json.dumps(shown, ensure_ascii=False)}: {message}", line=self._line)
