"""Consoles of the two kinds of shells: notebooks renew a picture in place, terminals get lines."""

from __future__ import annotations

import base64
import contextvars
import getpass
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Final

from dockmagic.commands.human import short_id
from dockmagic.commands.output import CappedStreams
from dockmagic.commands.progress import PlainProgress
from dockmagic.commands.progress_style import ProgressStyle, in_lines
from dockmagic.commands.table import Rolling
from dockmagic.commands.terminal import LiveText
from dockmagic.events import ContainerCreated, ContainerOutput, Event, OnEvent
from dockmagic.magics.overflow import Overflow
from dockmagic.oci.spec import ConsoleSize
from dockmagic.widgets.live import Bundle, LiveDisplay
from dockmagic.widgets.view import View, view_of

if TYPE_CHECKING:
    from dockmagic.runtime.attach import Attachment, Controls

CELL: Final = ConsoleSize(height=24, width=80)


class ShellConsole:
    """A console on the cell's output. `stdin` is the descriptor that a cell's body can be read from.

    `embeds`: the front-end shows widgets.
    """

    def __init__(self, *, in_notebook: bool, stdin: int | None = None, embeds: bool = False) -> None:
        self.stdin = stdin
        self.stdout: int | None = None
        self.typing = False
        self.embeds = embeds
        self._in_notebook = in_notebook
        self._streams = CappedStreams(sys.stdout, sys.stderr, silent=in_notebook)
        self._overflow = Overflow(self._streams) if in_notebook else None

    def write(self, stream: str, data: bytes) -> None:
        """Show bytes that came from a container."""
        self._streams.write(stream, data)
        if self._overflow is not None:
            self._overflow.follow()

    def close(self) -> None:
        """Show what the limit on output kept back."""
        if self._overflow is not None:
            self._overflow.close()
        self._streams.close()

    def _note(self, event: Event) -> None:
        """Remember which log has what isn't shown."""
        if isinstance(event, ContainerCreated) and event.logged:
            self._streams.hint = f"logs {short_id(event.container_id)} shows all"

    @contextmanager
    def watching(self, style: ProgressStyle | None = None) -> Iterator[OnEvent]:
        """Give a receiver that shows output as it comes, and builds and pulls as pictures, or in another style."""
        with ExitStack() as stack:
            receiver = _Receiver(self.write, self._note, self._progress(style, stack))
            stack.callback(receiver.flush)
            yield receiver

    def _progress(self, style: ProgressStyle | None, stack: ExitStack) -> OnEvent:
        """What shows builds and pulls, until the stack ends. Raises InvalidOption."""
        live = style is ProgressStyle.TTY or (style is ProgressStyle.AUTO and sys.stdout.isatty())
        if self._in_notebook and (style in {None, ProgressStyle.AUTO} or live):
            return _Pictures(stack)
        if live:
            return stack.enter_context(LiveText(_print))
        return _Lines(in_lines(style, lambda line: self.write("stdout", f"{line}\n".encode())))

    def ask(self, prompt: str, *, secret: bool = False) -> str | None:
        """Ask with the front-end's own field, or at the terminal; neither the cell nor the history keeps the answer.

        None where the front-end has no such field, or nobody sits there.
        """
        if not self._in_notebook and not sys.stdin.isatty():
            return None
        try:
            return getpass.getpass(prompt) if secret else input(prompt)  # in a notebook both are the kernel's
        except (EOFError, NotImplementedError):
            return None

    def window(self) -> ConsoleSize | None:
        """The size that a cell's output is good for."""
        return CELL

    def given_over(self, controls: Controls, *, raw: bool, proxy: bool) -> AbstractContextManager[None]:
        """Nothing to give: a cell has no terminal, and interrupts come as they always do."""
        return nullcontext()

    def embed(self, title: str, follow: Callable[[Attachment, OnEvent], int], wanted: Attachment) -> None:
        """Open a terminal under the cell. Raises what starting the process raises."""
        from dockmagic.magics.embedded import Embedded  # widgets take long to import

        Embedded(title, follow, wanted, CELL).open()

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


def _print(text: str) -> None:
    """Write text to the cell at once."""
    sys.stdout.write(text)
    sys.stdout.flush()


def _print_line(line: str) -> None:
    """Write a line of progress to the cell."""
    _print(f"{line}\n")


class _Receiver:
    """Sends output to the streams, from the thread that it was made in only, and the other events to `progress`."""

    def __init__(self, write: Callable[[str, bytes], None], note: OnEvent, progress: OnEvent) -> None:
        self._write = write
        self._note = note
        self._progress = progress
        self._thread = threading.get_ident()
        self._waiting: deque[ContainerOutput] = deque()

    def __call__(self, event: Event) -> None:
        if not isinstance(event, ContainerOutput):
            self._note(event)
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


class _Lines:
    """Gives events to `progress`, which writes to the cell's streams, one at a time. Any thread may call it."""

    def __init__(self, progress: OnEvent) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._context = contextvars.copy_context()  # the cell's: by it the kernel knows where text belongs

    def __call__(self, event: Event) -> None:
        with self._lock:
            self._context.run(self._progress, event)


class _Pictures:
    """Opens a picture for the first event of its kind; the pictures end with the stack. Any thread may call it."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._open: dict[type[View], tuple[View, LiveDisplay]] = {}
        self._lines = PlainProgress(_print_line)  # for what has no picture
        self._lock = threading.Lock()
        self._context = contextvars.copy_context()  # the cell's: where a display from another thread belongs

    def __call__(self, event: Event) -> None:
        kind = view_of(event)
        if kind is None:
            self._lines(event)
            return
        with self._lock:
            view, live = self._open.get(kind) or self._context.run(self._start, kind)
        view(event)
        live.touch()

    def _start(self, kind: type[View]) -> tuple[View, LiveDisplay]:
        """A new picture, on display until the stack ends."""
        view = kind()
        live = self._stack.enter_context(LiveDisplay(view.bundle))
        self._stack.push(lambda _kind, error, _trace: view.end(error))
        self._open[kind] = view, live
        return view, live
