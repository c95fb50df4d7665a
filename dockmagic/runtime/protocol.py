"""Messages between the engine, the launcher, a monitor and init: JSON objects with descriptors beside them.

    engine                 launcher              monitor                init
      |-- (connects) -------->|                     |                     |    a lease: stay while it is open
      |-- start, descriptors ---------------------->|                     |    whichever of those that wait accepts it
      |                       |                     |-- spec, sources --->|
      |                       |                     |<- ready | failed ---|
      |                       |                     |-- go -------------->|
      |<- started | failed -------------------------|<- failed | EOF -----|    EOF: execve(2) went well
      |<- exited -----------------------------------|
      |-- wait, signal, exec, state --------------->|                          over the monitor's own socket
      |-- bye --------------->|

All sockets are SOCK_SEQPACKET, so that a message is one packet. A spec can be larger than a packet and travels in a
memory file (memfd_create(2)).
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
from array import array
from collections.abc import Sequence
from typing import Any, Final

from dockmagic.errors import Failure

MAX_MESSAGE: Final = 64 * 1024
MAX_DESCRIPTORS: Final = 200
Message = dict[str, Any]


def send(connection: socket.socket, message: Message, descriptors: Sequence[int] = ()) -> None:
    """Send one message; raises OSError where nobody listens any more."""
    socket.send_fds(connection, [json.dumps(message).encode()], list(descriptors), socket.MSG_NOSIGNAL)


def tell(connection: socket.socket, message: Message) -> None:
    """Send one message to somebody who may be gone."""
    with contextlib.suppress(OSError):
        send(connection, message)


def receive(connection: socket.socket) -> tuple[Message | None, list[int]]:
    """Next message and its descriptors, close-on-exec and owned by the caller; None at the end of the connection.

    Raises OSError, EMFILE where this process can't have so many descriptors.
    """
    # socket.recv_fds drops its flags argument before Python 3.12, and with it close-on-exec.
    space = socket.CMSG_LEN(MAX_DESCRIPTORS * array("i").itemsize)
    data, ancillary, flags, _ = connection.recvmsg(MAX_MESSAGE, space, socket.MSG_CMSG_CLOEXEC)
    descriptors = array("i")
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
    if flags & socket.MSG_CTRUNC:
        for descriptor in descriptors:
            os.close(descriptor)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    return (json.loads(data) if data else None), list(descriptors)


def seqpacket_pair() -> tuple[socket.socket, socket.socket]:
    """Two connected sockets that keep messages apart."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def connect(path: str) -> socket.socket:
    """Connection to the socket at `path`; raises OSError (ENOENT, ECONNREFUSED) where nobody listens."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.connect(path)
    except OSError:
        connection.close()
        raise
    return connection


def listen(path: str) -> socket.socket:
    """Socket that listens at `path`; one left there by a dead process is replaced.

    It gets this name when it listens already, so that a refused connection always means a dead process.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{path}.new")
    listener.bind(f"{path}.new")
    listener.listen(64)
    os.rename(f"{path}.new", path)
    return listener


def memory_file(data: bytes) -> int:
    """Descriptor of a memory file with this content, at its beginning."""
    descriptor = os.memfd_create("dockmagic", os.MFD_CLOEXEC)
    os.write(descriptor, data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def read_memory_file(descriptor: int) -> bytes:
    """The whole content, wherever the descriptor stands."""
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)


def failed(failure: Failure) -> Message:
    """The message that reports a failure."""
    return {"event": "failed", "stage": failure.stage, "errno": failure.errno, "reason": failure.reason}


def failure(message: Message) -> Failure:
    """The failure that such a message reports."""
    return Failure(message["stage"], message["errno"], message["reason"])
