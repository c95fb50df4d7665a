"""Go templates, as far as --format needs them: parsed once, then shown with one value after another.

    {{.State.Status}}  {{json .}}  {{index .Config.Labels "x"}}  {{.Names | upper}}  {{len (split .Ports ",")}}
    {{if eq .State "running"}}…{{else}}…{{end}}  {{range $i, $m := .Mounts}}…{{end}}  {{with .X}}…{{end}}  {{$x := .A}}

Names are found in any case where none is spelled exactly so. Source: Go, text/template.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from dockmagic.commands.results import harmless
from dockmagic.commands.template_expressions import STRING, Scope, Tokens
from dockmagic.commands.template_functions import as_go, is_true
from dockmagic.errors import InvalidOption

_ACTION: Final = re.compile(rf"(?s)\{{\{{(-(?=\s))?((?:{STRING}|(?!\}}\}})[^\"`]|(?!\}}\}})[\"`])*?)((?<=\s)-)?\}}\}}")
_WORDS: Final = ("if", "range", "with", "else", "end")


Node = Callable[[Scope], str]


@dataclass(frozen=True, slots=True)
class GoTemplate:
    """A template; `fields` are the names that it looks up in the whole, "" for the whole itself."""

    nodes: tuple[Node, ...]
    fields: frozenset[str]

    def shown(self, value: Any) -> str:
        """The text with what it takes of the value. Raises InvalidOption."""
        return _all(self.nodes, Scope(value, {"$": value}))


def parse(text: str) -> GoTemplate:
    r"""A template; \t and \n stand for a tab and a newline. Raises InvalidOption.

    >>> parse("{{.Os}}: {{json .Cmd}}{{range .Cmd}} {{. | upper}}{{end}}").shown({"Os": "linux", "Cmd": ["a", "b"]})
    'linux: ["a","b"] A B'
    """
    parser = _Parser(list(_pieces(text)))
    nodes, end = parser.block()
    if end:
        raise InvalidOption(f"--format: unexpected {{{{{end}}}}}")
    return GoTemplate(nodes, frozenset(parser.fields))


def _pieces(text: str) -> list[tuple[str, str]]:
    """Texts and actions, in turn: ("text", …), ("action", …); blanks beside {{- and -}} are gone."""
    found: list[tuple[str, str]] = []
    start, trim = 0, False
    for match in _ACTION.finditer(text):
        before = _unescaped(text[start : match.start()])
        before = before.lstrip() if trim else before
        found.append(("text", before.rstrip() if match[1] else before))
        action = match[0][2 + len(match[1] or "") : -2 - len(match[3] or "")].strip()
        if not (action.startswith("/*") and action.endswith("*/")):
            found.append(("action", action))
        start, trim = match.end(), bool(match[3])
    rest = _unescaped(text[start:])
    if "{{" in rest:
        raise InvalidOption("--format: unclosed action; write }} at its end")
    found.append(("text", rest.lstrip() if trim else rest))
    return found


def _unescaped(text: str) -> str:
    return text.replace(r"\t", "\t").replace(r"\n", "\n")


def _all(nodes: Sequence[Node], scope: Scope) -> str:
    return "".join(node(scope) for node in nodes)


def _literal(text: str) -> Node:
    """Text that is written as it stands."""
    return lambda scope: text


@dataclass(slots=True)
class _Parser:
    """Turns pieces into nodes. `depth` counts the blocks in which the dot isn't the whole."""

    pieces: list[tuple[str, str]]
    position: int = 0
    depth: int = 0
    fields: set[str] = field(default_factory=set)

    def block(self) -> tuple[tuple[Node, ...], str]:
        """Nodes up to the next {{else …}} or {{end}}, and that action; "" at the end of all."""
        nodes: list[Node] = []
        while self.position < len(self.pieces):
            kind, text = self.pieces[self.position]
            self.position += 1
            word = text.partition(" ")[0]
            if kind == "text":
                nodes.append(_literal(text))
            elif word in ("else", "end"):
                return tuple(nodes), text
            elif word in _WORDS:
                nodes.append(self._control(word, text[len(word) :]))
            else:
                nodes.append(self._plain(text))
        return tuple(nodes), ""

    def _plain(self, text: str) -> Node:
        """{{pipeline}} or {{$x := pipeline}}."""
        tokens = Tokens(text, self.fields, at_root=not self.depth)
        name = tokens.declared()
        value = tokens.whole()

        def show(scope: Scope) -> str:
            if name:
                scope.variables[name[0]] = value(scope)
                return ""
            return harmless(as_go(value(scope)))

        return show

    def _control(self, word: str, text: str) -> Node:
        """{{if …}}, {{range …}} or {{with …}} to its {{end}}."""
        tokens = Tokens(text, self.fields, at_root=not self.depth)
        names = tokens.declared()
        value = tokens.whole()
        self.depth += word != "if"
        nodes, end = self.block()
        self.depth -= word != "if"
        otherwise = self._otherwise(word, end)
        if word == "range":
            return lambda scope: _ranged(value(scope), names, nodes, otherwise, scope)

        def show(scope: Scope) -> str:
            found = value(scope)
            inside = scope.inner(found if word == "with" else scope.dot, **dict.fromkeys(names, found))
            return _all(nodes, inside) if is_true(found) else _all(otherwise, scope)

        return show

    def _otherwise(self, word: str, end: str) -> tuple[Node, ...]:
        """What follows {{else}}, or {{else if …}}, to the {{end}}. Raises InvalidOption."""
        if end == "end":
            return ()
        rest = end.removeprefix("else").strip()
        if end.startswith("else") and rest.partition(" ")[0] in ("if", "with"):
            inner = rest.partition(" ")[0]
            return (self._control(inner, rest[len(inner) :]),)
        nodes, last = self.block()
        if end != "else" or last != "end":
            raise InvalidOption(f"--format: {{{{{word}}}}} has no {{{{end}}}}")
        return nodes


def _ranged(value: Any, names: Sequence[str], nodes: Sequence[Node], otherwise: Sequence[Node], scope: Scope) -> str:
    """A block for each item of a list, or of a map by its keys in their order."""
    if isinstance(value, Mapping):
        items: list[tuple[Any, Any]] = sorted(value.items())
    else:
        items = list(enumerate(range(value) if isinstance(value, int) else value or ()))
    if not items:
        return _all(otherwise, scope)
    return "".join(
        _all(nodes, scope.inner(item, **dict(zip(reversed(names), (item, key), strict=False)))) for key, item in items
    )
