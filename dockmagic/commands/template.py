"""Values of --format for rows: `json`, and Go templates, with `table` first for columns under a heading.

    {{.Name}}   a field       {{json .}}   all fields as JSON       {{json .Name}}   a field as JSON       \\t \\n

Source: Docker's reference, "Format command and log output"; docker/cli cli/command/formatter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dockmagic.commands import template_language
from dockmagic.commands.results import Names
from dockmagic.commands.table import Table
from dockmagic.commands.template_language import GoTemplate
from dockmagic.errors import InvalidOption, one_of


@dataclass(frozen=True)
class Template:
    """What to make of each row; columns with tabs between them where the rows are to be a table."""

    text: str
    template: GoTemplate
    is_table: bool

    def shown(
        self, rows: Sequence[Mapping[str, Any]], headings: Mapping[str, Any], values: Sequence[Any] = ()
    ) -> Names | Table:
        """The rows, a line each, or as a table of `values` under these headings by field."""
        lines = [self.template.shown(_sorted(row)) for row in rows]
        if not self.is_table:
            return Names(lines)
        columns = tuple(self.template.shown(headings).split("\t"))
        return Table(columns, tuple(tuple(line.split("\t")) for line in lines), tuple(values or rows))

    def uses(self, *names: str) -> bool:
        """Whether one of these fields is asked for, or all are."""
        return bool(self.template.fields & {"", *names})


def _sorted(row: Mapping[str, Any]) -> dict[str, Any]:
    """The fields in the order of their names, as JSON has them."""
    return dict(sorted(row.items()))


def parse(text: str, fields: Sequence[str]) -> Template:
    """A template of these fields. Raises InvalidOption for any other field.

    >>> parse("{{.ID}}: {{upper .Size}}", ["ID", "Size"]).shown([{"ID": "1", "Size": "2b"}], {})
    ('1: 2B',)
    """
    word, _, rest = text.partition(" ")
    is_table = word == "table"
    text = "{{json .}}" if text == "json" else rest.strip() if is_table else text
    template = template_language.parse(text)
    for name in sorted(template.fields - {""}):
        if name not in fields:
            raise InvalidOption(
                f"{{{{.{name}}}}} in --format names no field; there are {one_of([f'.{f}' for f in fields])}"
            )
    if not text and is_table:
        raise InvalidOption("--format table needs columns, such as 'table {{.ID}}\\t{{.Size}}'")
    return Template(text, template, is_table)
