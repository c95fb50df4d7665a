"""TCP through the forwarder, between sockets of one process."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from dockmagic.runtime.ports.loop import Loop
from dockmagic.runtime.ports.streams import Listener, Pipes

WAIT_S = 5.0


class Scene:
    """A listener that leads to another socket's port, and the two ends of a connection through it."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.front = socket.create_server(("127.0.0.1", 0))
        address = self.server.getsockname()
        Listener(self.loop, Pipes(), self.front, lambda: address)
        self.client = socket.create_connection(self.front.getsockname())
        self.client.settimeout(WAIT_S)

    def accept(self) -> socket.socket:
        """The container's end of the connection."""
        self.loop.turn(WAIT_S)
        accepted, _ = self.server.accept()
        accepted.settimeout(WAIT_S)
        return accepted

    def settle(self) -> None:
        """Let the loop do all that there is to do."""
        for _ in range(5):
            self.loop.turn(0.005)

    def close(self) -> None:
        """Close the ends."""
        self.client.close()
        self.settle()
        self.front.close()
        self.server.close()


@pytest.fixture
def scene() -> Iterator[Scene]:
    """Sockets."""
    made = Scene()
    yield made
    made.close()


def test_both_ways_and_each_end_by_itself(scene: Scene) -> None:
    with scene.accept() as inside:
        scene.client.sendall(b"question")
        scene.client.shutdown(socket.SHUT_WR)
        scene.settle()
        assert inside.recv(100) == b"question"
        assert inside.recv(100) == b""
        inside.sendall(b"answer")
        scene.settle()
        assert scene.client.recv(100) == b"answer"
    scene.settle()
    assert scene.client.recv(100) == b""


def test_who_doesn_t_read_holds_up_who_writes(scene: Scene) -> None:
    with scene.accept() as inside:
        scene.client.setblocking(False)
        sent = quiet = 0
        while quiet < 5:
            try:
                sent += scene.client.send(b"x" * (1 << 20))
                quiet = 0
            except BlockingIOError:
                quiet += 1
            scene.settle()
        received = 0
        while received < sent:
            received += len(inside.recv(1 << 20))
            scene.settle()
        assert received == sent


def test_a_reset_goes_on_to_the_other_side(scene: Scene) -> None:
    with scene.accept() as inside:
        scene.settle()
        scene.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        scene.client.close()
        scene.settle()
        with pytest.raises(ConnectionResetError):
            inside.recv(100)


def test_where_nobody_listens_the_connection_is_closed(scene: Scene) -> None:
    scene.server.close()
    scene.settle()
    assert scene.client.recv(100) == b""
