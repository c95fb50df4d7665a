"""TCP connections through the forwarder: bytes move from socket to socket inside the kernel. Source: splice(2), tcp(7).

Of each direction the rest that the receiver can't take yet waits in a pipe, and no more is read meanwhile, so that the
sender waits, too. A pipe is borrowed only for as long as there is something in it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import struct
import time
from collections.abc import Callable
from typing import Final

from dockmagic.runtime.ports.loop import BOTH_EDGES, READABLE, Loop

_CHUNK: Final = 1 << 20
_TURNS: Final = 8  # chunks that one direction moves before others have their turn
_SPARE: Final = 32  # pipes
_PIPE_BYTES: Final = 256 << 10
_ACCEPTED: Final = 64  # connections in one turn
_IN_PROGRESS: Final = (errno.EINPROGRESS, errno.EALREADY)
_CONNECTED: Final = (0, errno.EISCONN)
_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_PAUSE_S: Final = 0.03
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER: close(2) resets
_KEEPALIVE: Final = ((socket.TCP_KEEPIDLE, 15), (socket.TCP_KEEPINTVL, 15), (socket.TCP_NODELAY, 1))

Pipe = tuple[int, int]


class Pipes:
    """Empty pipes, to be borrowed."""

    def __init__(self) -> None:
        self._spare: list[Pipe] = []

    def take(self) -> Pipe:
        """An empty pipe. Raises OSError."""
        if self._spare:
            return self._spare.pop()
        pipe = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        with contextlib.suppress(OSError):  # a user's pipes may be at their limit (pipe(7)): it stays smaller
            fcntl.fcntl(pipe[1], fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        return pipe

    def give(self, pipe: Pipe) -> None:
        """Take an empty pipe back."""
        if len(self._spare) < _SPARE:
            self._spare.append(pipe)
        else:
            close(pipe)


def close(pipe: Pipe) -> None:
    """Close both ends."""
    for end in pipe:
        os.close(end)


class Direction:
    """One direction of a connection."""

    __slots__ = ("_pending", "_pipe", "_pipes", "_source", "_target", "ended")

    def __init__(self, source: socket.socket, target: socket.socket, pipes: Pipes) -> None:
        self._source, self._target, self._pipes = source, target, pipes
        self._pipe: Pipe | None = None
        self._pending = 0
        self.ended = False  # the source has, and the target has been told

    def move(self) -> bool:
        """Move what can be moved; True where there may be more. Raises OSError where the connection is broken."""
        return all((self._pending or self._fill()) and self._drain() for _ in range(_TURNS))

    def _fill(self) -> bool:
        """Take what the source has; False where that is nothing."""
        if self.ended:
            return False
        pipe = self._pipe = self._pipes.take()
        try:
            self._pending = os.splice(self._source.fileno(), pipe[1], _CHUNK, flags=os.SPLICE_F_NONBLOCK)
            if not self._pending:
                self.ended = True
                self._target.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            pass
        finally:
            self._settle()
        return bool(self._pending)

    def _drain(self) -> bool:
        """Give it to the target; False where that can't take all of it now."""
        assert self._pipe is not None
        try:
            while self._pending:
                moved = os.splice(self._pipe[0], self._target.fileno(), self._pending, flags=os.SPLICE_F_NONBLOCK)
                self._pending -= moved
        except BlockingIOError:
            return False
        self._settle()
        return True

    def _settle(self) -> None:
        """Give the pipe back if it is empty."""
        if self._pipe is not None and not self._pending:
            self._pipes.give(self._pipe)
            self._pipe = None

    def close(self) -> None:
        """Forget what is on its way."""
        if self._pipe is not None:
            close(self._pipe)
            self._pipe = None


class Link:
    """A connection of a client, and the one to the container that goes with it."""

    def __init__(self, loop: Loop, pipes: Pipes, front: socket.socket, address: tuple[str, int]) -> None:
        """Begin to connect to the container; raises OSError."""
        self._loop, self._front, self._address = loop, front, address
        self._back = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._directions = Direction(front, self._back, pipes), Direction(self._back, front, pipes)
        self._connected = False
        self._watched: list[socket.socket] = []
        try:
            for end in (front, self._back):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                for option, value in _KEEPALIVE:
                    end.setsockopt(socket.IPPROTO_TCP, option, value)
            self._back.connect_ex(address)
            for end in (front, self._back):
                loop.watch(end.fileno(), BOTH_EDGES, self.answer)
                self._watched.append(end)
        except BaseException:
            self._close()
            raise

    def answer(self) -> bool:
        """Move what has come, either way; close both sides at the end, and reset both where one is broken."""
        if not self._connected and not self._connect():
            return False
        more = broken = False
        for direction in self._directions:
            try:
                more |= direction.move()
            except OSError:
                broken = True
        if broken:
            self._reset()
        elif all(direction.ended for direction in self._directions):
            self._close()
        else:
            return more
        return False

    def _connect(self) -> bool:
        """Whether the container has answered by now; where it refuses, the client's connection is closed."""
        code = self._back.connect_ex(self._address)
        self._connected = code in _CONNECTED
        if not self._connected and code not in _IN_PROGRESS:
            self._close()
        return self._connected

    def _reset(self) -> None:
        for end in (self._front, self._back):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._close()

    def _close(self) -> None:
        for end in self._watched:
            self._loop.forget(end.fileno())
        self._watched.clear()
        for direction in self._directions:
            direction.close()
        self._front.close()
        self._back.close()


class Listener:
    """A listening socket of the host; each connection to it gets one to the container."""

    def __init__(
        self, loop: Loop, pipes: Pipes, listener: socket.socket, target: Callable[[], tuple[str, int]]
    ) -> None:
        """`target` tells the container's address, as it is when a connection comes."""
        self._loop, self._pipes, self._listener, self._target = loop, pipes, listener, target
        listener.setblocking(False)
        loop.watch(listener.fileno(), READABLE, self._accept)

    def _accept(self) -> bool:
        """Take connections that wait; where there are no descriptors left, others have to end first."""
        for _ in range(_ACCEPTED):
            try:
                front, _ = self._listener.accept()
                self._link(front)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    time.sleep(_PAUSE_S)
        return False

    def _link(self, front: socket.socket) -> None:
        """Connect a client with the container; raises OSError, and the client's connection is closed."""
        try:
            front.setblocking(False)
            Link(self._loop, self._pipes, front, self._target())
        except BaseException:
            front.close()
            raise
