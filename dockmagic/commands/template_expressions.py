"""Expressions of Go templates: what stands between {{ and }}. Source: Go, text/template "Pipelines" and "Arguments"."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from dockmagic.commands.template_functions import FUNCTIONS
from dockmagic.errors import InvalidOption, one_of

STRING: Final = r'"(?:\\.|[^"\\])*"|`[^`]*`'
_TOKEN: Final = re.compile(rf"\s*({STRING}|:=|[|(),]|-?\d+(?:\.\d+)?|\$\w*(?:\.\w+)*|(?:\.\w+)+|\.|\w+)")
_CONSTANTS: Final = {"true": True, "false": False, "nil": None}


@dataclass(frozen=True, slots=True)
class Scope:
    """Where an expression is evaluated: the dot, and the variables; "$" is the whole."""

    dot: Any
    variables: dict[str, Any]

    def inner(self, dot: Any, **variables: Any) -> Scope:
        """The scope of a block, whose own variables end with it."""
        return Scope(dot, {**self.variables, **variables})


Expression = Callable[[Scope], Any]


class Tokens:
    """The words of an action, read from left to right."""

    def __init__(self, text: str, fields: set[str], *, at_root: bool) -> None:
        """`fields` takes the names that are looked up in the whole, which the dot is `at_root`."""
        self._text = text
        self._fields = fields
        self._at_root = at_root
        self._found: list[tuple[str, bool]] = []  # a word, and whether a blank is before it
        position = 0
        while position < len(text.rstrip()):
            match = _TOKEN.match(text, position)
            if match is None:
                raise InvalidOption(f"--format: unexpected {text[position:].strip()[:10]!r} in {{{{{text}}}}}")
            self._found.append((match[1], match.start(1) > match.start()))
            position = match.end()

    def _next(self) -> str:
        return self._found[0][0] if self._found else ""

    def _take(self) -> str:
        return self._found.pop(0)[0]

    def declared(self) -> list[str]:
        """The variables before ":=", if there are any."""
        words = [word for word, _ in self._found]
        if ":=" not in words:
            return []
        at = words.index(":=")
        del self._found[: at + 1]
        return [word for word in words[:at] if word != ","]

    def whole(self) -> Expression:
        """The pipeline that is left, and nothing else. Raises InvalidOption."""
        value = self._pipeline()
        if self._found:
            raise InvalidOption(f"--format: unexpected {self._next()!r} in {{{{{self._text}}}}}")
        return value

    def _pipeline(self) -> Expression:
        value = self._command(None)
        while self._next() == "|":
            self._take()
            value = self._command(value)
        return value

    def _command(self, piped: Expression | None) -> Expression:
        """A function or a field with its arguments; what is piped in is the last one. Raises InvalidOption."""
        word = self._next()
        if word in FUNCTIONS:
            self._take()
            arguments = self._operands() + ([] if piped is None else [piped])
            return lambda scope: _called(word, FUNCTIONS[word], [each(scope) for each in arguments])
        operands = self._operands()
        if not operands:
            raise InvalidOption(f"--format: a value is missing in {{{{{self._text}}}}}")
        first, *rest = operands + ([] if piped is None else [piped])
        if not rest:
            return lambda scope: _result(first(scope))
        return lambda scope: _called(word, first(scope), [each(scope) for each in rest])

    def _operands(self) -> list[Expression]:
        found: list[Expression] = []
        while self._next() not in ("", "|", ")"):
            found.append(self._operand())
        return found

    def _operand(self) -> Expression:
        """One value. Raises InvalidOption."""
        word = self._take()
        if word == "(":
            value = self._pipeline()
            if self._next() != ")":
                raise InvalidOption(f"--format: unclosed left paren in {{{{{self._text}}}}}")
            self._take()
            if self._found and self._next().startswith(".") and not self._found[0][1]:
                path = self._take()
                return lambda scope: look_up(value(scope), path)
            return value
        if word[0] in ".$":
            return self._variable(word)
        if word[0] in '"`':
            text = json.loads(word, strict=False) if word[0] == '"' else word[1:-1]
            return lambda scope: text
        if word in _CONSTANTS:
            return lambda scope: _CONSTANTS[word]
        if word in FUNCTIONS:
            return lambda scope: _called(word, FUNCTIONS[word], [])
        try:
            number = float(word) if "." in word else int(word)
        except ValueError:
            raise InvalidOption(
                f"--format: function {word!r} not defined; there are {one_of(sorted(FUNCTIONS))}"
            ) from None
        return lambda scope: number

    def _variable(self, word: str) -> Expression:
        """A field of the dot, or of a variable."""
        name, dot, path = word.partition(".")
        if name == "$" or (self._at_root and not name):
            self._fields.add(path.partition(".")[0])
        if not name:
            return lambda scope: look_up(scope.dot, word)

        def value(scope: Scope) -> Any:
            if name not in scope.variables:
                raise InvalidOption(f"--format: undefined variable {name}")
            return look_up(scope.variables[name], f"{dot}{path}")

        return value


def _result(value: Any) -> Any:
    """The value; of what can be called, its result."""
    return value() if callable(value) else value


def _called(name: str, function: Any, arguments: list[Any]) -> Any:
    """What the function makes of the arguments. Raises InvalidOption."""
    if not callable(function):
        raise InvalidOption(f"--format: can't give argument to non-function {name}")
    try:
        return function(*arguments)
    except (TypeError, ValueError, AttributeError) as error:
        raise InvalidOption(f"--format: error calling {name}: wrong number or type of its arguments") from error


def look_up(value: Any, path: str) -> Any:
    """The value at a path such as ".Config.Cmd". Raises InvalidOption for a field that isn't there."""
    for name in path.split(".")[1:]:
        if not name:
            continue
        names = list(value) if isinstance(value, Mapping) else []
        found = name if name in names else next((key for key in names if key.lower() == name.lower()), None)
        if found is None:
            known = f"there are {one_of([f'.{key}' for key in names])}" if names else "it lies in no object"
            raise InvalidOption(f"{{{{{path}}}}} in --format names no field: no {name}; {known}")
        value = value[found]
    return value
