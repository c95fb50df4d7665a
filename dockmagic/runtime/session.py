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

from dockmagic.errors import Detached
from dockmagic.runtime import protocol
from dockmagic.runtime.attach import Attachment, polite_signal
from dockmagic.runtime.detach import DetachKeys
from dockmagic.runtime.stdio import CHUNK, HIGH_WATER, Sink, await_event

OnOutput = Callable[[str, bytes], None]
ALONE: Final = Attachment()
LOOK_UP_S: Final = 0.1
PATIENCE_S: Final = 10.0  # between the polite signal and SIGKILL, as with `docker stop`


class Session:
    """Streams between this process and one in a container. Use it as a context manager: it closes what is its own.

    The descriptor of standard input stays the caller's; the container never gets it, only a pipe.
    """

    def __init__(self, on_output: OnOutput, attachment: Attachment = ALONE) -> None:
        self._on_output = on_output
        self._attachment = attachment
        self._stdin = attachment.stdin
        self._keys = DetachKeys(attachment.keys) if attachment.tty and attachment.keys else None
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
        self._detached = False

    def __enter__(self) -> Session:
        """Make the pipes; `streams` and `descriptors` are the container's ends."""
        ends = {}
        if self._stdin is not None:
            ends["stdin"], mine = self._pipe()
            self._own.remove(mine)
            self._input = Sink(mine)
            self._selector.register(self._stdin, selectors.EVENT_READ, self._on_input)
        for name in self._attachment.streams:
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
        (KeyboardInterrupt, whose argument may be a signal's number) is passed on to it, then SIGKILL after ten seconds
        or at the next interrupt; when the process has ended the interrupt goes on its way. Raises Detached where the
        user has left the process.
        """
        self._connection = connection
        for descriptor in self.descriptors:
            self._own.remove(descriptor)
            os.close(descriptor)
        self._selector.register(connection, selectors.EVENT_READ, self._hear)
        if self._attachment.controls is not None:
            self._selector.register(self._attachment.controls.bell, selectors.EVENT_READ, self._on_controls)
        while True:
            try:
                self._move()
                break
            except KeyboardInterrupt as interrupt:
                wanted = interrupt.args[0] if interrupt.args else signal.SIGINT
                owned = init and self._attachment.owner
                self._interrupt(polite_signal(pid, wanted) if owned else wanted)
        if self._detached:
            raise Detached
        if self._interrupts:
            raise KeyboardInterrupt
        return self._ended

    def _pipe(self) -> tuple[int, int]:
        ends = os.pipe2(os.O_CLOEXEC)
        self._own += ends
        return ends

    def _move(self) -> None:
        """Answer events until the end is told and all output has been read.

        An interrupt may come between any two steps, and this is called again: each step can be taken twice.
        """
        while not self._told or (self._ended is not None and self._open):
            for key, _ in self._selector.select(self._remaining()):
                key.data()
            if self._deadline is not None and time.monotonic() >= self._deadline:
                self._send(signal.SIGKILL)

    def _hear(self) -> None:
        """Take down what the monitor says of the end, or of our leaving; its own end, unless it has said something."""
        message = None
        with contextlib.suppress(OSError):
            message, _ = protocol.receive(self._connection)
        self._detached = message is not None and message["event"] == "detached"
        self._ended = None if self._detached else message or self._ended
        self._told = True
        self._selector.unregister(self._connection)

    def _on_controls(self) -> None:
        """Pass on what was asked for from elsewhere."""
        assert self._attachment.controls is not None
        for message in self._attachment.controls.take():
            self._ask(message)

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
            data = b""
            with contextlib.suppress(OSError):  # a terminal that has been hung up
                data = os.read(self._stdin, CHUNK)
            self._input_ended = not data
            leaving = False
            if self._keys is not None:
                data, leaving = self._keys.take(data)
            self._steer(self._input, self._input.write(data))
            if leaving:
                self._ask({"op": "detach"})

    def _on_writable(self) -> None:
        """The process takes more of its input."""
        if self._input is not None:
            self._steer(self._input, self._input.flush())

    def _steer(self, sink: Sink, alive: bool) -> None:
        """Wait for more input, or until the process takes what there is; at the end of either close the pipe."""
        assert self._stdin is not None
        more = alive and not self._input_ended
        await_event(
            self._selector, self._stdin, more and len(sink.pending) <= HIGH_WATER, selectors.EVENT_READ, self._on_input
        )
        await_event(self._selector, sink.descriptor, bool(sink.pending), selectors.EVENT_WRITE, self._on_writable)
        if not more and not sink.pending:
            self._input = None
            sink.close()
            if not self._attachment.streams:
                self._ask({"op": "detach", "finished": True})

    def _interrupt(self, polite: int) -> None:
        """Pass an interrupt on: the first one politely, any further one with force, or by leaving what isn't ours."""
        self._interrupts += 1
        if not self._attachment.proxy or (self._interrupts > 1 and not self._attachment.owner):
            self._ask({"op": "detach"})
            return
        number = polite if self._interrupts == 1 else signal.SIGKILL
        self._send(number)
        if self._attachment.owner and number != signal.SIGKILL:
            self._deadline = time.monotonic() + PATIENCE_S

    def _send(self, number: int) -> None:
        self._deadline = None
        self._ask({"op": "signal", "signal": number})

    def _ask(self, message: protocol.Message) -> None:
        """Ask something of the monitor, which may be gone."""
        with contextlib.suppress(OSError):
            protocol.send(self._connection, message)
