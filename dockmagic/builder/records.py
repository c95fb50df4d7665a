"""What the build cache consists of, one record each: layers, directories of cache mounts, and small notes.

Source: BuildKit's usage records, as `docker builder du --verbose` shows them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from dockmagic.builder.cache_mounts import CacheMount
from dockmagic.database import Database
from dockmagic.image import usage
from dockmagic.oci.digest import Digest

LAYER: Final = "regular"
MOUNT: Final = "exec.cachemount"
NOTE: Final = "internal"
_ACTIONS: Final = {"RunAction": "RUN", "CopyAction": "COPY or ADD", "MakeDirectory": "WORKDIR"}
_ROWS: Final = """
    SELECT key, chain_id, description, length(config) AS size_bytes, created_ns, used_ns FROM build_cache
    ORDER BY created_ns, key
"""


@dataclass(frozen=True, slots=True)
class CacheRecord:
    """Something that the build cache keeps; `parent` is the id of the record that it lies on, `depth` how many do.

    `shared`: an image keeps it, too, so that removing it frees nothing. Its last use is that of whatever lies on it, if
    that is later. Times are ns since 1970. `keys` are its rows in the database.
    """

    id: str
    kind: str
    description: str
    size_bytes: int
    created_ns: int
    used_ns: int
    shared: bool = False
    in_use: bool = False
    parent: str = ""
    depth: int = 0
    keys: tuple[str, ...] = ()

    @property
    def reclaimable(self) -> bool:
        """Whether removing it would free space at once."""
        return not self.shared and not self.in_use


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of the table."""

    key: str
    chain_id: Digest | None
    description: str
    size_bytes: int
    created_ns: int
    used_ns: int


def cache_records(database: Database, mounts: Sequence[CacheMount], *, busy: bool) -> list[CacheRecord]:
    """All records; `busy`: somebody builds or pulls at this moment, and may need any layer."""
    rows = [
        _Row(row[0], Digest(row[1]) if row[1] else None, row[2], row[3], row[4], row[5])
        for row in database.query(_ROWS)
    ]
    layers = usage.stored_layers(database)
    notes = [_note(row) for row in rows if row.chain_id is None or row.chain_id not in layers]
    held = {chain for chains in usage.image_chains(database).values() for chain in chains}
    return [*_layers(rows, layers, held, busy), *map(_mount, mounts), *notes]


def _note(row: _Row) -> CacheRecord:
    """The record of a row without a layer."""
    return CacheRecord(
        row.key.rpartition(":")[2], NOTE, row.description, row.size_bytes, row.created_ns, row.used_ns, keys=(row.key,)
    )


def _mount(mount: CacheMount) -> CacheRecord:
    """The record of a cache mount."""
    what = f"cached mount {mount.id}"
    return CacheRecord(mount.name, MOUNT, what, mount.size_bytes, mount.created_ns, mount.used_ns, in_use=mount.in_use)


def _layers(rows: Sequence[_Row], layers: usage.Layers, held: set[Digest], busy: bool) -> list[CacheRecord]:
    """The records of the layers that rows name and of those below them, each after the one that it lies on."""
    named: dict[Digest, list[_Row]] = {}
    for row in rows:
        if row.chain_id is not None:
            named.setdefault(row.chain_id, []).append(row)
    depths = _depths(usage.with_lower(named, layers), layers)
    found: dict[str, CacheRecord] = {}
    for chain in sorted(depths, key=lambda chain: -depths[chain]):  # the topmost first: they tell when others were used
        found.setdefault(chain.hex, _bare(layers[chain], depths[chain], chain in held, busy))
        found[chain.hex] = record = _named(found[chain.hex], named.get(chain, ()))
        parent = layers[chain].parent
        if parent is not None and parent in layers:
            below = found.get(parent.hex) or _bare(layers[parent], depths[parent], parent in held, busy)
            found[parent.hex] = _used(below, record)
    return sorted(found.values(), key=lambda record: record.depth)


def _bare(layer: usage.StoredLayer, depth: int, shared: bool, busy: bool) -> CacheRecord:
    """The record of a layer that no row is known of yet."""
    parent = "" if layer.parent is None else layer.parent.hex
    what = "layer of a base image"
    return CacheRecord(layer.chain_id.hex, LAYER, what, layer.disk_bytes, 0, 0, shared, busy, parent, depth)


def _named(record: CacheRecord, rows: Sequence[_Row]) -> CacheRecord:
    """The record with what its rows say."""
    if not rows:
        return record
    description = _ACTIONS.get(rows[0].description, rows[0].description)
    created_ns, used_ns = min(row.created_ns for row in rows), max(row.used_ns for row in rows)
    keys = tuple(row.key for row in rows)
    used_ns = max(used_ns, record.used_ns)
    return replace(record, description=description, created_ns=created_ns, used_ns=used_ns, keys=keys)


def _used(record: CacheRecord, upper: CacheRecord) -> CacheRecord:
    """The record with the use that was made of it by one that lies on it."""
    created_ns = min(filter(None, (record.created_ns, upper.created_ns)), default=0)
    return replace(record, created_ns=created_ns, used_ns=max(record.used_ns, upper.used_ns))


def _depths(chains: set[Digest], layers: usage.Layers) -> Mapping[Digest, int]:
    """How many layers each of these lies on."""
    depths: dict[Digest, int] = {}
    for chain in chains:
        stack = [chain]
        while (parent := layers[stack[-1]].parent) is not None and parent in layers and parent not in depths:
            stack.append(parent)
        for one in reversed(stack):
            below = layers[one].parent
            depths.setdefault(one, 0 if below is None else depths.get(below, -1) + 1)
    return depths
