"""Files that are copied or packed: one line that says how far it is."""

from __future__ import annotations

import threading
from html import escape

from dockmagic.events import Event, FilesProgress
from dockmagic.widgets.style import NO_MATH
from dockmagic.widgets.text import printable, size_text


class FilesView:
    """How far work on files is; any thread may call any method."""

    def __init__(self) -> None:
        self._progress = FilesProgress("", 0)
        self._how = ""
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        """Take an event of such work; others are passed over."""
        if isinstance(event, FilesProgress):
            with self._lock:
                self._progress = event

    def end(self, error: BaseException | None = None) -> None:
        """Say that it is over; `error` is what ended it."""
        with self._lock:
            how = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            self._how = "done" if error is None else how

    def lines(self, columns: int, most: int | None = None) -> list[str]:
        """The picture as a line."""
        return [self.bundle()["text/plain"]]

    def bundle(self) -> dict[str, str]:
        """The picture, by MIME type."""
        with self._lock:
            so_far = self._how or size_text(self._progress.size_bytes)
            text = printable(f"{self._progress.what}: {so_far}")
        return {"text/html": f'<div {NO_MATH} style="opacity:.7">{escape(text)}</div>', "text/plain": text}
