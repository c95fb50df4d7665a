"""The words of a magic's line: quoted as in a shell, with Python values in `{expression}` and `$name`.

- `{expression}`, also as `{expression!r}` and `{expression:.2f}`, is replaced where it is a Python expression with at
  least one name of the notebook; a lone `{name}` that isn't defined is an error. Other braces stay, such as those of
  `awk '{print $1}'` and `--format '{{.ID}}'`.
- `$name` and `$name.attribute` are replaced outside single quotes where the notebook has that name; otherwise they are
  left for the container's shell. `$$name` gives `$name`, `\\{` gives `{`.
- A value is one word or a part of one, whatever characters it has.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from dockmagic.errors import InvalidOption

_FIELD = re.compile(r"(?s)(.+?)(?:!([rsa]))?(?::([^{}:'\"]*))?")
_CONVERSIONS: Final[Mapping[str | None, Callable[[Any], Any]]] = {"r": repr, "a": ascii, "s": str, None: lambda v: v}
_DOLLAR = re.compile(r"\$(\$?)([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)")


@dataclass(frozen=True)
class Field:
    """An expression between braces, how its value is shown, and the names that it reads."""

    expression: str
    conversion: str | None
    spec: str
    names: frozenset[str]

    def shown(self, value: object) -> str:
        """The value as text. Raises InvalidOption where it can't be formatted so."""
        try:
            return format(_CONVERSIONS[self.conversion](value), self.spec)
        except (TypeError, ValueError) as error:
            if not self.spec:
                return str(value)
            raise InvalidOption(f"{{{self.expression}:{self.spec}}}: {error}") from error


class Scanner:
    """Reads one line into words. Raises InvalidOption for a quote without end and for an undefined name."""

    def __init__(self, line: str, namespace: Mapping[str, Any]) -> None:
        self._line = line
        self._namespace = namespace
        self._at = 0
        self._quote = ""
        self._word: str | None = None  # None between words
        self._words: list[str] = []

    def words(self) -> list[str]:
        """All words of the line."""
        while self._at < len(self._line):
            self._step()
        if self._quote:
            raise InvalidOption(f"a quote has no end: {self._quote} in {self._line.strip()!r}")
        self._end_word()
        return self._words

    def _step(self) -> None:
        """Take the next character, escape, quote or value."""
        char = self._line[self._at]
        if char == "{" and self._brace():
            return
        if char == "$" and self._quote != "'" and self._dollar():
            return
        self._at += 1
        if char == "\\" and self._quote != "'":
            self._escape()
        elif self._quote:
            self._inside(char)
        elif char in "'\"":
            self._quote = char
            self._add("")
        elif char.isspace():
            self._end_word()
        else:
            self._add(char)

    def _inside(self, char: str) -> None:
        """A character between quotes."""
        if char == self._quote:
            self._quote = ""
        else:
            self._add(char)

    def _escape(self) -> None:
        """What a backslash stands before; between double quotes it only escapes what would mean something there."""
        following = self._line[self._at : self._at + 1]
        keeps_backslash = self._quote == '"' and following not in {'"', "\\", "$", "{", "`"}
        self._add(("\\" if keeps_backslash else "") + following)
        self._at += 1

    def _brace(self) -> bool:
        """Take `{…}` whole: its value, or its first brace where it isn't ours."""
        if self._line.startswith("{{", self._at) or self._line[self._at - 1 : self._at] == "$":
            skip = 2 if self._line.startswith("{{", self._at) else 1
            self._add("{" * skip)
            self._at += skip
            return True
        end = self._line.find("}", self._at)
        while end != -1:
            field = field_of(self._line[self._at + 1 : end])
            if field is not None:
                return self._value(field, end)
            end = self._line.find("}", end + 1)
        return False

    def _value(self, field: Field, end: int) -> bool:
        """Add the value of an expression, if it uses a name of the notebook."""
        text, names = field.expression, field.names
        missing = sorted(name for name in names if name not in self._namespace and not hasattr(builtins, name))
        if text.strip().isidentifier() and missing:
            raise InvalidOption(f"{{{text}}}: the notebook has no name {text.strip()!r}; write \\{{ for a plain brace")
        if missing or not any(name in self._namespace for name in names):
            return False
        self._add(field.shown(self._evaluate(text)))
        self._at = end + 1
        return True

    def _evaluate(self, text: str) -> object:
        """The expression's value. Raises InvalidOption with its error."""
        try:
            return eval(text.strip(), dict(self._namespace))
        except Exception as error:
            raise InvalidOption(f"{{{text}}}: {type(error).__name__}: {error}") from error

    def _dollar(self) -> bool:
        """Take `$name` where the notebook has the name."""
        match = _DOLLAR.match(self._line, self._at)
        if match is None or match[2].partition(".")[0] not in self._namespace:
            return False
        self._add(f"${match[2]}" if match[1] else str(self._evaluate(match[2])))
        self._at = match.end()
        return True

    def _add(self, text: str) -> None:
        """Add to the word, which begins with it where there is none."""
        self._word = f"{self._word or ''}{text}"

    def _end_word(self) -> None:
        """Close the word, if there is one."""
        if self._word is not None:
            self._words.append(self._word)
            self._word = None


def field_of(text: str) -> Field | None:
    """What stands between braces, as a field; None where it holds no Python expression."""
    match = _FIELD.fullmatch(text)
    for expression, conversion, spec in [(text, None, "")] + ([match.groups("")] if match else []):
        try:
            tree = ast.parse(expression.strip(), mode="eval")
        except (SyntaxError, ValueError):
            continue
        names = frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
        return Field(expression, conversion or None, spec, names)
    return None


def words_of(line: str, namespace: Mapping[str, Any]) -> list[str]:
    """Words of a magic's line; a `;` at its end, which silences IPython's display, is no part of it."""
    line = line.strip()
    return Scanner(line.removesuffix(";") if not line.endswith("\\;") else line, namespace).words()
