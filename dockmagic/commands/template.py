"""Values of --format: `json`, and Go templates of plain fields, with `table` first for columns under a heading.

    {{.Name}}   a field       {{json .}}   all fields as JSON       {{json .Name}}   a field as JSON       \\t \\n

Source: Docker's reference, "Format command and log output"; docker/cli cli/command/formatter.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dockmagic.commands.results import Names
from dockmagic.commands.table import Table
from dockmagic.errors import InvalidOption, one_of

_ACTION: Final = re.compile(r"\{\{-?\s*(json\s+)?\.(\w*)\s*-?\}\}")
_ESCAPES: Final = {r"\t": "\t", r"\n": "\n"}


@dataclass(frozen=True)
class Template:
    """What to make of each row; `columns` where the rows are to be a table."""

    text: str
    is_table: bool

    def shown(self, rows: Sequence[Mapping[str, str]], headings: Mapping[str, str]) -> Names | Table:
        """The rows, a line each, or as a table under these headings by field."""
        lines = [self._line(row) for row in rows]
        if not self.is_table:
            return Names(lines)
        columns = tuple(self._line(headings).split("\t"))
        return Table(columns, tuple(tuple(line.split("\t")) for line in lines), tuple(rows))

    def _line(self, row: Mapping[str, str]) -> str:
        """The template with the fields of a row."""

        def value(match: re.Match[str]) -> str:
            content = row[match[2]] if match[2] else dict(sorted(row.items()))
            return json.dumps(content, ensure_ascii=False, separators=(",", ":")) if match[1] else str(content)

        return _ACTION.sub(value, self.text)


def parse(text: str, fields: Sequence[str]) -> Template:
    """A template of these fields. Raises InvalidOption for any other field, and for what is more than a field.

    >>> parse("{{.ID}}: {{.Size}}", ["ID", "Size"]).shown([{"ID": "1", "Size": "2B"}], {})
    ('1: 2B',)
    """
    if text == "json":
        return Template("{{json .}}", is_table=False)
    word, _, rest = text.partition(" ")
    is_table = word == "table"
    template = rest.strip() if is_table else text
    for escape, character in _ESCAPES.items():
        template = template.replace(escape, character)
    for match in _ACTION.finditer(template):
        if match[2] not in fields and not (match[1] and not match[2]):
            raise InvalidOption(f"{match[0]} in --format names no field; there are {one_of([f'.{f}' for f in fields])}")
    if "{{" in _ACTION.sub("", template):
        raise InvalidOption("--format takes fields only, such as {{.ID}} and {{json .}}; use the values from Python")
    if is_table and not template:
        raise InvalidOption("--format table needs columns, such as 'table {{.ID}}\\t{{.Size}}'")
    return Template(template, is_table)
