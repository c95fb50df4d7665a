"""UDP through the forwarder, between sockets of one process."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dockmagic.runtime.ports import datagrams
from dockmagic.runtime.ports.datagrams import IDLE_S, Datagrams
from dockmagic.runtime.ports.loop import Loop


def bound(address: str = "127.0.0.1") -> socket.socket:
    """A socket at any port."""
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    made.settimeout(5)
    made.bind((address, 0))
    return made


@contextmanager
def leading(loop: Loop, front: socket.socket, address: tuple[str, int]) -> Iterator[Datagrams]:
    """What comes to `front` goes to the address, until the block ends."""
    flows = Datagrams(loop, front, lambda: address)
    try:
        yield flows
    finally:
        flows.expire(math.inf)


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1"])
def test_each_client_has_its_answer(address: str) -> None:
    loop = Loop()
    to = "127.0.0.1" if address == "0.0.0.0" else address
    with bound() as server, bound(address) as front, bound(to) as one, bound(to) as other:
        with leading(loop, front, server.getsockname()):
            for client in (one, other):
                client.connect((to, front.getsockname()[1]))
            one.send(b"one")
            other.send(b"other")
            for _ in range(2):
                loop.turn(0.01)
            for _ in range(2):
                data, peer = server.recvfrom(100)
                server.sendto(data.upper(), peer)
            for _ in range(2):
                loop.turn(0.01)
            assert (one.recv(100), other.recv(100)) == (b"ONE", b"OTHER")


def test_silent_clients_are_forgotten() -> None:
    loop = Loop()
    with bound() as server, bound() as front, bound() as client:
        with leading(loop, front, server.getsockname()) as flows:
            assert flows.expire(time.monotonic()) is None
            client.sendto(b"x", front.getsockname())
            loop.turn(1)
            soon = flows.expire(time.monotonic())
            assert soon is not None
            assert flows.expire(soon - 1) == soon
            assert flows.expire(soon + 1) is None
            assert IDLE_S == 90


def test_of_too_many_clients_the_first_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datagrams, "_CLIENTS", 1)
    loop = Loop()
    with bound() as server, bound() as front, bound() as one, bound() as other:
        with leading(loop, front, server.getsockname()):
            one.sendto(b"one", front.getsockname())
            other.sendto(b"other", front.getsockname())
            loop.turn(1)
            peers = [server.recvfrom(100)[1] for _ in range(2)]
            for peer in peers:
                server.sendto(b"answer", peer)
            loop.turn(1)
            assert other.recv(100) == b"answer"
            one.setblocking(False)
            with pytest.raises(BlockingIOError):
                one.recv(100)


def test_where_nobody_listens_it_is_lost() -> None:
    loop = Loop()
    with bound() as server, bound() as front, bound() as client:
        with leading(loop, front, server.getsockname()):
            server.close()
            for _ in range(3):
                client.sendto(b"x", front.getsockname())
                loop.turn(0.01)
