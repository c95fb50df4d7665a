"""Opening a container's ports on the host, before anything of it runs. Source: socket(7), ip(7), ipv6(7).

The sockets travel through a channel to the forwarder, so that a port has an owner at any time: this process, the
channel, or the forwarder. Whatever ends, the kernel closes them.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from dockmagic.errors import Conflict, InvalidOption
from dockmagic.oci.codec import decode, encode
from dockmagic.oci.ports import ANY, PortBinding, Published, place
from dockmagic.runtime import protocol
from dockmagic.runtime.ports.holder import holder

FILE: Final = "ports.json"
_BATCH: Final = 100
_TRIES: Final = 20  # to find a port that is free at all addresses
_BACKLOG: Final = 4096
_TYPES: Final = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
_NOT_HERE: Final = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


@dataclass(slots=True)
class _Opened:
    """Sockets on their way: those in `waiting` haven't been sent yet."""

    channel: socket.socket
    published: list[Published] = field(default_factory=list)
    waiting: list[tuple[int, socket.socket]] = field(default_factory=list)

    def add(self, binding: PortBinding, sockets: Sequence[socket.socket]) -> None:
        """Take sockets that lead to the port."""
        for each in sockets:
            address, port = each.getsockname()[:2]
            self.published.append(Published(binding.port, binding.protocol, address, port))
            self.waiting.append((binding.port, each))
        if len(self.waiting) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Send what is waiting."""
        if self.waiting:
            ports = [port for port, _ in self.waiting]
            protocol.send(self.channel, {"ports": ports}, [each.fileno() for _, each in self.waiting])
            self.close()

    def close(self) -> None:
        """Close what is waiting."""
        for _, each in self.waiting:
            each.close()
        self.waiting.clear()


@contextlib.contextmanager
def opened(directory: str, bindings: Sequence[PortBinding]) -> Iterator[tuple[int, ...]]:
    """The end of a channel for the forwarder of these ports; none where there are no ports.

    What came of them is written into the container's run-time directory. Raises Conflict where a port is taken,
    InvalidOption for an address that isn't this host's.
    """
    if not bindings:
        yield ()
        return
    ours, theirs = protocol.seqpacket_pair()
    with theirs:
        found = _Opened(ours)
        try:
            with ours:
                for binding in bindings:
                    found.add(binding, _open(binding, found.published, directory))
                found.flush()
        finally:
            found.close()
        with open(f"{directory}/{FILE}", "w") as file:
            json.dump([encode(each) for each in found.published], file)
        yield (theirs.fileno(),)


def published(directory: str) -> tuple[Published, ...]:
    """The ports of a running container, by its run-time directory."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        with open(f"{directory}/{FILE}") as file:
            return tuple(decode(Published, each) for each in json.load(file))
    return ()


def _open(binding: PortBinding, present: Sequence[Published], directory: str) -> list[socket.socket]:
    """Sockets at one port of all addresses of the binding, the first port that is free; raises Conflict."""
    ports = range(binding.host_port, binding.last_host_port + 1) if binding.host_port else [0] * _TRIES
    for port in ports:
        try:
            return _open_at(binding, port)
        except OSError as error:
            taken = error
            if error.errno != errno.EADDRINUSE:
                break
    if any((each.protocol, each.host_port) == (binding.protocol, port) for each in present):
        raise InvalidOption(f"--publish: port {port}/{binding.protocol} of the host is asked for twice") from taken
    raise _explained(binding, taken, directory) from taken


def _open_at(binding: PortBinding, port: int) -> list[socket.socket]:
    """Sockets at this port, 0 for any that is free at the first address; raises OSError that names the place."""
    sockets: list[socket.socket] = []
    try:
        for address in binding.addresses:
            try:
                sockets.append(_socket(address, port, binding.protocol))
            except OSError as error:
                if address == ANY[1] and not binding.host_ip and error.errno in _NOT_HERE:
                    continue  # a host without IPv6
                raise OSError(error.errno, error.strerror, place(address, port)) from error
            port = sockets[0].getsockname()[1]
    except BaseException:
        for each in sockets:
            each.close()
        raise
    return sockets


def _socket(address: str, port: int, kind: str) -> socket.socket:
    """A socket bound to the place, which listens if it can; raises OSError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, _TYPES[kind])
    try:
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == "tcp":
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # not of connections that are over
        made.bind((address, port))
        if kind == "tcp":
            made.listen(_BACKLOG)
    except BaseException:
        made.close()
        raise
    return made


def _explained(binding: PortBinding, error: OSError, directory: str) -> Conflict | InvalidOption:
    """The error for a port that can't be had."""
    where = str(error.filename)
    if error.errno == errno.EADDRINUSE:
        who = holder(binding.protocol, where, os.path.dirname(os.path.dirname(directory)))
        return Conflict("port", binding.name, f"Bind for {where} failed: port is already allocated{who}")
    if error.errno == errno.EADDRNOTAVAIL:
        return InvalidOption(f"--publish: {binding.host_ip} isn't an address of this host; leave it out for all")
    return InvalidOption(f"--publish: cannot listen at {where}: {error.strerror}")
