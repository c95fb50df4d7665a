"""The past of a state root: the builds that are remembered, and the files as they were after any of their steps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from dockmagic.builder.history import BuildHistory, BuildRecord
from dockmagic.builder.states import State, States
from dockmagic.database import Database
from dockmagic.errors import Conflict, NotFound, StoreError
from dockmagic.image.difference import Difference, difference
from dockmagic.image.snapshot import Layer, Snapshots
from dockmagic.image.store import Image, ImageStore
from dockmagic.oci.digest import Digest, chain_ids
from dockmagic.oci.image_json import dump_image_config


class Past:
    """The builds of a state root and what they left. How states are named, builder.states says."""

    def __init__(self, database: Database, store: ImageStore, snapshots: Snapshots) -> None:
        self._store = store
        self._snapshots = snapshots
        self.history = BuildHistory(database)
        self._states = States(self.history, store)

    def builds(self) -> list[BuildRecord]:
        """The builds that are remembered, newest first, without their steps."""
        return self.history.builds()

    def build(self, name: str = "") -> BuildRecord:
        """The newest build of this name with its steps; "" for the newest of all. Raises NotFound."""
        return self.history.get(name)

    def state(self, name: str = "", *, before: bool = False) -> State:
        """The state that a name means, or the one before its step. Raises NotFound."""
        return self._states.find(name, before=before)

    @contextmanager
    def image(self, state: State) -> Iterator[Image]:
        """The state as an image, which has no name and goes again at the block's end, unless it was there before.

        Raises StoreError where the cache has let go of its layers.
        """
        if state.stored is not None:
            yield state.stored
            return
        image_id = Digest.of(dump_image_config(state.image))
        present = self._store.find(image_id)
        try:
            yield present or self._add(state)
        finally:
            if present is None:
                self._forget(image_id)

    def diff(self, before: str, after: str) -> Difference:
        """What has to be done to the files of one state to get those of the other. Raises NotFound, StoreError."""
        with self._store.workspaces.hold():
            states = [self._states.find(name, images_first=True) for name in (before, after)]
            lower, upper = ([self._snapshots.path(layer.chain_id) for layer in self._layers(state)] for state in states)
            return difference(lower[::-1], upper[::-1])

    def _layers(self, state: State) -> list[Layer]:
        """The state's layers, lowest first. Raises StoreError without one of them."""
        found = [self._snapshots.get(chain_id) for chain_id in chain_ids(state.image.diff_ids)]
        layers = [layer for layer in found if layer is not None]
        if len(layers) < len(found):
            raise StoreError(f"the files of {state.name} aren't kept any more; build again to look at them")
        return layers

    def _add(self, state: State) -> Image:
        """The state, stored as an image."""
        with self._store.workspaces.hold():
            return self._store.add_image(state.image, [layer.descriptor for layer in self._layers(state)])

    def _forget(self, image_id: Digest) -> None:
        """Take the image away, if it is there, unless somebody has named it or uses it."""
        with suppress(NotFound, Conflict):
            if not self._store.get(image_id).references:
                self._store.remove(image_id)
