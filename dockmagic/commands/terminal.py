"""A build, pull or push in a terminal, renewed in place: the pictures of the notebook as text.

While it runs, its last lines are in sight, as many as the terminal has; at the end all of it is written once. Where the
terminal became narrower meanwhile, its lines are taken to be wrapped. Source: ECMA-48, CUU, EL and ED.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from os import terminal_size
from types import TracebackType
from typing import Final, Self

from dockmagic.commands.progress import PlainProgress
from dockmagic.events import Event
from dockmagic.widgets.view import View, view_of

_INTERVAL_S: Final = 0.1
_COLUMNS, _LINES = 80, 24  # of a terminal that doesn't know its size


class LiveText:
    """Shows pictures as text from enter to exit; any thread may call it. `write` takes text to a terminal."""

    def __init__(
        self, write: Callable[[str], None], size: Callable[[], terminal_size] = shutil.get_terminal_size
    ) -> None:
        self._write = write
        self._size = size
        self._notes: list[str] = []  # what has no picture, above them all
        self._lines = PlainProgress(self._notes.append)
        self._views: dict[type[View], View] = {}
        self._shown: list[str] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_showing, daemon=True)

    def __enter__(self) -> Self:
        """Begin to show what events come to."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Show the last state in full."""
        self._ended.set()
        self._thread.join()
        for view in self._views.values():
            view.end(error)
        columns, _ = self._screen()
        self._renew(self._text(columns), columns)

    def __call__(self, event: Event) -> None:
        """Take an event."""
        kind = view_of(event)
        if kind is None:
            self._lines(event)
            return
        with self._lock:
            view = self._views.get(kind) or self._views.setdefault(kind, kind())
        view(event)

    def _keep_showing(self) -> None:
        while not self._ended.wait(_INTERVAL_S):
            columns, lines = self._screen()
            self._renew([line[: columns - 1] for line in self._text(columns, lines - 1)[1 - lines :]], columns)

    def _screen(self) -> tuple[int, int]:
        """The terminal's columns and lines, two of these at least."""
        columns, lines = self._size()
        return columns or _COLUMNS, max(lines or _LINES, 2)

    def _text(self, columns: int, most: int | None = None) -> list[str]:
        """All lines of all pictures, in the order in which these began; each picture has at most so many."""
        with self._lock:
            views = list(self._views.values())
        return [*self._notes, *(line for view in views for line in view.lines(columns, most))]

    def _renew(self, lines: list[str], columns: int) -> None:
        """Write the lines over those that were written before."""
        height = sum(max(1, -(-len(line) // columns)) for line in self._shown)
        up = f"\x1b[{height}A" if height else ""
        self._shown = lines
        text = "".join(f"{line}\x1b[K\n" for line in lines)
        if up or text:
            self._write(f"{up}{text}\x1b[J")
