"""Host, bridges, containers, addresses and published ports as a picture: text, SVG, or a figure of matplotlib.

Three columns: the host, the networks, the containers; a line for each place that a container has on a network. Names
come from users and images, so every one of them is escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

from dockmagic.errors import printable
from dockmagic.widgets.style import AMBER, BLUE, BORDER, GREEN, NO_MATH

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dockmagic.network.graph import Bridge, Graph, Node, Place

LINE: Final = 16
PAD: Final = 8
GAP: Final = 14
COLUMNS: Final = ((10, 190), (270, 200), (610, 240))
"""Left edge and width of each column, px."""
WIDTH: Final = 860
_PLACES: Final = 2
"""Which line of a container's box is the first of its places on networks."""
_NOWHERE: Final = "null"
"""The driver of a network that leads nowhere."""
_INK: Final = "var(--jp-ui-font-color1,#202124)"
_FAINT: Final = "var(--jp-ui-font-color2,#5f6368)"
_PAPER: Final = "var(--jp-layout-color1,#fff)"


@dataclass(frozen=True, slots=True)
class Box:
    """A box with lines of text, the first of which is its name; `color` is that of its edge. Lengths in px."""

    column: int
    top: int
    lines: tuple[str, ...]
    color: str
    faint: bool = False

    @property
    def left(self) -> int:
        """Its left edge."""
        return COLUMNS[self.column][0]

    @property
    def width(self) -> int:
        """How wide it is."""
        return COLUMNS[self.column][1]

    @property
    def height(self) -> int:
        """How high it is."""
        return height(self.lines)

    @property
    def middle(self) -> int:
        """Where lines to it end, from the top."""
        return self.top + self.height // 2


@dataclass(frozen=True, slots=True)
class Line:
    """A line from the right edge of a box to the left edge of another, where it ends at a line of the box's text."""

    start: Box
    end: Box
    row: int = 0
    dashed: bool = False

    @property
    def x(self) -> tuple[int, int]:
        """Where it starts and where it ends, from the left."""
        return self.start.left + self.start.width, self.end.left

    @property
    def y(self) -> tuple[int, int]:
        """Where it starts and where it ends, from the top."""
        return self.start.middle, self.end.top + PAD + LINE * self.row + LINE // 2


@dataclass(frozen=True, slots=True)
class Picture:
    """Boxes and lines, and how high it all is."""

    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    height: int


def height(lines: Sequence[str]) -> int:
    """Of a box with these lines."""
    return len(lines) * LINE + 2 * PAD


# text


def network_text(graph: Graph) -> str:
    """The networks as lines, each with its containers below it."""
    lines = [" ".join(filter(None, (printable(graph.host), *graph.addresses)))]
    groups = list(_groups(graph))
    for index, (head, members) in enumerate(groups):
        last = index == len(groups) - 1
        lines.append(f"{'└─' if last else '├─'} {head}")
        for number, member in enumerate(members, start=1):
            lines.append(f"{'  ' if last else '│ '} {'└─' if number == len(members) else '├─'} {member}")
    return "\n".join(lines)


def _groups(graph: Graph) -> Iterator[tuple[str, list[str]]]:
    """Each network's line and those of its containers; then those that are on none."""
    for bridge in graph.bridges:
        found = [(node, place) for node in graph.nodes for place in node.places if place.network == bridge.name]
        yield "  ".join(_bridge_lines(bridge)), [_member(node, place.addresses) for node, place in found]
    for node in graph.nodes:
        if not node.places:
            yield _member(node, (f"network of {node.joined}",) if node.joined else ("loopback only",)), []


def _member(node: Node, where: Sequence[str]) -> str:
    state = () if node.running else ("(stopped)",)
    return "  ".join((printable(node.name), *where, *node.ports, *state))


def _bridge_lines(bridge: Bridge) -> tuple[str, ...]:
    """Name and driver, then the bridge and the host's addresses on it."""
    kind = f"{bridge.driver}, internal" if bridge.internal else bridge.driver
    return (f"{printable(bridge.name)} ({kind})", *filter(None, (bridge.interface,)), *bridge.addresses)


# pictures


def layout(graph: Graph) -> Picture:
    """Where everything is: containers one below the other in order of their networks, networks beside theirs."""
    order = {bridge.name: number for number, bridge in enumerate(graph.bridges)}
    nodes = sorted(
        graph.nodes, key=lambda node: min((order.get(p.network, 0) for p in node.places), default=len(order))
    )
    containers: dict[str, Box] = {}
    top = GAP
    for node in nodes:
        box = Box(2, top, _node_lines(node), GREEN if node.running else _FAINT, faint=not node.running)
        containers[node.name] = box
        top = box.top + box.height + GAP
    bridges, bottom = _bridges(graph, containers)
    lines = (printable(graph.host), *graph.addresses)
    whole = max(top, bottom, height(lines) + 2 * GAP)
    host = Box(0, (whole - height(lines)) // 2, lines, AMBER)
    drawn = (host, *bridges.values(), *containers.values())
    return Picture(drawn, tuple(_lines(graph, host, bridges, containers)), whole)


def _node_lines(node: Node) -> tuple[str, ...]:
    joined = (f"network of {printable(node.joined)}",) if node.joined else ()
    return (printable(node.name), printable(node.image), *map(_place_text, node.places), *joined, *node.ports)


def _bridges(graph: Graph, containers: dict[str, Box]) -> tuple[dict[str, Box], int]:
    """A box for each network, as near to the middle of its containers as there is room, and where the last one ends."""
    found: dict[str, Box] = {}
    top = GAP
    for bridge in graph.bridges:
        lines = _bridge_lines(bridge)
        beside = [containers[node.name].middle for node in graph.nodes if bridge.name in _networks(node)]
        wanted = sum(beside) // len(beside) - height(lines) // 2 if beside else top
        found[bridge.name] = Box(1, max(top, wanted), lines, BLUE)
        top = found[bridge.name].top + height(lines) + GAP
    return found, top


def _networks(node: Node) -> set[str]:
    return {place.network for place in node.places}


def _lines(graph: Graph, host: Box, bridges: dict[str, Box], containers: dict[str, Box]) -> Iterator[Line]:
    """From the host to each network that leads out, and from each network to its containers."""
    for bridge in graph.bridges:
        if bridge.driver != _NOWHERE:
            yield Line(host, bridges[bridge.name], dashed=bridge.internal)
    for node in graph.nodes:
        for row, place in enumerate(node.places, start=_PLACES):
            yield Line(bridges[place.network], containers[node.name], row, not node.running)


def _place_text(place: Place) -> str:
    return " ".join(filter(None, (place.interface, *place.addresses))) or place.network


def network_svg(graph: Graph) -> str:
    """The picture as SVG, in the colours of the notebook's theme."""
    picture = layout(graph)
    parts = [*map(_svg_line, picture.lines), *map(_svg_box, picture.boxes)]
    style = f"max-width:{WIDTH}px;border:{BORDER};border-radius:6px;font:12px var(--jp-ui-font-family,sans-serif)"
    return (
        f'<svg {NO_MATH} xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {picture.height}" width="100%" '
        f'role="img" aria-label="networks of {escape(printable(graph.host))}" style="{style}">{"".join(parts)}</svg>'
    )


def _svg_box(box: Box) -> str:
    edge = f'style="fill:{_PAPER};stroke:{box.color}" stroke-width="1.5"' + (' stroke-dasharray="4 3"' * box.faint)
    parts = [f'<rect x="{box.left}" y="{box.top}" width="{box.width}" height="{box.height}" rx="5" {edge}/>']
    for number, line in enumerate(box.lines):
        ink = f"fill:{_FAINT if box.faint or number else _INK}" + (";font-weight:600" if number == 0 else "")
        at = box.top + PAD + LINE * number + 12
        shown = escape(_fitting(line, box.width))
        parts.append(f'<text x="{box.left + PAD}" y="{at}" style="{ink}"><title>{escape(line)}</title>{shown}</text>')
    return "".join(parts)


def _fitting(text: str, width: int) -> str:
    """As much of the text as the box has room for, at seven px a letter."""
    most = (width - 2 * PAD) // 7 + 1
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _svg_line(line: Line) -> str:
    (left, right), (start, end) = line.x, line.y
    middle = (left + right) // 2
    path = f"M{left} {start} C{middle} {start} {middle} {end} {right} {end}"
    dashes = ' stroke-dasharray="4 3"' if line.dashed else ""
    return f'<path d="{path}" fill="none" style="stroke:{_FAINT}"{dashes}/>'


def network_figure(graph: Graph) -> Figure:
    """The same picture as a figure of matplotlib, which can be saved in any of its formats."""
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch

    picture = layout(graph)
    figure = Figure(figsize=(WIDTH / 96, picture.height / 96))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(picture.height, 0)
    for line in picture.lines:
        axes.plot(line.x, line.y, color="#5f6368", linewidth=1, linestyle="--" if line.dashed else "-")
    for box in picture.boxes:
        edge = "#5f6368" if box.faint else box.color
        corner, style = (box.left, box.top), "round,pad=0,rounding_size=5"
        axes.add_patch(FancyBboxPatch(corner, box.width, box.height, boxstyle=style, facecolor="white", edgecolor=edge))
        for number, text in enumerate(box.lines):
            at = box.left + PAD, box.top + PAD + LINE * number + 12
            axes.text(*at, _fitting(text, box.width), fontsize=8, weight="bold" if number == 0 else "normal")
    return figure
