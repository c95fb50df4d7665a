"""A push as it goes: a bar for each layer, and the digest of each tag. PushView gives it as HTML and as text."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from dockmagic.events import Event, PushFinished, PushProgress, PushStarted
from dockmagic.widgets.transfer import TransferView

PUSH_WORDS: Final = {
    "preparing": "Preparing",
    "waiting": "Waiting",
    "uploading": "Pushing",
    "retrying": "Retrying",
    "pushed": "Pushed",
    "exists": "Layer already exists",
    "mounted": "Mounted",
    "skipped": "Skipped foreign layer",
}
"""What docker push calls a layer's status."""


class PushView(TransferView):
    """The state of the pushes of a command."""

    words = PUSH_WORDS
    progress = PushProgress

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self._finished: list[PushFinished] = []

    def _hear(self, event: Event) -> bool:
        if isinstance(event, PushStarted):
            self._subject = event.repository
        if isinstance(event, PushFinished):
            self._finished.append(event)
        return isinstance(event, PushFinished)

    def _results(self) -> list[str]:
        """Tag and digest of each, as docker push says it."""
        return [
            f"{each.reference.rpartition(':')[2]}: digest: {each.digest} size: {each.size_bytes}"
            for each in self._finished
        ]
