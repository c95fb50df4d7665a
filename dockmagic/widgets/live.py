"""A display that is renewed in place while a cell runs, at most ten times a second, and stays as it was at the end."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self
from uuid import uuid4

from IPython.display import display, update_display

INTERVAL_S = 0.1
Bundle = Mapping[str, str]


class LiveDisplay:
    """Shows what `bundle` gives (MIME type to data) from enter to exit.

    `bundle` is called from a thread of the display's own too; `touch` may be called from any. The thread runs in a copy
    of the cell's context, by which the kernel knows where its messages belong.
    """

    def __init__(self, bundle: Callable[[], Bundle], interval_s: float = INTERVAL_S) -> None:
        self._bundle = bundle
        self._interval_s = interval_s
        self._display_id = uuid4().hex
        self._shown: Bundle = {}
        self._touched = threading.Event()
        self._ended = threading.Event()
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._keep_showing,), daemon=True)

    def __enter__(self) -> Self:
        """Show the first state."""
        self._shown = self._bundle()
        display(dict(self._shown), raw=True, display_id=self._display_id)  # type: ignore[no-untyped-call]
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Show the last state."""
        self._ended.set()
        self._touched.set()
        self._thread.join()
        self._update()

    def touch(self) -> None:
        """Say that the state has changed; it is shown soon."""
        self._touched.set()

    def _keep_showing(self) -> None:
        """Renew after changes, and once a second so that running times go on."""
        while not self._ended.wait(self._interval_s):
            self._touched.wait(1.0)
            self._touched.clear()
            if not self._ended.is_set():
                self._update()

    def _update(self) -> None:
        bundle = self._bundle()
        if bundle != self._shown:
            self._shown = bundle
            update_display(dict(bundle), raw=True, display_id=self._display_id)  # type: ignore[no-untyped-call]
