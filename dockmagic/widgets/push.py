"""A push as it goes: a bar for each layer, and the digest of each tag. PushView gives it as HTML and as text."""

from __future__ import annotations

import threading

from dockmagic.events import Event, PushFinished, PushProgress, PushStarted
from dockmagic.widgets.pull import DONE, layers_html, layers_text


class PushView:
    """The state of the pushes of a command; any thread may call any method."""

    def __init__(self) -> None:
        self._repository = ""
        self._layers: dict[str, PushProgress] = {}
        self._finished: list[PushFinished] = []
        self._error: BaseException | None = None
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        """Take an event of a push; others are passed over."""
        with self._lock:
            if isinstance(event, PushStarted):
                self._repository = event.repository
            elif isinstance(event, PushProgress):
                self._layers[event.digest] = event
            elif isinstance(event, PushFinished):
                self._finished.append(event)

    def end(self, error: BaseException | None = None) -> None:
        """Say that it is over; `error` is what ended it."""
        with self._lock:
            self._error = error

    def bundle(self) -> dict[str, str]:
        """The picture, by MIME type."""
        with self._lock:
            layers, summary = self._layers.values(), self._summary()
            return {"text/html": layers_html(layers, summary), "text/plain": layers_text(layers, summary)}

    def _summary(self) -> str:
        """The last line: how far the push is, or what it came to."""
        done = [f"{each.reference}: pushed, {each.digest}" for each in self._finished]
        if self._error is not None:
            how = "interrupted" if isinstance(self._error, KeyboardInterrupt) else "failed"
            return "; ".join([*done, how])
        ready = sum(layer.status in DONE for layer in self._layers.values())
        if done and ready == len(self._layers):
            return "; ".join(done)
        return f"{ready} of {len(self._layers)} layers to {self._repository}"
