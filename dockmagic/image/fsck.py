"""Checking a store and repairing it: find, mend, and look again; what is found again is beyond repair."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from dockmagic.database import Database
from dockmagic.image.checking import Checker, Fault
from dockmagic.image.inventory import Inventory
from dockmagic.image.mending import Mender
from dockmagic.image.snapshot import Snapshots
from dockmagic.image.store import ImageStore
from dockmagic.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class Report:
    """What was looked at, what was wrong with it, and what still is; with `dry_run` nothing was repaired."""

    images: int
    layers: int
    blobs: int
    faults: tuple[Fault, ...]
    left: tuple[Fault, ...]
    dry_run: bool = False
    volumes: int = 0

    @property
    def repaired(self) -> tuple[Fault, ...]:
        """What is right again."""
        still = {(fault.kind, fault.name) for fault in self.left}
        return tuple(fault for fault in self.faults if (fault.kind, fault.name) not in still)


def fsck(
    database: Database,
    store: ImageStore,
    snapshots: Snapshots,
    in_use: Callable[[], Collection[Digest]] = tuple,
    *,
    full: bool = False,
    dry_run: bool = False,
) -> Report:
    """Check all of a store, and repair what can be repaired unless that is a `dry_run`.

    `in_use` gives the IDs of images that running containers use: their layers aren't replaced. Raises Conflict where
    there is something to repair while somebody builds or pulls.
    """
    checker = Checker(database, store, snapshots, full=full)
    first, faults = _look(checker, database, store)
    inventory, left = first, faults
    mender = Mender(database, store, snapshots, in_use)
    while left and not dry_run:  # an archive that came back may be what a layer needs
        mender.mend(left, inventory)
        before = left
        inventory, left = _look(checker, database, store)
        if len(left) >= len(before):
            break
    return Report(len(first.images), len(first.layers), len(first.blobs), faults, left, dry_run)


def _look(checker: Checker, database: Database, store: ImageStore) -> tuple[Inventory, tuple[Fault, ...]]:
    """What there should be, and what is wrong with it."""
    with store.workspaces.hold():
        inventory = Inventory(database, store)
        return inventory, tuple(checker.faults(inventory))
