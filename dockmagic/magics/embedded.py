"""A process in the background of the notebook, with a terminal under the cell that started it.

Cells block messages of the page, so that the cell ends at once and the terminal lives on; when the process has ended,
its last screen stays as text.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from html import escape
from typing import Any, Final
from uuid import uuid4

from IPython.display import display, update_display

from dockmagic.commands.output import Tail
from dockmagic.errors import Detached, DockmagicError
from dockmagic.events import ContainerOutput, ContainerStarted, ContainerWarning, Event, OnEvent
from dockmagic.oci.spec import ConsoleSize
from dockmagic.runtime.attach import Attachment, Controls
from dockmagic.widgets.live import Bundle
from dockmagic.widgets.style import FAINT
from dockmagic.widgets.terminal import TerminalWidget, last_screen

Follow = Callable[[Attachment, OnEvent], int]
HISTORY_BYTES: Final = 256 << 10
MOST_WAITING_BYTES: Final = 64 << 10
INTERVAL_S: Final = 0.03
BEGIN_S: Final = 1.0  # by then a process has said something, or is a quiet one
PATIENCE_S: Final = 2.0


class Outlet:
    """Bytes on their way to the page: gathered for a moment, and no more at a time than a page can show.

    Who writes more waits. A thread of its own sends.
    """

    def __init__(self, send: Callable[[str, bytes], None]) -> None:
        self.history = Tail(HISTORY_BYTES)
        self._send = send
        self._waiting = bytearray()
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=contextvars.copy_context().run, args=(self._work,), daemon=True)
        self._thread.start()

    def write(self, data: bytes) -> None:
        """Take bytes; waits while there are many."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) < MOST_WAITING_BYTES)
            self._waiting += data
            self._changed.notify_all()

    def repeat(self) -> None:
        """Send everything again, for a page that has just come."""
        with self._changed:
            self._send("history", self.history.last())

    def close(self) -> None:
        """Send the rest and end."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._thread.join()

    def _work(self) -> None:
        while not (self._ended and not self._waiting):
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ended)
            time.sleep(INTERVAL_S)
            with self._changed:
                data = bytes(self._waiting)
                self._waiting.clear()
                self.history.add(data)
                if data:
                    self._send("output", data)
                self._changed.notify_all()


class Embedded:
    """A process that `follow` starts and sees through to its end, and its terminal in the page."""

    def __init__(self, title: str, follow: Follow, wanted: Attachment, size: ConsoleSize) -> None:
        self._follow = follow
        self._wanted = wanted
        self._size = size
        self._controls = Controls()
        self._widget = TerminalWidget(title=title)
        self._widget.hear(self._on_message)
        self._outlet = Outlet(self._widget.say)
        self._display_id = uuid4().hex
        self._begun = threading.Event()
        self._failure: DockmagicError | None = None
        self._lock = threading.Lock()
        self._input = -1
        self._end: Bundle | None = None
        self._shown = False
        context = contextvars.copy_context()  # the cell's: by it the kernel knows where displays belong
        self._thread = threading.Thread(target=context.run, args=(self._see_through,), daemon=True)

    def open(self) -> None:
        """Start the process, and show its terminal; raises what starting it raises."""
        self._thread.start()
        try:
            self._begun.wait(BEGIN_S)
        except BaseException:
            self._hang_up()
            raise
        with self._lock:
            if self._failure is not None:
                raise self._failure
            bundle = self._end or self._widget.bundle()
            display(dict(bundle), raw=True, display_id=self._display_id)  # type: ignore[no-untyped-call]  # lacks types
            self._shown = True

    def _see_through(self) -> None:
        """The thread: from the start of the process to the last picture of its screen."""
        source, self._input = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._input, False)
        try:
            with self._controls as controls:
                wanted = replace(self._wanted, stdin=source, tty=True, controls=controls)
                end = f"ended with {self._follow(wanted, self._receive)}"
        except Detached:
            end = "detached; it goes on"
        except DockmagicError as error:
            self._failure = None if self._begun.is_set() else error
            end = str(error)
        finally:
            with self._lock:
                os.close(source)
                os.close(self._input)
                self._input = -1
        self._finish(end)

    def _finish(self, end: str) -> None:
        """Put the last screen in the terminal's place."""
        self._outlet.close()
        with self._lock:
            self._end = ended_bundle(self._outlet.history.last(), self._size, end)
            if self._shown:
                update_display(dict(self._end), raw=True, display_id=self._display_id)  # type: ignore[no-untyped-call]  # lacks types
            self._widget.close()
        self._begun.set()

    def _receive(self, event: Event) -> None:
        """Show what the process writes."""
        if isinstance(event, ContainerOutput):
            self._outlet.write(event.data)
        elif isinstance(event, ContainerWarning):
            self._outlet.write(f"WARNING: {event.message}\r\n".encode())
        if isinstance(event, ContainerStarted | ContainerOutput):
            self._begun.set()

    def _on_message(self, content: Mapping[str, Any]) -> None:
        """Do what the page asks for."""
        match content:
            case {"kind": "input", "data": str(text)}:
                self._type(text.encode())
            case {"kind": "binary", "data": str(text)}:
                self._type(text.encode("latin-1", "replace"))
            case {"kind": "ready" | "resize" as kind, "rows": int(rows), "columns": int(columns)}:
                self._size = ConsoleSize(height=rows, width=columns)
                self._controls.resize(self._size)
                if kind == "ready":
                    self._outlet.repeat()
            case {"kind": "close"}:
                self._hang_up()

    def _type(self, data: bytes) -> None:
        """Give the process input; what is pasted beyond what it may lag behind is lost."""
        with self._lock, contextlib.suppress(BlockingIOError):
            while self._input >= 0 and data:
                data = data[os.write(self._input, data) :]

    def _hang_up(self) -> None:
        """End the process as the end of its terminal would, and for certain a little later."""
        self._controls.signal(signal.SIGHUP)
        timer = threading.Timer(PATIENCE_S, self._controls.signal, (signal.SIGKILL,))
        timer.daemon = True
        timer.start()


def ended_bundle(data: bytes, size: ConsoleSize, end: str) -> Bundle:
    """What stays of a terminal: its last screen, and how its process ended."""
    text, html = last_screen(data, size)
    return {
        "text/plain": f"{text}\n[{end}]",
        "text/html": f'{html}<div style="{FAINT};font-size:12px">{escape(end)}</div>',
    }
