"""How somebody is attached to a process: with which streams, and what can be done to it from elsewhere meanwhile."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import deque
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Final, Self

from dockmagic.oci.spec import ConsoleSize
from dockmagic.runtime import detach
from dockmagic.runtime.protocol import Message

OUTPUTS: Final = ("stdout", "stderr")


class Controls:
    """Requests for the process that a session follows; a signal handler or another thread may make them.

    Use it as a context manager, around the session.
    """

    def __init__(self) -> None:
        self._waiting: deque[Message] = deque()
        self.bell = -1

    def __enter__(self) -> Self:
        """Begin to take requests."""
        self.bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.bell)
        self.bell = -1

    def resize(self, size: ConsoleSize) -> None:
        """Give its terminal this size."""
        self._ask({"op": "resize", "height": size.height, "width": size.width})

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._ask({"op": "signal", "signal": number})

    def detach(self) -> None:
        """Leave it to itself, and end the session."""
        self._ask({"op": "detach"})

    def _ask(self, message: Message) -> None:
        self._waiting.append(message)
        if self.bell >= 0:
            os.eventfd_write(self.bell, 1)

    def take(self) -> list[Message]:
        """What was asked for since the last time, in order."""
        if self.bell >= 0:
            try:
                os.eventfd_read(self.bell)
            except BlockingIOError:
                return []
        return [self._waiting.popleft() for _ in range(len(self._waiting))]


@dataclass(frozen=True, slots=True)
class Attachment:
    """Which streams are connected, and how the session ends before the process does.

    `stdin` is a descriptor to read from; `keys` those that detach from a terminal, b"" for none. `proxy`: an interrupt
    reaches the process, else it only ends the session. `owner`: the process doesn't survive its second interrupt, as
    it is this session's; else that detaches.
    """

    stdin: int | None = None
    outputs: tuple[str, ...] = OUTPUTS
    keys: bytes = detach.parse(detach.DEFAULT)
    controls: Controls | None = None
    proxy: bool = True
    owner: bool = True
    tty: bool = False

    @property
    def streams(self) -> tuple[str, ...]:
        """Outputs that there are: a terminal has one."""
        return tuple(name for name in self.outputs if name == "stdout" or not self.tty)

    def reading(self, stdin: int | None) -> Attachment:
        """The same, reading from `stdin` where that is given."""
        return self if stdin is None else replace(self, stdin=stdin)


def polite_signal(pid: int, wanted: int = signal.SIGINT) -> int:
    """The wanted signal, SIGINT or SIGTERM, whichever the process has a handler for, else SIGKILL.

    Process 1 of a pid namespace doesn't get a signal that it has no handler for (pid_namespaces(7)), so that asking it
    politely would only be waiting.
    """
    caught = 0
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status") as file:
        caught = next(int(line.split()[1], 16) for line in file if line.startswith("SigCgt"))
    wishes: tuple[int, ...] = (wanted, signal.SIGINT, signal.SIGTERM)
    return next((number for number in wishes if caught >> (number - 1) & 1), signal.SIGKILL)
