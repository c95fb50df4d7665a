"""Keeping the build cache small: what was used least recently goes first.

The default limit is what BuildKit always lets its cache have: a tenth of the disk, at most 10 GB. Source: BuildKit's
default policies ("reserved space") and its arithmetic of --reserved-space, --max-used-space and --min-free-space.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dockmagic.builder.cache_mounts import CacheMounts
from dockmagic.builder.records import MOUNT, NOTE, CacheRecord, cache_records
from dockmagic.database import Database
from dockmagic.image import pruning, usage
from dockmagic.image.pruning import Pruned
from dockmagic.image.store import ImageStore

_MOST_BYTES: Final = 10_000_000_000
_PART_OF_DISK: Final = 10
_NOTING_NS: Final = 60_000_000_000  # the time of a use is noted once a minute (builder.cache)


@dataclass(frozen=True, slots=True)
class Space:
    """How much may stay, in bytes; 0 is "not said". `reserved` may always stay, `min_free` is wanted on the disk."""

    reserved: int = 0
    max_used: int = 0
    min_free: int = 0

    def kept_bytes(self, used: int, free: int) -> int | None:
        """How much of `used` bytes may stay where the disk has so many free; None where nothing was said.

        >>> Space(max_used=100).kept_bytes(150, 0), Space(min_free=30).kept_bytes(150, 10), Space().kept_bytes(1, 1)
        (100, 130, None)
        """
        if not (self.reserved or self.max_used or self.min_free):
            return None
        kept = self.max_used
        excess = self.min_free - free
        if excess > 0:
            kept = min(kept or used, used - excess)
        elif self.min_free and not kept:
            return used
        return max(kept, self.reserved)


NO_LIMIT: Final = Space()


def default_limit(root: Path) -> int:
    """Bytes that the build cache of this state root may have where nothing else was said."""
    disk = os.statvfs(root)
    return min(disk.f_blocks * disk.f_frsize // _PART_OF_DISK, _MOST_BYTES)


def victims(
    records: Sequence[CacheRecord], takes: Callable[[CacheRecord], bool], kept_bytes: int | None = None
) -> list[CacheRecord]:
    """What to remove, least recently used first, until at most `kept_bytes` are left that no image keeps.

    Without `kept_bytes` it is all that `takes` takes. Never what is in use, nor what something that stays lies on.
    """
    left = sum(record.size_bytes for record in records if not record.shared)
    above = Counter(record.parent for record in records)
    chosen: list[CacheRecord] = []
    for record in sorted(records, key=lambda record: (record.used_ns, -record.depth, record.id)):
        if kept_bytes is not None and left <= kept_bytes:
            break
        if record.in_use or above[record.id] or not takes(record):
            continue
        chosen.append(record)
        above[record.parent] -= 1
        left -= 0 if record.shared else record.size_bytes
    return chosen


class CacheUpkeep:
    """The upkeep of a state root's build cache; any number of processes may have one."""

    def __init__(self, root: Path, database: Database, store: ImageStore) -> None:
        self._root = root
        self._database = database
        self._store = store
        self._mounts = CacheMounts(root, store.workspaces)

    def records(self) -> list[CacheRecord]:
        """Everything that the cache keeps."""
        with self._store.workspaces.alone() as alone:
            return cache_records(self._database, self._mounts.list(), busy=not alone)

    def prune(
        self, takes: Callable[[CacheRecord], bool] = lambda record: True, *, all: bool = False, space: Space = NO_LIMIT
    ) -> Pruned:
        """Remove the records that `takes` takes, or of these as many as `space` says; `all`: what images share, too.

        Layers stay while somebody builds or pulls.
        """

        def is_meant(record: CacheRecord) -> bool:
            return (all or not (record.shared or record.kind == NOTE)) and takes(record)

        records = self.records()
        used = sum(record.size_bytes for record in records if not record.shared)
        disk = os.statvfs(self._root)
        kept_bytes = space.kept_bytes(used, disk.f_bavail * disk.f_frsize)
        return self._remove(victims(records, is_meant, kept_bytes))

    def limit(self, most_bytes: int, *, since_ns: int) -> Pruned:
        """Remove what was used least recently where the cache has more than this; not what was used since that time.

        Quick where it hasn't: then it asks the database for a sum or two, and walks through no directory but those of
        cache mounts that were used since they were measured.
        """
        room = most_bytes - self._mounts.total_bytes()
        if usage.layer_bytes(self._database) <= room or usage.unheld_bytes(self._database) <= room:
            return Pruned()
        oldest_ns = since_ns - _NOTING_NS
        old = victims(self.records(), lambda record: not record.shared and record.used_ns < oldest_ns, most_bytes)
        return self._remove(old)

    def _remove(self, chosen: Sequence[CacheRecord]) -> Pruned:
        """Remove these records, the rows of layers only while nobody holds the store's content."""
        removed = [record for record in chosen if record.kind == MOUNT and self._mounts.remove(record.id)]
        rows = [record for record in chosen if record.kind != MOUNT]
        with self._database.transaction() as transaction, self._store.workspaces.alone() as alone:
            if alone:
                keys = [(key,) for record in rows for key in record.keys]
                transaction.executemany("DELETE FROM build_cache WHERE key = ?", keys)
                removed += rows
        freed = pruning.collect(self._store, self._database)
        other = sum(record.size_bytes for record in removed if record.kind in (MOUNT, NOTE))
        lines = tuple(record.id for record in removed)
        return Pruned(lines, freed.reclaimed_bytes + other, held=not alone or freed.held)
