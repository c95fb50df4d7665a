"""The user's own terminal while a process in a container has it: raw, its size and signals passed on.

Source: termios(3), "Raw mode"; ioctl_tty(2), TIOCGWINSZ; `docker run --sig-proxy`.
"""

from __future__ import annotations

import os
import signal
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Final

from dockmagic.oci.spec import ConsoleSize

if TYPE_CHECKING:
    from dockmagic.runtime.attach import Controls

_PROXIED: Final = (
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGALRM,
    signal.SIGVTALRM,
    signal.SIGPROF,
    signal.SIGIO,
    signal.SIGPWR,
    signal.SIGXCPU,
)
"""Signals that are passed on as they are; INT, TERM and HUP are interrupts, which the session passes on."""


def window(*descriptors: int) -> ConsoleSize | None:
    """Size of the first of these that is a terminal and knows its size."""
    for descriptor in descriptors:
        try:
            columns, lines = os.get_terminal_size(descriptor)
        except OSError:
            continue
        if columns and lines:
            return ConsoleSize(lines, columns)
    return None


@contextmanager
def raw(descriptor: int) -> Iterator[None]:
    """Every key goes to the reader as it is, and nothing is echoed; as it was before at the end, whatever that is."""
    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor, termios.TCSANOW)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


@contextmanager
def forwarding(controls: Controls, size: Callable[[], ConsoleSize | None], *, proxy: bool) -> Iterator[None]:
    """Pass a changed `size` on, and with `proxy` signals; only the main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_signal(number: int, frame: FrameType | None) -> None:
        controls.signal(number)

    def on_change(number: int, frame: FrameType | None) -> None:
        now = size()
        if now is not None:
            controls.resize(now)

    before = {number: signal.signal(number, on_signal) for number in (_PROXIED if proxy else ())}
    before[signal.SIGWINCH] = signal.signal(signal.SIGWINCH, on_change)
    on_change(signal.SIGWINCH, None)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
