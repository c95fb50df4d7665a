"""Netlink: messages, attributes, and a socket that sends them in batches.

A batch is one system call, whatever is in it, which is what makes it quick. Nothing here is of a third party, so that
the launcher's side can use it. Source: netlink(7), linux/netlink.h.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

NETLINK_ROUTE: Final = 0
NETLINK_NETFILTER: Final = 12

NLM_F_REQUEST: Final = 0x1
NLM_F_ACK: Final = 0x4
NLM_F_DUMP: Final = 0x300
NLM_F_REPLACE: Final = 0x100
NLM_F_EXCL: Final = 0x200
NLM_F_CREATE: Final = 0x400
NLM_F_APPEND: Final = 0x800
NLMSG_ERROR: Final = 2
NLMSG_DONE: Final = 3
NLA_F_NESTED: Final = 0x8000
NLA_TYPE_MASK: Final = 0x3FFF

SIOCGIFINDEX: Final = 0x8933

_HEADER: Final = struct.Struct("=IHHII")
_ATTRIBUTE: Final = struct.Struct("=HH")
_MOST_BYTES: Final = 1 << 16
_PATIENCE_S: Final = 10


@dataclass(frozen=True, slots=True)
class Message:
    """A request: its type, its flags beside NLM_F_REQUEST, and what follows the header.

    `what` says in words what it does, for errors.
    """

    type: int
    flags: int
    body: bytes
    what: str = ""


def attribute(kind: int, value: bytes) -> bytes:
    """An attribute, padded to four bytes."""
    return _ATTRIBUTE.pack(4 + len(value), kind) + value + bytes(-len(value) % 4)


def nest(kind: int, *attributes: bytes) -> bytes:
    """An attribute that holds others."""
    return attribute(kind | NLA_F_NESTED, b"".join(attributes))


def text(kind: int, value: str) -> bytes:
    """An attribute that is a string."""
    return attribute(kind, value.encode() + b"\0")


def attributes(data: bytes) -> dict[int, bytes]:
    """The attributes in these bytes, by their kinds."""
    found, place = {}, 0
    while place + 4 <= len(data):
        size, kind = _ATTRIBUTE.unpack_from(data, place)
        if size < 4:
            break
        found[kind & NLA_TYPE_MASK] = data[place + 4 : place + size]
        place += size + (-size % 4)
    return found


class Netlink:
    """A socket to the kernel. It belongs to the network namespace of the thread that opened it, wherever it is used."""

    def __init__(self, protocol: int = NETLINK_ROUTE) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", _PATIENCE_S, 0))
        self._sequence = 0

    def __enter__(self) -> Netlink:
        """The socket itself; it is closed when the block ends."""
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it; it lets its network namespace go."""
        self._socket.close()

    def send(self, messages: Sequence[Message], *, trailer: Message | None = None) -> None:
        """Have all the messages fulfilled, in this order; raises OSError for the first that isn't, after all the rest.

        The last one is acknowledged, whereas of the others only failures are told; a `trailer` never is.
        """
        first, last = self._sequence + 1, self._sequence + len(messages)
        data = [self._packed(message, NLM_F_ACK * (message is messages[-1])) for message in messages]
        data += [self._packed(trailer, 0)] if trailer else []
        self._socket.sendto(b"".join(data), (0, 0))
        failed: OSError | None = None
        for kind, sequence, body in self._answers():
            if kind == NLMSG_ERROR and first <= sequence <= last:
                code = -struct.unpack_from("=i", body)[0]
                if code and failed is None:
                    failed = OSError(code, f"{messages[sequence - first].what}: {os.strerror(code)}")
                if sequence == last:
                    break
        if failed is not None:
            raise failed

    def ask(self, message: Message) -> Iterator[bytes]:
        """Bodies of the answers to a request: one, or with NLM_F_DUMP any number. Raises OSError."""
        self._socket.sendto(self._packed(message, 0), (0, 0))
        for kind, sequence, body in self._answers():
            if sequence != self._sequence:
                continue
            if kind == NLMSG_ERROR:
                code = -struct.unpack_from("=i", body)[0]
                if code:
                    raise OSError(code, f"{message.what}: {os.strerror(code)}")
            if kind in (NLMSG_DONE, NLMSG_ERROR):
                return
            yield body
            if message.flags & NLM_F_DUMP != NLM_F_DUMP:
                return

    def index(self, name: str) -> int:
        """Number of the interface with this name in the socket's namespace, 0 where there is none."""
        request = struct.pack("16si20x", name.encode(), 0)
        try:
            return int(struct.unpack_from("16si", fcntl.ioctl(self._socket, SIOCGIFINDEX, request))[1])
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
            return 0

    def _packed(self, message: Message, more: int) -> bytes:
        self._sequence += 1
        size = _HEADER.size + len(message.body)
        head = _HEADER.pack(size, message.type, message.flags | NLM_F_REQUEST | more, self._sequence, 0)
        return head + message.body + bytes(-size % 4)

    def _answers(self) -> Iterator[tuple[int, int, bytes]]:
        """Type, sequence number and body of every message that comes, without end."""
        while True:
            yield from unpacked(self._socket.recv(_MOST_BYTES))


def unpacked(data: bytes) -> Iterable[tuple[int, int, bytes]]:
    """Type, sequence number and body of the messages in a datagram."""
    place = 0
    while place + _HEADER.size <= len(data):
        size, kind, _, sequence, _ = _HEADER.unpack_from(data, place)
        yield kind, sequence, data[place + _HEADER.size : place + size]
        place += size + (-size % 4)
