"""An image as it is in its registry: what it is, its platforms and its layers. Text, and HTML that needs no script.

All texts come from a registry, so every one of them is escaped.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from dockmagic.image.platform import describe
from dockmagic.widgets.style import BAND, BLUE, BORDER, BOX, ELLIPSIS, FAINT, MONO, NO_MATH
from dockmagic.widgets.text import plural, printable, size_text

if TYPE_CHECKING:
    from dockmagic.image.remote import RemoteImage, RemoteLayer
    from dockmagic.oci.descriptor import Descriptor

_TEXT_WIDTH: Final = 72
_MOST_LAYERS: Final = 300
_MOST_ENTRIES: Final = 100
_PREFIXES: Final = ("application/vnd.oci.image.layer.v1.", "application/vnd.docker.image.rootfs.diff.", "application/")
_ATTESTATION: Final = "vnd.docker.reference.type"  # an annotation of BuildKit's
_GRID: Final = "display:grid;column-gap:10px;padding:3px 12px;align-items:center;grid-template-columns:"


def facts(remote: RemoteImage) -> list[tuple[str, str]]:
    """What is known of it, as names and values."""
    rows = [
        ("Name", remote.reference.familiar),
        ("Digest", remote.digest),
        ("Media type", remote.media_type),
        ("Platforms", ", ".join(map(describe, remote.platforms))),
        ("Image", _chosen(remote)),
        ("Artifact", remote.artifact_type),
        ("Created", "" if remote.config is None else remote.config.created),
        ("Size", totals(remote) if remote.manifest is not None else ""),
    ]
    return [(name, printable(value)) for name, value in rows if value]


def totals(remote: RemoteImage) -> str:
    """The size of all layers, and how many there are: "4.27 MB in 2 layers, as they are in the registry"."""
    return f"{size_text(remote.size_bytes)} in {plural(len(remote.layers), 'layer')}, as they are in the registry"


def _chosen(remote: RemoteImage) -> str:
    """Which manifest of an index is shown."""
    if not remote.is_index:
        return ""
    if remote.manifest_digest is None:
        return "none for this machine; choose one with --platform"
    platforms = [entry.platform for entry in remote.entries if entry.digest == remote.manifest_digest]
    return (
        f"{describe(platforms[0])}, {remote.manifest_digest}" if platforms and platforms[0] else remote.manifest_digest
    )


def kind_text(media_type: str) -> str:
    """A layer's media type in short: "tar+gzip"."""
    for prefix in _PREFIXES:
        media_type = media_type.removeprefix(prefix)
    return printable(media_type)


def _one_line(layer: RemoteLayer) -> str:
    """An instruction on one line."""
    return printable(" ".join(layer.instruction.split())) or "(unknown)"


# plain text


def remote_text(remote: RemoteImage) -> str:
    """What it is, and its layers, lowest first."""
    lines = [f"{f'{name}:':<12}{value}" for name, value in facts(remote)]
    rows = [
        f"  {layer.digest.short}  {size_text(layer.size):>8}  {kind_text(layer.media_type)}" for layer in remote.layers
    ]
    return "\n".join([*lines, *(["Layers:"] if rows else []), *rows])


def tree_text(remote: RemoteImage) -> str:
    """What made it, lowest first, with the sizes of the layers."""
    nodes = remote.history
    lines = [f"{printable(remote.reference.familiar)}  {totals(remote)}"]
    for index, node in enumerate(nodes):
        text = _one_line(node)
        shown = text if len(text) <= _TEXT_WIDTH else f"{text[: _TEXT_WIDTH - 1]}…"
        size = "" if node.digest is None else size_text(node.size_bytes)
        mark = "" if node.digest is None else f"  ({node.digest.short})"
        lines.append(f"{'└─' if index == len(nodes) - 1 else '├─'} {size:>9}  {shown}{mark}")
    return "\n".join(lines)


# HTML


def remote_html(remote: RemoteImage) -> str:
    """What it is, the manifests of an index, and the layers with their sizes as bars."""
    rows = "".join(
        f'<div style="{_GRID}100px minmax(0,1fr)"><span style="{FAINT}">{name}</span>'
        f'<span style="{MONO};font-size:12px;overflow-wrap:anywhere">{escape(value)}</span></div>'
        for name, value in facts(remote)
    )
    entries = "".join(map(_entry_html, remote.entries[:_MOST_ENTRIES]))
    more = len(remote.entries) - _MOST_ENTRIES
    entries += f'<div style="padding:3px 12px;{FAINT}">… and {more} more</div>' if more > 0 else ""
    return _box(rows, _section("Manifests", entries), _section("Layers", _layers_html(remote)))


def tree_html(remote: RemoteImage) -> str:
    """What made it, with the sizes of the layers as bars."""
    title = (
        f"<b>{escape(printable(remote.reference.familiar))}</b> <span style='{FAINT}'>{escape(totals(remote))}</span>"
    )
    return _box(f'<div style="padding:7px 12px;{BAND};border-bottom:{BORDER}">{title}</div>', _layers_html(remote))


def _box(*parts: str) -> str:
    """A frame around the parts."""
    return f'<div {NO_MATH} style="{BOX}">{"".join(parts)}</div>'


def _section(title: str, rows: str) -> str:
    """Rows under a heading; nothing without rows."""
    head = f'<div style="padding:4px 12px;{BAND};border-top:{BORDER};border-bottom:{BORDER}">{title}</div>'
    return f"{head}{rows}" if rows else ""


def _entry_html(entry: Descriptor) -> str:
    """A manifest of an index: platform, digest, and what it is where it is no image."""
    platform = "" if entry.platform is None else printable(describe(entry.platform))
    kind = printable(entry.artifact_type or entry.annotations.get(_ATTESTATION, ""))
    return (
        f'<div style="{_GRID}140px minmax(0,1fr) 150px"><span>{escape(platform)}</span>'
        f'<span style="{MONO};font-size:12px;{ELLIPSIS}">{escape(entry.digest)}</span>'
        f'<span style="{FAINT};{ELLIPSIS}">{escape(kind)}</span></div>'
    )


def _layers_html(remote: RemoteImage) -> str:
    """A row for each instruction, lowest first."""
    nodes = remote.history
    largest = max((node.size_bytes for node in nodes), default=0)
    rows = "".join(_layer_html(node, largest) for node in nodes[:_MOST_LAYERS])
    more = len(nodes) - _MOST_LAYERS
    return rows + (f'<div style="padding:3px 12px;{FAINT}">… and {more} more</div>' if more > 0 else "")


def _layer_html(node: RemoteLayer, largest: int) -> str:
    """An instruction, its layer's size with a bar, its digest and its kind."""
    color = FAINT if node.empty else ""
    share = node.size_bytes / largest if largest else 0.0
    bar = f"display:block;width:{max(share * 100, 1):.1f}%;height:8px;border-radius:2px;background:{BLUE}"
    text = escape(_one_line(node))
    return (
        f'<div style="{_GRID}minmax(0,1fr) 90px 70px 100px 80px">'
        f'<span title="{text}" style="{MONO};font-size:12px;{ELLIPSIS};{color}">{text}</span>'
        f'<span style="{bar if node.size_bytes else ""}"></span>'
        f'<span style="text-align:right">{"" if node.empty else size_text(node.size_bytes)}</span>'
        f'<span style="{MONO};font-size:12px;{FAINT}">{node.digest.short if node.digest else ""}</span>'
        f'<span style="{FAINT};{ELLIPSIS}">{escape(kind_text(node.media_type))}</span></div>'
    )
