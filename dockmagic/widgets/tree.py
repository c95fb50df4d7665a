"""The layers of an image as a tree: what each instruction did to the files. Plain text, and HTML that needs no script.

File names and instructions come from images, so every one of them is escaped. Styles are inline and `<details>` opens
by itself, so that the picture also lives in a notebook that isn't trusted or has no kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from dockmagic.errors import printable
from dockmagic.widgets.style import AMBER, BLUE, BORDER, BOX, ELLIPSIS, FAINT, GREEN, MONO, NO_MATH, RED
from dockmagic.widgets.text import plural, size_text

if TYPE_CHECKING:
    from dockmagic.image.tree import Change, LayerNode

_TEXT_FILES = 5
_TEXT_WIDTH = 72
_HTML_FILES = 60
_KINDS = {"A": ("+", GREEN), "C": ("~", AMBER), "D": ("−", RED)}


def counts_text(node: LayerNode) -> str:
    """How many paths a layer added, changed and removed: "+12 ~3 −1"."""
    counts = ((sign, count) for sign, count in (("+", node.added), ("~", node.changed), ("−", node.removed)))
    return " ".join(f"{sign}{count}" for sign, count in counts if count) or "no files"


def _one_line(text: str) -> str:
    """An instruction on one line."""
    return printable(" ".join(text.split())) or "(unknown)"


def _shortened(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


# plain text


def tree_text(title: str, nodes: Sequence[LayerNode]) -> str:
    """The tree as lines, lowest layer first."""
    total = sum(node.size_bytes for node in nodes)
    layers = sum(not node.empty for node in nodes)
    lines = [f"{title}  {size_text(total)} in {plural(layers, 'layer')}"]
    for index, node in enumerate(nodes):
        last = index == len(nodes) - 1
        lines.append(f"{'└─' if last else '├─'} {_text_head(node)}")
        if not node.empty:
            lines += [f"{'  ' if last else '│ '}   {line}" for line in _text_files(node)]
    return "\n".join(lines)


def _text_head(node: LayerNode) -> str:
    instruction = _shortened(_one_line(node.instruction), _TEXT_WIDTH)
    if node.empty:
        return f"{'':>9}  {instruction}"
    return f"{size_text(node.size_bytes):>9}  {instruction}  ({counts_text(node)})"


def _text_files(node: LayerNode) -> list[str]:
    """The largest files of a layer, and how many more there are."""
    files = _files(node)
    lines = [
        f"{size_text(change.size_bytes):>9}  {_KINDS[change.kind][0]} {printable(change.path)}" for change in files
    ]
    more = node.added + node.changed + node.removed - len(lines[:_TEXT_FILES])
    return lines[:_TEXT_FILES] + ([f"{'':>9}  … {more} more"] if more > 0 and lines else [])


def _files(node: LayerNode) -> list[Change]:
    """Changes that are worth a line: all but directories."""
    return [change for change in node.largest if change.type != "dir"]


# HTML


def tree_html(title: str, nodes: Sequence[LayerNode]) -> str:
    """The tree as HTML: a fold for each layer with its size as a bar, lowest layer first."""
    total = sum(node.size_bytes for node in nodes)
    largest = max((node.size_bytes for node in nodes), default=0)
    layers = sum(not node.empty for node in nodes)
    head = (
        f'<div style="padding:7px 12px;background:var(--jp-layout-color2,#f8f9fa);border-bottom:{BORDER}">'
        f"<b>{escape(printable(title))}</b> "
        f'<span style="{FAINT}">{size_text(total)} in {plural(layers, "layer")}</span></div>'
    )
    rows = "".join(_html_node(number, node, largest) for number, node in enumerate(nodes, start=1))
    return f'<div {NO_MATH} style="{BOX}">{head}{rows}</div>'


def _html_node(number: int, node: LayerNode, largest: int) -> str:
    """A row, which opens to show the files where there are any."""
    files = _files(node)
    if node.empty or not files:
        space = '<span style="display:inline-block;width:14px"></span>'  # as wide as a fold's triangle
        return f'<div style="padding:3px 12px 3px 26px">{space}{_html_head(number, node, largest)}</div>'
    shown = "".join(_html_file(change) for change in files[:_HTML_FILES])
    more = node.added + node.changed + node.removed - len(files[:_HTML_FILES])
    rest = f'<div style="{FAINT};padding-top:2px">… and {more} more, directories included</div>' if more > 0 else ""
    return (
        '<details style="padding:3px 12px"><summary style="cursor:pointer;margin-left:14px">'
        f"{_html_head(number, node, largest)}</summary>"
        '<div style="margin:4px 0 6px 40px;max-height:320px;overflow:auto;font-size:12px">'
        f"{shown}{rest}</div></details>"
    )


def _html_head(number: int, node: LayerNode, largest: int) -> str:
    """The instruction, its size with a bar, and the counts, in columns."""
    instruction = _one_line(node.instruction)
    color = FAINT if node.empty else ""
    share = node.size_bytes / largest if largest else 0.0
    bar = f"display:block;width:{max(share * 100, 1):.1f}%;height:8px;border-radius:2px;background:{BLUE}"
    return (
        '<span style="display:inline-grid;grid-template-columns:22px minmax(0,1fr) 90px 70px 110px;column-gap:10px;'
        'align-items:center;width:calc(100% - 24px);vertical-align:middle">'
        f'<span style="{FAINT};text-align:right">{number}</span>'
        f'<span title="{escape(instruction)}" style="{MONO};font-size:12px;{ELLIPSIS};{color}">'
        f"{escape(instruction)}</span>"
        f'<span style="{bar if node.size_bytes else ""}"></span>'
        f'<span style="text-align:right;{color}">{"" if node.empty else size_text(node.size_bytes)}</span>'
        f"<span>{_html_counts(node)}</span></span>"
    )


def _html_counts(node: LayerNode) -> str:
    """The counts in the colours of their kinds."""
    if node.empty:
        return ""
    counts = (("A", node.added), ("C", node.changed), ("D", node.removed))
    parts = [
        f'<span style="color:{_KINDS[kind][1]}">{_KINDS[kind][0]}{count}</span>' for kind, count in counts if count
    ]
    return " ".join(parts) or f'<span style="{FAINT}">no files</span>'


def _html_file(change: Change) -> str:
    """A file's row."""
    sign, color = _KINDS[change.kind]
    return (
        '<div style="display:grid;grid-template-columns:70px 12px minmax(0,1fr);column-gap:8px">'
        f'<span style="text-align:right">{size_text(change.size_bytes)}</span><span style="color:{color}">{sign}</span>'
        f'<span style="{MONO};overflow-wrap:anywhere">{escape(printable(change.path))}</span></div>'
    )
