"""A terminal in the notebook: xterm.js in the page, and what its screen was like when its process has ended.

xterm.js is part of the package (scripts/bundle_terminal.py), so that the page fetches nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import anywidget
import pyte
import traitlets

from dockmagic.oci.spec import ConsoleSize
from dockmagic.widgets.style import MONO, NO_MATH

_STATIC: Final = Path(__file__).with_name("static")
_COLOURS: Final = {"brown": "#b58900", "brightbrown": "#ffd75f"}  # pyte's words for yellow; the others are CSS's


def _joined(*names: str) -> str:
    return "\n".join((_STATIC / name).read_text() for name in names)


class TerminalWidget(anywidget.AnyWidget):
    """The page's terminal. It sends what is typed and its size, and takes bytes.

    Messages from the page: `ready` and `resize` (rows, columns), `input` (data, text), `binary` (data, a character a
    byte), `close`. To the page, with the bytes as a buffer: `history`, which begins anew, and `output`.
    """

    _esm = _joined("xterm.js", "terminal.js")
    _css = _joined("xterm.css", "terminal.css")
    title = traitlets.Unicode("").tag(sync=True)

    def say(self, kind: str, data: bytes) -> None:
        """Send bytes to the page."""
        self.send({"kind": kind}, buffers=[data])

    def bundle(self) -> dict[str, Any]:
        """What shows it in a notebook."""
        view = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
        return {"text/plain": f"a terminal: {self.title}", "application/vnd.jupyter.widget-view+json": view}

    def hear(self, answer: Callable[[Mapping[str, Any]], None]) -> None:
        """Have messages of the page answered."""
        self.on_msg(lambda _widget, content, _buffers: answer(content))


def last_screen(data: bytes, size: ConsoleSize) -> tuple[str, str]:
    """What these bytes leave on a terminal of this size: as text, and as HTML with its colours."""
    screen = pyte.Screen(size.width, size.height)
    pyte.ByteStream(screen).feed(data)
    lines = [line.rstrip() for line in screen.display]
    height = max((number for number, line in enumerate(lines, 1) if line), default=0)
    rows = ("".join(_runs([screen.buffer[row][column] for column in range(size.width)])) for row in range(height))
    style = f"{MONO};font-size:13px;line-height:1.2;margin:0;padding:4px 6px;border-radius:6px"
    html = "\n".join(rows)
    return "\n".join(lines[:height]), f'<pre {NO_MATH} style="{style};background:#000;color:#eee">{html}</pre>'


def _runs(cells: list[Any]) -> list[str]:
    """A line's cells as HTML, those alike together; blanks at the end are left out."""
    while cells and cells[-1].data.isspace() and cells[-1].bg == "default":
        cells.pop()
    alike = groupby(cells, lambda cell: (cell.fg, cell.bg, cell.bold, cell.reverse))
    return [_run("".join(cell.data for cell in run), *look) for look, run in alike]


def _run(text: str, foreground: str, background: str, bold: bool, reverse: bool) -> str:
    if reverse:
        foreground, background = (
            "#000" if background == "default" else background,
            "#eee" if foreground == "default" else foreground,
        )
    styles = [f"color:{_colour(foreground)}"] if foreground != "default" else []
    styles += [f"background:{_colour(background)}"] if background != "default" else []
    styles += ["font-weight:bold"] if bold else []
    return f'<span style="{";".join(styles)}">{escape(text)}</span>' if styles else escape(text)


def _colour(name: str) -> str:
    """A colour of pyte as one of CSS."""
    if name.startswith("#"):
        return name
    if len(name) == 6 and all(digit in "0123456789abcdef" for digit in name):
        return f"#{name}"
    return _COLOURS.get(name, name.removeprefix("bright"))
