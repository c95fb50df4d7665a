from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from dockmagic.errors import Failure
from dockmagic.runtime import protocol


def test_messages_keep_apart_and_bring_their_descriptors() -> None:
    ours, theirs = protocol.seqpacket_pair()
    with ours, theirs:
        reading, writing = os.pipe()
        protocol.send(ours, {"op": "one"}, [writing])
        protocol.send(ours, {"op": "two"})
        os.close(writing)
        message, descriptors = protocol.receive(theirs)
        assert message == {"op": "one"}
        assert not os.get_inheritable(descriptors[0])
        os.write(descriptors[0], b"x")
        assert os.read(reading, 1) == b"x"
        assert protocol.receive(theirs) == ({"op": "two"}, [])
        os.close(descriptors[0])
        os.close(reading)


def test_the_end_of_a_connection_is_no_message() -> None:
    ours, theirs = protocol.seqpacket_pair()
    ours.close()
    with theirs:
        assert protocol.receive(theirs) == (None, [])


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    protocol.listen(path).close()
    with pytest.raises(ConnectionRefusedError):
        protocol.connect(path)
    with protocol.listen(path) as listener, protocol.connect(path):
        listener.accept()[0].close()


def test_a_memory_file_is_read_from_its_beginning() -> None:
    data = os.urandom(1 << 20)
    descriptor = protocol.memory_file(data)
    assert protocol.read_memory_file(descriptor) == data
    assert protocol.read_memory_file(descriptor) == data
    os.close(descriptor)


def test_failures_travel() -> None:
    failure = Failure("exec", 2, "not found")
    assert protocol.failure(protocol.failed(failure)) == failure


def test_sockets_are_close_on_exec() -> None:
    ours, theirs = protocol.seqpacket_pair()
    with ours, theirs:
        assert ours.type & socket.SOCK_SEQPACKET
        assert not ours.get_inheritable()
