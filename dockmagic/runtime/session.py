"""A process in the foreground: its streams move while it runs, and an interrupt reaches it as Ctrl-C would."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from dockmagic.runtime import protocol
from dockmagic.runtime.stdio import CHUNK, HIGH_WATER, Sink

OnOutput = Callable[[str, bytes], None]
LOOK_UP_S: Final = 0.1
PATIENCE_S: Final = 10.0  # between the polite signal and SIGKILL, as with `docker stop`


class Session:
    """Streams between this process and one in a container. Use it as a context manager: it closes what is its own.

    `stdin` is a descriptor to read from, which stays the caller's; the container never gets it, only a pipe.
    """

    def __init__(self, on_output: OnOutput, stdin: int | None = None) -> None:
        self._on_output = on_output
        self._stdin = stdin
        self._selector = selectors.PollSelector()
        self._own: list[int] = []
        self.streams: tuple[str, ...] = ()
        self.descriptors: tuple[int, ...] = ()
        self._input: Sink | None = None
        self._input_ended = False
        self._open: set[int] = set()
        self._ended: protocol.Message | None = None
        self._told = False
        self._deadline: float | None = None
        self._interrupts = 0

    def __enter__(self) -> Session:
        """Make the pipes; `streams` and `descriptors` are the container's ends."""
        ends = {}
        if self._stdin is not None:
            ends["stdin"], mine = self._pipe()
            self._own.remove(mine)
            self._input = Sink(mine)
            self._selector.register(self._stdin, selectors.EVENT_READ, self._on_input)
        for name in ("stdout", "stderr"):
            mine, ends[name] = self._pipe()
            self._selector.register(mine, selectors.EVENT_READ, partial(self._on_readable, name, mine))
            self._open.add(mine)
        self.streams, self.descriptors = tuple(ends), tuple(ends.values())
        return self

    def __exit__(self, *exception: object) -> None:
        self._selector.close()
        if self._input is not None:
            self._input.close()
        for descriptor in self._own:
            os.close(descriptor)

    def follow(self, connection: socket.socket, pid: int, *, init: bool = True) -> protocol.Message | None:
        """Move the streams until the process has ended; the message that says so, None where its monitor was lost.

        `pid` is the host's number of the process, `init` whether it is the container's process 1. An interrupt
        (KeyboardInterrupt) is passed on to it, then SIGKILL after ten seconds or at the next interrupt; when the
        process has ended the interrupt goes on its way.
        """
        for descriptor in self.descriptors:
            self._own.remove(descriptor)
            os.close(descriptor)
        self._selector.register(connection, selectors.EVENT_READ, partial(self._hear, connection))
        while True:
            try:
                self._move(connection)
                break
            except KeyboardInterrupt:
                self._interrupt(connection, polite_signal(pid) if init else signal.SIGINT)
        if self._interrupts:
            raise KeyboardInterrupt
        return self._ended

    def _pipe(self) -> tuple[int, int]:
        ends = os.pipe2(os.O_CLOEXEC)
        self._own += ends
        return ends

    def _move(self, connection: socket.socket) -> None:
        """Answer events until the end is told and all output has been read.

        An interrupt may come between any two steps, and this is called again: each step can be taken twice.
        """
        while not self._told or (self._ended is not None and self._open):
            for key, _ in self._selector.select(self._remaining()):
                key.data()
            if self._deadline is not None and time.monotonic() >= self._deadline:
                self._send(connection, signal.SIGKILL)

    def _hear(self, connection: socket.socket) -> None:
        """Take down what the monitor says of the end; its own end, unless it has said something before."""
        with contextlib.suppress(OSError):
            self._ended = protocol.receive(connection)[0] or self._ended
        self._told = True
        self._selector.unregister(connection)

    def _remaining(self) -> float | None:
        """How long to wait for an event, s. A thread has to look up: no signal ends its waiting."""
        most = None if threading.current_thread() is threading.main_thread() else LOOK_UP_S
        if self._deadline is None:
            return most
        return min(max(0.0, self._deadline - time.monotonic()), most or PATIENCE_S)

    def _on_readable(self, name: str, descriptor: int) -> None:
        data = os.read(descriptor, CHUNK)
        if data:
            self._on_output(name, data)
            return
        self._open.discard(descriptor)
        self._selector.unregister(descriptor)

    def _on_input(self) -> None:
        """Read some of our standard input for the process."""
        assert self._stdin is not None
        if self._input is not None:  # else it was closed by what happened at the same time
            data = os.read(self._stdin, CHUNK)
            self._input_ended = not data
            self._steer(self._input, self._input.write(data))

    def _on_writable(self) -> None:
        """The process takes more of its input."""
        if self._input is not None:
            self._steer(self._input, self._input.flush())

    def _steer(self, sink: Sink, alive: bool) -> None:
        """Wait for more input, or until the process takes what there is; at the end of either close the pipe."""
        assert self._stdin is not None
        more = alive and not self._input_ended
        self._await(self._stdin, more and len(sink.pending) <= HIGH_WATER, selectors.EVENT_READ, self._on_input)
        self._await(sink.descriptor, bool(sink.pending), selectors.EVENT_WRITE, self._on_writable)
        if not more and not sink.pending:
            self._input = None
            sink.close()

    def _await(self, descriptor: int, wanted: bool, event: int, answer: Callable[[], None]) -> None:
        """Begin or cease to wait for the event."""
        waiting = descriptor in self._selector.get_map()
        if wanted and not waiting:
            self._selector.register(descriptor, event, answer)
        elif waiting and not wanted:
            self._selector.unregister(descriptor)

    def _interrupt(self, connection: socket.socket, polite: int) -> None:
        """Pass an interrupt on: the first one politely, any further one with force."""
        self._interrupts += 1
        number = polite if self._interrupts == 1 else signal.SIGKILL
        self._send(connection, number)
        self._deadline = None if number == signal.SIGKILL else time.monotonic() + PATIENCE_S

    def _send(self, connection: socket.socket, number: int) -> None:
        self._deadline = None
        with contextlib.suppress(OSError):
            protocol.send(connection, {"op": "signal", "signal": number})


def polite_signal(pid: int) -> int:
    """SIGINT or SIGTERM, whichever the process has a handler for, else SIGKILL.

    Process 1 of a pid namespace doesn't get a signal that it has no handler for (pid_namespaces(7)), so that asking it
    politely would only be waiting.
    """
    caught = 0
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status") as file:
        caught = next(int(line.split()[1], 16) for line in file if line.startswith("SigCgt"))
    return next((n for n in (signal.SIGINT, signal.SIGTERM) if caught >> (n - 1) & 1), signal.SIGKILL)
