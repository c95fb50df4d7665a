"""Consoles of the two kinds of shells: notebooks renew a picture in place, terminals get lines."""

from __future__ import annotations

import base64
import contextvars
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Final, Protocol

from dockmagic.commands.output import CappedStreams
from dockmagic.commands.progress import PlainProgress
from dockmagic.commands.table import Rolling
from dockmagic.events import (
    BuildFinished,
    BuildOutput,
    BuildStep,
    BuildWarning,
    ContainerOutput,
    Event,
    OnEvent,
    PullFinished,
    PullProgress,
)
from dockmagic.widgets.build import BuildView
from dockmagic.widgets.live import Bundle, LiveDisplay
from dockmagic.widgets.pull import PullView


class View(Protocol):
    """The state of a picture: fed with events, and told how its cause ended."""

    def __call__(self, event: Event) -> None:
        """Take an event."""

    def end(self, error: BaseException | None) -> None:
        """Say that it is over; `error` is what ended it."""

    def bundle(self) -> Bundle:
        """The picture, by MIME type."""


_VIEWS: Final[Mapping[type, type[View]]] = {
    BuildStep: BuildView,
    BuildOutput: BuildView,
    BuildWarning: BuildView,
    BuildFinished: BuildView,
    PullProgress: PullView,
    PullFinished: PullView,
}


class ShellConsole:
    """A console on the cell's output. `stdin` is the descriptor that a cell's body can be read from."""

    def __init__(self, *, in_notebook: bool, stdin: int | None = None) -> None:
        self.stdin = stdin
        self.stdout: int | None = None
        self._in_notebook = in_notebook
        self._streams = CappedStreams(sys.stdout, sys.stderr)

    def write(self, stream: str, data: bytes) -> None:
        """Show bytes that came from a container."""
        self._streams.write(stream, data)

    def close(self) -> None:
        """Show what the limit on output kept back."""
        self._streams.close()

    @contextmanager
    def watching(self) -> Iterator[OnEvent]:
        """Give a receiver that shows output as it comes, and builds and pulls as pictures."""
        with ExitStack() as stack:
            progress = _Pictures(stack) if self._in_notebook else PlainProgress(_print_line)
            receiver = _Receiver(self.write, progress)
            stack.callback(receiver.flush)
            yield receiver

    @contextmanager
    def renewing(self) -> Iterator[Callable[[object], None]]:
        """Give a function that shows a value in place of the one before; in a terminal they follow each other."""
        if not self._in_notebook:
            yield Rolling(_print_line)
            return
        values: deque[object] = deque([""], maxlen=1)
        with LiveDisplay(lambda: bundle_of(values[0])) as live:

            def show(value: object) -> None:
                values.append(value)
                live.touch()

            yield show


def bundle_of(value: object) -> Bundle:
    """A value's forms by MIME type, as IPython would show it; a picture comes in base64."""
    bundle = {"text/plain": str(value)}
    html, picture = getattr(value, "_repr_html_", None), getattr(value, "_repr_png_", None)
    if html is not None:
        bundle["text/html"] = html()
    if picture is not None:
        bundle["image/png"] = base64.b64encode(picture()).decode()
    return bundle


def _print_line(line: str) -> None:
    """Write a line of progress to the cell."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class _Receiver:
    """Sends output to the streams, from the thread that it was made in only, and the other events to `progress`."""

    def __init__(self, write: Callable[[str, bytes], None], progress: OnEvent) -> None:
        self._write = write
        self._progress = progress
        self._thread = threading.get_ident()
        self._waiting: deque[ContainerOutput] = deque()

    def __call__(self, event: Event) -> None:
        if not isinstance(event, ContainerOutput):
            self._progress(event)
            return
        self._waiting.append(event)
        if threading.get_ident() == self._thread:
            self.flush()

    def flush(self) -> None:
        """Write what other threads have left."""
        while self._waiting:
            event = self._waiting.popleft()
            self._write(event.stream, event.data)


class _Pictures:
    """Opens a picture for the first event of its kind; the pictures end with the stack. Any thread may call it."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._open: dict[type, tuple[View, LiveDisplay]] = {}
        self._lines = PlainProgress(_print_line)  # for what has no picture
        self._lock = threading.Lock()
        self._context = contextvars.copy_context()  # the cell's: where a display from another thread belongs

    def __call__(self, event: Event) -> None:
        kind = type(event)
        if kind not in _VIEWS:
            self._lines(event)
            return
        with self._lock:
            view, live = self._open.get(_VIEWS[kind]) or self._context.run(self._start, _VIEWS[kind])
        view(event)
        live.touch()

    def _start(self, kind: type[View]) -> tuple[View, LiveDisplay]:
        """A new picture, on display until the stack ends."""
        view = kind()
        live = self._stack.enter_context(LiveDisplay(view.bundle))
        self._stack.push(lambda _kind, error, _trace: view.end(error))
        self._open[kind] = view, live
        return view, live
