"""A table as a command's result: columns and rows, in plain text as Docker's and as HTML."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from dockmagic.errors import printable
from dockmagic.widgets.style import NO_MATH

_GAP = "   "
_CELL = "text-align:left;padding:3px 14px 3px 0;white-space:pre;font-family:var(--jp-code-font-family,monospace)"


class Pretty(Protocol):
    """What IPython's pretty printer offers to `_repr_pretty_`."""

    def text(self, text: str) -> None:
        """Append text."""


@dataclass(frozen=True)
class Table:
    """Rows of text under a heading; `values` are what the rows were made of, in the same order.

    As a sequence it gives the values. `bare` leaves the heading out and shows the first column only (`--quiet`).
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    values: tuple[Any, ...] = ()
    bare: bool = False
    caption: str = field(default="")

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.rows)

    def __getitem__(self, index: int) -> Any:
        """The value of a row."""
        return self.values[index]

    def __str__(self) -> str:
        """Columns of equal width, as in a terminal."""
        if self.bare:
            return "\n".join(row[0] for row in self.rows)
        lines = columns_of_text([self.columns, *self.rows])
        return "\n".join(lines)

    def _repr_pretty_(self, printer: Pretty, cycle: bool) -> None:
        """Plain text for IPython."""
        printer.text(str(self))

    def _repr_html_(self) -> str:
        """An HTML table with every text escaped."""
        shown = [row[:1] for row in self.rows] if self.bare else list(self.rows)
        head = "" if self.bare else f"<thead>{_html_row(self.columns, 'th')}</thead>"
        empty = "" if self.rows else f'<div style="opacity:.7">{html.escape(self.caption)}</div>'
        body = "".join(_html_row(row, "td") for row in shown)
        return f'<table {NO_MATH} style="border-collapse:collapse;margin:0">{head}<tbody>{body}</tbody></table>{empty}'


class Rolling:
    """Shows tables in a terminal one after the other: the heading once, then the rows of each."""

    def __init__(self, write_line: Callable[[str], None]) -> None:
        self._write_line = write_line
        self._headed = False

    def __call__(self, value: object) -> None:
        """Show the next table."""
        for line in str(value).splitlines()[1 if self._headed else 0 :]:
            self._write_line(line)
        self._headed = isinstance(value, Table)


def columns_of_text(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of the rows with their columns aligned; control characters are shown as escapes."""
    clean = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in clean) for i in range(len(clean[0]))]
    return [_GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in clean]


def _html_row(cells: Sequence[str], tag: str) -> str:
    """A table row."""
    inner = "".join(f'<{tag} style="{_CELL}">{html.escape(printable(cell))}</{tag}>' for cell in cells)
    return f"<tr>{inner}</tr>"
