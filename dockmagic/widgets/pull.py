"""A pull as it goes: a bar for each layer. PullView takes events and gives the picture as HTML and as text."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from dockmagic.events import Event, PullFinished, PullProgress, PullStarted
from dockmagic.widgets.transfer import TransferView

PULL_WORDS: Final = {
    "waiting": "Waiting",
    "downloading": "Downloading",
    "retrying": "Retrying",
    "downloaded": "Download complete",
    "extracting": "Extracting",
    "exists": "Already exists",
    "complete": "Pull complete",
    "loaded": "Loaded",
}
"""What docker pull calls a layer's status."""


class PullView(TransferView):
    """The state of the pulls of a command, maybe for a build's FROM, or of a load."""

    words = PULL_WORDS
    progress = PullProgress

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self._finished: list[PullFinished] = []

    def _hear(self, event: Event) -> bool:
        if isinstance(event, PullStarted):
            self._subject = event.name
        if isinstance(event, PullFinished):
            self._finished.append(event)
        return isinstance(event, PullFinished)

    def _results(self) -> list[str]:
        """The digest, and what is new, as docker pull says it."""
        lines = []
        for each in self._finished:
            news = "Downloaded newer image" if each.updated else "Image is up to date"
            lines += [f"Digest: {each.digest}", f"Status: {news} for {each.reference}"]
        return lines
