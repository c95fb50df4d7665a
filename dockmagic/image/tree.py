"""What each layer of an image did to the files, joined with the instruction that made it.

A layer's directory is compared with the merged view of those below it, as overlayfs would show it. Only directories
are entered, by the names they have in a layer, so no symbolic link is ever followed.
Source: Documentation/filesystems/overlayfs.rst; image-spec config.md "history".
"""

from __future__ import annotations

import heapq
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from dockmagic.image import overlay
from dockmagic.image.merged import is_opaque, look_up, names
from dockmagic.image.snapshot import Snapshots
from dockmagic.image.store import Image
from dockmagic.oci.digest import Digest
from dockmagic.oci.image import History

Kind = Literal["A", "C", "D"]

TYPES: Final = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
    stat.S_IFSOCK: "socket",
}
_SHELL: Final = re.compile(r"(?:\|\d+ .*?)?/bin/sh -c (?:(#\(nop\)) *)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Change:
    """A path that a layer added (A), changed (C) or deleted (D): "/etc/passwd".

    Size, type and mode (permission bits) are the new ones, or those of what was deleted; what was in a deleted
    directory isn't listed. A directory is changed as soon as the layer has something in it.
    """

    path: str
    kind: Kind
    type: str
    size_bytes: int
    mode: int


@dataclass(frozen=True, slots=True)
class LayerNode:
    """An entry of the history with its layer's changes; `empty` ones changed the config only.

    `added`, `changed` and `removed` count paths; directories that only had changes in them don't count as changed.
    `largest` are the changes of most bytes, largest first.
    """

    instruction: str
    created: str
    empty: bool
    diff_id: Digest | None = None
    chain_id: Digest | None = None
    size_bytes: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0
    largest: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageTree:
    """An image and what made it, lowest first."""

    image: Image
    nodes: tuple[LayerNode, ...]


def image_tree(image: Image, snapshots: Snapshots, largest: int = 60) -> ImageTree:
    """What every layer of the image did; layers that the history doesn't mention have no instruction."""
    layers = iter(range(len(image.config.diff_ids)))
    nodes: list[LayerNode] = []
    for entry in image.config.history:
        position = None if entry.empty_layer else next(layers, None)
        nodes.append(_node(image, snapshots, entry, position, largest))
    nodes += [_node(image, snapshots, History(), position, largest) for position in layers]
    return ImageTree(image, tuple(nodes))


def changes(layer_dir: Path, lower: Sequence[Path]) -> Iterator[Change]:
    """What a layer's directory changes on those below it (topmost first); a directory comes before what is in it.

    A file with several names has its size at the first of them, and 0 at the others.
    """
    linked: set[int] = set()
    pending = [("", os.fspath(layer_dir), tuple(os.fspath(path) for path in lower), False)]
    while pending:
        path, directory, below, opaque = pending.pop()
        entries = {entry.name: entry.stat(follow_symlinks=False) for entry in os.scandir(directory)}
        for name, status in sorted(entries.items()):
            former = look_up(below, name)
            child = f"{path}/{name}"
            if overlay.is_whiteout(status):
                if former is not None:
                    yield _change(child, "D", former.status)
                continue
            change = _change(child, "A" if former is None else "C", status)
            yield replace(change, size_bytes=0) if status.st_ino in linked else change
            if change.type == "file" and status.st_nlink > 1:
                linked.add(status.st_ino)
            if stat.S_ISDIR(status.st_mode):
                inner = f"{directory}/{name}"
                directories = () if former is None else former.directories
                pending.append((child, inner, directories, opaque or is_opaque(inner)))
        if opaque:
            hidden = ((name, look_up(below, name)) for name in names(below) if name not in entries)
            yield from (_change(f"{path}/{name}", "D", found.status) for name, found in hidden if found is not None)


def instruction_text(created_by: str) -> str:
    """The Dockerfile's instruction in a history entry, whichever builder wrote it.

    >>> instruction_text("/bin/sh -c #(nop)  CMD [\\"sh\\"]"), instruction_text("/bin/sh -c apk add curl")
    ('CMD ["sh"]', 'RUN apk add curl')
    >>> instruction_text("RUN /bin/sh -c apk add curl # buildkit")
    'RUN apk add curl'
    """
    text = created_by.removesuffix("# buildkit").strip()
    is_run = text.startswith("RUN ")
    body = text.removeprefix("RUN ")
    shell = _SHELL.match(body)
    if shell is None:
        return text
    rest = body[shell.end() :]
    return f"RUN {rest}" if is_run or shell[1] is None else rest


def _node(image: Image, snapshots: Snapshots, entry: History, position: int | None, largest: int) -> LayerNode:
    """The node of a history entry, whose layer is the one at `position` (None: it has none)."""
    instruction = instruction_text(entry.created_by)
    if position is None:
        return LayerNode(instruction, entry.created, empty=True)
    directory, *below = snapshots.lower(image.config.diff_ids[: position + 1])
    chain_id = image.chain_ids[position]
    layer = snapshots.get(chain_id)
    found = list(changes(directory, below))
    counts = Counter(change.kind for change in found if change.kind != "C" or change.type != "dir")
    return LayerNode(
        instruction,
        entry.created,
        empty=False,
        diff_id=image.config.diff_ids[position],
        chain_id=chain_id,
        size_bytes=0 if layer is None else layer.size_bytes,
        added=counts["A"],
        changed=counts["C"],
        removed=counts["D"],
        largest=tuple(heapq.nlargest(largest, found, key=lambda change: change.size_bytes)),
    )


def _change(path: str, kind: Kind, status: os.stat_result) -> Change:
    """The change of a path, described by the file that it is or was."""
    size_bytes = status.st_size if stat.S_ISREG(status.st_mode) else 0
    return Change(path, kind, TYPES[stat.S_IFMT(status.st_mode)], size_bytes, stat.S_IMODE(status.st_mode))
