"""The process that serves a container's published ports, as long as the container runs.

The sockets of the host were opened by whoever started the container, and come through a channel. The process itself
lives in the container's network namespace: what it connects to is the container, whatever network that has.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final, NoReturn

from dockmagic.linux import process as p
from dockmagic.linux.interfaces import ipv4_addresses
from dockmagic.runtime import protocol
from dockmagic.runtime.ports.datagrams import Datagrams
from dockmagic.runtime.ports.loop import READABLE, Loop
from dockmagic.runtime.ports.redirection import AddressChanges, Port, Redirection
from dockmagic.runtime.ports.streams import Listener, Pipes

NAME: Final = "dockmagic-port"
LOOPBACK: Final = "127.0.0.1"
_MAX_DESCRIPTORS: Final = (1 << 31) - 1


class Forwarding:
    """The monitor's hold on the forwarder. It keeps the ports, too, so that a container that starts again has them."""

    def __init__(self, channel: int | None) -> None:
        """`channel` is a descriptor that the sockets come from, None for no ports."""
        self._pid = 0
        self._ports: list[Port] = []
        if channel is not None:
            with socket.socket(fileno=channel) as source:
                self._ports = list(_received(source))

    def begin(self, namespace: int) -> None:
        """Start a forwarder into the network namespace behind this descriptor. Raises OSError."""
        if not self._ports:
            return
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                _live(self._ports, namespace, parent)
            except BaseException:
                sys.excepthook(*sys.exc_info())  # to the launcher's log
            finally:
                os._exit(1)

    def end(self) -> None:
        """End the forwarder; the ports stay."""
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self._pid = 0

    def close(self) -> None:
        """End the forwarder; the ports are free afterwards."""
        self.end()
        for each in self._ports:
            each.front.close()
        self._ports.clear()


def _live(ports: Sequence[Port], namespace: int, parent: int) -> NoReturn:
    """In the new process: keep nothing of the monitor's, enter the container's network, give up all rights, serve."""
    p.set_name(NAME)
    p.prctl(p.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)
    _keep({namespace, *(each.front.fileno() for each in ports)})
    redirection = Redirection()
    p.setns(namespace, p.CLONE_NEWNET)
    os.close(namespace)
    gc.enable()
    loop = Loop()
    _serve(loop, ports)
    _redirect(loop, redirection, ports)
    _give_up_rights()
    loop.run()


def _keep(descriptors: Collection[int]) -> None:
    """Close all descriptors but those of the streams, and these."""
    first = 3
    for descriptor in sorted(descriptors):
        os.closerange(first, descriptor)
        first = descriptor + 1
    os.closerange(first, _MAX_DESCRIPTORS)


def _give_up_rights() -> None:
    """Have no capabilities, in this thread, and none again."""
    p.capset((), (), ())
    p.prctl(p.PR_SET_NO_NEW_PRIVS, 1)


def _received(channel: socket.socket) -> Iterator[Port]:
    """All that come through the channel, until its end."""
    while (received := protocol.receive(channel))[0] is not None:
        message, descriptors = received
        assert message is not None
        for port, descriptor in zip(message["ports"], descriptors, strict=True):
            yield Port(socket.socket(fileno=descriptor), port)


def _serve(loop: Loop, ports: Iterable[Port]) -> None:
    """Have what comes to the sockets of the host go to the container's ports."""
    pipes = Pipes()
    for each in ports:

        def target(port: int = each.port) -> tuple[str, int]:
            return container_address(), port

        if each.front.type == socket.SOCK_STREAM:
            Listener(loop, pipes, each.front, target)
        else:
            Datagrams(loop, each.front, target)


def _redirect(loop: Loop, redirection: Redirection, ports: Sequence[Port]) -> None:
    """Let the kernel do what it can, as long as the container's address stays what it is.

    It takes milliseconds to change rules. A thread waits for that, with the rights that this one is about to give up.
    """
    address = container_address()
    if address == LOOPBACK:
        redirection.close()
        return
    changes = AddressChanges(redirection.close)
    loop.watch(changes.fileno(), READABLE, changes.answer)
    threading.Thread(target=redirection.lead, args=(ports, address), daemon=True).start()


def container_address() -> str:
    """The first address of this network namespace that others see; that of the loopback where there is none."""
    found = (address for _, address in ipv4_addresses() if not address.startswith("127."))
    return next(found, LOOPBACK)
