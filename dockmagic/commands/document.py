"""Values of --format for whole documents, as of inspect: `json`, and Go templates with fields of fields.

    {{.Config.Cmd}}   a field of a field       {{json .Config}}   a part as JSON       {{json .}}   all of it

Names are found in any case where none is spelled exactly so. Source: Docker's reference, "Format command and log
output"; Go, text/template and fmt.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from dockmagic.commands.results import harmless
from dockmagic.errors import InvalidOption, one_of

_ACTION: Final = re.compile(r"\{\{-?\s*(json\s+)?(\.(?:\w[\w.]*)?)\s*-?\}\}")
_ESCAPES: Final = {r"\t": "\t", r"\n": "\n"}


@dataclass(frozen=True)
class DocumentTemplate:
    """What to make of a document."""

    text: str

    @property
    def fields(self) -> frozenset[str]:
        """The first names that are asked for, in lower case; "" is the whole."""
        return frozenset(match[2].split(".")[1].lower() for match in _ACTION.finditer(self.text))

    def shown(self, document: Mapping[str, Any]) -> str:
        """The template with the document's values. Raises InvalidOption for a field that isn't there."""

        def value(match: re.Match[str]) -> str:
            part = _part(document, match[2])
            return harmless(compact(part) if match[1] else _as_go(part))

        return _ACTION.sub(value, self.text)


def parse(text: str) -> DocumentTemplate:
    """A template. Raises InvalidOption for what is more than fields.

    >>> parse("{{.Os}}: {{json .Config.Cmd}}").shown({"Os": "linux", "Config": {"Cmd": ["sh"]}})
    'linux: ["sh"]'
    """
    if text == "json":
        return DocumentTemplate("{{json .}}")
    for escape, character in _ESCAPES.items():
        text = text.replace(escape, character)
    if "{{" in _ACTION.sub("", text):
        raise InvalidOption(
            "--format takes fields only, such as {{.Id}} or {{json .Config}}; or use the value in Python"
        )
    return DocumentTemplate(text)


def compact(value: Any) -> str:
    """A value as JSON on one line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _part(document: Any, path: str) -> Any:
    """The value at a path such as ".Config.Cmd"."""
    for name in path.split(".")[1:]:
        if not name:
            continue
        names = list(document) if isinstance(document, Mapping) else []
        found = name if name in names else next((key for key in names if key.lower() == name.lower()), None)
        if found is None:
            known = f"there are {one_of([f'.{key}' for key in names])}" if names else "it lies in no object"
            raise InvalidOption(f"{{{{{path}}}}} in --format names no field: no {name}; {known}")
        document = document[found]
    return document


def _as_go(value: Any) -> str:
    """A value as Go prints it.

    >>> _as_go(["a", {"b": True}]), _as_go(None)
    ('[a map[b:true]]', '<no value>')
    """
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return f"map[{' '.join(f'{key}:{_as_go(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list | tuple):
        return f"[{' '.join(map(_as_go, value))}]"
    return str(value)
